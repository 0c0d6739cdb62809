"""Events and handlers: order, unknown and reserved names, failing and slow handlers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interop.errors import Violation
from interop.roles.client import Client
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.scenarios.test_headers import check_event
from interop.wire.frames import TEXT
from interop.wire.raw import RawConnection

MANY = 1000


@scenario(
    "order.pushed",
    "1,000 events that the server sends all arrive, once each, in order.",
    rules=["W-35"],
)
async def test_pushed(client: Client) -> None:
    await client.open("tick")
    await client.send("burst", {"count": MANY})
    await client.wait(
        "event",
        lambda n: n.data["name"] == "tick" and n.data["payload"] == MANY - 1,
        what="last tick",
    )
    await client.settle()
    got = [n.data["payload"] for n in client.session.notifications if n.data.get("name") == "tick"]
    assert got == list(range(MANY))


@scenario(
    "order.sent",
    "1,000 events that the client sends all arrive, once each, in order.",
    side="each",
    rules=["W-35"],
)
async def test_sent(judged: Judged) -> None:
    connection = await judged.open()
    if isinstance(judged, JudgedServer):
        for number in range(MANY):  # one frame and one write each, while answers arrive
            connection.send_event("echo", number)
            await asyncio.sleep(0)
        server = judged.server
        await server.wait("event", lambda n: n.data["payload"] == MANY - 1, what="last echo")
        got = [n.data["payload"] for n in server.session.notifications if n.on == "event"]
        assert got == list(range(MANY))
        return
    assert isinstance(judged, JudgedClient)
    await judged.client.send_many([("echo", number) for number in range(MANY)])
    await judged.client.send("echo", "last")
    got = []
    while (payload := (await connection.next_message())["payload"]) != "last":
        got.append(payload)
    assert got == list(range(MANY))


@pytest.mark.parametrize("size", [40_000, 600_000], ids=["40-kb", "600-kb"])
@scenario(
    "order.large-first",
    "A large event is handled before the small ones that follow it at once.",
    side="each",
    needs="echo",
    rules=["W-35"],
)
async def test_large_first(judged: Judged, size: int) -> None:
    connection = await judged.open(events=["mirror"])
    large = "x" * size
    for payload in (large, 0, 1, 2):
        name = judged.ask_back(connection, payload, {})
    got = [(await connection.next_event(name))["payload"] for _ in range(4)]
    order = ["large" if payload == large else payload for payload in got]
    assert order == ["large", 0, 1, 2], f"expected large, 0, 1, 2, got {order}"


@scenario(
    "order.large-sent-first",
    "A large event that an application sends leaves before the small ones that it sends next.",
    side="each",
    rules=["W-35"],
)
async def test_large_sent_first(judged: Judged) -> None:
    connection = await judged.open()
    large = "x" * 600_000
    await asyncio.gather(*(judged.send("tick", payload) for payload in (large, 0, 1, 2)))
    got = [(await connection.next_event("tick"))["payload"] for _ in range(4)]
    order = ["large" if payload == large else payload for payload in got]
    assert order == ["large", 0, 1, 2], f"expected large, 0, 1, 2, got {order}"


EQUAL = 3


@scenario(
    "events.equal",
    "Equal events that an application sends one right after another are all sent.",
    side="each",
    rules=["W-35"],
)
async def test_equal(judged: Judged) -> None:
    connection = await judged.open()
    await asyncio.gather(*(judged.send("vote", {"for": 1}) for _ in range(EQUAL)))
    await judged.send("vote", "past")
    await _check_equal(connection, "vote")


@scenario(
    "events.equal-answers",
    "Equal events that a handler sends one right after another are all sent.",
    side="each",
    needs="echo",
    rules=["W-35"],
)
async def test_equal_answers(judged: Judged) -> None:
    connection = await judged.open(events=["mirror"])
    for _ in range(EQUAL):
        name = judged.ask_back(connection, {"for": 1}, {})
    judged.ask_back(connection, "past", {})
    await _check_equal(connection, name)


async def _check_equal(connection: RawConnection, name: str) -> None:
    """Check that as many of these events came as were sent, before the one with ``past``."""
    count = 0
    while (await connection.next_event(name))["payload"] != "past":
        count += 1
    assert count == EQUAL, f"expected {EQUAL} equal events, got {count}"


@scenario(
    "events.unknown-to-server",
    "An event that no handler is registered for is ignored.",
    rules=["D-2"],
)
async def test_unknown_to_server(client: Client) -> None:
    await client.open()
    await client.send("unregistered", {"a": 1})
    await client.check_usable()


@scenario(
    "events.unknown-to-client",
    "A client ignores an event that it has no handler for.",
    side="client",
    needs="echo",
    rules=["D-2"],
)
async def test_unknown_to_client(judged: JudgedClient) -> None:
    connection = await judged.open()
    connection.send_event("unregistered", {"a": 1})
    await judged.works(connection)


@pytest.mark.parametrize("name", ["connected", "disconnected", "error"])
@scenario(
    "events.reserved",
    "A client's message named like a lifecycle event fires no lifecycle handler.",
    rules=["W-32"],
)
async def test_reserved(server: Server, client: Client, name: str) -> None:
    await client.open()
    await client.send(name, {"forged": True})
    await client.check_usable()
    await server.settle()
    assert server.count("connected") == 1, "the message fired the connected handler"
    assert server.count("disconnected") == 0, "the message fired the disconnected handler"
    # Reporting the message as an error is right; delivering it to the error handler is not.
    errors = [n.data for n in server.session.notifications if n.on == "error"]
    forged = [error for error in errors if "forged" in str(error)]
    assert not forged, "the message fired the error handler"


@pytest.mark.parametrize("name", ["connected", "disconnected", "error"])
@scenario(
    "events.reserved-to-client",
    "A server's message named like a lifecycle event fires no lifecycle callback of a client.",
    side="client",
    rules=["W-33"],
)
async def test_reserved_to_client(judged: JudgedClient, name: str) -> None:
    connection = await judged.open()
    connection.send_event(name, {"forged": True})
    await judged.works(connection)
    client = judged.client
    assert client.count("connected") <= 1, "the message fired the connected callback"
    assert client.count("disconnected") == 0, "the message fired the disconnected callback"
    assert not {"offline", "error"} & set(client.states), "the message changed the state"


GREETING: list[dict[str, Any]] = [
    {"event": "first", "payload": {"a": [1, None]}, "headers": {"token": "abc"}},
    {"event": "second", "payload": None, "headers": {}},
    {"event": "third", "payload": "é🙂", "headers": {"n": {"deep": [1]}}},
]


async def check_greeting(connection: RawConnection) -> None:
    for sent in GREETING:
        got = await connection.next_message()
        name, expected = got["eventName"], sent["event"]
        assert name == expected, f"expected the event {expected!r}, got {name!r}"
        check_event(f"the {connection.other} sent", got, sent["payload"], sent["headers"])


@scenario(
    "events.sent-on-connect",
    "Events that the connected handler sends arrive first, whole and in order.",
    side="each",
    rules=["D-9", "W-34"],
)
async def test_sent_on_connect(judged: Judged) -> None:
    connection = await judged.open(more={"on_connect": GREETING})
    await check_greeting(connection)
    await judged.works(connection)


@scenario(
    "events.sent-on-every-connect",
    "The connected handler can send on each connection, and to that one alone.",
    side="server",
    rules=["D-9"],
)
async def test_sent_on_every_connect(judged: JudgedServer) -> None:
    first = await judged.open(more={"on_connect": GREETING})
    await check_greeting(first)
    await check_greeting(await judged.open())
    first.send_event("echo", "past it")
    got = await first.next_message()
    assert got["payload"] == "past it", f"the first connection got {got['eventName']!r} again"


@scenario(
    "events.greeting",
    "A client gets what the server's connected handler sends, once.",
    serve={"on_connect": [{"event": "welcome", "payload": {"a": 1}, "headers": {"token": "abc"}}]},
    rules=["D-9"],
)
async def test_greeting(client: Client) -> None:
    await client.open("welcome")
    got = (await client.event("welcome")).data
    check_event("the client received", got, {"a": 1}, {"token": "abc"})
    await client.echo("past it", {"token": "abc"})
    count = client.count("event", name="welcome")
    assert count == 1, f"expected one event 'welcome', got {count}"


NAMES = ["émoji-🙂", "with space", " ", "\u0000", "a" * 10_000, "echo ", "Echo"]

MEMBERS = ["__proto__", "constructor", "toString", "hashCode", "__class__", "get"]
"""Names that objects, or tables of handlers, have in some language whatever is put into them."""


@scenario(
    "events.name-exact",
    "An event whose name is not exactly a handler's is delivered to no handler.",
    side="each",
    rules=["W-22"],
)
async def test_name_exact(judged: Judged) -> None:
    connection = await judged.open()
    for name in [*NAMES, *MEMBERS]:
        connection.send_event(name, 1)
    await judged.works(connection)
    notes = judged.role.session.notifications
    got = [n.data["name"] for n in notes if n.on == "event" and n.data["via"] == "named"]
    # A client that has one stream of everything has no handlers.
    assert got in (["echo"], []), f"expected the handler of echo to be called once, got {got}"


@scenario(
    "events.empty-name", "An event with an empty name leaves the connection usable.", rules=["W-22"]
)
async def test_empty_name(client: Client) -> None:
    await client.open()
    await client.send("", 1)
    await client.check_usable()


@scenario(
    "events.name-text", "An event name can be any text, and is compared exactly.", rules=["W-22"]
)
async def test_name_text(server: Server, client: Client) -> None:
    names = ["émoji-🙂", "with space", "UPPER", "a" * 300, "a.b/c:d"]
    await client.open(*names)
    for name in names:
        await server.push(client.conn, name, name)
        assert (await client.event(name)).data["payload"] == name


@scenario(
    "handlers.raise",
    "A handler that raises leaves the connection usable.",
    escapes=True,
    side="server",
    rules=["D-6"],
)
async def test_raise(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("boom", {})
    await judged.works(connection)


@scenario(
    "handlers.raise-contained",
    "An exception in a handler does not escape the library.",
    side="server",
    rules=["D-7"],
)
async def test_raise_contained(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("boom", {"a": 1})
    await judged.server.event("boom")
    await judged.server.settle()


@scenario(
    "handlers.raise-reported",
    "An exception in a handler reaches the error callback.",
    side="server",
    rules=["D-8"],
)
async def test_raise_reported(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("boom", {"a": 1})
    error = await judged.server.wait("error", what="error callback")
    assert "boom" in error.data["message"]


@scenario(
    "handlers.raise-in-client",
    "A client's handler that raises leaves the connection usable, and is called again.",
    side="client",
    escapes=True,
    rules=["D-21"],
)
async def test_raise_in_client(judged: JudgedClient) -> None:
    connection = await judged.open(events=["boom"], more={"callbacks": True})
    for number in range(2):
        connection.send_event("boom", number)
        await judged.received("boom", number)
    await judged.works(connection)


@scenario(
    "handlers.raise-in-client-contained",
    "An exception in a client's handler does not escape the library.",
    side="client",
    rules=["D-22"],
)
async def test_raise_in_client_contained(judged: JudgedClient) -> None:
    connection = await judged.open(events=["boom"], more={"callbacks": True})
    connection.send_event("boom", {"a": 1})
    await judged.client.event("boom")
    await judged.client.settle()


@scenario(
    "handlers.one-after-the-other",
    "Handlers of one connection run one after the other.",
    side="server",
    rules=["D-3"],
)
async def test_one_after_the_other(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("slow", {"ms": 100})
    connection.send_event("echo", "second")
    answers = [(await connection.next_message())["eventName"] for _ in range(2)]
    assert answers == ["slow", "echo"], f"expected slow, then echo, got {answers}"


@scenario(
    "handlers.slow",
    "A slow handler does not delay other connections.",
    side="server",
    rules=["D-4"],
)
async def test_slow(judged: JudgedServer) -> None:
    first, second = await judged.open(), await judged.open()
    # A busy machine may take longer than the handler. A server that makes others wait for it
    # answers them after it, however long it takes.
    for ms in (150, 1000, 3000):
        first.send_event("slow", {"ms": ms})
        await judged.server.event("slow")
        answer = first.soon(TEXT)
        await judged.works(second, f"beside {ms} ms")
        await judged.server.session.check_alive()  # so that what has arrived by now is seen
        beside = not answer.done()
        await answer
        if beside:
            return
    raise Violation("the echo had to wait for the slow handler")


@scenario(
    "handlers.push-beside",
    "An event sent from outside does not wait for a handler that runs on its connection.",
    side="server",
    rules=["D-5"],
)
async def test_push_beside(judged: JudgedServer) -> None:
    connection = await judged.open()
    for ms in (150, 1000, 3000):  # as in `handlers.slow`
        connection.send_event("slow", {"ms": ms})
        await judged.server.event("slow")
        await judged.server.push(judged.conn, "news", ms)
        first = await connection.next_message()
        if first["eventName"] == "news":
            return
        await connection.next_event("news")
    raise Violation("the event had to wait for the slow handler")
