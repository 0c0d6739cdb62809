"""Differences between the versions of the published package.

0.3.0 brought a client; 0.5.0 moved ``zaptools.tools`` to ``zaptools.core`` and dropped its rooms.
"""

from __future__ import annotations

import inspect
from typing import Any

try:
    from zaptools.client import ZapClient
except ModuleNotFoundError:
    ZapClient = None

try:
    from zaptools.core import WebSocketConnection
    from zaptools.core.events import EventBook

    HAS_ROOMS = False
except ModuleNotFoundError:
    from zaptools.tools import EventBook, WebSocketConnection

    HAS_ROOMS = True

try:
    from zaptools import ConnectionRouter
except ImportError:
    ConnectionRouter = None

__all__ = [
    "HAS_ROOMS",
    "NEEDS_HEADERS",
    "ConnectionRouter",
    "EventBook",
    "Rooms",
    "SessionRooms",
    "WebSocketConnection",
    "ZapClient",
]


def _needs_headers(send: Any) -> bool:
    return inspect.signature(send).parameters["headers"].default is inspect.Parameter.empty


NEEDS_HEADERS = ZapClient is not None and _needs_headers(ZapClient.send)
"""Whether `ZapClient.send` must be given headers, as before 0.4.4."""


_BOOKS: dict[str, Any] = {}
"""What the rooms of each `program` share."""


class SessionRooms:
    """A session's rooms.

    All of the library's rooms share one book of members, a class attribute, and so do its managers.
    Sessions stand for programs, which must not see each other's rooms, so each session has its own
    books, unless it says of which program it is.
    """

    def __init__(self, program: str | None) -> None:
        from zaptools.room import Room, RoomManager

        books: Any = {} if program is None else _BOOKS.setdefault(program, {})
        shared = {name: books.setdefault(name, {}) for name in ("_connections", "_meta")}
        self._type = type("Room", (Room,), shared)
        self._manager = RoomManager()
        self._manager._room_book = books.setdefault("_room_book", {})

    def room(self, name: str) -> Any:
        """Return the room of that name; `RoomManager.add_to_room` of 0.3.0 cannot make one."""
        if name not in self._manager._room_book:
            self._manager.add_room(self._type(name))
        return self._manager._room_book[name]


class Rooms:
    """What one connection can do with rooms: `interop.peers._app.AppRooms`."""

    def __init__(self, rooms: SessionRooms, connection: WebSocketConnection) -> None:
        self._rooms, self._connection = rooms, connection

    def join(self, room: str) -> None:
        self._rooms.room(room).add(self._connection)

    def leave(self, room: str) -> None:
        self._rooms.room(room).remove(self._connection)

    async def send(
        self, room: str, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> None:
        exclude = self._connection if exclude_self else None
        await self._rooms.room(room).send(event, payload, headers, exclude)
