"""The `python` peer end to end: the process, its control protocol, and both roles."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from interop.catalog import load_peers
from interop.control.contract import (
    LineDecoder,
    Notification,
    Reply,
    Request,
    encode,
    parse_message,
    parse_ready,
)
from interop.peers import _control
from interop.peers.python.session import Session as PythonSession
from tests.support import until, within
from zaptools import EventRegister

ROOT = Path(__file__).resolve().parents[1]


class Session:
    """The testbed's end of a control connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.notes: list[Notification] = []
        self._replies: dict[int, asyncio.Future[Reply]] = {}
        self._ids = itertools.count(1)
        self._writer = writer
        self._task = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = LineDecoder()
        while data := await reader.read(1 << 16):
            for message in map(parse_message, decoder.feed(data)):
                if isinstance(message, Reply):
                    self._replies.pop(message.id).set_result(message)
                else:
                    self.notes.append(message)

    async def ask(self, op: str, **args: Any) -> Reply:
        number = next(self._ids)
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        self._writer.write(encode(Request(number, op, args)))
        return await within(reply)

    async def do(self, op: str, **args: Any) -> Any:
        reply = await self.ask(op, **args)
        assert reply.ok is not None, reply
        return reply.ok

    def of(self, on: str) -> list[dict[str, Any]]:
        return [dict(note.data) for note in self.notes if note.on == on]

    async def note(self, on: str, count: int = 1) -> dict[str, Any]:
        """Wait for the `count`-th notification of a kind."""
        await until(lambda: len(self.of(on)) >= count)
        return self.of(on)[count - 1]

    async def close(self) -> None:
        self._writer.close()
        await asyncio.wait([self._task])


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[str, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "interop.peers.python"),
        *("--listen", "127.0.0.1:0", "--exit-with-stdin"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield parse_ready((await within(process.stdout.readline())).decode())
        process.stdin.close()
        _, err = await within(process.communicate())
        assert process.returncode == 0, err.decode()
        assert b"never retrieved" not in err, err.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def sessions(count: int) -> AsyncIterator[list[Session]]:
    async with peer() as address:
        opened = [Session(*await asyncio.open_connection(*address)) for _ in range(count)]
        try:
            yield opened
        finally:
            for session in opened:
                await session.close()


async def test_describe() -> None:
    async with sessions(1) as (session,):
        description = await session.do("describe")
        assert (description["contract"], description["peer"]) == (1, "python")
        peer = load_peers()["python"]
        assert description["apis"] == {
            role: [api.name for api in peer.apis if api.role == role]
            for role in ("server", "client")
        }
        declared = {
            "message_bytes": 1 << 20,
            "ping_interval_s": 20,
            "ping_timeout_s": 20,
            "close_timeout_s": 10,
        }
        assert description["limits"] == {"server": declared, "client": declared}
        assert {"zaptools", "websockets", "sanic"} <= set(description["libraries"])
        assert (await session.ask("nonesuch")).unsupported is not None
        assert (await session.ask("send", event="x")).error is not None


@pytest.mark.parametrize(
    ("api", "on"),
    [
        ("ZapConsumer", "ZapServer"),
        ("ZapSubscriber", "ZapServer"),
        ("ZapConsumer", "FastApiConnector"),
        ("ZapConsumer", "AsgiApp"),
        ("ZapSubscriber", "AioHttpConnector"),
        ("ZapConsumer", "SanicConnector"),
    ],
)
async def test_both_roles(api: str, on: str) -> None:
    async with sessions(2) as (server, client):
        port = (await server.do("serve", api=on, path="/zap"))["port"]
        url = f"ws://127.0.0.1:{port}/zap"
        await client.do("open", api=api, url=url, events=["echo"], all=True)
        assert (await server.note("connected"))["conn"] == "1"
        await client.do("send", event="echo", payload={"a": [1, None]}, headers={"h": 1})
        got = await server.note("event")
        assert (got["conn"], got["name"], got["via"]) == ("1", "echo", "named")
        assert (got["payload"], got["headers"]) == ({"a": [1, None]}, {"h": 1})
        await client.note("event", 2)
        assert {event.pop("via") for event in client.of("event")} == {"named", "all"}
        await client.do("send", event="burst", payload={"count": 3})
        await client.do("send", event="boom", payload=None)
        assert (await server.note("error"))["event"] == "boom"
        await client.do("send", event="join", payload={"room": "r"})
        await client.note("event", 6)
        assert client.of("event")[-1]["name"] == "joined"
        await server.do("push", conn="1", event="echo", payload=7)
        await client.do("send", event="close-me", payload={"code": 4000})
        ended = await server.note("disconnected")
        assert (ended["conn"], ended["code"], ended["reason"]) == ("1", 4000, "")
        await client.note("state", 3)
        await client.do("reconnect")
        assert (await server.note("connected", 2))["conn"] == "2"
        await client.do("close", code=4002, reason="bye")
        assert (await server.note("disconnected", 2))["code"] == 4002
        life = ["connecting", "online", "offline"]
        await client.note("state", 6)
        assert [note["state"] for note in client.of("state")] == life * 2
        await server.do("stop")
        assert (await client.ask("reconnect")).error is not None
        reply = await client.ask("clean")
        if api == "ZapSubscriber":
            await client.note("ended", 2)
        else:
            assert reply.unsupported is not None


async def test_a_session_takes_with_it_what_it_opened() -> None:
    async with sessions(3) as (server, client, other):
        port = (await server.do("serve", api="ZapServer"))["port"]
        url = f"ws://127.0.0.1:{port}/ws"
        await client.do("open", api="ZapConsumer", url=url, events=[])
        await other.do("open", api="ZapSubscriber", url=url, events=["x"])
        await server.note("connected", 2)
        await client.close()
        assert (await server.note("disconnected"))["conn"] == "1"
        await server.close()
        await other.note("state", 3)
        assert (await other.ask("reconnect")).error is not None


def _registers() -> int:
    """Return how many there are: each server has one, and whatever holds a part of it does too."""
    gc.collect()
    return sum(type(found) is EventRegister for found in gc.get_objects())


@pytest.mark.parametrize("client", ["ZapConsumer", "ZapSubscriber", "ZapClient"])
@pytest.mark.parametrize(
    "on", ["ZapServer", "AsgiApp", "FastApiConnector", "AioHttpConnector", "SanicConnector"]
)
async def test_a_session_leaves_nothing_behind(on: str, client: str) -> None:
    loop = asyncio.get_running_loop()
    host = _control._Host(PythonSession)
    host.host = "127.0.0.1"
    async with await loop.create_server(host.accept, host.host, 0) as listening:
        before, registers = asyncio.all_tasks(), _registers()
        address = listening.sockets[0].getsockname()
        one, other = [Session(*await asyncio.open_connection(*address)) for _ in range(2)]
        port = (await one.do("serve", api=on))["port"]
        url = f"ws://127.0.0.1:{port}/ws"
        await other.do("open", api=client, url=url, events=["x"], all=True)
        await one.note("connected")
        await other.close()
        await one.close()
        await until(lambda: not asyncio.all_tasks() - before)
        # Callbacks that are due may hold what has ended for a moment.
        await until(lambda: _registers() <= registers)


def test_a_framework_is_imported_when_it_serves_or_where_many_share_the_peer() -> None:
    frameworks = ("uvicorn", "fastapi", "aiohttp", "sanic")
    start = "import runpy, sys; from interop.peers import _control; _control.main = print"
    start += "; runpy.run_module('interop.peers.python', run_name='__main__')"
    look = f"; print(*[name for name in {frameworks} if name in sys.modules])"

    def imported(*arguments: str) -> list[str]:
        command = [sys.executable, "-c", start + look, "--listen", "127.0.0.1:0", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1].split()

    assert imported("--exit-with-stdin") == []
    assert imported() == list(frameworks)


async def test_an_exception_that_nobody_took_is_told_in_asyncios_words() -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()

    async def fail() -> None:
        raise RuntimeError("boom")

    task = _control.make_task(loop, fail())
    loop.set_exception_handler(lambda _, context: told.append(context["message"]))
    await asyncio.wait([task])
    del task
    assert told == ["Task exception was never retrieved"]


async def test_what_is_told_while_another_session_runs_is_not_blamed_on_that() -> None:
    told: list[object] = []
    loop = asyncio.get_running_loop()
    mine, other = (_control.PeerSession("127.0.0.1", told.append) for _ in range(2))

    async def fail() -> None:
        raise RuntimeError("boom")

    context = contextvars.copy_context()
    context.run(_control.current_session.set, mine)
    task = _control.make_task(loop, fail(), context=context)
    loop.set_exception_handler(lambda _, context: told.append(_control.session_of(context)))
    await asyncio.wait([task])
    token = _control.current_session.set(other)
    del task
    _control.current_session.reset(token)
    assert told == [mine]


async def test_what_escapes_is_reported_to_its_session() -> None:
    """A payload that has no JSON form is reported too, in place of what cannot be written."""
    async with sessions(2) as (server, client):
        port = (await server.do("serve", api="ZapServer"))["port"]
        await client.do("open", api="ZapConsumer", url=f"ws://127.0.0.1:{port}/ws", events=[])
        reply = await client.ask("send", event="slow", payload={})
        assert reply.ok is not None
        assert "ms" in (await server.note("error"))["message"]
        assert server.of("uncaught") == client.of("uncaught") == []
