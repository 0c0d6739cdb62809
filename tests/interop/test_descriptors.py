"""Runs with too few file descriptors."""

from __future__ import annotations

import asyncio
import errno
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from interop import descriptors
from interop.control.contract import Address
from interop.descriptors import Shortage, raise_limit, tells_shortage
from interop.reports.results import read
from interop.wire.log import Log
from interop.wire.tap import Tap

resource = pytest.importorskip("resource")

RUN = [sys.executable, "-m", "interop", "run", "--server", "python/ZapServer", "-n", "1",
       "--client", "python/ZapConsumer", "--scenario", "many.*"]  # fmt: skip


@pytest.mark.parametrize(("which", "status"), [("-S -n", 0), ("-n", 2)])
def test_a_run_takes_more_than_it_is_given_and_blames_no_side_where_it_may_not(
    which: str, status: int, tmp_path: Path
) -> None:
    shell = ["sh", "-c", f'ulimit {which} 48 && exec "$@"', "sh", *RUN, "--results", str(tmp_path)]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    cells = {cell.scenario: cell for cell in read(tmp_path)}
    assert (done.returncode, done.stderr) == (status, "")
    assert {cell.verdict for cell in cells.values()} <= {"passed", "error"}
    assert not any(cell.culprit for cell in cells.values())
    if status:
        assert cells["many.fifty"].verdict == "error"
        assert "no file descriptor left; raise the limit with ulimit -n" in done.stdout


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((256, resource.RLIM_INFINITY), (4096, resource.RLIM_INFINITY)),
        ((256, 1024), (1024, 1024)),
        ((256, 256), None),
        ((8192, 10000), None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    limits: tuple[int, int], wanted: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: set_to.append(new))
    raise_limit()
    assert set_to == ([wanted] if wanted else [])


def test_a_system_that_allows_less_than_it_says_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit()
    monkeypatch.setattr(descriptors, "resource", None)
    raise_limit()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("OSError: [Errno 24] Too many open files", True),
        ("accept tcp 127.0.0.1:1: accept: too many open files", True),
        ("connect EMFILE 127.0.0.1:80 - Local (undefined:undefined)", True),
        ("too many requests", False),
    ],
)
def test_each_language_says_it_in_its_own_way(text: str, told: bool) -> None:
    assert tells_shortage(text) is told


async def test_what_else_the_loop_tells_is_logged_as_ever(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shortage, loop = Shortage(), asyncio.get_running_loop()
    shortage.watch(loop)
    loop.call_exception_handler({"message": "x", "exception": OSError(errno.EMFILE, "y")})
    loop.call_exception_handler({"message": "Exception in callback Loop._start_serving(...)"})
    assert (shortage.count, caplog.text) == (1, "")
    with caplog.at_level(logging.ERROR):
        loop.call_exception_handler({"message": "something else"})
    assert shortage.count == 1
    assert "something else" in caplog.text
    loop.set_exception_handler(None)


async def test_a_tap_that_cannot_connect_for_want_of_one_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shortage, loop = Shortage(), asyncio.get_running_loop()
    shortage.watch(loop)

    connect = loop.create_connection

    async def refused(protocol: Any, host: str, port: int, **more: Any) -> Any:
        if port == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return await connect(protocol, host, port, **more)

    monkeypatch.setattr(loop, "create_connection", refused)
    tap = await Tap("127.0.0.1", Address("127.0.0.1", 1), Log()).start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.port)
        assert await reader.read() == b""
        writer.close()
    finally:
        await tap.close()
        loop.set_exception_handler(None)
    assert shortage.count == 1
