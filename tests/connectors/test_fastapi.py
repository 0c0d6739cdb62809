"""`FastApiConnector` on FastAPI and on Starlette, under uvicorn."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketState

from tests.support import until, within
from tests.support.admission import AdmissionContract
from tests.support.contract import ConnectorContract, Log
from tests.support.fakes import event
from tests.support.hosts import uvicorned
from tests.support.raw import raw_client
from zaptools import ConnectionClosedError, EventContext, EventRegister, Refuse
from zaptools.connectors import FastApiConnector


class TestFastApi(ConnectorContract, AdmissionContract):
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

    async def test_an_accepted_websocket_that_is_refused(self) -> None:
        register = Log()
        register.on_handshake(lambda request: Refuse(401))  # type: ignore[type-var]  # returned, not raised

        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            await FastApiConnector(register, websocket).start()

        async with uvicorned(Starlette(routes=[WebSocketRoute("/ws", endpoint)])) as running:
            async with raw_client(running.port, "/ws") as peer:
                close = await peer.closed()
                assert (close.code, close.reason) == (1008, "401 Unauthorized")
        assert register.log == []


class Below:
    """The server below a WebSocket, by hand: a test puts its messages into `incoming`."""

    def __init__(self, kind: type[WebSocket] = WebSocket) -> None:
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        self.failure: Exception | None = None
        self.put({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/", "headers": []}
        self.websocket = kind(scope, self.incoming.get, self.send)

    async def send(self, message: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(message)

    def put(self, *messages: Any) -> None:
        for message in messages:
            self.incoming.put_nowait(message)

    def put_event(self, name: str) -> None:
        self.put({"type": "websocket.receive", "text": event(name)})

    async def serve(self, register: EventRegister) -> None:
        await within(FastApiConnector(register, self.websocket).start())


BYE = {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}


class TestStates:
    """What the endpoint sees of its WebSocket is what Starlette would have made of it."""

    async def test_an_end(self) -> None:
        register, below = Log(), Below()
        below.put_event("echo")
        below.put(BYE)
        await below.serve(register)
        assert [message["type"] for message in below.sent] == ["websocket.accept", "websocket.send"]
        assert below.websocket.client_state is WebSocketState.DISCONNECTED
        assert below.websocket.application_state is WebSocketState.CONNECTED
        assert register.ends[0].code == 4000

    async def test_a_close_of_ours(self) -> None:
        register, below = EventRegister(), Below()

        @register.on_event("leave")
        async def leave(ctx: EventContext) -> None:
            await ctx.connection.close(4001, "enough")
            below.put(BYE)

        below.put_event("leave")
        await below.serve(register)
        assert below.sent[-1] == {"type": "websocket.close", "code": 4001, "reason": "enough"}
        assert below.websocket.application_state is WebSocketState.DISCONNECTED

    async def test_a_close_of_the_endpoints_own(self) -> None:
        register, below = EventRegister(), Below()
        errors: list[BaseException] = []

        @register.on_event("leave")
        async def leave(ctx: EventContext) -> None:
            await below.websocket.close(4002)
            below.put(BYE)
            with pytest.raises(ConnectionClosedError) as info:
                await ctx.connection.send("late")
            errors.append(info.value)

        below.put_event("leave")
        await below.serve(register)
        assert errors
        assert below.sent[-1]["type"] == "websocket.close"

    async def test_an_end_that_the_endpoint_has_read(self) -> None:
        register, below = EventRegister(), Below()

        @register.on_event("read")
        async def read(ctx: EventContext) -> None:
            await below.websocket.receive()

        below.put_event("read")
        below.put(BYE)
        await below.serve(register)

    async def test_a_send_that_fails(self) -> None:
        register, below = EventRegister(), Below()
        states: list[WebSocketState] = []

        @register.on_event("send")
        async def send(ctx: EventContext) -> None:
            below.put(BYE)
            for below.failure in (RuntimeError(), OSError()):
                with pytest.raises(ConnectionClosedError):
                    await ctx.connection.transport.send(b"")  # type: ignore[misc]  # it fails
                states.append(below.websocket.application_state)

        below.put_event("send")
        await below.serve(register)
        assert states == [WebSocketState.CONNECTED, WebSocketState.DISCONNECTED]

    async def test_methods_that_are_not_starlettes(self) -> None:
        """They are called: an application wants to see the messages."""
        seen: list[str] = []

        class Watched(WebSocket):
            async def send(self, message: Any) -> None:
                seen.append(message["type"])
                await super().send(message)

        register, below = Log(), Below(Watched)
        below.put_event("echo")
        below.put(BYE)
        await below.serve(register)
        assert seen == ["websocket.accept", "websocket.send"]
        assert register.ends[0].code == 4000
