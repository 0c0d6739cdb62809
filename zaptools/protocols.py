"""The address of zaptools 0.5 for the protocols of adapters, event books and sources of ids."""

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
    """The protocol of `zaptools.core.events.Event`: a handler and the name of its event."""

    name: str
    callback: Callable[[Any], Awaitable[Any] | Any]


class EventBook(Protocol):
    """The protocol of `zaptools.core.events.EventBook`."""

    @property
    def event_records(self) -> dict[str, Any]:
        """The recorded events, by name."""
        ...

    def save_event(self, event: Any) -> None:
        """Record a handler."""

    def get_event(self, name: str) -> Any:
        """Return the event recorded for `name`; None without one."""


class IDController(Protocol):
    """The protocol of `zaptools.core.IDController`."""

    def eval(self, id: str | None = None) -> str:
        """Return `id`, or a new one."""
        ...
