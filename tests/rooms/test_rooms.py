"""Rooms and their manager: the members, and the receivers of what is sent."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from tests.support import until, within
from tests.support.app import App
from tests.support.fakes import FakeTransport, Wired
from tests.support.raw import raw_client
from zaptools import (
    CodecError,
    ConnectionClosedError,
    ConnectionRouter,
    EventContext,
    EventRegister,
    MetaTag,
    NameTakenError,
    RegistrationError,
    Room,
    RoomManager,
    WebSocketConnection,
)


def connection(id: str = "x") -> WebSocketConnection:
    transport = FakeTransport()
    transport.connection = WebSocketConnection(id, transport)
    return transport.connection


def payloads(connection: WebSocketConnection) -> list[Any]:
    assert isinstance(connection.transport, FakeTransport)
    return [event["payload"] for event in connection.transport.sent]


class Failing(FakeTransport):
    """Never sends."""

    def send(self, data: bytes) -> None:
        raise RuntimeError("no")


class TestMetaTag:
    def test_defaults(self) -> None:
        tag, other = MetaTag("host"), MetaTag("host")
        assert (tag.name, tag.description, tag.values) == ("host", "", {})
        assert tag == other
        tag.values["a"] = 1
        assert other.values == {}

    def test_all(self) -> None:
        assert MetaTag("a", "b", {"c": 1}) == MetaTag(name="a", description="b", values={"c": 1})


class TestMembers:
    def test_adding_and_removing(self) -> None:
        room = Room("r")
        first, second = connection(), connection()
        assert (room.name, len(room), room.members) == ("r", 0, ())
        for member in (first, second, first):
            room.add(member)
        assert room.members == tuple(room) == (first, second)
        assert len(room) == 2 and first in room
        assert repr(room) == "<Room 'r': 2 members>"
        room.remove(first)
        room.remove(first)
        room.remove(connection())
        assert room.members == (second,) and first not in room

    def test_objects_not_ids(self) -> None:
        room = Room("r")
        first, second = connection("id"), connection("id")
        room.add(first)
        room.add(second)
        room.remove(first)
        assert room.members == (second,)
        assert "id" not in room

    def test_meta(self) -> None:
        room, member, tag = Room("r"), connection(), MetaTag("host")
        assert room.get_meta(member) is None
        room.add(member)
        assert room.get_meta(member) is None
        room.add(member, tag)
        room.add(member)
        assert room.get_meta(member) is tag
        room.add(member, meta_tag=MetaTag("guest"))
        assert room.get_meta(member) == MetaTag("guest")
        room.remove(member)
        room.add(member)
        assert room.get_meta(member) is None

    @pytest.mark.parametrize("name", [None, 1, b"r", ["r"]])
    def test_names_are_strings(self, name: Any) -> None:
        manager = RoomManager()
        for refuse in (
            lambda: Room(name),
            lambda: manager.create_room(name),
            lambda: manager.add_to_room(name, connection()),
        ):
            with pytest.raises(RegistrationError, match="room name must be a str"):
                refuse()
        assert len(manager) == 0

    def test_a_name_does_not_change(self) -> None:
        with pytest.raises(AttributeError):
            Room("r").name = "s"  # type: ignore[misc]  # that is the point

    async def test_members_may_change_while_it_sends(self) -> None:
        room, slow = Room("r"), FakeTransport()
        slow.gate = asyncio.Event()
        member, other = WebSocketConnection("x", slow), connection()
        room.add(member)
        room.add(other)
        task = asyncio.ensure_future(room.send("a"))
        await asyncio.sleep(0)
        room.remove(other)
        room.add(connection())
        slow.gate.set()
        assert set((await within(task)).sent) == {member, other}


class TestEnding:
    async def test_leaving_after_the_disconnected_handler(self) -> None:
        manager, room, tag = RoomManager(), Room("own"), MetaTag("Ada")
        register = EventRegister()
        stays = connection()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            assert room.get_meta(ctx.connection) is tag
            for left in manager.rooms_of(ctx.connection):
                result = await left.send("left", left.name)
                assert (result.sent, result.failed) == ([stays], {})

        wired = Wired(register)
        room.add(wired.connection, tag)
        for name in ("a", "b"):
            manager.create_room(name)
            manager.add_to_room(name, wired.connection)
            manager.add_to_room(name, stays)
        await wired.run()
        await wired.end()
        assert payloads(stays) == ["a", "b"]
        assert len(room) == 0 and room.get_meta(wired.connection) is None
        assert manager.rooms_of(wired.connection) == []
        assert [r.members for r in manager.rooms.values()] == [(stays,)] * 2

    async def test_joining_afterwards(self) -> None:
        manager, router, room = RoomManager(), ConnectionRouter(), Room("r")
        wired = Wired(EventRegister())
        await wired.run()
        await wired.end()
        for refuse in (
            lambda: room.add(wired.connection),
            lambda: manager.add_to_room("r", wired.connection),
            lambda: router.add_connection(wired.connection),
        ):
            with pytest.raises(ConnectionClosedError):
                refuse()
        assert len(room) == len(manager) == len(router.get_all_connections()) == 0

    async def test_no_connection_is_kept(self) -> None:
        manager, router, room = RoomManager(), ConnectionRouter(), Room("r")
        wired = Wired(EventRegister())
        room.add(wired.connection, MetaTag("x"))
        manager.add_to_room("m", wired.connection)
        router.add_connection(wired.connection)
        await wired.run()
        await wired.end()
        await asyncio.sleep(0)  # the callbacks of the task that has ended
        gone = weakref.ref(wired.connection)
        del wired
        gc.collect()
        assert gone() is None
        assert not room and not manager.rooms and not router.get_all_connections()

    def test_no_room_is_kept(self) -> None:
        member = connection()
        room = Room("r")
        room.add(member)
        gone = weakref.ref(room)
        del room
        gc.collect()
        assert gone() is None

    async def test_on_the_wire(self) -> None:
        room = Room("r")
        app = App()
        app.on_event("join", lambda ctx: room.add(ctx.connection))
        async with app, raw_client(app.port) as leaver, raw_client(app.port) as stayer:
            leaver.event("join")
            stayer.event("join")
            await until(lambda: len(room) == 2)
            leaver.drop()
            await until(lambda: len(room) == 1)
            result = await room.send("a", 1)
            assert (len(result.sent), result.failed) == (1, {})
            assert (await stayer.text())["payload"] == 1
        assert len(room) == 0


class TestSend:
    async def test_exclude(self) -> None:
        room = Room("r")
        first, second, third = members = [connection() for _ in range(3)]
        for member in members:
            room.add(member)
        assert (await room.send("a", 1, exclude=first)).sent == [second, third]
        assert (await room.send("a", 2, exclude=[first, third])).sent == [second]
        assert (await room.send("a", 3, exclude=members)).sent == []
        assert [payloads(member) for member in members] == [[], [1, 2], [1]]

    async def test_headers(self) -> None:
        room, member = Room("r"), connection()
        room.add(member)
        await room.send("a", headers={"h": 1})
        assert member.transport.sent == [  # type: ignore[attr-defined]  # a fake
            {"eventName": "a", "payload": None, "headers": {"h": 1}}
        ]

    async def test_who_failed_is_told_and_stays(self) -> None:
        room, there = Room("r"), connection()
        broken = WebSocketConnection("x", Failing())
        room.add(broken)
        room.add(there)
        result = await room.send("a", 1)
        assert result.sent == [there]
        assert [str(error) for error in result.failed.values()] == ["no"]
        assert list(result.failed) == [broken] and broken in room

    async def test_what_cannot_be_encoded(self) -> None:
        room, member = Room("r"), connection()
        room.add(member)
        with pytest.raises(CodecError):
            await room.send("a", object())
        assert payloads(member) == []


class TestManager:
    def test_rooms(self) -> None:
        manager = RoomManager()
        room = manager.create_room("a")
        own = Room("b")
        manager.add_room(own)
        manager.add_room(own)
        assert dict(manager.rooms) == {"a": room, "b": own}
        assert len(manager) == 2 and "a" in manager and "c" not in manager
        assert manager.get_room("a") is room and manager.get_room("c") is None
        with pytest.raises(TypeError):
            manager.rooms["c"] = own  # type: ignore[index]  # that is the point
        manager.remove_room("a")
        manager.remove_room(own)
        manager.remove_room(own)
        manager.remove_room("c")
        assert len(manager) == 0

    def test_names_are_taken_once(self) -> None:
        manager = RoomManager()
        room = manager.create_room("a")
        for refuse in (lambda: manager.create_room("a"), lambda: manager.add_room(Room("a"))):
            with pytest.raises(NameTakenError, match="the room name 'a' is taken"):
                refuse()
        manager.remove_room(Room("a"))  # another
        assert manager.get_room("a") is room

    def test_made_by_adding_gone_with_the_last(self) -> None:
        manager, tag = RoomManager(), MetaTag("x")
        first, second = connection(), connection()
        room = manager.add_to_room("a", first, tag)
        assert manager.add_to_room("a", second) is room
        assert room.members == (first, second) and room.get_meta(first) is tag
        manager.remove_from_room("a", first)
        assert "a" in manager
        manager.remove_from_room("a", second)
        manager.remove_from_room("a", second)
        assert "a" not in manager
        assert manager.add_to_room("a", first) is not room

    def test_made_on_purpose_stays(self) -> None:
        manager, member = RoomManager(), connection()
        adopted = manager.add_to_room("adopted", member)
        manager.add_room(adopted)
        for name in ("created", "added"):
            manager.add_room(Room(name))
            manager.add_to_room(name, member)
        manager.leave(member)
        assert list(manager.rooms) == ["adopted", "created", "added"]

    def test_a_removed_room_is_its_holders(self) -> None:
        manager, member = RoomManager(), connection()
        room = manager.add_to_room("a", member)
        manager.remove_room(room)
        assert room.members == (member,) and manager.rooms_of(member) == []
        successor = manager.create_room("a")
        room.remove(member)  # what is empty now is not the manager's
        assert manager.get_room("a") is successor

    def test_rooms_of(self) -> None:
        manager, other, member = RoomManager(), RoomManager(), connection()
        assert manager.rooms_of(member) == []
        rooms = [manager.add_to_room(name, member) for name in "cab"]
        other.add_to_room("a", member)
        Room("c").add(member)
        ConnectionRouter().add_connection(member)
        manager.add_to_room("d", connection())
        assert manager.rooms_of(member) == rooms
        stays = manager.create_room("stays")
        stays.add(member)
        assert manager.rooms_of(member) == [*rooms, stays]
        stays.remove(member)
        assert manager.rooms_of(member) == rooms
        manager.remove_room(stays)
        rooms[1].remove(member)
        assert manager.rooms_of(member) == [rooms[0], rooms[2]]
        manager.leave(member)
        manager.leave(member)
        assert list(manager.rooms) == ["d"] and len(other.rooms_of(member)) == 1

    async def test_sending_to_one(self) -> None:
        manager = RoomManager()
        first, second, other = connection(), connection(), connection()
        manager.add_to_room("a", first)
        manager.add_to_room("a", second)
        manager.add_to_room("b", other)
        result = await manager.send_to_room("a", "e", 1, exclude=first)
        assert result.sent == [second]
        assert (await manager.send_to_room("nowhere", "e")).sent == []
        assert (payloads(first), payloads(second), payloads(other)) == ([], [1], [])

    async def test_sending_to_several(self) -> None:
        manager = RoomManager()
        first, second, third, other = (connection() for _ in range(4))
        for name, members in {"a": (first, second), "b": (second, third), "c": (other,)}.items():
            for member in members:
                manager.add_to_room(name, member)
        names = ["b", "a", "nowhere", "a"]
        result = await manager.send_to_rooms(names, "e", 1, {"h": 1}, exclude=[third])
        assert result.sent == [second, first]
        assert [payloads(each) for each in (first, second, third, other)] == [[1], [1], [], []]
        with pytest.raises(CodecError):
            await manager.send_to_rooms([], "e", object())
        with pytest.raises(TypeError, match="names must be an iterable of str"):
            await manager.send_to_rooms("ab", "e")
