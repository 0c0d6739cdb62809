"""One connection as the application sees it: its context, handshake, ids and requests."""

from __future__ import annotations

from .admission import HandshakeRequest, Refuse
from .connection import CloseInfo, Transport, WebSocketConnection
from .context import EventContext
from .ids import new_id

__all__ = [
    "CloseInfo",
    "EventContext",
    "HandshakeRequest",
    "Refuse",
    "Transport",
    "WebSocketConnection",
    "new_id",
]
