"""Many connections: rooms, the connection router, broadcast."""

from __future__ import annotations

from .rooms import BroadcastResult, ConnectionRouter, MetaTag, Room, RoomManager

__all__ = [
    "BroadcastResult",
    "ConnectionRouter",
    "MetaTag",
    "Room",
    "RoomManager",
]
