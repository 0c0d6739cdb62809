"""`AioHttpConnector` on aiohttp's own server."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from aiohttp import WebSocketError, WSMessage, WSMsgType, web
from websockets.frames import Close, Opcode
from yarl import URL

from tests.support import MS, PATIENCE, until, within
from tests.support.admission import AdmissionContract
from tests.support.contract import ConnectorContract, Log
from tests.support.hosts import aiohttp_server
from tests.support.raw import http
from zaptools import CloseInfo, EventRegister, Limits
from zaptools.connectors import AioHttpConnector
from zaptools.connectors.aiohttp import AioHttpSocket, handshake_of
from zaptools.transport.keepalive import Keepalive


class TestAioHttp(ConnectorContract, AdmissionContract):
    answered = 5

    def serve(self, register: EventRegister, **options: Any) -> AbstractAsyncContextManager[Any]:
        async def endpoint(request: web.Request) -> web.WebSocketResponse:
            return await AioHttpConnector.plug_and_start(register, request, **options)

        return aiohttp_server(endpoint, handler_cancellation=self.cancels)

    async def test_a_fault(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.writer.write(b"\x83\x80\0\0\0\0")  # no such kind of frame
            assert (await peer.closed()).code == 1002
            end = await register.ended()
            assert (end.code, end.by) == (1002, "local")

    async def test_a_request_for_no_websocket(self) -> None:
        register = Log()
        async with self.serve(register) as running:
            answer = await http(
                running.port, b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
        assert answer.startswith(b"HTTP/1.1 400")
        assert not register.log

    @pytest.mark.parametrize(
        ("start", "version", "told"),
        [
            (b"HEAD /ws HTTP/1.1", b"13", False),
            (b"GET /ws HTTP/1.0", b"13", False),
            (b"GET /ws HTTP/1.1", b"8", True),
        ],
    )
    async def test_what_aiohttp_would_take(self, start: bytes, version: bytes, told: bool) -> None:
        register = Log()
        lines = [
            start,
            b"Host: x",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            b"Sec-WebSocket-Version: " + version,
        ]
        async with self.serve(register) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"\r\n".join([*lines, b"", b""]))
            answer = await within(reader.readuntil(b"\r\n\r\n"))
            writer.close()
        assert b" 400 " in answer.split(b"\r\n")[0]
        assert (b"Sec-WebSocket-Version: 13" in answer) is told
        assert not register.log

    async def test_pings_that_are_answered(self) -> None:
        limits = Limits(ping_interval=5 * MS, ping_timeout=PATIENCE)
        async with self.peer(limits=limits) as (register, peer, _):
            peer.answers = False
            for _ in range(3):  # each is sent although the one before it has no answer yet
                await peer.frame(Opcode.PING)
            peer.answers = True
            peer.event("echo", 1)
            while (frame := await peer.next()).opcode is Opcode.PING:
                pass
            assert frame.opcode is Opcode.TEXT
            assert register.ends == []

    async def test_a_peer_that_answers_no_ping(self) -> None:
        limits = Limits(ping_interval=10 * MS, ping_timeout=20 * MS)
        async with self.peer(limits=limits) as (register, peer, _):
            peer.answers = False
            while (frame := await peer.next()).opcode is Opcode.PING:
                pass
            reason = f"no answer to a ping within {20 * MS:g} s"
            assert Close.parse(frame.data) == Close(1011, reason)
            assert tuple(await register.ended()) == (1011, reason, "local")

    async def test_no_silence_counts_while_a_handler_runs(self) -> None:
        limits = Limits(ping_interval=5 * MS, ping_timeout=10 * MS)
        async with self.peer(limits=limits) as (register, peer, _):
            peer.event("gate", 1)
            for _ in range(12):  # several timeouts, in which nothing is read
                await peer.frame(Opcode.PING)
            assert register.ends == []
            register.gate.set()

    async def test_a_ping_of_the_peers(self) -> None:
        async with self.peer() as (_, peer, _):
            peer.protocol.send_ping(b"me")
            peer.protocol.send_pong(b"nobody asked")
            peer.flush()
            assert (await peer.frame(Opcode.PONG)).data == b"me"
            peer.event("echo", 1)
            assert (await peer.text())["payload"] == 1


def socket_over(response: Any) -> AioHttpSocket:
    """Return the socket over a response by hand, whose TCP connection has ended."""
    socket = AioHttpSocket(ENDED, response)
    socket.keepalive = Keepalive(Limits(), socket.ping, lambda: None)
    return socket


ENDED: Any = SimpleNamespace(transport=None, path="/ws", rel_url=URL("/ws"), raw_headers=())
"""A request whose TCP connection has ended."""


async def test_a_ping_at_a_time() -> None:
    pings = []

    class Response:
        async def ping(self) -> None:
            pings.append(1)
            await asyncio.Event().wait()

    socket = socket_over(Response())
    for _ in range(3):
        socket.ping()
        await asyncio.sleep(0)
    assert pings == [1]
    socket.drop()  # there is no TCP connection any more
    socket.let_go()
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_every_message_is_a_sign_of_life() -> None:
    heard = []

    class Response:
        messages: ClassVar = [
            WSMessage(WSMsgType.PONG, b"", None),
            WSMessage(WSMsgType.TEXT, "{", None),
            WSMessage(WSMsgType.CLOSED, None, None),
        ]

        async def receive(self) -> WSMessage:
            heard.append(socket.keepalive.heard and not socket.keepalive.reading_paused)
            socket.keepalive.heard = False
            return self.messages.pop(0)

    socket = socket_over(Response())
    received = [await within(socket.receive()) for _ in range(2)]
    assert received == ["{", CloseInfo(1006)]
    assert heard == [False, True, True]


async def test_a_fault_that_was_found_before_the_first_receive() -> None:
    class Response:
        async def receive(self) -> WSMessage:
            return WSMessage(WSMsgType.ERROR, WebSocketError(1002, "no such frame"), None)

        async def close(self, *, code: int, message: bytes) -> None: ...

    received = await within(socket_over(Response()).receive())
    assert received == CloseInfo(1002, "no such frame", "local")


def test_a_handshake_whose_tcp_connection_has_ended() -> None:
    assert handshake_of(ENDED, None).client is None


class TestCancellation(TestAioHttp):
    """The same where aiohttp cancels an endpoint whose client has gone."""

    cancels = True
