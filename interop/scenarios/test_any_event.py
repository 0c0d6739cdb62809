"""The catch-all: the handler, or the stream, of every event."""

from __future__ import annotations

from typing import Any

import pytest

from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.scenarios.test_headers import FULL, PAYLOADS, check_event
from interop.wire.frames import TEXT
from interop.wire.raw import RawConnection

ALL = {"all": True}
UNKNOWN = "unregistered"


async def caught(judged: Judged, name: str) -> dict[str, Any]:
    """Return the next event of that name that the catch-all gets."""
    got = await judged.role.wait(
        "event",
        lambda n: n.data["name"] == name and n.data["via"] == "all",
        what=f"event {name!a} at the catch-all",
    )
    return dict(got.data)


def told(judged: Judged, via: str) -> list[Any]:
    """Return the names of all events reported so far that came by that way."""
    notes = judged.role.session.notifications
    return [n.data["name"] for n in notes if n.on == "event" and n.data["via"] == via]


async def heard_past(judged: Judged, connection: RawConnection) -> None:
    """Wait until the catch-all has all that was sent before."""
    connection.send_event("past it", {})
    await caught(judged, "past it")
    await judged.role.settle()


@scenario(
    "any.once",
    "The catch-all gets every event once, those that have a handler and those that have none.",
    side="each",
    rules=["D-14"],
)
async def test_once(judged: Judged) -> None:
    connection = await judged.open(more=ALL)
    for name in ("echo", UNKNOWN, "echo"):
        connection.send_event(name, 1, {"a": 1})
    await heard_past(judged, connection)
    got = told(judged, "all")
    expected = ["echo", UNKNOWN, "echo", "past it"]
    assert got == expected, f"expected {expected} at the catch-all, got {got}"
    # A client that has one stream of everything has no handlers.
    got = told(judged, "named")
    assert got in (["echo", "echo"], []), f"expected each echo once at its handler, got {got}"


@scenario(
    "any.order",
    "An event's own handler gets it before the catch-all does.",
    side="each",
    rules=["D-15"],
)
async def test_order(judged: Judged) -> None:
    connection = await judged.open(more=ALL)
    connection.send_event("echo", 1)
    await heard_past(judged, connection)
    notes = judged.role.session.notifications
    ways = [n.data["via"] for n in notes if n.on == "event" and n.data["name"] == "echo"]
    if judged.side == "client" and "clean" not in judged.role.api.lacks:
        # Streams, each with a reader of its own: the library does not order the readers.
        ways.sort(reverse=True)
    assert ways in (["named", "all"], ["all"]), f"the event's handlers were called as {ways}"


@scenario(
    "any.raised",
    "The catch-all gets an event whose own handler raised.",
    side="server",
    escapes=True,
    rules=["D-14"],
)
async def test_raised(judged: JudgedServer) -> None:
    connection = await judged.open(more=ALL)
    connection.send_event("boom", {})
    await heard_past(judged, connection)
    got = told(judged, "all")
    assert got == ["boom", "past it"], f"expected boom at the catch-all, then past it, got {got}"


@pytest.mark.parametrize("kind", ["absent", *PAYLOADS])
@scenario(
    "any.whole",
    "The catch-all gets an event's payload and headers, of every kind.",
    side="each",
    rules=["D-16"],
)
async def test_whole(judged: Judged, kind: str) -> None:
    connection = await judged.open(more=ALL)
    for payload in PAYLOADS.get(kind, [None]):
        if kind == "absent":
            connection.send(TEXT, f'{{"eventName":"{UNKNOWN}","headers":{{}}}}')
            headers: dict[str, Any] = {}
        else:
            connection.send_event(UNKNOWN, payload, FULL)
            headers = FULL
        got = await caught(judged, UNKNOWN)
        check_event("the catch-all received", {"payload": None, **got}, payload, headers)


@scenario(
    "any.name",
    "The catch-all gets an event's name as it was sent.",
    side="each",
    rules=["D-14", "W-22"],
)
async def test_name(judged: Judged) -> None:
    connection = await judged.open(more=ALL)
    for name in [*PAYLOADS["text"], "UPPER", " padded ", "x" * 300]:
        connection.send_event(name, 1)
        await caught(judged, name)


@scenario(
    "any.later",
    "A catch-all that is registered after connecting gets events.",
    side="client",
    rules=["L-9"],
)
async def test_later(judged: JudgedClient) -> None:
    connection = await judged.open()
    await judged.client.subscribe(all=True)
    connection.send_event(UNKNOWN, "later", FULL)
    check_event("the catch-all received", await caught(judged, UNKNOWN), "later", FULL)


@pytest.mark.parametrize("name", ["connected", "disconnected", "error"])
@scenario(
    "any.reserved",
    "A client's message named like a lifecycle event does not reach the server's catch-all.",
    side="server",
    rules=["W-32"],
)
async def test_reserved(judged: JudgedServer, name: str) -> None:
    connection = await judged.open(more=ALL)
    connection.send_event(name, {"forged": True})
    await heard_past(judged, connection)
    got = told(judged, "all")
    assert got == ["past it"], f"the catch-all got {got}"


@scenario(
    "any.no-reply",
    "The reply to a request does not reach the catch-all.",
    side="each",
    rules=["R-17"],
)
async def test_no_reply(judged: Judged) -> None:
    connection = await judged.open(more=ALL)
    request_id, asking = await judged.take_request(connection, "question", {}, seconds=10)
    connection.send_event("question", {}, {"replyTo": request_id})
    await judged.role.session.reply("request", asking)
    await heard_past(judged, connection)
    got = told(judged, "all")
    assert got == ["past it"], f"the catch-all got {got}"
