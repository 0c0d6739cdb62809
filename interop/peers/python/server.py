"""The server role: the interop app on `zaptools.ZapServer` and on each connector."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from interop.peers._app import EVENTS, handle
from interop.peers._control import Failure
from interop.peers._server import BaseServerRole
from interop.peers.python.hosts import HOSTS, Host, Options, ZapServerHost, limits_of
from zaptools import (
    ConnectionRouter,
    EventContext,
    EventRegister,
    RoomManager,
    WebSocketConnection,
)
from zaptools.rooms import BroadcastResult

__all__ = ["ServerRole"]


Broadcast = Callable[..., Awaitable[BroadcastResult]]


class _AppConnection:
    """A connection as the app uses it."""

    def __init__(self, connection: WebSocketConnection, broadcast: Broadcast) -> None:
        self._connection = connection
        self._broadcast = broadcast
        self.id = connection.id
        self.send = connection.send

    async def close_with(self, code: int | None) -> str | None:
        if code is None:
            await self._connection.close()
        else:
            await self._connection.close(code)
        return None

    async def broadcast(
        self, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> str | None:
        exclude = self._connection if exclude_self else None
        _check(await self._broadcast(event, payload, headers, exclude=exclude))
        return None


class _AppRooms:
    """The library's rooms as the app uses them."""

    def __init__(self, rooms: RoomManager, connection: WebSocketConnection) -> None:
        self._rooms = rooms
        self._connection = connection

    def join(self, room: str) -> None:
        self._rooms.add_to_room(room, self._connection)

    def leave(self, room: str) -> None:
        self._rooms.remove_from_room(room, self._connection)

    async def send(
        self, room: str, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> None:
        exclude = self._connection if exclude_self else None
        _check(await self._rooms.send_to_room(room, event, payload, headers, exclude=exclude))


def _check(result: BroadcastResult) -> None:
    """Raise the first error of a broadcast."""
    for error in result.failed.values():
        raise error


class ServerRole(BaseServerRole):
    """The operations of a server."""

    HOSTS: Mapping[str, Callable[..., Host]] = HOSTS

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rooms = RoomManager()
        self.router = ConnectionRouter()  # of the connectors' connections; ZapServer knows its own

    async def op_serve(
        self,
        api: str,
        path: str = "/ws",
        program: str | None = None,
        all: bool = False,
        on_connect: Sequence[Mapping[str, Any]] = (),
        at_connect: Mapping[str, Any] | None = None,
        at_disconnect: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        if api not in self.HOSTS:
            raise Failure(f"no server API {api!r}")
        if self.server is not None:
            raise Failure("this session has its server")
        register = EventRegister()
        register.on_connected(self.on_connected)
        register.on_disconnected(self._on_disconnected)
        register.on_error(self._on_error)
        for name in EVENTS:
            register.on_event(name, self._on_event)
        if all:
            register.on_any_event(lambda ctx: self.report(ctx, "all"))
        self.greeting = on_connect
        self.at_connect, self.at_disconnect = at_connect, at_disconnect
        options = Options(limits=limits_of(more), **more)
        self.server = server = self.HOSTS[api](register, self.host, path, self.uncaught, options)
        return {"port": await server.start()}

    async def op_ask(self, conn: str, event: str, **more: Any) -> dict[str, Any]:
        reply = await self.find(conn).request(event, **more)
        return {"name": reply.event_name, "payload": reply.payload, "headers": reply.headers}

    async def op_drop(self, conn: str, **how: Any) -> None:
        await self.find(conn).close(**how)

    async def on_connected(self, ctx: EventContext) -> None:
        self.router.add_connection(ctx.connection)
        await super().on_connected(ctx)

    @property
    def _broadcast(self) -> Broadcast:
        if isinstance(self.server, ZapServerHost):
            return self.server.server.broadcast
        return self.router.broadcast

    async def _on_disconnected(self, ctx: EventContext) -> None:
        closed = ctx.connection.closed
        told = {"code": closed.code, "reason": closed.reason} if closed is not None else {}
        self.notify("disconnected", conn=self.name(ctx.connection), **told)
        await self.act(ctx, self.at_disconnect)

    async def _on_error(self, ctx: EventContext) -> None:
        event = {} if ctx.source is None else {"event": ctx.source.event_name}
        self.notify("error", conn=self.name(ctx.connection), message=str(ctx.error), **event)

    async def _on_event(self, ctx: EventContext) -> None:
        self.report(ctx)
        if ctx.event_name == "answer":
            await ctx.reply(ctx.payload)
            return
        if ctx.event_name == "ask-back":
            event, content = ctx.payload["event"], ctx.payload["payload"]
            seconds = ctx.payload["timeout"]
            reply = await ctx.connection.request(event, content, timeout=seconds)
            await ctx.connection.send("asked", reply.payload, ctx.headers)
            return
        if ctx.event_name == "fail":
            if "requestId" in ctx.headers:
                raise RuntimeError("boom")
            return
        await self.app(ctx, ctx.event_name, ctx.payload, ctx.headers)

    async def app(self, ctx: EventContext, name: str, payload: Any, headers: Any) -> None:
        connection = _AppConnection(ctx.connection, self._broadcast)
        await handle(name, connection, payload, headers, _AppRooms(self.rooms, ctx.connection))
