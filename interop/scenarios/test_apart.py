"""Two servers, or two clients, in one program: what is one's is not the other's."""

from __future__ import annotations

import secrets

from interop.control.operations import asked_of
from interop.roles.judged import Judged, JudgedServer
from interop.scenarios.scenario import scenario
from interop.scenarios.test_broadcast import tell
from interop.scenarios.test_rooms import answered, hears, hears_no_more, say
from interop.wire.raw import RawConnection


async def both(judged: Judged, other: Judged) -> tuple[RawConnection, RawConnection]:
    """Connect the judge to both sides of a new program."""
    program = {"program": secrets.token_hex(4)}
    return await judged.open(more=program), await other.open(more=program)


@scenario(
    "apart.handlers",
    "Two servers, or two clients, of one program have handlers of their own: each event reaches "
    "that of the side which it was sent to.",
    side="each",
    rules=["D-18"],
)
async def test_handlers(judged: Judged, other: Judged) -> None:
    connection, second = await both(judged, other)
    connection.send_event("echo", "to the first")
    await judged.received("echo", "to the first")
    second.send_event("echo", "to the second")
    await other.received("echo", "to the second")
    for each in (judged, other):
        await each.role.settle()
        count = each.role.count("event")
        assert count == 1, f"expected one event at each of the two, got {count}"


@scenario(
    "apart.ends",
    "Each of two servers, or two clients, of one program is told of its own connection's end, and "
    "of no other.",
    side="each",
    rules=["D-18"],
)
async def test_ends(judged: Judged, other: Judged) -> None:
    connection, second = await both(judged, other)
    connection.abort(reset=True)
    await judged.ended()
    await other.works(second)
    second.abort(reset=True)
    await other.ended()
    for each in (judged, other):
        await each.role.settle()
        notes = each.role.session.notifications
        tells = "disconnected" if each.side == "server" else "state"
        told = [n.data.get("state", n.on) for n in notes if n.on == tells]
        begin = [] if each.side == "server" else ["connecting", "online"]
        ends = (["disconnected"], ["offline"], ["error", "offline"])
        assert told in [[*begin, *end] for end in ends], f"expected one end, got {told}"


@scenario(
    "apart.rooms",
    "Two servers of one program have rooms of their own: an event to a room of one reaches no "
    "member of the other's.",
    side="server",
    rules=["D-18"],
)
async def test_rooms(judged: JudgedServer, other: JudgedServer) -> None:
    connection, second = await both(judged, other)
    await answered(judged, connection, "join", "joined")
    await answered(other, second, "join", "joined")
    say(connection, "to the first")
    await hears(connection, "to the first")
    await hears_no_more(second)


@scenario(
    "apart.broadcast",
    "What one of two servers of one program sends to all reaches no connection of the other.",
    side="server",
    rules=["D-18"],
)
async def test_broadcast(judged: JudgedServer, other: JudgedServer) -> None:
    connection, second = await both(judged, other)
    judged.server.session.features |= asked_of("broadcast", {})
    tell(connection, "to the first")
    got = await connection.next_message()
    judged.server.check_supported("broadcast", got["eventName"], got["payload"])
    await hears_no_more(second)
