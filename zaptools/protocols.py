"""Where zaptools 0.5 had its protocols: what an adapter, an event book and an id source do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

__all__ = ["ConnectionAdapter", "Event", "EventBook", "IDController"]


class ConnectionAdapter(Protocol):
    """A framework's WebSocket. Write a `zaptools.Transport` instead, as the connectors do."""

    websocket: Any

    async def start_connection(self) -> None:
        """Do the opening handshake."""

    async def recv_json(self) -> Any:
        """Return the next message, parsed; raise when the connection has ended."""

    def json_event_stream(self) -> AsyncIterator[Any]:
        """Yield the messages, parsed, until the connection has ended."""
        ...

    async def send_event(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event."""

    async def close(self) -> None:
        """Close the connection."""


class Event(Protocol):
    """What `zaptools.core.events.Event` is: a handler and the name of its event."""

    name: str
    callback: Callable[[Any], Awaitable[Any] | Any]


class EventBook(Protocol):
    """What `zaptools.core.events.EventBook` does."""

    @property
    def event_records(self) -> dict[str, Any]:
        """What is recorded, by name."""
        ...

    def save_event(self, event: Any) -> None:
        """Record a handler."""

    def get_event(self, name: str) -> Any:
        """Return what is recorded for `name`; None if nothing is."""


class IDController(Protocol):
    """What `zaptools.core.IDController` does."""

    def eval(self, id: str | None = None) -> str:
        """Return `id`, or a new one."""
        ...
