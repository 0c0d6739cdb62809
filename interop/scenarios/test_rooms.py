"""Rooms: which connections get an event that is sent to one.

One scenario shows with every pair that a room's events arrive. Membership concerns the server
alone, and the others judge it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from interop.control.operations import asked_of
from interop.errors import Violation
from interop.roles.judged import JudgedServer
from interop.scenarios.scenario import Clients, scenario
from interop.scenarios.test_headers import FULL, PAYLOADS, check_event
from interop.scenarios.test_time import burst_unread
from interop.scenarios.test_values import LENGTHS, check_length
from interop.wire.frames import CLOSE, TEXT
from interop.wire.raw import RawConnection

FIFTY = 50


async def in_room(judged: JudgedServer, count: int) -> list[RawConnection]:
    """Open connections that are members of the room ``r``."""
    members = [await judged.open() for _ in range(count)]
    for member in members:
        await answered(judged, member, "join", "joined")
    return members


async def answered(
    judged: JudgedServer, connection: RawConnection, event: str, answer: str, room: str = "r"
) -> None:
    """Join or leave, and wait for the app's answer.

    Raises:
        Unsupported: the app answers that its library has no rooms.
    """
    judged.server.session.features |= asked_of(event, {})
    connection.send_event(event, {"room": room})
    got = await connection.next_message()
    judged.server.check_supported(event, got["eventName"], got["payload"])
    assert got["eventName"] == answer


def say(
    connection: RawConnection,
    payload: Any,
    headers: Mapping[str, Any] | None = None,
    *,
    room: str = "r",
    exclude_self: bool = False,
) -> None:
    """Send ``said`` to a room."""
    request = {"room": room, "event": "said", "payload": payload, "exclude-self": exclude_self}
    connection.send_event("to-room", request, headers)


async def hears(connection: RawConnection, payload: Any) -> Mapping[str, Any]:
    """Check that the next ``said`` event has this payload, and return the event."""
    try:
        said: Mapping[str, Any] = await connection.next_event("said")
    except Violation as exc:
        what = f"no event 'said' with the payload {payload!r}"
        raise Violation(what, seen=str(exc)) from None
    got = said["payload"]
    assert got == payload, f"expected the payload {payload!r}, got {got!r}"
    return said


async def heard(connection: RawConnection) -> list[Any]:
    """Return the payloads of the events that arrive before an echo does."""
    connection.send_event("echo", "done")
    said = []
    while (message := await connection.next_message())["eventName"] != "echo":
        said.append(message["payload"])
    return said


async def hears_no_more(connection: RawConnection) -> None:
    """Check that no event reaches the connection but an echo's answer."""
    got = await heard(connection)
    assert got == [], f"expected no more events, got {got}"


Send = Callable[[RawConnection, Any], None]
"""Sends a payload from a connection to the room, or to all."""


async def check_slow(judged: JudgedServer, three: Sequence[RawConnection], send: Send) -> None:
    """Check that the first connection, while it reads nothing, does not hold up the others."""
    slow, speaker, other = three
    await burst_unread(judged, slow)
    send(speaker, "at once")
    for connection in (speaker, other):
        await hears(connection, "at once")
    judged.extend_timeouts()
    slow.patience = judged.role.patience
    slow.resume()
    send(speaker, "later")
    for payload in ("at once", "later"):
        await hears(slow, payload)


async def check_slow_leaves(
    judged: JudgedServer, three: Sequence[RawConnection], send: Send
) -> None:
    """Check that the first, which reads nothing and then leaves, does not hold up the others."""
    slow, speaker, other = three
    await burst_unread(judged, slow)
    send(speaker, "at once")
    slow.abort(reset=True)
    await judged.server.settle()  # that the application is told of the end is another rule
    send(speaker, "afterwards")
    for connection in (speaker, other):
        for payload in ("at once", "afterwards"):
            await hears(connection, payload)


async def check_past_closing(
    judged: JudgedServer, three: Sequence[RawConnection], send: Send
) -> None:
    """Check that the others are reached while the server's close of the first is unanswered."""
    closing, speaker, other = three
    judged.server.session.start("drop", {"conn": "1"})
    await closing.next(CLOSE)
    send(speaker, "to the others")
    for connection in (speaker, other):
        await hears(connection, "to the others")


async def check_order(connections: Sequence[RawConnection], send: Send) -> None:
    """Let the first connection send numbers, and check that all get them in order."""
    for number in range(20):
        send(connections[0], number)
    for connection in connections:
        for number in range(20):
            await hears(connection, number)


async def check_order_beside(connection: RawConnection, send: Send) -> None:
    """Let a connection send numbers, by turns to the room, or to all, and to itself alone."""
    for number in range(0, 40, 2):
        send(connection, number)
        connection.send_event("echo", number + 1)
    got = [(await connection.next_message())["payload"] for _ in range(40)]
    assert got == [*range(40)], f"expected the numbers 0 to 39 in order, got {got}"


async def ends(judged: JudgedServer, connection: RawConnection, conn: str, how: str) -> None:
    """End a connection, the server's `conn`, and wait until its application was told."""
    if how == "reset":
        connection.abort(reset=True)
    else:
        connection.send_close(1000)
    await judged.server.disconnected(conn)


NUMBERS = 200


async def check_churn(
    judged: JudgedServer, stay: Sequence[RawConnection], send: Send, comes: list[str]
) -> None:
    """Check that those which stay hear all of one speaker, in order, while ten come and go.

    Args:
        stay: the speaker, and those that hear it.
        comes: the events that each of the ten sends ten times, with the room as their payload.
    """

    async def come_and_go(number: int) -> None:
        connection = early.pop() if early else await judged.open()
        for event in [*comes * 10, *comes[: number % 2]]:
            connection.send_event(event, {"room": "r"})
        await judged.server.session.check_alive()
        if number % 3 == 0:
            connection.send_close(1000)
        else:
            connection.abort(reset=number % 3 == 1)

    async def speak() -> None:
        for number in range(NUMBERS):
            send(stay[0], number)
            if number % 50 == 49:
                await judged.server.session.check_alive()

    early = [await judged.open() for _ in range(5)]
    await asyncio.gather(speak(), *map(come_and_go, range(10)))
    for connection in stay:
        for number in range(NUMBERS):
            await hears(connection, number)


async def leaves(judged: JudgedServer, connection: RawConnection, conn: str) -> None:
    """Close a connection, the server's `conn`, and wait until its application was told."""
    await ends(judged, connection, conn, "close")


@scenario(
    "rooms.members", "An event sent to a room reaches its members and only them.", rules=["R-1"]
)
async def test_members(clients: Clients) -> None:
    first, second, other = [await clients() for _ in range(3)]
    for client in (first, second, other):
        await client.open("joined", "said", "unsupported")
    names = ("joined", "unsupported")
    for client in (first, second):
        await client.send("join", {"room": "r"})
        answer = await client.wait("event", lambda n: n.data["name"] in names, what="joined")
        client.server.check_supported("join", answer.data["name"], answer.data["payload"])
    say = {"room": "r", "event": "said", "payload": "hi", "exclude-self": False}
    await first.send("to-room", say)
    for client in (first, second):
        await client.event("said")
    await other.check_usable()
    assert other.count("event", name="said") == 0


NAMES = ["team", "Team", " team", "team ", "\u00e9", "e\u0301", "\u00df", "ss", "tea.m", "*", ""]
"""Names of rooms that are almost the same, or patterns of another one's."""


@scenario(
    "rooms.name-exact", "The names of rooms are compared exactly.", side="server", rules=["R-1"]
)
async def test_name_exact(judged: JudgedServer) -> None:
    speaker = await judged.open()
    members = [await judged.open() for _ in NAMES]
    for member, name in zip(members, NAMES, strict=True):
        await answered(judged, member, "join", "joined", name)
    for name in NAMES:
        say(speaker, name, room=name)
    await hears_no_more(speaker)
    for member, name in zip(members, NAMES, strict=True):
        got = await heard(member)
        assert got == [name], f"expected {name!a} alone in the room {name!a}, got {got!a}"


@scenario(
    "rooms.exclude-self",
    "The sender of an event to a room can exclude itself.",
    side="server",
    rules=["R-2"],
)
async def test_exclude_self(judged: JudgedServer) -> None:
    first, second, third = await in_room(judged, 3)
    say(first, "to you", exclude_self=True)
    for member in (second, third):
        await hears(member, "to you")
    await hears_no_more(first)


@scenario(
    "rooms.headers",
    "An event sent to a room reaches its members with its headers.",
    side="server",
    rules=["R-3"],
)
@pytest.mark.parametrize("exclude_self", [False, True], ids=["all", "exclude-self"])
async def test_headers(judged: JudgedServer, exclude_self: bool) -> None:
    first, second = await in_room(judged, 2)
    for headers in ({"token": "abc", "é": "1"}, {}):
        say(first, "hi", headers, exclude_self=exclude_self)
        got = (await hears(second, "hi")).get("headers") or {}
        assert got == headers, f"expected the headers {headers} in the room, got {got}"


SENT: dict[str, list[Any]] = {
    **PAYLOADS,
    "exact": [1.0, -0.0, 5e-324, 1.7976931348623157e308, 2**53 + 1, -(2**63), 2**63 - 1],
}
"""What is sent to several connections at once, which has code of its own."""


@pytest.mark.parametrize("kind", SENT)
@scenario(
    "rooms.whole",
    "An event sent to a room reaches a member with its payload and headers, of every kind.",
    side="server",
    rules=["R-3"],
)
async def test_whole(judged: JudgedServer, kind: str) -> None:
    (member,) = await in_room(judged, 1)
    for payload in SENT[kind]:
        for headers in (FULL, {}):
            say(member, payload, headers)
            got = await member.next_event("said")
            check_event("the server sent", got, payload, headers)


@pytest.mark.parametrize("length", LENGTHS)
@scenario(
    "rooms.length",
    "Messages around the limits of the three length forms reach a member of a room.",
    side="server",
    rules=["R-3"],
)
async def test_length(judged: JudgedServer, length: int) -> None:
    (member,) = await in_room(judged, 1)
    say(member, "")
    bare = len((await member.next(TEXT)).payload)
    text = "x" * (length if length < 2 else length - bare)
    say(member, text)
    await hears(member, text)
    check_length(member, length)


@scenario(
    "rooms.leave-one",
    "A member that leaves one of two rooms is still a member of the other.",
    side="server",
    rules=["R-4"],
)
async def test_leave_one(judged: JudgedServer) -> None:
    (leaver,) = await in_room(judged, 1)
    await answered(judged, leaver, "join", "joined", "other")
    await answered(judged, leaver, "leave", "left")
    say(leaver, "to r")
    say(leaver, "to the other", room="other")
    got = await heard(leaver)
    assert got == ["to the other"], f"expected the other room's event alone, got {got}"


@pytest.mark.parametrize("exclude_self", [False, True], ids=["all", "exclude-self"])
@scenario(
    "rooms.from-outside",
    "A connection can send to a room without being a member, and gets nothing of it.",
    side="server",
    rules=["R-1"],
)
async def test_from_outside(judged: JudgedServer, exclude_self: bool) -> None:
    (member,) = await in_room(judged, 1)
    outside = await judged.open()
    say(outside, "from outside", exclude_self=exclude_self)
    await hears(member, "from outside")
    got = await heard(outside)
    assert got == [], f"expected nothing outside the room, got {got}"


@pytest.mark.parametrize("way", ["never-joined", "all-left", "all-gone"])
@scenario(
    "rooms.empty",
    "An event to a room without members reaches no connection, and is no error.",
    side="server",
    rules=["R-8"],
)
async def test_empty(judged: JudgedServer, way: str) -> None:
    (other,) = await in_room(judged, 1)
    if way != "never-joined":
        leaver = await judged.open()
        await answered(judged, leaver, "join", "joined", "empty")
        if way == "all-left":
            await answered(judged, leaver, "leave", "left", "empty")
        else:
            await leaves(judged, leaver, judged.conn)
    for exclude_self in (False, True):
        say(other, "hello?", room="empty", exclude_self=exclude_self)
    got = await heard(other)
    assert got == [], f"expected nothing of what is said in the room without members, got {got}"
    assert judged.server.count("error") == 0, "the server reported an error"
    await answered(judged, other, "join", "joined", "empty")
    say(other, "again", room="empty")
    await hears(other, "again")


@scenario(
    "rooms.leave-unjoined",
    "Leaving a room without being a member changes nothing.",
    side="server",
    rules=["R-5"],
)
async def test_leave_unjoined(judged: JudgedServer) -> None:
    first, second = await in_room(judged, 2)
    outside = await judged.open()
    for room in ("r", "no such room"):
        await answered(judged, outside, "leave", "left", room)
    say(first, "still here")
    for member in (first, second):
        await hears(member, "still here")
    await hears_no_more(outside)
    assert judged.server.count("error") == 0, "the server reported an error"


@scenario(
    "rooms.once", "A member that joined twice gets each event once.", side="server", rules=["R-1"]
)
async def test_once(judged: JudgedServer) -> None:
    first, second = await in_room(judged, 2)
    await answered(judged, second, "join", "joined")
    say(first, "once")
    await hears(second, "once")
    await hears_no_more(second)


@scenario(
    "rooms.leave",
    "A member that left a room gets no more of its events; the others still do.",
    side="server",
    rules=["R-4"],
)
async def test_leave(judged: JudgedServer) -> None:
    first, second, leaver = await in_room(judged, 3)
    say(first, "with you")
    for member in (first, second, leaver):
        await hears(member, "with you")
    await answered(judged, leaver, "leave", "left")
    say(first, "without you")
    for member in (first, second):
        await hears(member, "without you")
    await hears_no_more(leaver)


@scenario(
    "rooms.leave-joined-twice",
    "A member that joined twice is none once it has left.",
    side="server",
    rules=["R-4"],
)
async def test_leave_joined_twice(judged: JudgedServer) -> None:
    first, leaver = await in_room(judged, 2)
    await answered(judged, leaver, "join", "joined")
    await answered(judged, leaver, "leave", "left")
    say(first, "without you")
    await hears(first, "without you")
    await hears_no_more(leaver)


@scenario(
    "rooms.leave-by-disconnecting",
    "A member that disconnects does not affect the others.",
    side="server",
    rules=["R-6"],
)
async def test_leave_by_disconnecting(judged: JudgedServer) -> None:
    leaver, first, second = await in_room(judged, 3)
    await leaves(judged, leaver, "1")
    for payload in ("once", "twice"):
        say(first, payload)
        for member in (first, second):
            await hears(member, payload)
    assert judged.server.session.count("error") == 0
    assert judged.server.session.count("uncaught") == 0


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "rooms.leaver-announced",
    "The disconnected handler of a member can tell the room of it: the others hear it, once.",
    side="server",
    rules=["R-6"],
)
async def test_leaver_announced(judged: JudgedServer, how: str) -> None:
    said = {"room": "r", "event": "said", "payload": "has left", "exclude-self": False}
    await judged.serve(at_disconnect={"event": "to-room", "payload": said})
    leaver, *others = await in_room(judged, 3)
    await ends(judged, leaver, "1", how)
    for member in others:
        await hears(member, "has left")
        await hears_no_more(member)
    assert judged.server.count("error") == 0, "the server reported an error"


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "rooms.join-after-end",
    "A connection that joins a room once it has ended disturbs nothing that is sent there.",
    side="server",
    escapes=True,  # what the answer to its joining raises
    rules=["R-32"],
)
async def test_join_after_end(judged: JudgedServer, how: str) -> None:
    await judged.serve(at_disconnect={"event": "join", "payload": {"room": "r"}})
    leaver = await judged.open()
    first, second = await in_room(judged, 2)
    await ends(judged, leaver, "1", how)
    await judged.server.settle()
    errors = judged.server.count("error")  # of the answer
    for payload in ("once", "twice"):
        say(first, payload)
        for member in (first, second):
            await hears(member, payload)
    more = judged.server.count("error") - errors
    assert more == 0, f"the server reported {more} more errors"


@scenario(
    "rooms.new-connection",
    "A client that connects again is not a member until it joins.",
    side="server",
    rules=["R-7"],
)
async def test_new_connection(judged: JudgedServer) -> None:
    leaver, stays = await in_room(judged, 2)
    await leaves(judged, leaver, "1")
    again = await judged.open()
    say(stays, "for members")
    await hears(stays, "for members")
    await hears_no_more(again)


@scenario(
    "rooms.order",
    "One member's events reach every member in order.",
    side="server",
    rules=["R-9"],
)
async def test_order(judged: JudgedServer) -> None:
    await check_order(await in_room(judged, 3), say)


@scenario(
    "rooms.churn",
    "Members get all events of a room, in order, while others join, leave and end.",
    side="server",
    rules=["R-35"],
)
async def test_churn(judged: JudgedServer) -> None:
    await check_churn(judged, await in_room(judged, 3), say, ["join", "leave"])


@scenario(
    "rooms.order-beside",
    "Events to a room and to a member alone reach that member in the order in which they are sent.",
    side="server",
    rules=["R-36"],
)
async def test_order_beside(judged: JudgedServer) -> None:
    [member] = await in_room(judged, 1)
    await check_order_beside(member, say)


@scenario(
    "rooms.of-fifty",
    "With 50 connections in two rooms, each room's events reach its members and only them.",
    side="server",
    needs="load",
    rules=["R-12"],
)
async def test_of_fifty(judged: JudgedServer) -> None:
    judged.extend_timeouts()
    fifty = [await judged.open() for _ in range(FIFTY)]
    rooms = {number: [r for r in (2, 3) if number % r == 0] for number in range(FIFTY)}
    for number, connection in enumerate(fifty):
        for room in rooms[number]:
            await answered(judged, connection, "join", "joined", f"room {room}")
    for room in (2, 3):
        say(fifty[0], room, room=f"room {room}")
    for number, connection in enumerate(fifty):
        got = await heard(connection)
        assert got == rooms[number], f"expected {rooms[number]} at connection {number}, got {got}"


@scenario(
    "rooms.slow-member",
    "A member that does not read does not hold up a room's others, and gets all once it reads.",
    side="server",
    needs="load",
    rules=["R-10"],
)
async def test_slow_member(judged: JudgedServer) -> None:
    await check_slow(judged, await in_room(judged, 3), say)


@scenario(
    "rooms.slow-member-leaves",
    "A member that does not read and leaves holds up no later event of the room.",
    side="server",
    needs="load",
    rules=["R-6"],
)
async def test_slow_member_leaves(judged: JudgedServer) -> None:
    await check_slow_leaves(judged, await in_room(judged, 3), say)


@scenario(
    "rooms.past-closing",
    "An event to a room reaches the others while the server closes one member's connection.",
    side="server",
    rules=["R-6"],
)
async def test_past_closing(judged: JudgedServer) -> None:
    await check_past_closing(judged, await in_room(judged, 3), say)
