"""Malformed messages: each may cost its sender its own connection, closed cleanly, and no more."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from interop.errors import Violation
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.wire.frames import BINARY, TEXT
from interop.wire.raw import RawConnection

MALFORMED: dict[str, str | bytes] = {
    "not-json": "{not json",
    "empty": "",
    "array": "[1,2]",
    "string": '"echo"',
    "null": "null",
    "no-name": '{"payload":1,"headers":{}}',
    "name-number": '{"eventName":5,"payload":1,"headers":{}}',
    "name-null": '{"eventName":null,"payload":1,"headers":{}}',
    "name-true": '{"eventName":true,"payload":1,"headers":{}}',
    "name-object": '{"eventName":{},"payload":1,"headers":{}}',
    "name-array": '{"eventName":["echo"],"payload":1,"headers":{}}',
    "headers-array": '{"eventName":"echo","payload":1,"headers":[]}',
    "headers-string": '{"eventName":"echo","payload":1,"headers":"x"}',
    "headers-number": '{"eventName":"echo","payload":1,"headers":1}',
    "number": "5",
    "two-objects": '{"eventName":"echo"}{"eventName":"echo"}',
    "binary": b'{"eventName":"echo","payload":1,"headers":{}}',
    "nan": '{"eventName":"echo","payload":NaN,"headers":{}}',
    "infinity": '{"eventName":"echo","payload":1e400,"headers":{}}',
    "lone-surrogate": '{"eventName":"echo","payload":"\\ud800","headers":{}}',
    # For no handler: a peer could not report it to the judge, whose own JSON is not that deep.
    "deep": '{"eventName":"nobody","headers":{},"payload":' + "[" * 5000 + "]" * 5000 + "}",
}

LENIENT = ["infinity", "lone-surrogate", "nan"]
"""What RFC 8259 lets a reader make something of: numbers beyond its range (section 6), a lone
surrogate (8.2), and what is not JSON at all (9). To refuse them is this wire's own rule."""

CLASSES = ["not-json", "array", "no-name", "name-number", "headers-array", "binary"]
"""One of each kind, for rules that need not be tried with all."""


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.others",
    "A malformed message reaches no handler, and other connections keep working.",
    side="server",
    escapes=True,
    invalid_from=["server"],
    should=LENIENT,
    rules=["W-23", "W-29"],
    rules_of={
        "infinity": ["W-25"],
        "lone-surrogate": ["W-25"],
        "nan": ["W-25"],
        "binary": ["W-24", "W-29"],
    },
)
async def test_others(judged: JudgedServer, name: str) -> None:
    bystander = await judged.open()
    bystanders = judged.conn
    sender = await judged.open()
    write(sender, MALFORMED[name])
    await judged.works(bystander)
    await judged.role.settle()
    assert judged.server.count("disconnected", conn=bystanders) == 0
    events = judged.server.count("event", conn=judged.conn)
    assert events == 0, "a handler got the malformed message"


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.sender",
    "A malformed message leaves its connection usable, or ends it with a close frame.",
    side="server",
    needs="nothing",
    escapes=True,
    should=["lone-surrogate"],
    rules=["W-28"],
    rules_of={"lone-surrogate": ["W-7"], "nan": ["W-5", "W-28"], "infinity": ["W-5", "W-28"]},
)
async def test_sender(judged: JudgedServer, name: str) -> None:
    await usable_or_closed(judged, MALFORMED[name])


NAMES_AS_TEXT = ["5", "null", "None", "undefined", "true", "True", "{}", "[]", "[object Object]"]
"""Names that a reader which makes a text of everything could come to."""


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.end-told-once",
    "The end of a connection after a malformed message is told to the server's application no more "
    "than once.",
    side="server",
    escapes=True,
    rules=["E-16"],
)
async def test_end_told_once(judged: JudgedServer, name: str) -> None:
    connection = await judged.open()
    write(connection, MALFORMED[name])
    connection.send_close(1000)  # behind it, where the server has not ended the connection
    told = asyncio.ensure_future(judged.server.wait("disconnected"))
    ended = asyncio.ensure_future(connection.failed())
    await judged.first(told, ended)
    for task in (told, ended):
        task.cancel()
    await asyncio.gather(told, ended, return_exceptions=True)
    connection.end_tcp()
    await judged.role.settle()
    count = judged.server.count("disconnected")
    assert count <= 1, f"the disconnected callback fired {count} times"


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.end-told",
    "The end of a connection is told to the server's application also after a malformed message.",
    side="server",
    escapes=True,
    rules=["E-16"],
)
async def test_end_told(judged: JudgedServer, name: str) -> None:
    connection = await judged.open()
    write(connection, MALFORMED[name])
    await judged.role.settle()  # it has read this by then, and maybe ended the connection
    connection.send_close(1000)
    connection.end_tcp()
    await judged.ended()


@pytest.mark.parametrize("name", [name for name in MALFORMED if name not in LENIENT])
@scenario(
    "malformed.client-unheard",
    "A malformed message reaches no handler of a client.",
    side="client",
    needs="echo",
    escapes=True,
    rules=["W-23"],
    rules_of={"binary": ["W-24"]},
)
async def test_client_unheard(judged: JudgedClient, name: str) -> None:
    connection = await judged.open(events=[*NAMES_AS_TEXT, ""])
    message = MALFORMED[name]
    write(connection, judged.named(message) if isinstance(message, str) else message)
    await judged.nothing_received()


@pytest.mark.parametrize("name", [name for name in MALFORMED if name not in LENIENT])
@scenario(
    "malformed.server-unheard",
    "A malformed message reaches no handler of a server.",
    side="server",
    needs="echo",
    escapes=True,
    invalid_from=["server"],
    rules=["W-23"],
    rules_of={"binary": ["W-24"]},
)
async def test_server_unheard(judged: JudgedServer, name: str) -> None:
    connection = await judged.open()
    message = MALFORMED[name]
    write(connection, judged.named(message) if isinstance(message, str) else message)
    with contextlib.suppress(Violation):  # which malformed.sender judges
        await judged.usable_or_closed(connection)
    await judged.nothing_received()


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.catch-all",
    "A malformed message does not reach the catch-all.",
    side="each",
    escapes=True,
    rules=["W-23"],
    rules_of={"binary": ["W-24"]},
)
async def test_catch_all(judged: Judged, name: str) -> None:
    connection = await judged.open(more={"all": True})
    write(connection, MALFORMED[name])
    await judged.nothing_received()


@scenario(
    "malformed.reported",
    "Every malformed message reaches the server's error callback.",
    severity="should",
    side="server",
    escapes=True,
    rules=["W-31"],
)
async def test_reported(judged: JudgedServer) -> None:
    connection = await judged.open()
    for name in CLASSES:
        write(connection, MALFORMED[name])
        await judged.server.wait("error", what=f"error callback for the class {name}")


@pytest.mark.parametrize("name", MALFORMED)
@scenario(
    "malformed.to-client",
    "A malformed message leaves a client's connection usable, or ends it with a close frame.",
    side="client",
    needs="nothing",
    escapes=True,
    should=["lone-surrogate"],
    rules=["W-28"],
    rules_of={"lone-surrogate": ["W-7"], "nan": ["W-5", "W-28"], "infinity": ["W-5", "W-28"]},
)
async def test_to_client(judged: JudgedClient, name: str) -> None:
    await usable_or_closed(judged, MALFORMED[name])


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.contained",
    "A malformed message lets no exception escape the server's library.",
    side="server",
    rules=["W-30"],
)
async def test_contained(judged: JudgedServer, name: str) -> None:
    write(await judged.open(), MALFORMED[name])
    await judged.role.settle()


@pytest.mark.parametrize("name", CLASSES)
@scenario(
    "malformed.contained-in-client",
    "A malformed message lets no exception escape the client's library.",
    side="client",
    rules=["W-30"],
)
async def test_contained_in_client(judged: JudgedClient, name: str) -> None:
    write(await judged.open(), MALFORMED[name])
    await judged.role.settle()


LONG = '"' + "x" * 1000 + '"'

TWICE = {
    "name": '{"eventName":"echo","payload":1,"headers":{},"eventName":"echo"}',
    "payload": '{"eventName":"echo","payload":1,"headers":{},"payload":2}',
    "headers": '{"eventName":"echo","payload":1,"headers":{},"headers":{}}',
    "payload-without-headers": '{"eventName":"echo","payload":1,"payload":2}',
    "name-beside-null": '{"eventName":"echo","eventName":"echo","payload":null,"headers":{}}',
    "in-payload": '{"eventName":"echo","payload":{"a":1,"a":2},"headers":{}}',
    "in-headers": '{"eventName":"echo","payload":1,"headers":{"a":1,"a":2}}',
    "further-in": '{"eventName":"echo","payload":[[{"a":{"b":1,"b":1}}]],"headers":{}}',
    "beside-colons": '{"eventName":"echo","payload":{"a":1,"a":2,"b":"\\u003a"},"headers":{}}',
    "long": f'{{"eventName":"echo","payload":{{"a":{LONG},"a":{LONG}}},"headers":{{}}}}',
    "many": '{"eventName":"echo","payload":[' + '{"a":1,"a":1},' * 200 + '1],"headers":{}}',
}
"""Messages in which a key is there twice. Some have no more colons than distinct keys."""


@scenario(
    "malformed.duplicate-key",
    "A message with a duplicate key is no event: which value is meant cannot be known.",
    severity="should",
    side="each",
    needs="echo",
    escapes=True,
    rules=["W-26"],
)
async def test_duplicate_key(judged: Judged) -> None:
    connection = await judged.open()
    for text in TWICE.values():
        write(connection, judged.named(text))
    await judged.nothing_received()


@scenario(
    "malformed.byte-order-mark",
    "A byte order mark before a message is ignored, or makes it malformed.",
    severity="should",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["W-27"],
)
async def test_byte_order_mark(judged: Judged) -> None:
    await usable_or_closed(judged, '\ufeff{"eventName":"nobody","payload":1,"headers":{}}')


def write(connection: RawConnection, message: str | bytes) -> None:
    """Write a message; bytes make a binary one."""
    connection.send(BINARY if isinstance(message, bytes) else TEXT, message)


async def usable_or_closed(judged: Judged, message: str | bytes) -> None:
    """Check that an event still arrives after `message`, or that the other side closed cleanly."""
    connection = await judged.open()
    write(connection, judged.named(message) if isinstance(message, str) else message)
    await judged.usable_or_closed(connection)
