"""Where zaptools 0.5 had its protocols: what an adapter to a framework's socket does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

__all__ = ["ConnectionAdapter"]


class ConnectionAdapter(Protocol):
    """A framework's WebSocket. Write a `zaptools.Transport` instead, as the connectors do."""

    websocket: Any

    async def start_connection(self) -> None:
        """Do the opening handshake."""

    async def recv_json(self) -> Any:
        """Return the next message, parsed; raise when the connection has ended."""

    def json_event_stream(self) -> AsyncIterator[Any]:
        """Yield the messages, parsed, until the connection has ended."""

    async def send_event(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event."""

    async def close(self) -> None:
        """Close the connection."""
