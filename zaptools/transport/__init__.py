"""Our own socket: asyncio around websockets' sans-I/O protocols."""

from __future__ import annotations

from .transport import WebSocketTransport

__all__ = [
    "WebSocketTransport",
]
