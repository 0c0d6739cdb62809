"""Many connections: rooms, the connection router, broadcast."""

from __future__ import annotations

from .broadcast import BroadcastResult
from .rooms import MetaTag, Room, RoomManager
from .router import ConnectionRouter

__all__ = [
    "BroadcastResult",
    "ConnectionRouter",
    "MetaTag",
    "Room",
    "RoomManager",
]
