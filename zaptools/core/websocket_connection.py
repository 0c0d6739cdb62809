"""Where zaptools 0.5 had `WebSocketConnection`."""

from __future__ import annotations

from ..connection.connection import WebSocketConnection

__all__ = ["WebSocketConnection"]
