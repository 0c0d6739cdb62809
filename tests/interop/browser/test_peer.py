"""The peer `browser` in a real Chromium: sessions, their isolation, and its end in every way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from interop.catalog import load_peers
from interop.control.contract import parse_ready

from ..strays import strays

PEER = load_peers()["browser"]
SCRIPT = str(PEER.folder / PEER.entry_point)

pytestmark = pytest.mark.asyncio(loop_scope="module")

Message = dict[str, Any]


class Peer:
    """The program, in a folder for temporary files of its own."""

    def __init__(self, process: Process, address: tuple[str, int], folder: Path) -> None:
        self.process = process
        self.address = address
        self.folder = folder

    @classmethod
    async def start(cls, chromium: str, folder: Path) -> Peer:
        process = await asyncio.create_subprocess_exec(
            sys.executable, SCRIPT, "--listen", "127.0.0.1:0", "--exit-with-stdin",
            "--chromium", chromium, env={**os.environ, "TMPDIR": str(folder)},
            stdin=PIPE, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        return cls(process, parse_ready((await process.stdout.readline()).decode()), folder)

    async def session(self) -> Session:
        return Session(*await asyncio.open_connection(*self.address, limit=1 << 26))

    async def end(self) -> None:
        """Close its stdin, and wait until all has ended."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.ended()
        assert self.process.returncode == 0

    async def ended(self) -> str:
        """Wait until the program and all that it started have ended; return what it said."""
        assert self.process.stderr is not None
        said = (await self.process.stderr.read()).decode()  # until the last has closed it
        await self.process.wait()
        # The shell, which is no child of this process, removes the folder at last.
        while strays(self.folder):  # noqa: ASYNC110  # processes set no event
            await asyncio.sleep(0.01)
        assert list(self.folder.iterdir()) == []
        return said


class Session:
    """A control connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last = 0

    def ask(self, op: str, **arguments: Any) -> None:
        self._last += 1
        request = {"id": self._last, "op": op, **arguments}
        self._writer.write(json.dumps(request).encode() + b"\n")

    async def next(self) -> Message:
        message: Message = json.loads(await self._reader.readline())
        return message

    async def call(self, op: str, **arguments: Any) -> tuple[Message, list[Message]]:
        """Return the reply, without its id, and the notifications before it."""
        self.ask(op, **arguments)
        notes = []
        while "id" not in (message := await self.next()):
            notes.append(message)
        assert message.pop("id") == self._last
        return message, notes

    async def open(self, url: str, **arguments: Any) -> Message:
        reply, _ = await self.call("open", api="Client", url=url, **arguments)
        return reply

    async def end(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):  # the other end may be gone
            await self._writer.wait_closed()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Chromium makes sockets in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer(chromium: str) -> AsyncIterator[Peer]:
    with tempfile.TemporaryDirectory() as folder:
        peer = await Peer.start(chromium, Path(folder))
        yield peer
        await peer.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url() -> AsyncIterator[str]:
    """A server that sends back what it gets, and closes with 4001 at the event `bye`."""

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                if '"bye"' in str(message):
                    await connection.close(4001, "as you wish")
                await connection.send(message)

    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_client_connects_sends_and_closes(peer: Peer, url: str) -> None:
    session = await peer.session()
    opened, notes = await session.call("open", api="Client", url=url, events=["echo"])
    assert opened == {"ok": {}}
    assert [note.get("state", note["on"]) for note in notes] == [
        "connecting",
        "online",
        "connected",
    ]
    text = "\0\u2028\U0001f600\ud800"
    for value in (text, {"a": [1.5, None]}, "x" * (1 << 20)):
        assert (await session.call("send", event="echo", payload=value, headers={}))[0] == {
            "ok": {}
        }
        got = {"on": "event", "name": "echo", "payload": value, "headers": {}, "via": "named"}
        assert await session.next() == got
    refused, _ = await session.call("close", code=1001)
    assert refused["error"]["kind"] == "InvalidAccessError"
    closed, notes = await session.call("close", code=4000, reason="enough")
    assert closed == {"ok": {}}
    assert notes[1] == {"on": "disconnected", "code": 4000, "reason": "enough"}
    lost, _ = await session.call("send", event="echo", payload=1)
    assert lost["error"]["message"] == "the client is not connected"
    assert (await session.call("reconnect"))[0] == {"ok": {}}
    session.ask("send", event="bye", payload=None)
    notes = [await session.next() for _ in range(3)]
    assert notes[-1] == {"on": "disconnected", "code": 4001, "reason": "as you wish"}
    await session.end()


async def test_events_come_in_their_order(peer: Peer, url: str) -> None:
    session = await peer.session()
    await session.open(url, all=True)
    for number in range(500):
        session.ask("send", event="tick", payload=number, headers={})
    found = [message for _ in range(1000) if "on" in (message := await session.next())]
    assert [note["payload"] for note in found] == list(range(500))
    await session.end()


async def test_an_exception_that_escapes_is_told_to_its_session_alone(peer: Peer, url: str) -> None:
    one, other = await peer.session(), await peer.session()
    await other.open(url)
    one.ask("open", api="Client", url=url, on_connect=5)  # not iterable: the listener throws
    notes = [await one.next() for _ in range(4)]
    assert notes[-1]["on"] == "uncaught"
    assert "is not iterable" in notes[-1]["message"]
    assert (await other.call("close"))[1][0] == {"on": "state", "state": "offline"}
    await one.end()
    await other.end()


async def test_nothing_of_a_session_is_left_to_the_next(peer: Peer, url: str) -> None:
    for _ in range(12):  # more than there are pages
        session = await peer.session()
        reply, _ = await session.call("send", event="echo", payload=1)
        assert reply["error"]["message"] == "there is no client"
        assert await session.open(url, all=True) == {"ok": {}}
        await session.call("send", event="echo", payload=1)
        await session.end()


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("peer.py", None),
        ("--type=renderer", "a page has crashed"),
        ("--remote-debugging-pipe", "Chromium has ended"),
    ],
)
async def test_what_is_killed_takes_the_rest_along(
    chromium: str, folder: Path, url: str, what: str, says: str | None
) -> None:
    peer = await Peer.start(chromium, folder)
    session = await peer.session()
    await session.open(url)
    for pid in [peer.process.pid] if says is None else processes(folder, what):
        os.kill(pid, signal.SIGKILL)
    said = await peer.ended()
    await session.end()
    if says is not None:
        assert said.endswith(f"{says}\n")
        assert peer.process.returncode == 1


async def test_a_program_that_is_no_chromium_is_named() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, SCRIPT, "--listen", "127.0.0.1:0", "--chromium", "/bin/false", stderr=PIPE
    )
    _, said = await process.communicate()
    assert said.endswith(b"/bin/false does not start: Chromium has ended\n")
    assert process.returncode == 1


def processes(folder: Path, option: str) -> list[int]:
    """Return the processes of the Chromium whose profile is in a folder, that have an option."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            line = file.read_text("utf-8", "replace").replace("\0", " ")
            if option in line and str(folder) in line and not line.startswith("sh "):
                found.append(int(file.parent.name))
    assert found
    return found
