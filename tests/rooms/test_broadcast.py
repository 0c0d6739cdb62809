"""One event to many: encoded and framed once, and no one's trouble is another's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.server import ServerProtocol

from tests.support import MS, until, within
from tests.support.app import App
from tests.support.fakes import FakeTransport
from tests.support.raw import raw_client
from tests.support.tcp import FakeTcp
from zaptools import (
    CloseInfo,
    CodecError,
    ConnectionClosedError,
    Limits,
    SendTimeoutError,
    WebSocketConnection,
)
from zaptools.dispatch.dispatcher import Dispatcher
from zaptools.handlers.book import HandlerBook
from zaptools.rooms.broadcast import broadcast
from zaptools.transport import WebSocketTransport


class Broken(FakeTransport):
    """Fails at once, or when awaited."""

    def __init__(self, error: BaseException, *, later: bool = False) -> None:
        super().__init__()
        self._error = error
        self._later = later

    def send(self, data: bytes) -> Any:
        if self._later:
            return self._fail()
        raise self._error

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        raise self._error


def connection(transport: FakeTransport | None = None, **options: Any) -> WebSocketConnection:
    transport = transport or FakeTransport()
    transport.connection = WebSocketConnection("x", transport, **options)
    return transport.connection


def sent(connection: WebSocketConnection) -> list[dict[str, Any]]:
    assert isinstance(connection.transport, FakeTransport)
    return connection.transport.sent


class ServerSide(WebSocketTransport):
    """One that is open from the start."""

    def receive_handshake(self, events: list[Any], writes: list[bytes]) -> Any:
        raise AssertionError("there is no opening")

    def receive_opening(self, data: bytes) -> None:
        raise AssertionError("there is no opening")


def server_side(tcp: FakeTcp, **limits: Any) -> WebSocketTransport:
    """Return a server's transport over `tcp`, its connection open."""
    made = ServerSide(ServerProtocol(), Limits(ping_interval=None, **limits))
    tcp.set_protocol(made)  # otherwise the end of the loop waits two seconds for that of TCP
    made.connection_made(tcp)
    opened = WebSocketConnection("x", made)
    done = made.closing.handlers_done
    dispatcher = Dispatcher(opened, HandlerBook(), on_idle=lambda: None, on_finish=done)
    made.open(opened, dispatcher)
    return made


class TestWho:
    async def test_all(self) -> None:
        members = [connection() for _ in range(3)]
        result = await broadcast(members, "a", [1], {"h": 2})
        assert result.sent == members and result.failed == {}
        for member in members:
            assert sent(member) == [{"eventName": "a", "payload": [1], "headers": {"h": 2}}]

    async def test_nobody(self) -> None:
        assert (await broadcast([], "a")).sent == []

    @pytest.mark.parametrize("how", ["one", "list", "set", "iterator", "stranger"])
    async def test_exclude(self, how: str) -> None:
        first, second, third = members = [connection() for _ in range(3)]
        exclude: Any = {
            "one": first,
            "list": [first, second],
            "set": {first, second},
            "iterator": iter([first, second]),
            "stranger": connection(),
        }[how]
        result = await broadcast(members, "a", exclude=exclude)
        left = {"one": [second, third], "stranger": members}.get(how, [third])
        assert result.sent == left
        assert [member for member in members if sent(member)] == left

    @pytest.mark.parametrize("exclude", ["x", ["x"], {1}, 7])
    async def test_exclude_takes_connections(self, exclude: Any) -> None:
        member = connection()
        with pytest.raises(TypeError):
            await broadcast([member], "a", exclude=exclude)
        assert sent(member) == []

    async def test_equal_ids_are_different_connections(self) -> None:
        first, second = connection(), connection()
        assert first.id == second.id
        assert (await broadcast([first, second], "a", exclude=first)).sent == [second]

    async def test_who_has_ended_is_left_out(self) -> None:
        ended, there = connection(), connection()
        ended.closed = CloseInfo(1006)
        result = await broadcast([ended, there], "a")
        assert (result.sent, result.failed) == ([there], {})

    async def test_who_comes_while_it_waits_gets_nothing(self) -> None:
        slow = FakeTransport()
        slow.gate = asyncio.Event()
        members = [connection(slow)]
        task = asyncio.ensure_future(broadcast(members, "a"))
        await asyncio.sleep(0)
        members.append(connection())
        slow.gate.set()
        assert (await within(task)).sent == members[:1]


class TestTrouble:
    @pytest.mark.parametrize("later", [False, True])
    async def test_one_that_fails(self, later: bool) -> None:
        error = ConnectionClosedError(1006)
        broken = connection(Broken(error, later=later))
        members = [connection(), broken, connection()]
        result = await broadcast(members, "a")
        assert result.sent == [members[0], members[2]]
        assert result.failed == {broken: error}
        assert len(sent(members[2])) == 1

    async def test_one_whose_waiting_is_cancelled(self) -> None:
        broken, there = connection(Broken(asyncio.CancelledError(), later=True)), connection()
        result = await broadcast([broken, there], "a")
        assert result.sent == [there]
        assert isinstance(result.failed[broken], asyncio.CancelledError)

    async def test_one_that_waits_holds_up_no_other(self) -> None:
        slow = FakeTransport()
        slow.gate = asyncio.Event()
        members = [connection(slow), connection()]
        task = asyncio.ensure_future(broadcast(members, "a"))
        await asyncio.sleep(0)
        assert sent(members[1]) and not task.done()
        slow.gate.set()
        assert set((await within(task)).sent) == set(members)

    async def test_cancelling_stops_the_waiting(self) -> None:
        slow = FakeTransport()
        slow.gate = asyncio.Event()
        task = asyncio.ensure_future(broadcast([connection(slow)], "a"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        slow.gate.set()
        await asyncio.sleep(0)
        assert slow.sent == []

    @pytest.mark.parametrize("members", [0, 2])
    async def test_what_cannot_be_encoded_is_sent_to_nobody(self, members: int) -> None:
        receivers = [connection(omit_empty_headers=bool(i)) for i in range(members)]
        with pytest.raises(CodecError) as info:
            await broadcast(receivers, "a", {"x": float("nan")})
        assert info.value.where == "$.payload.x"
        assert not any(sent(receiver) for receiver in receivers)

    async def test_never_reading_peers_do_not_starve_the_loop(self) -> None:
        tcp = FakeTcp()
        member = server_side(tcp, backlog_bytes=0)
        tcp.unsent = 1
        member.pause_writing()
        assert member.connection is not None
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        result = await broadcast([member.connection], "a")
        assert isinstance(result.failed[member.connection], SendTimeoutError)
        assert turns == [1]


class TestOnce:
    async def test_the_same_bytes(self) -> None:
        sockets = [FakeTcp() for _ in range(3)]
        members = [server_side(tcp).connection for tcp in sockets]
        result = await broadcast([m for m in members if m is not None], "a", "text")
        assert len(result.sent) == 3
        await asyncio.sleep(0)
        first, second, third = (tcp.writes[0] for tcp in sockets)
        assert first is second is third

    @pytest.mark.parametrize("sizes", [[10], [10, 1000], [1000, 10]])
    async def test_a_full_buffer_gives_the_loop_its_turn(self, sizes: list[int]) -> None:
        members = [server_side(FakeTcp(), write_bytes=size).connection for size in sizes]
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await broadcast([m for m in members if m is not None], "a", "x" * 20)
        assert turns == [1]

    async def test_what_fits_takes_no_turn(self) -> None:
        member = server_side(FakeTcp()).connection
        assert member is not None
        turns: list[int] = []
        asyncio.get_running_loop().call_soon(turns.append, 1)
        await broadcast([member], "a")
        assert turns == []

    async def test_each_form_of_empty_headers(self) -> None:
        plain, bare = connection(), connection(omit_empty_headers=True)
        await broadcast([plain, bare], "a", 1)
        assert sent(plain) == [{"eventName": "a", "payload": 1, "headers": {}}]
        assert sent(bare) == [{"eventName": "a", "payload": 1}]

    async def test_who_compresses_frames_for_itself(self) -> None:
        payload = "x" * 500
        async with App(compression="deflate") as app:
            deflate = [ClientPerMessageDeflateFactory()]
            async with (
                raw_client(app.port) as plain,
                raw_client(app.port, extensions=deflate) as first,
                raw_client(app.port, extensions=deflate) as second,
            ):
                await until(lambda: len(app.connections) == 3)
                for _ in range(2):  # the second with what the first left in the compressor
                    result = await app.broadcast("a", payload)
                    assert len(result.sent) == 3
                    for peer in (plain, first, second):
                        assert (await peer.text())["payload"] == payload

    async def test_large_texts(self) -> None:
        payload = "x" * 70_000
        async with App() as app, raw_client(app.port) as one, raw_client(app.port) as two:
            await until(lambda: len(app.connections) == 2)
            await app.broadcast("a", payload)
            for peer in (one, two):
                frame = await peer.frame(Opcode.TEXT)
                assert json.loads(bytes(frame.data))["payload"] == payload


async def test_a_peer_that_does_not_read_misses_what_is_sent_and_the_others_get_it() -> None:
    limits = Limits(send_timeout=None, backlog_bytes=1 << 16)
    async with (
        App(limits=limits) as app,
        raw_client(app.port) as stuck,
        raw_client(app.port) as reader,
    ):
        await until(lambda: len(app.seen) == 2)
        behind = app.seen[0]
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport
        for number in range(400):
            result = await within(app.broadcast("a", [number, "x" * 50_000]))
            assert app.seen[1] in result.sent
            assert (await reader.text())["payload"][0] == number
            if result.failed:
                break
        assert isinstance(result.failed[behind], SendTimeoutError)
        assert behind.is_open
        stuck.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport
        for earlier in range(number):
            assert (await stuck.text())["payload"][0] == earlier
        result = await app.broadcast("a", ["caught up"])
        assert not result.failed
        assert (await stuck.text())["payload"] == ["caught up"]


class Bounded(FakeTransport):
    """A framework's transport whose peer does not read; like each, it bounds its own waiting."""

    def __init__(self, timeout: float) -> None:
        super().__init__()
        self._timeout = timeout

    def send(self, data: bytes) -> Any:
        return self._send(data)

    async def _send(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.Event().wait()
        except TimeoutError:
            raise SendTimeoutError(self._timeout) from None


async def test_those_who_do_not_read_give_up_at_the_same_time() -> None:
    """The broadcast takes as long as the longest of their bounds, not as their sum."""
    members = [connection(Bounded(100 * MS)) for _ in range(200)]
    reader = connection()
    result = await within(broadcast([*members, reader], "a"), 10_000 * MS)  # one by one: 20000
    assert result.sent == [reader] and len(sent(reader)) == 1
    assert set(result.failed) == set(members)
    assert {type(error) for error in result.failed.values()} == {SendTimeoutError}


async def test_a_broadcast_does_not_overtake_a_send_that_waits() -> None:
    tcp = FakeTcp()
    member = server_side(tcp)
    assert member.connection is not None
    member.pause_writing()
    waiting = asyncio.ensure_future(member.connection.send("first"))
    await asyncio.sleep(0)
    result = await within(broadcast([member.connection], "second"))
    assert result.sent == [member.connection] and not waiting.done()
    member.resume_writing()
    await within(waiting)
    await asyncio.sleep(0)
    written = b"".join(tcp.writes)  # type: ignore[arg-type]  # all bytes
    assert written.index(b"first") < written.index(b"second")
