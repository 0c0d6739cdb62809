"""The local engine, with a scripted peer as its process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.catalog import Api
from interop.control.session import Session
from interop.engines import local
from interop.engines.local import LocalEngine
from interop.errors import PeerDied, PeerHung, Unsupported
from tests.support import PATIENCE, until

FAKE = Api("fake", "server", "Fake")


def command(mode: str) -> list[str]:
    return [sys.executable, "-m", "tests.interop.fake_peer", mode]


@asynccontextmanager
async def engine(mode: str, logs: Path | None = None) -> AsyncIterator[LocalEngine]:
    engine = LocalEngine({"fake": command(mode)}, logs)
    try:
        yield engine
    finally:
        await engine.close()


async def describe(engine: LocalEngine) -> object:
    session = await Session.connect(FAKE, await engine.address("fake"))
    try:
        return (await session.call("describe"))["peer"]
    finally:
        await session.close()


async def test_a_peer_starts_once_and_serves_many_sessions() -> None:
    async with engine("good") as peers:
        assert [await describe(peers) for _ in range(2)] == ["fake", "fake"]
        assert await peers.address("fake") == await peers.address("fake")


async def test_two_first_uses_start_one_process() -> None:
    async with engine("good") as peers:
        one, two = await asyncio.gather(peers.address("fake"), peers.address("fake"))
        assert one == two


async def test_a_peer_that_ended_by_itself_is_told_of_at_the_end() -> None:
    peers = LocalEngine({"fake": command("dies")})
    with pytest.raises(PeerDied):
        await describe(peers)
    await until(lambda: peers.pid("fake") is None)
    with pytest.raises(PeerDied, match=r"no cell used them: fake ended with exit status 3$"):
        await peers.close()
    await peers.close()


async def test_closing_ends_the_process() -> None:
    async with engine("good") as peers:
        address = await peers.address("fake")
    with pytest.raises(PeerDied):
        await Session.connect(FAKE, address)


async def test_a_peer_that_died_is_started_again() -> None:
    async with engine("dies") as peers:
        first = await peers.address("fake")
        with pytest.raises(PeerDied):
            await describe(peers)
        async with asyncio.timeout(PATIENCE):
            while await peers.address("fake") == first:  # noqa: ASYNC110  # its exit is polled
                await asyncio.sleep(0.01)


async def test_a_peer_without_ready_shows_its_log(tmp_path: Path) -> None:
    async with engine("silent", tmp_path) as peers:
        with pytest.raises(PeerDied, match=r"(?s)fake did not start.*nothing to say.*whole log"):
            await peers.address("fake")


async def test_how_a_peer_without_ready_ended_is_said_and_no_earlier_ones_log(
    tmp_path: Path,
) -> None:
    async with engine("silent", tmp_path) as peers:
        with pytest.raises(PeerDied, match="and it ended with exit status 0"):
            await peers.address("fake")
    killed = LocalEngine({"fake": ["sh", "-c", "kill -9 $$"]}, tmp_path)
    with pytest.raises(PeerDied, match=r"on stdout, and it was ended by SIGKILL$"):
        await killed.address("fake")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing here is always full")
async def test_a_peer_whose_log_cannot_be_written_runs_and_its_last_lines_are_shown(
    tmp_path: Path,
) -> None:
    log = tmp_path / f"fake.{os.getpid()}.log"
    log.symlink_to("/dev/full")
    says = 'echo first >&2 && echo second >&2 && exec "$@"'
    peers = LocalEngine({"fake": ["sh", "-c", says, "sh", *command("dies")]}, tmp_path)
    address = await peers.address("fake")
    with pytest.raises(PeerDied):
        await describe(peers)
    full = f"{log} (not all of it: No space left on device)"
    assert await peers.end(address) == f"its process ended with exit status 3; its log: {full}"
    with pytest.raises(PeerDied):
        await peers.close()
    silent = LocalEngine({"fake": ["sh", "-c", "echo first >&2 && echo second >&2"]}, tmp_path)
    with pytest.raises(PeerDied) as caught:
        await silent.address("fake")
    assert str(caught.value).endswith(f"status 0\n  first\n  second\n  (whole log: {full})")


async def test_a_folder_of_logs_that_cannot_be_made_is_said_and_ends_no_peer(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    says = 'echo said >&2 && exec "$@"'
    runs = ["sh", "-c", says, "sh", *command("good")]
    peers = LocalEngine({"fake": runs}, tmp_path / "file" / "logs")
    address = await peers.address("fake")
    assert await describe(peers) == "fake"
    assert (await peers.end(address)).endswith("(not all of it: Not a directory)")
    await peers.close()


async def test_a_log_holds_all_that_each_start_of_a_peer_said(tmp_path: Path) -> None:
    says = 'seq 100000 >&2; exec "$@"'
    peers = LocalEngine({"fake": ["sh", "-c", says, "sh", *command("good")]}, tmp_path)
    for _ in range(2):
        await peers.address("fake")
        await peers.restart("fake")
    text = (tmp_path / f"fake.{os.getpid()}.log").read_text("utf-8")
    assert text.split() == 2 * [str(n) for n in range(1, 100_001)]


async def test_another_first_line_is_shown() -> None:
    async with engine("chatty") as peers:
        with pytest.raises(PeerDied, match=r"READY HOST PORT.*HELLO"):
            await peers.address("fake")


async def test_a_peer_that_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "START_TIMEOUT", 0.05)
    async with engine("mute") as peers:
        with pytest.raises(PeerDied, match="printed no READY line"):
            await peers.address("fake")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.subprocess.Process]:
    """All processes that are started."""
    found: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def started(*arguments: Any, **more: Any) -> asyncio.subprocess.Process:
        found.append(await start(*arguments, **more))
        return found[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", started)
    return found


async def test_a_peer_whose_first_line_has_no_end_is_ended(
    started: list[asyncio.subprocess.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT", 0.05)
    peers = LocalEngine({"fake": command("endless")})
    with pytest.raises(PeerDied, match="fake did not start: its first line is over 64 KiB"):
        await peers.address("fake")
    assert [process.returncode is not None for process in started] == [True]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_peer_whose_start_is_interrupted_is_ended(
    times: int, started: list[asyncio.subprocess.Process]
) -> None:
    peers = LocalEngine({"fake": command("mute")})
    starting = asyncio.ensure_future(peers.address("fake"))
    await until(lambda: bool(started))
    for _ in range(times):
        starting.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [process.returncode is not None for process in started] == [True]


async def test_a_peer_that_ignores_its_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STOP_TIMEOUT", 0.05)
    async with engine("stubborn") as peers:
        address = await peers.address("fake")
    with pytest.raises(PeerDied):
        await Session.connect(FAKE, address)


async def test_a_command_that_is_no_program_is_named() -> None:
    engine = LocalEngine({"fake": ["/no/such/program"]})
    with pytest.raises(PeerDied, match="cannot start fake: /no/such/program: No such file"):
        await engine.address("fake")


async def test_the_tap_is_on_loopback() -> None:
    async with engine("good") as peers:
        assert await peers.tap_host(await peers.address("fake")) == "127.0.0.1"


async def test_a_peer_that_failed_is_started_again() -> None:
    async with engine("good") as peers:
        await peers.restart("fake")  # never started: nothing to end
        before = await peers.address("fake")
        await peers.restart("fake")
        with pytest.raises(PeerDied):
            await Session.connect(FAKE, before)
        assert await describe(peers) == "fake"


async def test_a_peer_that_says_nothing_is_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "START_TIMEOUT", 0.05)
    async with engine("mute") as peers:
        with pytest.raises(PeerHung, match=r"printed no READY line within 0[.]05 s"):
            await peers.address("fake")


@pytest.mark.parametrize("session", [False, True], ids=["of its group", "in a session of its own"])
async def test_what_a_peer_leaves_behind_is_not_waited_for(session: bool, tmp_path: Path) -> None:
    """It holds the pipes of the peer: only its own end, or a group's, closes these."""
    left = tmp_path / "left"
    orphan = "import pathlib, os, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))"
    program = f"""
import pathlib, subprocess, sys, time
left = pathlib.Path(sys.argv[1])
words = [sys.executable, "-c", {orphan!r} + "; time.sleep(3600)", str(left)]
subprocess.Popen(words, start_new_session={session})
while not (left.exists() and left.read_text()):
    time.sleep(0.01)
print("hello", flush=True)
"""
    peers = LocalEngine({"fake": [sys.executable, "-c", program, str(left)]})
    try:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(PeerDied, match="fake did not start"):
                await peers.address("fake")
        if not session:
            await until(lambda: not _runs(int(left.read_text())))
    finally:
        await peers.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(left.read_text()), signal.SIGKILL)


def _runs(pid: int) -> bool:
    """Whether a process runs that is no child of this one."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def test_it_has_no_faults() -> None:
    with pytest.raises(Unsupported, match="engine local does nothing to a peer"):
        LocalEngine({}).faults()
