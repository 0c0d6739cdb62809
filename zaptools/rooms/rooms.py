"""Groups of connections: `Room` and `RoomManager`.

Members are connection objects, whatever their ids. A connection that ends leaves its groups after
its ``disconnected`` handler, which can still ask which rooms it is in. An event for a group is sent
to the members that are open at that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from types import MappingProxyType
from typing import Any

from .._arguments import check_kind, explained
from ..connection.connection import WebSocketConnection, groups_of, join_group, leave_group
from ..exceptions import NameTakenError, RegistrationError
from .broadcast import BroadcastResult, Exclude, broadcast, check_connection

__all__ = ["MetaTag", "Room", "RoomManager"]


@dataclass(slots=True)
class MetaTag:
    """The application's note about a member of a room.

    Attributes:
        name: a name.
        description: a description. Default empty.
        values: further values by name. Default a new dict.
    """

    name: str
    description: str = ""
    values: dict[str, Any] = field(default_factory=dict)


def check_room(name: object) -> None:
    """Raise `RegistrationError` unless `name` is a string: the name of a room."""
    if not isinstance(name, str):
        is_connection = isinstance(name, WebSocketConnection)
        cure = "the room's name comes first, then the connection" if is_connection else ""
        raise RegistrationError("room name", name, cure)


@explained()
class Room:
    """A group of connections.

    ``len(room)``, ``connection in room`` and iterating are about its members. A room without
    members is false, as any empty collection is.

    Args:
        name: its name.

    Raises:
        RegistrationError: `name` is not a string.
    """

    def __init__(self, name: str) -> None:
        check_room(name)
        self._name = name
        # The members in the order of joining, each with its tag.
        self._members: dict[WebSocketConnection, MetaTag | None] = {}
        # Called when the last member has left: set by a manager that made the room for its first
        # member, and unset when the application adds the room to a manager.
        self._when_empty: Callable[[Room], None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}: {len(self._members)} members>"

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, connection: object) -> bool:
        return connection in self._members

    def __iter__(self) -> Iterator[WebSocketConnection]:
        return iter(self.members)

    @property
    def name(self) -> str:
        """The name, which does not change."""
        return self._name

    @property
    def members(self) -> tuple[WebSocketConnection, ...]:
        """The present members, in the order in which they joined."""
        return tuple(self._members)

    def add(self, connection: WebSocketConnection, meta_tag: MetaTag | None = None) -> None:
        """Make `connection` a member. Does nothing, but for the tag, if it is one.

        Args:
            connection: a member until it is removed, or its ``disconnected`` handler is done.
            meta_tag: a note about it, in place of an earlier one. Default None: a member keeps
                the tag that it has.

        Raises:
            ConnectionClosedError: the connection has ended, and its handlers are done.
            TypeError: `connection` is not a connection, or `meta_tag` not a `MetaTag`.
        """
        check_connection(connection)
        check_kind(meta_tag, MetaTag, "meta_tag", none=True)
        join_group(connection, self)
        if meta_tag is not None or connection not in self._members:
            self._members[connection] = meta_tag

    def remove(self, connection: WebSocketConnection) -> None:
        """Remove `connection` and its tag. Does nothing if it is not a member.

        Raises:
            TypeError: `connection` is not a connection.
        """
        check_connection(connection)
        if connection in self._members:
            del self._members[connection]
            leave_group(connection, self)
            if self._when_empty is not None and not self._members:
                self._when_empty(self)

    def member_ended(self, connection: WebSocketConnection) -> None:
        """Remove a member that has ended: its connection calls this."""
        self.remove(connection)

    def get_meta(self, connection: WebSocketConnection) -> MetaTag | None:
        """Return the tag of a member; None if it has none, or is not a member.

        Raises:
            TypeError: `connection` is not a connection.
        """
        check_connection(connection)
        return self._members.get(connection)

    async def send(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        exclude: Exclude = None,
    ) -> BroadcastResult:
        """Send an event to the members that are open.

        A member that fails, or whose peer does not read, does not affect the others: events are
        kept for it up to `Limits.backlog_bytes`, beyond which it misses them and is among the
        failed. This waits for no member, on a framework's connections as on our own server's.

        Args:
            event_name: the event's name.
            payload: any JSON value. Default None.
            headers: an object. Default None, written as ``{}``.
            exclude: a connection, or some, to leave out. Default None.

        Returns:
            The outcome for each member.

        Raises:
            CodecError: the event cannot be written as JSON; it is sent to no connection.
            TypeError: `exclude` has something other than connections, such as an id.
        """
        return await broadcast(self._members, event_name, payload, headers, exclude=exclude)


class RoomManager:
    """Rooms by name.

    A room that `add_to_room` makes is removed with its last member, so that rooms named by clients
    do not add up; one from `create_room` or `add_room` stays until it is removed.
    """

    def __init__(self) -> None:
        # By name; a room is here until it is removed, or by `_when_empty`.
        self._rooms: dict[str, Room] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    @property
    def rooms(self) -> Mapping[str, Room]:
        """The rooms by name: a live view."""
        return MappingProxyType(self._rooms)

    def create_room(self, name: str) -> Room:
        """Make a room.

        Raises:
            NameTakenError: there is a room of that name.
            RegistrationError: `name` is not a string.
        """
        room = Room(name)
        self.add_room(room)
        return room

    def add_room(self, room: Room) -> None:
        """Add a room, with its members. Does nothing if it is here.

        Raises:
            NameTakenError: there is another room of that name.
            TypeError: it is not a `Room`.
        """
        check_kind(room, Room, "room", "create_room(name) makes one")
        if self._rooms.setdefault(room.name, room) is not room:
            raise NameTakenError("room name", room.name)
        room._when_empty = None

    def get_room(self, name: str) -> Room | None:
        """Return the room of that name; None if there is none.

        Raises:
            RegistrationError: `name` is not a string.
        """
        check_room(name)
        return self._rooms.get(name)

    def remove_room(self, room: Room | str) -> None:
        """Remove a room. Does nothing if it is not here.

        The room keeps its members, and can still be used by a holder of a reference.

        Raises:
            RegistrationError: it is neither a `Room` nor the name of one.
        """
        if not isinstance(room, Room):
            check_room(room)
        name = room if isinstance(room, str) else room.name
        found = self._rooms.get(name)
        if found is not None and (room is found or isinstance(room, str)):
            del self._rooms[name]

    def add_to_room(
        self, name: str, connection: WebSocketConnection, meta_tag: MetaTag | None = None
    ) -> Room:
        """Make `connection` a member of the room of that name, and return the room.

        A room that does not exist is made, and removed with its last member.

        Raises:
            ConnectionClosedError: the connection has ended, and its handlers are done.
            RegistrationError: `name` is not a string.
            TypeError: `connection` is not a connection, or `meta_tag` not a `MetaTag`.
        """
        check_room(name)
        room = self._rooms.get(name)
        if room is not None:
            room.add(connection, meta_tag)
            return room
        room = Room(name)
        room.add(connection, meta_tag)
        room._when_empty = self.remove_room
        self._rooms[name] = room
        return room

    def remove_from_room(self, name: str, connection: WebSocketConnection) -> None:
        """Remove `connection` from a room. Does nothing if it, or the room, is not there.

        Raises:
            RegistrationError: `name` is not a string.
            TypeError: `connection` is not a connection.
        """
        check_room(name)
        check_connection(connection)
        room = self._rooms.get(name)
        if room is not None:
            room.remove(connection)

    def leave(self, connection: WebSocketConnection) -> None:
        """Remove `connection` from all rooms.

        Raises:
            TypeError: `connection` is not a connection.
        """
        for room in self.rooms_of(connection):
            room.remove(connection)

    def rooms_of(self, connection: WebSocketConnection) -> list[Room]:
        """Return the rooms of which `connection` is a member, in the order in which it joined.

        Raises:
            TypeError: `connection` is not a connection.
        """
        check_connection(connection)
        groups = groups_of(connection)
        return [g for g in groups if isinstance(g, Room) and self._rooms.get(g.name) is g]

    async def send_to_room(
        self,
        name: str,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        exclude: Exclude = None,
    ) -> BroadcastResult:
        """Send an event to the members of a room, if there is one; see `Room.send`.

        Raises:
            CodecError: the event cannot be written as JSON; it is sent to no connection.
            RegistrationError: `name` is not a string.
        """
        return await self.send_to_rooms((name,), event_name, payload, headers, exclude=exclude)

    async def send_to_rooms(
        self,
        names: Iterable[str],
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        exclude: Exclude = None,
    ) -> BroadcastResult:
        """Send an event to the members of several rooms, once to each; see `Room.send`.

        Args:
            names: the rooms' names; one that does not exist has no members.
            event_name: the event's name.
            payload: any JSON value. Default None.
            headers: an object. Default None, written as ``{}``.
            exclude: a connection, or some, to leave out. Default None.

        Raises:
            CodecError: the event cannot be written as JSON; it is sent to no connection.
            RegistrationError: one of `names` is not a string.
            TypeError: `names` is a single string, or not iterable.
        """
        if isinstance(names, str):
            raise TypeError(
                f"names must be an iterable of str, not {names!r}: send_to_room takes one"
            )
        check_kind(names, Iterable, "names")
        rooms = []
        for name in names:
            check_room(name)
            if name in self._rooms:
                rooms.append(self._rooms[name])
        members = dict.fromkeys(chain.from_iterable(room._members for room in rooms))
        return await broadcast(members, event_name, payload, headers, exclude=exclude)
