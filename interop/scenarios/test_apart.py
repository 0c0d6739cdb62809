"""Two servers, or two clients, in one program: what is one's is not the other's."""

from __future__ import annotations

import secrets

from interop.roles.judged import Judged
from interop.scenarios.scenario import scenario
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
