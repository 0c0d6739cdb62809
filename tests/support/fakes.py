"""An in-memory transport: what a connection sends, without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from zaptools.connection import CloseInfo, WebSocketConnection, new_id
from zaptools.connection.connection import mark_closed
from zaptools.dispatch.dispatcher import Dispatcher
from zaptools.handlers.register import EventRegister

__all__ = ["FakeTransport", "Wired", "event"]


class FakeTransport:
    """Records what is sent; closes and aborts as its connection's transport would."""

    connection: WebSocketConnection
    dispatcher: Dispatcher

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closes: list[tuple[int, str]] = []
        self.aborted = False
        self.gate: asyncio.Event | None = None

    def send(self, data: bytes) -> Awaitable[None] | None:
        if self.gate is not None:
            return self._send_later(data)
        self.sent.append(json.loads(data))
        return None

    async def _send_later(self, data: bytes) -> None:
        assert self.gate is not None
        await self.gate.wait()
        self.sent.append(json.loads(data))

    async def close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self.lose(CloseInfo(code, reason, "local"))

    def abort(self) -> None:
        self.aborted = True
        mark_closed(self.connection, CloseInfo(1001, "", "local"))

    def lose(self, info: CloseInfo) -> None:
        mark_closed(self.connection, info)
        self.dispatcher.drop_messages()
        self.dispatcher.end()


class Wired:
    """A register, a connection and the dispatcher between them.

    Attributes:
        idle: how often the dispatcher was done with what had come.
        finished: how often it was done for good.
    """

    def __init__(self, register: EventRegister, **options: Any) -> None:
        self.transport = FakeTransport()
        self.connection = WebSocketConnection(new_id(), self.transport)
        self.idle = self.finished = 0
        self.dispatcher = Dispatcher(
            self.connection,
            register.book,
            on_idle=self._on_idle,
            on_finish=self._on_finish,
            **options,
        )
        self.transport.connection = self.connection
        self.transport.dispatcher = self.dispatcher

    def _on_idle(self) -> None:
        self.idle += 1

    def _on_finish(self) -> None:
        self.finished += 1

    async def run(self, *messages: str | bytes) -> None:
        """Bring messages, and return when they are handled."""
        self.dispatcher.feed(messages)
        await self.settle()

    async def end(self, info: CloseInfo | None = None) -> None:
        """End as the peer would, and return when the last handler is done."""
        mark_closed(self.connection, info or CloseInfo(1000, "", "remote"))
        self.dispatcher.end()
        await self.settle()

    async def settle(self) -> None:
        while self.dispatcher.busy:
            if self.dispatcher.task is None:  # before Python 3.12 a task begins a turn later
                await asyncio.sleep(0)
            else:
                await asyncio.wait([self.dispatcher.task])


def event(name: str, payload: Any = None, **more: Any) -> str:
    """Return an event's text."""
    return json.dumps({"eventName": name, "payload": payload, **more})
