"""The tap, between a server and a client of a library that it shares no code with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from interop.control.contract import Address
from interop.errors import TestbedError
from interop.wire.frames import CLOSE, CONTINUATION, PING, TEXT, frame
from interop.wire.http import request
from interop.wire.log import Log
from interop.wire.tap import Tap
from tests.support import tls, within

from .. import servers

Handler = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


@asynccontextmanager
async def tapped(handler: Handler = echo, **options: Any) -> AsyncIterator[Tap]:
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        tap = await Tap("127.0.0.1", address, Log(), tls="ssl" in options).start()
        try:
            yield tap
        finally:
            await tap.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the tap has no event for it
            await asyncio.sleep(0)


def seen(tap: Tap) -> list[tuple[str, str, bytes]]:
    return [(frame.author, frame.kind, frame.data) for frame in tap.log.frames]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_frames_are_recorded_with_their_authors(compression: str | None) -> None:
    async with tapped(compression=compression) as tap:
        async with connect(tap.url("/x"), compression=compression) as client:
            for text in ("one", "two" * 500, "one"):
                await client.send(text)
                assert await client.recv() == text
        head = tap.connections[0].heads["server"] or b""
        assert (b"permessage-deflate" in head) is (compression is not None)
        texts = [frame for frame in seen(tap) if frame[1] == "text"]
        assert texts == [
            (author, "text", text)
            for text in (b"one", b"two" * 500, b"one")
            for author in ("client", "server")
        ]
        assert [f.close_code for f in tap.log.seen(kind="close")] == [1000, 1000]
        assert tap.log.frame_errors == []


async def test_tls_passes_unread() -> None:
    async with tapped(ssl=tls.server_context()) as tap:
        async with connect(tap.url("/x"), ssl=tls.client_context()) as client:
            await client.send("secret")
            assert await client.recv() == "secret"
        (connection,) = tap.connections
        assert not connection.handshaken
        assert seen(tap) == []
        with pytest.raises(TestbedError, match="before the WebSocket handshake"):
            tap.inject("client", "judge")


async def test_fragments_become_one_message() -> None:
    async with tapped() as tap, connect(tap.url("/")) as client:
        await client.send(["frag", "men", "ted"])
        assert await client.recv() == "fragmented"
        assert seen(tap)[0] == ("client", "text", b"fragmented")


async def test_binary_and_ping_are_told_apart() -> None:
    async with tapped() as tap, connect(tap.url("/")) as client:
        await client.send(b"\x00\xff")
        await client.recv()
        await (await client.ping(b"hi"))
        assert [(a, k) for a, k, _ in seen(tap)] == [
            ("client", "binary"), ("server", "binary"), ("client", "ping"), ("server", "pong"),
        ]  # fmt: skip


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_judge_writes_to_either_side(compression: str | None) -> None:
    got: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def keep(connection: ServerConnection) -> None:
        async for message in connection:
            await got.put(message)

    async with tapped(keep, compression=compression) as tap:
        async with connect(tap.url("/"), compression=compression) as client:
            await client.send("own")
            assert await got.get() == "own"
            tap.inject("server", "injected é")
            tap.inject("server", b"bytes")
            assert [await got.get() for _ in range(2)] == ["injected é", b"bytes"]
            tap.inject("client", "to the client")
            assert await client.recv() == "to the client"
    judged = [(frame.to, frame.kind) for frame in tap.log.seen(author="judge")]
    assert judged == [("server", "text"), ("server", "binary"), ("client", "text")]


async def test_injecting_without_a_connection_says_so() -> None:
    async with tapped() as tap:
        with pytest.raises(TestbedError, match="no client has connected"):
            tap.inject("server", "x")


async def test_injecting_before_the_handshake_says_so() -> None:
    async with tapped() as tap:
        _, writer = await asyncio.open_connection(tap.host, tap.port)
        await until(lambda: bool(tap.connections))
        with pytest.raises(TestbedError, match="before the WebSocket handshake"):
            tap.inject("server", "x")
        writer.close()


@pytest.mark.parametrize(
    "begun",
    [
        frame(TEXT, b"half", announce=256, form=16, mask=bytes(4)),
        frame(TEXT, b"first", fin=False, mask=bytes(4)),
    ],
    ids=["frame", "fragments"],
)
async def test_injecting_into_a_message_says_so(begun: bytes) -> None:
    async with tapped() as tap, connect(tap.url("/")) as client:
        await client.send("whole")
        await client.recv()
        client.transport.write(begun)
        await until(lambda: tap.connections[0].inside_message("client"))
        with pytest.raises(TestbedError, match="middle of a message"):
            tap.inject("server", "x")
        client.transport.abort()


async def test_a_cut_has_no_close_frame_on_either_side() -> None:
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def until_closed(connection: ServerConnection) -> None:
        await connection.wait_closed()
        ended.set_result(connection.close_code or 0)

    async with tapped(until_closed) as tap, connect(tap.url("/")) as client:
        tap.cut()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1006
        assert await ended == 1006
        assert tap.log.seen(kind="close") == []
        assert [by for by, _ in filter(None, [each.ended_by for each in tap.connections])] == [
            "judge"
        ]
        assert tap.acts == set()


async def test_what_frames_do_not_show_is_noted() -> None:
    async with tapped() as tap, connect(tap.url("/")) as client:
        tap.passage("client")
        tap.half_close("server")
        tap.reset()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert tap.acts == {"passage", "half-close", "reset"}


async def test_the_servers_end_ends_the_client() -> None:
    async def abort(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with tapped(abort) as tap, connect(tap.url("/")) as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert tap.connections[0].ended_by is not None
        assert tap.connections[0].ended_by[0] == "server"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (frame(11, mask=bytes(4)), "the reserved opcode 11"),
        (frame(TEXT, b"x"), "an unmasked frame of a client"),
        (frame(TEXT, b"\xff", mask=bytes(4)), "a text message that is not UTF-8"),
        (frame(CLOSE, b"\x03", mask=bytes(4)), "a close frame with half a code"),
        (
            frame(PING, b"x" * 126, mask=bytes(4)),
            "a control frame longer than 125 bytes",
        ),
        (frame(CONTINUATION, mask=bytes(4)), "a continuation of nothing"),
    ],
)
async def test_bytes_that_are_no_frames_are_a_fault_of_their_author(
    data: bytes, error: str
) -> None:
    """The first one: what follows a fault is relayed, but is not read."""
    async with tapped() as tap, connect(tap.url("/")) as client:
        await client.send("one")
        await client.recv()
        client.transport.write(data + frame(TEXT, b"two", mask=bytes(4)) + data)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        ((author, words),) = tap.log.frame_errors
        assert author == "client"
        assert words.startswith(error)
        assert [f.data for f in tap.log.seen(author="client", kind="text")] == [b"one"]


async def test_a_data_frame_after_the_close_frame_is_a_fault() -> None:
    async with tapped() as tap, connect(tap.url("/")) as client:
        client.transport.write(frame(CLOSE, mask=bytes(4)) + frame(TEXT, mask=bytes(4)))
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert tap.log.frame_errors == [("client", "a data frame after a close frame")]
        assert [(f.kind, f.close_code) for f in tap.log.seen(author="client")] == [("close", 1005)]


async def test_a_refused_upstream_ends_the_client() -> None:
    async with tapped() as tap:
        tap.upstream = Address("127.0.0.1", 1)
        reader, writer = await asyncio.open_connection(tap.host, tap.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()


async def test_what_is_open_when_the_tap_closes_is_reset_so_that_its_ports_are_free() -> None:
    async with servers.ends() as (port, ended):
        tap = await Tap("127.0.0.1", Address("127.0.0.1", port), Log()).start()
        reader, writer = await asyncio.open_connection(tap.host, tap.port)
        writer.write(request(host="x"))
        await reader.readuntil(b"\r\n\r\n")
        await tap.close()
        assert await within(ended) == "reset"
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_plain_http_passes_through() -> None:
    async with tapped() as tap:
        reader, writer = await asyncio.open_connection(tap.host, tap.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 426")
        assert tap.log.frames == []
        writer.close()


async def test_two_connections_are_told_apart() -> None:
    async with tapped() as tap, connect(tap.url("/")) as one, connect(tap.url("/")) as two:
        await two.send("from two")
        await two.recv()
        tap.inject("client", "for one", connection=0)
        assert await one.recv() == "for one"
        assert [frame.connection for frame in tap.log.frames] == [2, 2, 1]
