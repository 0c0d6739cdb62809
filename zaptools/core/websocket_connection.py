"""The address of zaptools 0.5 for `WebSocketConnection`."""

from __future__ import annotations

from ..connection.connection import WebSocketConnection

__all__ = ["WebSocketConnection"]
