"""The judge's two ends against each other: what one writes, legal or not, the other sees."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from interop.control.patience import Patience
from interop.errors import Violation
from interop.wire.frames import BINARY, CLOSE, PING, PONG, TEXT
from interop.wire.http import answer, request
from interop.wire.log import Log
from interop.wire.raw import RawConnection, RawServer
from tests.support import within

from ..servers import ends

PATIENCE = Patience(0.2)


@asynccontextmanager
async def pair(log: Log | None = None) -> AsyncIterator[tuple[RawConnection, RawConnection]]:
    """Connect a judge's client to a judge's server; each records in a log of its own."""
    server = await RawServer("127.0.0.1", log or Log(), PATIENCE).start()
    streams = await asyncio.open_connection("127.0.0.1", server.port)
    client = RawConnection(Log(), "client", streams, PATIENCE)
    try:
        client.write(request(host="x"))
        accepted = await server.accept()
        accepted.write(answer(accepted.head))
        assert (await client.read_head()).status == 101
        accepted.start()
        client.start()
        yield client, accepted
    finally:
        await client.close()
        await server.close()


@pytest.mark.parametrize("text", ["{", "[1]", "1", '{"payload":1}', b"\xff"])
async def test_a_message_that_is_no_event_is_the_other_sides_fault(text: str | bytes) -> None:
    async with pair() as (client, server):
        client.send(TEXT, '{"eventName":"a"}')
        assert await server.next_message() == {"eventName": "a", "payload": None}
        client.send(TEXT, text)
        with pytest.raises(Violation, match=r"the client wrote what is no event|1007"):
            await server.next_event("a")


async def test_messages_pass_and_are_recorded() -> None:
    log = Log()
    async with pair(log) as (client, server):
        client.send_event("a", {"n": 1})
        client.send_event("b", 2)
        assert (await server.next_event("b"))["payload"] == 2
        server.send(PING, "p")
        assert (await client.next(PING, PONG)).payload == b"p"
        client.send_close(4000, "bye")
        assert (await server.closing()).code == 4000
        assert (await server.next(CLOSE)).code == 4000
    seen = [(f.author, f.to, f.kind, f.close_code) for f in log.frames]
    assert ("client", "server", "text", None) in seen
    assert ("judge", "client", "ping", None) in seen
    assert ("client", "server", "close", 4000) in seen
    assert log.frame_errors == []


async def test_fragments_are_put_together() -> None:
    async with pair() as (client, server):
        client.write(*client.fragments([b"He", b"", b"llo"]))
        assert (await server.next(TEXT)).payload == b"Hello"


async def test_what_breaks_the_rules_is_a_fault_of_its_author() -> None:
    log = Log()
    async with pair(log) as (client, server):
        client.send(TEXT, b"x", mask=None)
        await server.next(TEXT)
        assert log.frame_errors == [("client", "an unmasked frame of a client")]


async def test_a_frame_that_does_not_come_is_a_violation() -> None:
    async with pair() as (client, server):
        client.send(BINARY, b"other")
        with pytest.raises(Violation, match=r"wrote no text frame within 0\.2 s; it wrote"):
            await server.next(TEXT)
        with pytest.raises(Violation, match=r"did not end the connection"):
            await server.failed()
        with pytest.raises(Violation, match="did not end the TCP connection"):
            await server.tcp_ended()


async def test_the_end_is_noticed() -> None:
    async with pair() as (client, server):
        client.end_tcp()
        await server.tcp_ended()
        await server.failed()
        with pytest.raises(Violation, match=r"ended the connection and wrote no text frame"):
            await server.next(TEXT)
        with pytest.raises(Violation, match=r"no close frame \(1006\)"):
            await server.closing()
        with pytest.raises(Violation, match="ended the connection"):
            await server.soon(CLOSE)


async def test_a_reset_is_an_end_and_writing_after_it_is_no_harm() -> None:
    async with pair() as (client, server):
        client.abort(reset=True)
        await server.tcp_ended()
        client.write(b"x")


@pytest.mark.parametrize("reset", [True, False])
async def test_what_is_given_back_is_reset_so_that_its_port_is_free(reset: bool) -> None:
    async with ends() as (port, ended):
        streams = await asyncio.open_connection("127.0.0.1", port)
        await RawConnection(Log(), "client", streams, PATIENCE).close(reset=reset)
        assert await within(ended) == ("reset" if reset else "end")


async def test_the_code_that_a_side_fails_with() -> None:
    async with pair() as (client, server):
        client.send(CLOSE)
        with pytest.raises(Violation, match="closed with no code, not with 1002 or 1007"):
            await server.failed(1002, 1007)


async def test_reading_can_rest() -> None:
    async with pair() as (client, server):
        server.pause()
        client.send_event("a")
        with pytest.raises(Violation):
            await server.next(TEXT)
        server.resume()
        await server.next(TEXT)


@pytest.mark.parametrize(
    ("says", "words"),
    [(b"", "ended the connection and wrote nothing"), (None, "wrote no handshake")],
)
async def test_a_handshake_that_does_not_come(says: bytes | None, words: str) -> None:
    server = await RawServer("127.0.0.1", Log(), PATIENCE).start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    if says is not None:
        writer.close()
    with pytest.raises(Violation, match=words):
        await server.accept()
    with pytest.raises(Violation, match="did not connect within"):
        await server.accept()
    writer.close()
    await server.close()
    assert server.url("/p") == f"ws://127.0.0.1:{server.port}/p"


async def test_a_server_that_stops_listening_refuses_connections_until_it_listens_again() -> None:
    server = await RawServer("127.0.0.1", Log(), PATIENCE).start()
    server.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    await server.listen_again()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(host="x"))
    await server.accept()
    writer.close()
    await server.close()
    assert server.accepted == 1


async def test_a_server_that_does_not_listen_frees_its_port_when_it_closes() -> None:
    server = await RawServer("127.0.0.1", Log(), PATIENCE).start()
    server.stop_listening()
    await server.close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))


async def test_a_connection_that_arrives_while_a_server_closes_is_ended() -> None:
    server = await RawServer("127.0.0.1", Log(), PATIENCE).start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        for _ in range(2):  # the loop has accepted the socket, and has not made its transport
            await asyncio.sleep(0)
        await server.close()
        with suppress(ConnectionResetError):
            assert await asyncio.to_thread(client.recv, 1) == b""
    gc.collect()  # a transport that is lost, open, warns
