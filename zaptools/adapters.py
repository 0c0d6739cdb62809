"""The adapters of zaptools 0.5. Use `zaptools.connectors`: these carry no close codes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from .exceptions import ConnectionClosedError
from .protocol.codec import encode_event

__all__ = ["EVENT_KEY", "HEADERS_KEY", "PAYLOAD_KEY", "FastApiAdapter", "SanicAdapter"]

EVENT_KEY, PAYLOAD_KEY, HEADERS_KEY = "eventName", "payload", "headers"
"""The keys of a message."""


class FastApiAdapter:
    """The WebSocket of FastAPI and Starlette."""

    def __init__(self, websocket: Any) -> None:
        self.websocket = websocket

    async def start_connection(self) -> None:
        """Accept it."""
        await self.websocket.accept()

    async def recv_json(self) -> Any:
        """Return the next message, parsed.

        Raises:
            json.JSONDecodeError: it is not JSON.
            ConnectionClosedError: the connection has ended.
        """
        message = await self.websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise ConnectionClosedError(message.get("code", 1005), message.get("reason") or "")
        text = message.get("text")
        return json.loads(message["bytes"] if text is None else text)

    async def json_event_stream(self) -> AsyncIterator[Any]:
        """Yield the messages, parsed, until the connection ends."""
        try:
            while True:
                yield await self.recv_json()
        except ConnectionClosedError:
            return

    async def send_event(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event."""
        await self.websocket.send_text(encode_event(event_name, payload, headers).decode())

    async def close(self) -> None:
        """Close it."""
        await self.websocket.close()


class SanicAdapter:
    """The WebSocket of Sanic."""

    def __init__(self, websocket: Any) -> None:
        self.websocket = websocket

    async def start_connection(self) -> None:
        """Do nothing: Sanic has accepted it."""

    async def recv_json(self) -> Any:
        """Return the next message, parsed; raises `json.JSONDecodeError`, and Sanic's errors."""
        return json.loads(await self.websocket.recv())

    async def json_event_stream(self) -> AsyncIterator[Any]:
        """Yield the messages, parsed, until the connection ends."""
        async for data in self.websocket:
            yield json.loads(data)

    async def send_event(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event."""
        await self.websocket.send(encode_event(event_name, payload, headers).decode())

    async def close(self) -> None:
        """Close it."""
        await self.websocket.close()
