"""Broadcast: an event to all connections of a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from interop.control.operations import asked_of
from interop.roles.judged import JudgedServer
from interop.scenarios.scenario import scenario
from interop.scenarios.test_headers import FULL, check_event
from interop.scenarios.test_rooms import (
    SENT,
    check_churn,
    check_order,
    check_order_beside,
    check_past_closing,
    check_slow,
    check_slow_leaves,
    heard,
    hears,
    hears_no_more,
)
from interop.scenarios.test_values import LENGTHS, check_length
from interop.wire.frames import TEXT
from interop.wire.raw import RawConnection


async def several(judged: JudgedServer, count: int) -> list[RawConnection]:
    """Open connections to a server that has a broadcast.

    Raises:
        Unsupported: the app answers that its library has none.
    """
    connections = [await judged.open() for _ in range(count)]
    judged.server.session.features |= asked_of("broadcast", {})
    tell(connections[0], "to begin with")
    got = await connections[0].next_message()
    judged.server.check_supported("broadcast", got["eventName"], got["payload"])
    for connection in connections[1:]:
        await hears(connection, "to begin with")
    return connections


def tell(
    connection: RawConnection,
    payload: Any,
    headers: Mapping[str, Any] | None = None,
    *,
    exclude_self: bool = False,
) -> None:
    """Send ``said`` to all connections."""
    request = {"event": "said", "payload": payload, "exclude-self": exclude_self}
    connection.send_event("broadcast", request, headers)


@scenario(
    "broadcast.all",
    "A broadcast reaches every connection once, its sender's too, and those that came later.",
    side="server",
    rules=["R-11"],
)
async def test_all(judged: JudgedServer) -> None:
    connections = [*await several(judged, 2), await judged.open()]
    tell(connections[1], "to all")
    for connection in connections:
        await hears(connection, "to all")
        await hears_no_more(connection)


@scenario(
    "broadcast.exclude-self",
    "The sender of a broadcast can exclude itself.",
    side="server",
    rules=["R-2"],
)
async def test_exclude_self(judged: JudgedServer) -> None:
    first, second, third = await several(judged, 3)
    tell(first, "to you", exclude_self=True)
    for connection in (second, third):
        await hears(connection, "to you")
    got = await heard(first)
    assert got == [], f"expected nothing at the sender, got {got}"


@scenario(
    "broadcast.past-gone",
    "A broadcast reaches the others when connections have ended.",
    side="server",
    rules=["R-6"],
)
async def test_past_gone(judged: JudgedServer) -> None:
    first, second, closed, reset = await several(judged, 4)
    closed.send_close(1000)
    reset.abort(reset=True)
    for conn in ("3", "4"):
        await judged.server.disconnected(conn)
    tell(first, "to those present")
    for connection in (first, second):
        await hears(connection, "to those present")
    assert judged.server.count("error") == 0, "the server reported an error"


@pytest.mark.parametrize("kind", SENT)
@scenario(
    "broadcast.whole",
    "A broadcast reaches every connection with its payload and headers, of every kind.",
    side="server",
    rules=["R-3"],
)
async def test_whole(judged: JudgedServer, kind: str) -> None:
    first, second = await several(judged, 2)
    for payload in SENT[kind]:
        for headers in (FULL, {}):
            tell(first, payload, headers)
            for connection in (first, second):
                got = await connection.next_event("said")
                check_event("the server sent", got, payload, headers)


@pytest.mark.parametrize("length", LENGTHS)
@scenario(
    "broadcast.length",
    "Broadcasts around the limits of the three length forms reach every connection.",
    side="server",
    rules=["R-3"],
)
async def test_length(judged: JudgedServer, length: int) -> None:
    first, second = await several(judged, 2)
    tell(first, "")
    bare = len((await second.next(TEXT)).payload)
    text = "x" * (length if length < 2 else length - bare)
    tell(first, text)
    await hears(first, "")
    for connection in (first, second):
        await hears(connection, text)
    check_length(second, length)


@scenario(
    "broadcast.order", "Broadcasts reach every connection in order.", side="server", rules=["R-9"]
)
async def test_order(judged: JudgedServer) -> None:
    await check_order(await several(judged, 3), tell)


@scenario(
    "broadcast.churn",
    "A broadcast reaches those that stay, in order, while others connect and end.",
    side="server",
    rules=["R-35"],
)
async def test_churn(judged: JudgedServer) -> None:
    await check_churn(judged, await several(judged, 3), tell, [])


@scenario(
    "broadcast.order-beside",
    "Broadcasts and events to one connection alone reach that one in the order in which they were "
    "sent.",
    side="server",
    rules=["R-36"],
)
async def test_order_beside(judged: JudgedServer) -> None:
    connection, _ = await several(judged, 2)
    await check_order_beside(connection, tell)


@scenario(
    "broadcast.slow-member",
    "A client that does not read does not hold up a broadcast, and gets all once it reads.",
    side="server",
    needs="load",
    rules=["R-10"],
)
async def test_slow_member(judged: JudgedServer) -> None:
    await check_slow(judged, await several(judged, 3), tell)


@scenario(
    "broadcast.slow-member-leaves",
    "A client that does not read and leaves holds up no later broadcast.",
    side="server",
    needs="load",
    rules=["R-6"],
)
async def test_slow_member_leaves(judged: JudgedServer) -> None:
    await check_slow_leaves(judged, await several(judged, 3), tell)


@scenario(
    "broadcast.past-closing",
    "A broadcast reaches the others while the server closes one of its connections.",
    side="server",
    rules=["R-6"],
)
async def test_past_closing(judged: JudgedServer) -> None:
    await check_past_closing(judged, await several(judged, 3), tell)
