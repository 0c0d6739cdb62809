"""The programs of docs/connectors.md run as they stand."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import within
from zaptools import ConnectError, ZapClient

PAGE = (Path(__file__).parents[1] / "docs" / "connectors.md").read_text("utf-8")
PROGRAMS = dict(re.findall(r"^## (.*?)\n\n```python\n(.*?)```", PAGE, re.M | re.S))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def connected(url: str, process: asyncio.subprocess.Process) -> ZapClient:
    while True:
        client = ZapClient()
        try:
            await client.connect(url)
        except ConnectError:
            assert process.returncode is None, "it ended"
            await asyncio.sleep(0.05)  # another process's start cannot be awaited
        else:
            return client


def test_there_is_one_for_each() -> None:
    assert list(PROGRAMS) == ["FastAPI", "aiohttp", "Sanic", "Any ASGI server"]


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_program(name: str, tmp_path: Path) -> None:
    port = free_port()
    assert "8000" in PROGRAMS[name]
    (tmp_path / "program.py").write_text(PROGRAMS[name].replace("8000", str(port)), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "program.py", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        client = await within(connected(f"ws://127.0.0.1:{port}/ws", process), 20)
        await client.send("greet", "Ada")
        async for event in client.event_stream():
            assert (event.event_name, event.payload) == ("greeting", "Hello, Ada!")
            break
        await client.close()
    finally:
        process.terminate()
        await within(process.communicate(), 20)
