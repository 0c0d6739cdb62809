"""Our own socket: the asyncio shell over websockets' sans-I/O protocols."""

from __future__ import annotations

from .transport import WebSocketTransport

__all__ = [
    "WebSocketTransport",
]
