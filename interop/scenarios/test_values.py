"""Every JSON value crosses the wire unchanged, there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interop.errors import PeerFailure, Violation
from interop.roles.client import Client
from interop.roles.judged import Judged
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.wire.frames import CLOSE, TEXT
from interop.wire.raw import RawConnection
from interop.wire.rules import differ

KIB = 1024

VALUES: dict[str, list[Any]] = {
    "null": [None],
    "booleans": [True, False],
    "integers": [0, 1, -1, 2**31, -(2**31), 2**53, -(2**53)],
    "integers-to-63-bits": [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)],
    "integers-beyond-63-bits": [2**63, 2**64, -(2**63) - 1, 10**20, 10**30],
    "floats": [0.1, -2.5, 1.0, 100.0, 5e-324, 1.7976931348623157e308, 1e-7, 123456789.123],
    "negative-zero": [-0.0],
    "text-empty": [""],
    "text-64-kib": ["x" * 64 * KIB],
    "text-escapes": ['"', "\\", "\n\r\t\b\f", "</script>", "\\u0041", "a/b"],
    "text-controls": ["\x00", "\x01\x1f", "\x7f"],
    "text-bmp": ["é", "日本語", "\u2028\u2029", "\ufeff", "\ufffd", "\uffff"],
    "text-astral": ["🙂", "👩‍👩‍👧‍👦", "𝄞", "\U0010ffff"],
    "objects": [{}, {"a": 1, "b": {"c": {"d": [1, 2, {"e": None}]}}}, {"": "empty key"}],
    "object-with-wire-names": [{"eventName": "x", "payload": 1, "headers": {}}],
    "arrays": [[], [1, "two", None, True, 2.5, [], {}], [[[[1]]]], list(range(500))],
    "nested-50-deep": [json.loads("[" * 50 + "]" * 50)],
}


@pytest.mark.parametrize("name", VALUES)
# RFC 8259 section 6 lets an implementation limit the range of numbers. 64 bits are the least
# that every version of zaptools has carried.
@scenario(
    "echo",
    "A payload comes back from an echo handler as it was sent.",
    should=["integers-beyond-63-bits"],
    rules=["W-19"],
    rules_of={
        "integers": ["W-15"],
        "integers-to-63-bits": ["W-15"],
        "integers-beyond-63-bits": ["W-16"],
        "floats": ["W-17"],
        "negative-zero": ["W-17"],
        "text-*": ["W-18"],
    },
)
async def test_echo(server: Server, client: Client, name: str) -> None:
    await client.open()
    for value in VALUES[name]:
        answer = await client.echo(value)
        received = await server.event("echo")
        for where, got in (("the server received", received), ("back came", answer)):
            if difference := differ(value, got.data.get("payload", "nothing")):
                raise Violation(f"{where} another value at {difference}")


@scenario(
    "size.one-mebibyte",
    "A message of 1 MiB, the smallest limit of any implementation, passes both ways.",
    rules=["T-1"],
)
async def test_one_mebibyte(server: Server, client: Client) -> None:
    # 256 bytes less leave room for the keys, in every writer's form.
    payload = "x" * (KIB * KIB - 256)
    await client.open()
    answer = await client.echo(payload)
    assert len((await server.event("echo")).data["payload"]) == len(payload)
    assert answer.data["payload"] == payload


LENGTHS = [0, 1, 125, 126, 65_535, 65_536]
"""Lengths of messages, on both sides of the limits of the three forms of a frame; a text as short
as the first two is a payload."""


def check_length(connection: RawConnection, length: int) -> None:
    """Check that one of the messages that the other side wrote has this length, if it can have it.

    Raises:
        Violation: none has.
    """
    written = [len(f.payload) for f in connection.frames if f.opcode == TEXT]
    if length > 1 and length not in written:
        raise Violation(f"expected a message of {length} bytes, got {written}")


@pytest.mark.parametrize("length", LENGTHS)
@scenario(
    "size.from-outside",
    "Messages around the limits of the three length forms can be sent from outside any handler.",
    side="each",
    rules=["C-10"],
)
async def test_from_outside(judged: Judged, length: int) -> None:
    connection = await judged.open()
    await judged.send("news", "")
    bare = len((await connection.next(TEXT)).payload)
    text = "x" * (length if length < 2 else length - bare)
    await judged.send("news", text)
    got = (await connection.next_event("news"))["payload"]
    assert got == text, f"expected a text of {len(text)} characters, got {str(got)[:60]!r}"
    check_length(connection, length)


# JSON that not every implementation holds, or writes, as it was read; the judge writes it so.
HARD: dict[str, str] = {
    "4301-digits": "9" * 4301,
    "above-a-double": "1e400",
    "below-a-double": "-1e400",
    "largest-double": "1.7976931348623157e308",
    "minus-zero": "-0",
    "deep-list": "[" * 250 + "]" * 250,
    "deep-map": '{"a":' * 250 + "1" + "}" * 250,
    "wide-object": "{" + ",".join(f'"key {n}":{n}' for n in range(10_000)) + "}",
    "wide-array": "[" + ",".join(map(str, range(10_000))) + "]",
    "long-key": '{"' + "k" * 100_000 + '":1}',
    "texts-like-dates": '"2026-01-02","2026-01-02T03:04:05Z","2026-01-02T03:04:05+01:00"',
    "texts-like-values": '"12","1.50","1e3","true","null","NaN","{}","[1]",""," padded "',
    "texts-not-composed": '"e\\u0301","\u00e9","\\ufb01"',
    "keys-like-members": '{"__proto__":{"a":1},"constructor":1,"toString":2,"__class__":3}',
}

REFUSABLE = ["4301-digits", "above-a-double", "below-a-double", "deep-list", "deep-map"]
"""Those that a reader may refuse: it may limit numbers and nesting (RFC 8259, section 9)."""


@pytest.mark.parametrize("name", HARD)
@scenario(
    "hard.answered",
    "A handler can send back what it got, as it came; or the application is told of an error.",
    side="each",
    escapes=True,  # an exception that reaches the application tells it
    rules=["W-8"],
    rules_of={"*-a-double": ["W-5", "W-8"]},
)
async def test_hard_answered(judged: Judged, name: str) -> None:
    connection = await judged.open(events=["mirror"])
    event = "echo" if judged.side == "server" else "mirror"
    text = HARD[name]
    connection.send(TEXT, f'{{"eventName":"{event}","payload":[{text}],"headers":{{}}}}')
    connection.send_event("echo", "past it")
    await judged.past(connection, "past it")
    session = judged.role.session
    if not session.count(
        "event", lambda n: n.data["name"] == event and n.data["payload"] != "past it"
    ):
        if name in REFUSABLE:
            return  # what is to happen then is for the scenarios about malformed messages
        raise Violation(f"no event {event!r}", api=judged.role.api)
    texts = [f.payload.decode(errors="replace") for f in connection.frames if f.opcode == TEXT]
    answers = [each for each in texts if '"past it"' not in each]
    if not answers:
        told = session.count("error") + session.count("uncaught")
        if told or any(f.opcode == CLOSE for f in connection.frames):
            return
        raise Violation("a handler's answer was lost, and the application was told of no error")
    try:
        payload = json.loads(answers[0], parse_int=_number)["payload"]
    except (ValueError, TypeError, KeyError) as exc:
        raise Violation(f"the {judged.side} wrote what is no event: {answers[0][:120]!r}") from exc
    if difference := differ(json.loads(f"[{text}]", parse_int=_number), payload):
        raise Violation(f"back came another value at {difference}")


LIKE_VALUES = ["12", "-1.50", "1e3", "true", "null", "NaN", "{}", "[1]", '"x"', " 1 "]
"""Texts that a reader of JSON would take for other values."""


@scenario(
    "hard.text-like-value",
    "A payload that is a text stays one, also where that text is JSON itself.",
    side="each",
    rules=["W-18"],
)
async def test_text_like_value(judged: Judged) -> None:
    connection = await judged.open()
    for text in LIKE_VALUES:
        connection.send_event("echo", text)
        await judged.received("echo", text)
        await judged.send("news", text)
        written = (await connection.next_event("news"))["payload"]
        if difference := differ(text, written):
            raise Violation(f"the {judged.side} sent another payload at {difference}")


@scenario(
    "hard.deep-both-ways",
    "An event that a library sends is not nested too deep for it to read.",
    side="each",
    rules=["W-37"],
)
async def test_deep_both_ways(judged: Judged) -> None:
    connection = await judged.open(events=["news"])
    deep = json.loads("[" * 300 + "]" * 300)
    try:
        await judged.send("news", deep)
    except PeerFailure:
        return
    await connection.next_event("news")
    connection.send_event("echo", deep)
    await judged.received("echo", deep)


def _number(text: str) -> int | str:
    """Return an integer, or the text of one that Python does not convert."""
    return int(text) if len(text) <= 4300 else text
