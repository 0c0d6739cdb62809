"""The server role: the published `FastApiConnector` under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from generation import HAS_ROOMS, EventBook, Rooms, SessionRooms, WebSocketConnection

from interop.peers._app import EVENTS, handle
from interop.peers._control import Failure, PeerSession, Unsupported
from zaptools import EventContext, EventRegister
from zaptools.connectors import FastApiConnector

_UVICORN = {
    "message_bytes": "ws_max_size",
    "ping_interval_s": "ws_ping_interval",
    "ping_timeout_s": "ws_ping_timeout",
}
_NO_CODE = "WebSocketConnection.close() takes neither code nor reason"


class _AppConnection:
    """A connection as the app uses it."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection
        self.id = connection.id
        self.send = connection.send

    async def close_with(self, code: int | None) -> str | None:
        if code is not None:
            return _NO_CODE
        await self._connection.close()
        return None


class _Uvicorn(uvicorn.Server):
    """One of several servers in a process: signals are the process's own business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _register() -> EventRegister:
    """Return a register whose handlers are its own.

    All of the library's registers share one book of handlers, a default argument and a class
    attribute. A program has one register as a rule, and so has a session here; sessions must
    not see each other's handlers, as the programs that they stand for would not.
    """
    book = EventBook()
    book.event_records = {}
    return EventRegister(book)


class ServerRole(PeerSession):
    """The operations of a server."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._server: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None
        self._names: dict[WebSocketConnection, str] = {}
        self._connections: dict[str, WebSocketConnection] = {}
        self._rooms = SessionRooms() if HAS_ROOMS else None

    async def op_serve(
        self,
        api: str,
        path: str = "/ws",
        protocols: Any = None,
        origins: Any = None,
        deflate: bool = False,  # uvicorn does, asked or not
        **limits: Any,
    ) -> dict[str, Any]:
        if protocols is not None or origins is not None:
            raise Unsupported("FastApiConnector accepts with no subprotocol, from any origin")
        if api != "FastApiConnector":
            raise Failure(f"no server API {api!r}")
        if self._server is not None:
            raise Failure("this session has its server")
        register = _register()
        register.on_event("connected")(self._on_connected)
        register.on_event("disconnected")(self._on_disconnected)
        register.on_event("error")(self._on_error)
        for name in EVENTS:
            register.on_event(name)(self._on_event)
        app = FastAPI()

        @app.websocket(path)
        async def endpoint(websocket: WebSocket) -> None:
            try:
                await FastApiConnector(register, websocket).start()
            except Exception as exc:
                self.uncaught(exc, "FastApiConnector.start raised")
                raise

        listener = socket.create_server((self.host, 0))
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_level="info",
            timeout_graceful_shutdown=5,
            **{_UVICORN[name]: value for name, value in limits.items()},
        )
        self._server = _Uvicorn(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._serving.done():
                raise Failure("uvicorn did not start")
            await asyncio.sleep(0.005)  # it tells nobody
        return {"port": listener.getsockname()[1]}

    async def op_push(self, conn: str, event: str, payload: Any = None, **more: Any) -> None:
        await self._find(conn).send(event, payload, **more)

    async def op_drop(self, conn: str, code: int | None = None, reason: str | None = None) -> None:
        if code is not None or reason is not None:
            raise Unsupported(_NO_CODE)
        await self._find(conn).close()

    async def op_stop(self) -> None:
        # The library has no server of its own; its user stops uvicorn.
        if self._server is None or self._serving is None:
            raise Failure("there is no server")
        self._server.should_exit = True
        await asyncio.shield(self._serving)

    async def teardown(self) -> None:
        await super().teardown()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = self._server.force_exit = True
            await self._serving

    def _find(self, conn: str) -> WebSocketConnection:
        if conn not in self._connections:
            raise Failure(f"no connection {conn!r}")
        return self._connections[conn]

    def _name(self, connection: WebSocketConnection) -> str:
        """Return the connection's name: by object, since the library's ids are under test."""
        if connection not in self._names:
            name = self._names[connection] = str(len(self._names) + 1)
            self._connections[name] = connection
        return self._names[connection]

    async def _on_connected(self, ctx: EventContext) -> None:
        self.notify("connected", conn=self._name(ctx.connection))

    async def _on_disconnected(self, ctx: EventContext) -> None:
        self.notify("disconnected", conn=self._name(ctx.connection))

    async def _on_error(self, ctx: EventContext) -> None:
        self.notify("error", conn=self._name(ctx.connection), message=str(ctx.payload))

    async def _on_event(self, ctx: EventContext) -> None:
        self.notify(
            "event",
            conn=self._name(ctx.connection),
            name=ctx.event_name,
            payload=ctx.payload,
            headers=ctx.headers,
            via="named",
        )
        connection = _AppConnection(ctx.connection)
        rooms = Rooms(self._rooms, ctx.connection) if self._rooms else None
        await handle(ctx.event_name, connection, ctx.payload, ctx.headers, rooms)
