"""The server role: the published connectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from generation import (
    HAS_ROOMS,
    ConnectionRouter,
    EventBook,
    Rooms,
    SessionRooms,
    WebSocketConnection,
)
from hosts import HOSTS, Options

from interop.peers._app import EVENTS, handle
from interop.peers._control import Failure, Unsupported
from interop.peers._server import BaseServerRole
from zaptools import EventContext, EventRegister

_NO_CODE = "WebSocketConnection.close() takes neither code nor reason"


class _AppConnection:
    """A connection as the app uses it."""

    def __init__(self, connection: WebSocketConnection, router: Any) -> None:
        self._connection = connection
        self._router = router
        self.id = connection.id
        self.send = connection.send

    async def close_with(self, code: int | None) -> str | None:
        if code is not None:
            return _NO_CODE
        await self._connection.close()
        return None

    async def broadcast(
        self, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> str | None:
        if self._router is None:
            return "the library has no ConnectionRouter"
        exclude = [self._connection] if exclude_self else None
        await self._router.broadcast(event, payload, headers, exclude)
        return None


_BOOKS: dict[str, Any] = {}
"""The handlers of each `program`."""


def _register(program: str | None) -> EventRegister:
    """Return a register with its own handlers, or with those of its `program`.

    All of the library's registers share one book of handlers, a default argument and a class
    attribute. Sessions stand for programs, each with one register, and must not see each other's
    handlers, unless they say that they are of one program.
    """
    book = EventBook()
    book.event_records = {} if program is None else _BOOKS.setdefault(program, {})
    return EventRegister(book)


class ServerRole(BaseServerRole):
    """The operations of a server."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rooms: SessionRooms | None = None
        self._router = ConnectionRouter() if ConnectionRouter else None

    async def op_serve(
        self,
        api: str,
        path: str = "/ws",
        protocols: Any = None,
        origins: Any = None,
        deflate: bool = False,
        tls: str | None = None,
        program: str | None = None,
        all: bool = False,
        on_connect: Sequence[Mapping[str, Any]] = (),
        at_connect: Mapping[str, Any] | None = None,
        at_disconnect: Mapping[str, Any] | None = None,
        **limits: Any,
    ) -> dict[str, Any]:
        if all:
            raise Unsupported("EventRegister has no handler of any event")
        if api not in HOSTS:
            raise Failure(f"no server API {api!r}")
        if self.server is not None:
            raise Failure("this session has its server")
        self.greeting = on_connect
        self.at_connect, self.at_disconnect = at_connect, at_disconnect
        self._rooms = SessionRooms(program) if HAS_ROOMS else None
        register = _register(program)
        register.on_event("connected")(self.on_connected)
        register.on_event("disconnected")(self._on_disconnected)
        register.on_event("error")(self._on_error)
        for name in EVENTS:
            register.on_event(name)(self._on_event)
        options = Options(self.host, path, protocols, origins, deflate, tls, limits)
        self.server = server = HOSTS[api](register, options, self.uncaught)
        return {"port": await server.start()}

    async def op_drop(self, conn: str, code: int | None = None, reason: str | None = None) -> None:
        if code is not None or reason is not None:
            raise Unsupported(_NO_CODE)
        await self.find(conn).close()

    async def on_connected(self, ctx: EventContext) -> None:
        if self._router is not None:
            self._router.add_connection(ctx.connection)
        await super().on_connected(ctx)

    async def _on_disconnected(self, ctx: EventContext) -> None:
        if self._router is not None and self._router.get_connection(ctx.connection.id):
            self._router.remove_connection(ctx.connection)
        self.notify("disconnected", conn=self.name(ctx.connection))
        await self.act(ctx, self.at_disconnect)

    async def _on_error(self, ctx: EventContext) -> None:
        self.notify("error", conn=self.name(ctx.connection), message=str(ctx.payload))

    async def _on_event(self, ctx: EventContext) -> None:
        self.report(ctx)
        await self.app(ctx, ctx.event_name, ctx.payload, ctx.headers)

    async def app(self, ctx: EventContext, name: str, payload: Any, headers: Any) -> None:
        connection = _AppConnection(ctx.connection, self._router)
        rooms = Rooms(self._rooms, ctx.connection) if self._rooms else None
        await handle(name, connection, payload, headers, rooms)
