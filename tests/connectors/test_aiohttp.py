"""`AioHttpConnector` on aiohttp's own server."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import WebSocketError, WSMessage, WSMsgType, web

from tests.support import within
from tests.support.contract import ConnectorContract, Log
from tests.support.hosts import aiohttp_server
from tests.support.raw import http
from zaptools import CloseInfo, EventRegister
from zaptools.connectors import AioHttpConnector
from zaptools.connectors.aiohttp import _AioHttpCarrier


class TestAioHttp(ConnectorContract):
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


async def test_a_fault_that_was_found_before_anybody_received() -> None:
    class Socket:
        ws_protocol = None

        async def receive(self) -> WSMessage:
            return WSMessage(WSMsgType.ERROR, WebSocketError(1002, "no such frame"), None)

        async def close(self, *, code: int, message: bytes) -> None: ...

    request: Any = SimpleNamespace(transport=None, path="/ws", query_string="", raw_headers=())
    socket: Any = Socket()
    register = Log()
    await within(_AioHttpCarrier(AioHttpConnector(register, request), socket).run())
    assert register.ends == [CloseInfo(1002, "no such frame", "local")]
    assert register.connection.handshake.client is None


class TestCancellation(TestAioHttp):
    """The same where aiohttp cancels an endpoint whose client has gone."""

    cancels = True
