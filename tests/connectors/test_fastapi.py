"""`FastApiConnector` on FastAPI and on Starlette, under uvicorn."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tests.support import until
from tests.support.contract import ConnectorContract, Log
from tests.support.hosts import uvicorned
from tests.support.raw import raw_client
from zaptools import EventRegister
from zaptools.connectors import FastApiConnector


class TestFastApi(ConnectorContract):
    def serve(self, register: EventRegister, **options: Any) -> AbstractAsyncContextManager[Any]:
        app = FastAPI()

        @app.websocket("/ws")
        async def endpoint(websocket: WebSocket) -> None:
            await FastApiConnector.plug_and_start(register, websocket, **options)

        return uvicorned(app)


class TestStarlette:
    async def test_an_accepted_websocket(self) -> None:
        """An endpoint may accept by itself, to say something first."""
        register = Log()

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text("hello")
            await FastApiConnector(register, websocket, "id", subprotocols=["a"]).start()

        async with uvicorned(Starlette(routes=[WebSocketRoute("/ws", endpoint)])) as running:
            async with raw_client(running.port, "/ws", subprotocols=["a"]) as peer:
                assert bytes((await peer.next()).data) == b"hello"
                peer.event("echo", 1)
                await peer.text()
                assert peer.protocol.subprotocol is None
                await until(lambda: register.seen)
                assert register.connection.handshake.subprotocol is None
