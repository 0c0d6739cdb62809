"""Headers and payload: absent, null, empty, full; in both directions."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from interop.errors import PeerFailure, Violation
from interop.roles.client import Client
from interop.roles.judged import STILL_THERE, Judged, JudgedClient, JudgedServer
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.wire.frames import TEXT
from interop.wire.rules import differ, event_text, read_event
from interop.wire.tap import Tap

HEADERS: dict[str, dict[str, Any]] = {
    "empty": {},
    "strings": {"token": "abc", "x-trace": "é🙂", "id": "0012", "flag": "true", "list": "[1]"},
    "values": {"n": 1, "f": 1.5, "t": True, "none": None},
    "nested": {"a": {"b": [1, {"c": "d"}]}},
}


@pytest.mark.parametrize("name", HEADERS)
@scenario("headers.echo", "Headers arrive as they were sent, in both directions.", rules=["W-20"])
async def test_headers(server: Server, client: Client, name: str) -> None:
    await client.open()
    answer = await client.echo("x", HEADERS[name])
    received = await server.event("echo")
    for where, got in (("the server received", received), ("back came", answer)):
        if difference := differ(HEADERS[name], got.data["headers"]):
            raise Violation(f"{where} other headers at {difference}")


@scenario(
    "headers.each-its-own",
    "The headers of one event are not among those of the next.",
    rules=["W-21"],
)
async def test_each_its_own(server: Server, client: Client) -> None:
    await client.open()
    for given in ({"a": 1, "b": 1}, {"b": 2}, {"c": 3}):
        answer = await client.echo("x", given)
        received = await server.event("echo")
        for where, got in (("the server received", received), ("back came", answer)):
            if difference := differ(given, got.data["headers"]):
                raise Violation(f"{where} other headers at {difference}")


# Each kind of payload, with its values; those that a careless test of truth takes for none, too.
PAYLOADS: dict[str, list[Any]] = {
    "null": [None],
    "falsy": [False, 0, "", [], {}],
    "number": [1, -2.5, 0.1, 1e-7, 2**53],
    "text": [
        "plain a/b <c> &",
        '"\\ \\u0041 \n\r\t\b\f',
        "\x00\x01\x1f\x7f",
        "\x80\x9f é ü ÿ",
        "日本語 한국어",
        "🙂 👩‍👩‍👧‍👦 𝄞",
        "e\u0301 \u200d \ufeff",
        "\u2028\u2029",
        "12",
        '{"a":1}',
    ],
    "list": [[1, "two", None, {}, True], [[[]]]],
    "map": [
        {"a": {"b": [1]}},
        {"headers": {"not": "these"}, "": None},
        {"orderId": 1, "OrderID": 2, "order_id": 3, "order-id": 4, " order id ": 5},
    ],
    "deep": [json.loads("[" * 100 + "]" * 100)],
}

FULL: dict[str, Any] = {
    "token": "abc",
    "Token": "of another case",  # unlike the names of HTTP's fields
    "X-Trace-ID": "camelCase",
    "é": "🙂",
    "n": 1,
    "none": None,
    "deep": {"a": [1, {}], "A": 2},
}


def check_event(where: str, event: Mapping[str, Any], payload: Any, headers: Any) -> None:
    """Check an event's payload and headers; headers that are absent are empty.

    Raises:
        Violation: one of them is another.
    """
    if difference := differ(payload, event.get("payload", "nothing")):
        raise Violation(f"{where} another payload at {difference}")
    if difference := differ(headers, event.get("headers", {})):
        raise Violation(f"{where} other headers at {difference}")


@pytest.mark.parametrize("kind", ["absent", *PAYLOADS])
@scenario(
    "headers.read",
    "Headers are read beside every kind of payload, and beside none.",
    side="each",
    rules=["W-20"],
    rules_of={"absent": ["W-9"], "null": ["W-19"], "deep": ["W-36"]},
)
async def test_read(judged: Judged, kind: str) -> None:
    connection = await judged.open(events=["whoami"])
    # Not echo: how it writes a payload back is not judged here.
    for payload in PAYLOADS.get(kind, [None]):
        event = {"eventName": "whoami", "payload": payload, "headers": FULL}
        if kind == "absent":
            del event["payload"]
        connection.send(TEXT, event_text(**event))
        got = await judged.role.event("whoami")
        check_event(f"the {judged.side} received", {"payload": None, **got.data}, payload, FULL)


@pytest.mark.parametrize("kind", PAYLOADS)
@scenario(
    "headers.from-handler",
    "An event that a handler sends has its headers, with every kind of payload.",
    side="each",
    needs="echo",
    rules=["W-20"],
    rules_of={"null": ["W-19"]},
)
async def test_from_handler(judged: Judged, kind: str) -> None:
    connection = await judged.open(events=["mirror"])
    for payload in PAYLOADS[kind]:
        name = judged.ask_back(connection, payload, FULL)
        got = await connection.next_event(name)
        check_event(f"the {judged.side} sent", got, payload, FULL)


@pytest.mark.parametrize("kind", PAYLOADS)
@scenario(
    "headers.from-outside",
    "An event sent from outside any handler has its headers, with every kind of payload.",
    side="each",
    rules=["W-20"],
)
async def test_from_outside(judged: Judged, kind: str) -> None:
    connection = await judged.open()
    for payload in PAYLOADS[kind]:
        await judged.send("news", payload, FULL)
        got = await connection.next_event("news")
        check_event(f"the {judged.side} sent", got, payload, FULL)


@scenario(
    "headers.with-null",
    "Headers arrive beside a payload that is null, in both directions.",
    rules=["W-19", "W-20"],
)
async def test_with_null(server: Server, client: Client) -> None:
    await client.open("news")
    await server.push(client.conn, "news", None, FULL)
    check_event("the client received", (await client.event("news")).data, None, FULL)
    await client.send("whoami", None, FULL)
    check_event("the server received", (await server.event("whoami")).data, None, FULL)


@scenario(
    "headers.none-given",
    "An event sent without headers arrives with empty headers.",
    rules=["W-10"],
)
async def test_none_given(server: Server, client: Client) -> None:
    await client.open("plain")
    await client.send_plain("echo", "x")
    await client.event("echo")
    assert (await server.event("echo")).data["headers"] == {}
    await server.push_plain(client.conn, "plain", {"a": 1})
    event = await client.event("plain")
    assert (event.data["payload"], event.data["headers"]) == ({"a": 1}, {})


@scenario(
    "headers.always-written",
    "Both sides write all three keys, the form that every version of every peer reads.",
    severity="should",
    escapes=True,
    rules=["W-4"],
)
async def test_always_written(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.send_plain("unregistered", {"a": 1})
    await server.push_plain(client.conn, "unregistered", {"a": 1})
    for author in ("client", "server"):
        frame = await tap.log.wait(author=author, kind="text", within=client.patience)
        assert frame is not None, f"expected a message from the {author}, got none"
        keys = set(read_event(frame.data, frame.author))
        expected = {"eventName", "payload", "headers"}
        assert keys == expected, f"expected all three keys from the {author}, got {sorted(keys)}"


@scenario(
    "payload.null-pushed",
    "An event whose payload is null arrives with payload null.",
    rules=["W-19"],
)
async def test_null_pushed(server: Server, client: Client) -> None:
    await client.open("nothing")
    await server.push(client.conn, "nothing", None)
    assert (await client.event("nothing")).data["payload"] is None


@scenario(
    "payload.null-written",
    "Both sides write a payload that is null, as every version of every peer does.",
    severity="should",
    escapes=True,
    rules=["W-4"],
)
async def test_null_written(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.send("unregistered", None)
    await server.push(client.conn, "unregistered", None)
    for author in ("client", "server"):
        frame = await tap.log.wait(author=author, kind="text", within=client.patience)
        assert frame is not None, f"expected a message from the {author}, got none"
        message = read_event(frame.data, frame.author)
        assert "payload" in message, f"the {author} left out the payload"


# Legal forms that every side must read, most of which none may write; the judge writes them.
FORMS: dict[str, dict[str, Any]] = {
    "headers-absent": {"eventName": "echo", "payload": "x"},
    "headers-null": {"eventName": "echo", "payload": "x", "headers": None},
    "payload-absent": {"eventName": "echo", "headers": {}},
    "payload-null": {"eventName": "echo", "payload": None, "headers": {}},
    "payload-and-headers-absent": {"eventName": "echo"},
    "unknown-keys": {"eventName": "echo", "payload": "x", "headers": {}, "extra": [1]},
    "other-key-order": {"payload": "x", "headers": {}, "eventName": "echo"},
}

FORM_RULES = {
    "headers-absent": ["W-10"],
    "headers-null": ["W-10"],
    "payload-absent": ["W-9"],
    "payload-null": ["W-19"],
    "payload-and-headers-absent": ["W-9", "W-10"],
    "unknown-keys": ["W-11"],
    "other-key-order": ["W-12"],
}


@pytest.mark.parametrize("form", FORMS)
@scenario(
    "form.server",
    "A server reads every legal form of a message.",
    side="server",
    rules_of=FORM_RULES,
)
async def test_form_to_server(judged: JudgedServer, form: str) -> None:
    connection = await judged.open()
    # Not echo: how it writes a payload back is not judged here.
    connection.send(TEXT, event_text(**{**FORMS[form], "eventName": "whoami"}))
    event = await judged.server.event("whoami")
    got, expected = event.data.get("payload"), FORMS[form].get("payload")
    assert got == expected, f"expected the payload {expected!r}, got {got!r}"
    assert event.data["headers"] == {}


@pytest.mark.parametrize("form", FORMS)
@scenario(
    "form.client",
    "A client reads every legal form of a message.",
    side="client",
    needs="echo",
    rules_of=FORM_RULES,
)
async def test_form_to_client(judged: JudgedClient, form: str) -> None:
    connection = await judged.open()
    connection.send(TEXT, judged.named(event_text(**FORMS[form])))
    # Behind it, to tell a client that passes over an event from one that hears nothing more.
    connection.send_event(judged.echo or "echo", STILL_THERE)
    event = await judged.told("echo")
    got, expected = event.get("payload"), FORMS[form].get("payload")
    if got == STILL_THERE:
        raise Violation("no event 'echo' but the next one", api=judged.client.api)
    assert got == expected, f"expected the payload {expected!r}, got {got!r}"
    assert event["headers"] == {}


@scenario(
    "form.white-space",
    "White space around a message's tokens has no meaning.",
    side="each",
    needs="echo",
    rules=["W-13"],
)
async def test_white_space(judged: Judged) -> None:
    connection = await judged.open()
    text = ' \n{ "eventName" :\t"echo" , "payload" : [ 1 , 2 ] , "headers" : { } } \r\n'
    connection.send(TEXT, judged.named(text))
    await judged.received("echo", [1, 2])


# Forms of numbers and characters in JSON, which the judge writes literally.
NUMBERS = {
    "exponents": (["1e2", "1E2", "1e+2", "1.5e3", "25e-1", "1e-7", "1e308", "1e-400"], float),
    "big-integers": (["9007199254740993", "9223372036854775807", "-9223372036854775808"], int),
    "bigger-integers": (["9223372036854775808", "18446744073709551616", "1" + "0" * 40], int),
    "zeros": (["0", "-0"], int),
    "negative-zero": (["-0.0", "-0e0"], float),
}


@pytest.mark.parametrize("name", NUMBERS)
@scenario(
    "form.number",
    "Every form of a number is read as its value.",
    should=["bigger-integers"],
    side="each",
    needs="echo",
    control=["negative-zero"],
    rules=["W-15"],
    rules_of={"bigger-integers": ["W-16"], "negative-zero": ["W-17"]},
)
async def test_number(judged: Judged, name: str) -> None:
    connection = await judged.open()
    texts, kind = NUMBERS[name]
    for text in texts:
        event = f'{{"eventName":"echo","payload":[{text}],"headers":{{}}}}'
        connection.send(TEXT, judged.named(event))
        payload = (await judged.told("echo"))["payload"]
        assert isinstance(payload, list) and len(payload) == 1, f"[{text}] was read as {payload!r}"
        (got,) = payload
        expected = json.loads(text)
        assert isinstance(got, (int, float)), f"{text} was read as {got!r}"
        assert float(got) == float(expected), f"{text} was read as {got!r}"
        if kind is int and expected:
            assert got == expected and isinstance(got, int), f"{text} was read as {got!r}"
        if name == "negative-zero":
            assert str(got) == "-0.0", f"{text} was read as {got!r}"


ESCAPES = {
    r'"\u0065\u0301"': "e\u0301",
    r'"\ud83d\ude42"': "🙂",
    r'"\/\b\f\n\r\t\"\\"': '/\b\f\n\r\t"\\',
    r'"\u0000\u001f"': "\0\x1f",
    '"\x7f\u2028\u2029"': "\x7f\u2028\u2029",
}


@scenario(
    "form.escapes",
    "Every escape sequence is read as its character.",
    side="each",
    needs="echo",
    rules=["W-14"],
)
async def test_escapes(judged: Judged) -> None:
    connection = await judged.open()
    name = json.dumps(judged.echo)
    name = f'"\\u{ord(name[1]):04x}{name[2:]}'
    for text, value in ESCAPES.items():
        connection.send(TEXT, f'{{"eventName":{name},"payload":{text},"headers":{{}}}}')
        await judged.received("echo", value)


@scenario(
    "form.own-lone-surrogate",
    "Sending a lone surrogate is an error, and none is ever written to the wire.",
    severity="should",
    side="each",
    escapes=True,
    rules=["W-7"],
)
async def test_own_lone_surrogate(judged: Judged) -> None:
    connection = await judged.open()
    with contextlib.suppress(PeerFailure):
        await judged.send("echo", "\ud800")
        await connection.next(TEXT)  # `check_evidence` judges what it wrote
