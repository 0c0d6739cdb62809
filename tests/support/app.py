"""A server for tests, which writes down what happens in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.support import tls
from zaptools import EventContext, EventRegister, WebSocketConnection, ZapServer
from zaptools.handlers.book import HandlerBook

__all__ = ["App", "Defaults", "Notes"]


class Defaults(HandlerBook):
    """Handlers that a test replaces as it likes."""

    __slots__ = ()

    def record(self, name: str, handler: Callable[..., Any], **options: Any) -> None:
        super().record(name, handler, **{**options, "replace": True})


class Notes(EventRegister):
    """A register that writes down what happens.

    ``echo`` sends back; ``gate`` waits until `gate` is set, then sends back; ``boom`` raises.

    Attributes:
        log: names of lifecycle events and events, in order, with what belongs to them.
        gate: see above.
        errors: what the error handler got.
        ends: how each connection ended.
        seen: the connections, as they came.
    """

    def __init__(self, **options: Any) -> None:
        if not isinstance(self, ZapServer):
            options.setdefault("event_book", Defaults())
        super().__init__(**options)
        self.log: list[Any] = []
        self.errors: list[Any] = []
        self.ends: list[Any] = []
        self.gate = asyncio.Event()
        self.seen: list[WebSocketConnection] = []
        self.on_connected(self._connected)
        self.on_disconnected(self._disconnected)
        self.on_error(lambda ctx: self.errors.append(ctx.error))
        self.on_event("echo", self._echo)
        self.on_event("gate", self._gate)
        self.on_event("boom", lambda ctx: 1 / 0)

    def _connected(self, ctx: EventContext) -> None:
        self.seen.append(ctx.connection)
        self.log.append("connected")

    def _disconnected(self, ctx: EventContext) -> None:
        self.log.append("disconnected")
        self.ends.append(ctx.connection.closed)

    async def _echo(self, ctx: EventContext) -> None:
        self.log.append(ctx.payload)
        await ctx.connection.send("echo", ctx.payload, ctx.headers)

    async def _gate(self, ctx: EventContext) -> None:
        await self.gate.wait()
        self.log.append(ctx.payload)
        await ctx.connection.send("gate", ctx.payload)


class App(Notes, ZapServer):
    """A server on loopback; ``close`` closes with the payload's code."""

    def __init__(self, **options: Any) -> None:
        if tls.everywhere:
            options.setdefault("ssl", tls.server_context())
        options.setdefault("register", EventRegister(Defaults()))
        super().__init__(port=0, **options)
        self.on_event("close", lambda ctx: ctx.connection.close(ctx.payload))

    @property
    def transport(self) -> Any:
        """The transport of the one connection there is."""
        (transport,) = self.transports
        return transport

    @property
    def transports(self) -> list[Any]:
        """The transports of all connections, also of those that are not open yet."""
        return list(self.roster.transports)

    def url(self, path: str | None = None) -> str:
        return f"ws://127.0.0.1:{self.port}{path or self.path}"
