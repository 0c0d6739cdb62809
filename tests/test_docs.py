"""Every Python block of every page in docs/ runs, and prints what the page says it prints.

A block is a whole program. A ``text`` block below it is its output; without one it prints nothing.
A program that ends with a server's running is a server at ``/ws`` that answers ``greet`` with
``greeting``.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PATIENCE, within
from tests.support.ports import free_port
from zaptools import ConnectError, ZapClient

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"^## (?P<title>[^\n]*)$|^```python\n(?P<program>.*?)^```$"
    r"(?:\n\n(?:[^\n`#]+\n\n)?```text\n(?P<output>.*?)^```$)?",
    re.M | re.S,
)
SERVER = re.compile(r"^    (uvicorn\.run|web\.run_app|app\.run|server\.run)\(", re.M)


def blocks() -> list[tuple[str, str, str]]:
    """Return the place, the program and the output of each block."""
    found = []
    for page in sorted(DOCS.glob("*.md")):
        title, number = "", 0
        for match in BLOCK.finditer(page.read_text("utf-8")):
            if match["program"] is None:
                title, number = match["title"], 0
            else:
                number += 1
                place = f"{page.stem}: {title} {number}"
                found.append((place, match["program"], match["output"] or ""))
    return found


BLOCKS = blocks()
PROGRAMS = [pytest.param(p, o, id=n) for n, p, o in BLOCKS if not SERVER.search(p)]
SERVERS = [pytest.param(p, id=n) for n, p, _ in BLOCKS if SERVER.search(p)]


async def connected(url: str, process: asyncio.subprocess.Process) -> ZapClient:
    while True:
        client = ZapClient()
        try:
            await client.connect(url)
        except ConnectError:
            if process.returncode is not None:
                output, _ = await process.communicate()
                pytest.fail(f"it ended: {output.decode()}")
            await asyncio.sleep(0.05)  # another process's start cannot be awaited
        else:
            return client


def test_no_block_is_missed() -> None:
    begun = sum(page.read_text("utf-8").count("```python") for page in DOCS.glob("*.md"))
    assert len(BLOCKS) == begun
    assert len(SERVERS) == 4


@pytest.mark.parametrize(("program", "output"), PROGRAMS)
def test_a_program(program: str, output: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},  # the testbed is not installed
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.stdout, done.stderr) == (output, "")


@pytest.mark.parametrize("program", SERVERS)
async def test_a_server(program: str, tmp_path: Path) -> None:
    port = free_port()
    assert "8000" in program
    (tmp_path / "program.py").write_text(program.replace("8000", str(port)), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "program.py", cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        client = await within(connected(f"ws://127.0.0.1:{port}/ws", process))
        await client.send("greet", "Ada")
        async for event in client.event_stream():
            assert (event.event_name, event.payload) == ("greeting", "Hello, Ada!")
            break
        await client.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await within(process.communicate())
