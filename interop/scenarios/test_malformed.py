"""Malformed messages: a bad one costs its sender at most its own connection, cleanly."""

from __future__ import annotations

import asyncio

import pytest

from interop.errors import Violation
from interop.scenario import Clients, scenario
from interop.session import Client, Server
from interop.tap import Tap

MALFORMED: dict[str, str | bytes] = {
    "not-json": "{not json",
    "empty": "",
    "array": "[1,2]",
    "string": '"echo"',
    "null": "null",
    "no-name": '{"payload":1,"headers":{}}',
    "name-number": '{"eventName":5,"payload":1,"headers":{}}',
    "name-null": '{"eventName":null,"payload":1,"headers":{}}',
    "headers-array": '{"eventName":"echo","payload":1,"headers":[]}',
    "headers-string": '{"eventName":"echo","payload":1,"headers":"x"}',
    "binary": b'{"eventName":"echo","payload":1,"headers":{}}',
    "nan": '{"eventName":"echo","payload":NaN,"headers":{}}',
    "infinity": '{"eventName":"echo","payload":1e400,"headers":{}}',
    "lone-surrogate": '{"eventName":"echo","payload":"\\ud800","headers":{}}',
    # To nobody: a peer could not report it to the judge, whose own JSON is not that deep.
    "deep": '{"eventName":"nobody","headers":{},"payload":' + "[" * 5000 + "]" * 5000 + "}",
}

LENIENT = ["infinity", "lone-surrogate", "nan"]
"""What RFC 8259 lets a reader make something of: numbers beyond its range (section 6), a lone
surrogate (8.2), and what is not JSON at all (9). To refuse them is this wire's own rule."""

CLASSES = ["not-json", "array", "name-number", "headers-array", "binary"]
"""One of each kind, for what need not be tried with all."""


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.others",
    "A malformed message is no event to any handler, and other connections go on.",
    escapes=True,
    faults=["server"],
    should=LENIENT,
)
async def test_others(server: Server, clients: Clients, tap: Tap, name: str) -> None:
    bystander, sender = await clients(), await clients()
    await bystander.open()
    await sender.open()
    tap.inject("server", MALFORMED[name])
    await bystander.check_usable()
    await server.settle()
    assert server.count("disconnected", conn=bystander.conn) == 0
    assert server.count("event", conn=sender.conn) == 0, "a handler got the malformed message"


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.sender",
    "A malformed message leaves its connection usable, or ends it with a close frame.",
    escapes=True,
    should=["lone-surrogate"],
)
async def test_sender(client: Client, tap: Tap, name: str) -> None:
    await client.open()
    tap.inject("server", MALFORMED[name])
    await usable_or_closed(client, tap, "server")


@scenario(
    "malformed.reported",
    "Every malformed message reaches the server's error callback.",
    severity="should",
    escapes=True,
)
async def test_reported(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    for name in CLASSES:
        tap.inject("server", MALFORMED[name])
        await server.wait("error", what=f"error callback for the class {name}")


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.to-client",
    "A malformed message leaves a client's connection usable, or ends it with a close frame.",
    escapes=True,
)
async def test_to_client(client: Client, tap: Tap, name: str) -> None:
    await client.open()
    tap.inject("client", MALFORMED[name])
    await usable_or_closed(client, tap, "client")


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.contained",
    "A malformed message makes no exception escape the server's library.",
)
async def test_contained(server: Server, client: Client, tap: Tap, name: str) -> None:
    await client.open()
    tap.inject("server", MALFORMED[name])
    await server.settle()


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.contained-in-client",
    "A malformed message makes no exception escape the client's library.",
)
async def test_contained_in_client(client: Client, tap: Tap, name: str) -> None:
    await client.open()
    tap.inject("client", MALFORMED[name])
    await client.settle()


async def usable_or_closed(client: Client, tap: Tap, judged: str) -> None:
    """Check that an echo still comes back, or that the `judged` side wrote a close frame."""
    usable = asyncio.ensure_future(client.check_usable())
    closed = asyncio.ensure_future(tap.wait(author=judged, kind="close", within=client.patience))
    try:
        await asyncio.wait([usable, closed], return_when=asyncio.FIRST_COMPLETED)
        if usable.done() and usable.exception() is None:
            return
        if await closed is None:
            raise Violation(f"the connection is not usable and the {judged} wrote no close frame")
    finally:
        closed.cancel()
        usable.cancel()
        await asyncio.gather(usable, closed, return_exceptions=True)
