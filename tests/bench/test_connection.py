"""One connection of the generator, against real servers and against false ones."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from bench import connection as module
from bench.connection import Connection, connect, connected, request
from bench.errors import MeasureError
from bench.frames import CLOSE, PING, PONG, deflate, frame
from bench.wires import EVENTS, SOCKET_IO, payload_of

from ..support.tcp import FakeTcp
from .servers import SWITCHING, answering, target_of, text

ECHO = EVENTS.event("echo", payload_of(0))


@pytest.mark.parametrize("options", [(), ("--deflate",)])
@pytest.mark.parametrize("peer", ["zaptools", "websockets", "websockets-json"])
async def test_it_opens_checks_and_counts(peer: str, options: tuple[str, ...]) -> None:
    with target_of(peer, *options) as target:
        connection = await connect(target.program.port, target.wire, deflated=target.deflated)
        await connection.check(payload_of(0))
        counted: asyncio.Queue[int] = asyncio.Queue()
        connection.on_messages = counted.put_nowait
        connection.transport.write(connection.encode(ECHO) * 3)
        count = 0
        while count < 3:
            count += await counted.get()
        assert count == 3
        connection.transport.abort()


async def test_it_opens_socket_io() -> None:
    def answer(number: int, data: bytes) -> bytes:
        packets = [b'0{"sid":"a"}', b'40{"sid":"b"}', b'42["echo",1]']
        return (SWITCHING if number == 0 else b"") + text(packets[number])

    async with answering(answer, wire=SOCKET_IO) as target:
        connection = await connect(target.program.port, target.wire)
        await connection.check(1)
        connection.transport.abort()


async def test_many_open_a_few_at_a_time() -> None:
    async with (
        answering(lambda number, data: SWITCHING) as target,
        connected(5, target.program.port, target.wire, at_once=2) as connections,
    ):
        assert len(connections) == 5
    assert all(connection.ended.done() for connection in connections)


async def test_if_one_does_not_open_the_others_are_dropped() -> None:
    tries = iter([SWITCHING, None, SWITCHING])
    async with answering(lambda number, data: next(tries)) as target:
        with pytest.raises(MeasureError, match="the connection was lost"):
            async with connected(3, target.program.port, target.wire):
                pytest.fail("one of them cannot be open")


async def test_a_refused_handshake_is_told() -> None:
    async with answering(lambda number, data: b"HTTP/1.1 404 Not Found\r\n\r\n") as target:
        with pytest.raises(MeasureError, match=r"answered with b'HTTP/1.1 404"):
            await connect(target.program.port, target.wire)


async def test_a_server_that_is_not_there_is_told() -> None:
    async with answering(lambda number, data: None) as target:
        port = target.program.port
    with pytest.raises(MeasureError, match="cannot be reached"):
        await connect(port, EVENTS)


async def test_a_server_that_hangs_up_is_told() -> None:
    async with answering(lambda number, data: None) as target:
        with pytest.raises(MeasureError, match="the connection was lost"):
            await connect(target.program.port, target.wire)


@pytest.mark.parametrize("deflated", [True, False])
async def test_compression_that_is_not_as_asked_for_is_told(deflated: bool) -> None:
    extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    answer = SWITCHING if deflated else SWITCHING.replace(b"\r\n\r\n", b"\r\n" + extension)
    async with answering(lambda number, data: answer) as target:
        with pytest.raises(MeasureError, match="does not agree on permessage-deflate"):
            await connect(target.program.port, target.wire, deflated=deflated)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (text(EVENTS.event("echo", "other")), "another answer than what was sent"),
        (text(b"no JSON"), "Expecting value"),
        (text(b"{}"), "no event 'echo'"),
        (b"\x01\x01a", "in fragments"),
        (frame(CLOSE, b"\x03\xf3gone", mask=False), "closed with 1011 gone"),
        (frame(CLOSE, b"", mask=False), "closed with 1005"),
        (b"\xc1\x03abc", "Error -3"),
        (None, "the connection was lost"),
    ],
)
async def test_another_answer_than_the_echo_is_told(reply: bytes | None, words: str) -> None:
    async with answering(lambda number, data: reply if number else SWITCHING) as target:
        connection = await connect(target.program.port, target.wire)
        with pytest.raises(MeasureError, match=words):
            await connection.check("sent")


async def test_a_message_before_anything_was_sent_is_told() -> None:
    async with answering(lambda number, data: SWITCHING + text(b"{}")) as target:
        connection = await connect(target.program.port, target.wire)
        assert "an unexpected message" in await connection.lost


@pytest.mark.parametrize("compressed", [True, False])
async def test_an_answer_is_read_whole_in_whatever_pieces(compressed: bool) -> None:
    answers: asyncio.Queue[int] = asyncio.Queue()
    payload = payload_of(70000)
    data = EVENTS.event("echo", payload)
    whole = (
        frame(PING, b"!", mask=False)
        + frame(1, deflate(data) if compressed else data, mask=False, compressed=compressed)
        + text(b"{}")[:1]
    )

    connection = Connection(80, EVENTS, deflated=compressed)
    tcp = FakeTcp()
    connection.connection_made(tcp)
    head = SWITCHING
    if compressed:
        head = head.replace(b"\r\n\r\n", b"\r\nx: permessage-deflate\r\n\r\n")
    connection.on_messages = answers.put_nowait
    connection.data_received(head[:10])
    connection.data_received(head[10:])
    await connection.opened
    checking = asyncio.create_task(connection.check(payload))
    await asyncio.sleep(0)
    edges = [0, 1, 3, 4, 6, 9, 12, len(whole) // 2, len(whole)]
    for begin, end in itertools.pairwise(edges):
        connection.data_received(whole[begin:end])
    await checking
    connection.data_received(text(b"{}")[1:])
    assert await answers.get() == 1
    assert tcp.writes[-1] == frame(PONG, b"!", mask=True)


@pytest.mark.parametrize("beats", [1, 2])
async def test_heartbeats_are_answered(beats: int) -> None:
    got = bytearray()
    enough = asyncio.Event()

    def answer(number: int, data: bytes) -> bytes:
        if number == 0:
            return SWITCHING + text(b'0{"sid":"a"}')
        if number == 1:
            return text(b'40{"sid":"b"}') + text(b"2") * beats
        got.extend(data)
        if len(got) == 7 * beats:
            enough.set()
        return b""

    async with answering(answer, wire=SOCKET_IO) as target:
        connection = await connect(target.program.port, target.wire)
        connection.count()
        heard = asyncio.create_task(enough.wait())
        both: set[asyncio.Future[Any]] = {heard, connection.lost}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert not connection.lost.done()
        assert bytes(got) == connection.encode(b"3") * beats
        connection.transport.abort()


def test_the_request_names_host_and_path() -> None:
    lines = request(80, SOCKET_IO, deflated=True).split(b"\r\n")
    assert lines[0] == b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1"
    assert b"Host: 127.0.0.1:80" in lines
    assert lines[-3].startswith(b"Sec-WebSocket-Extensions: permessage-deflate")


def test_the_sent_event_is_json() -> None:
    assert json.loads(ECHO)["payload"] == payload_of(0)


async def test_a_server_that_says_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.01)
    async with answering(lambda number, data: b"") as target:
        with pytest.raises(MeasureError, match="does not open within 0 s"):
            await connect(target.program.port, target.wire)
