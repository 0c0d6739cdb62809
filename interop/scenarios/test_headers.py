"""Headers and payload: absent, null, empty, full; in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from interop.errors import Violation
from interop.scenario import scenario
from interop.session import Client, Server
from interop.tap import Tap
from interop.wire import differ, event_text

HEADERS: dict[str, dict[str, Any]] = {
    "empty": {},
    "strings": {"token": "abc", "x-trace": "é🙂"},
    "values": {"n": 1, "f": 1.5, "t": True, "none": None},
    "nested": {"a": {"b": [1, {"c": "d"}]}},
}


@pytest.mark.parametrize("name", HEADERS)
@scenario("headers.echo", "Headers arrive as they were sent, in both directions.")
async def test_headers(server: Server, client: Client, name: str) -> None:
    await client.open()
    answer = await client.echo("x", HEADERS[name])
    received = await server.event("echo")
    for where, got in (("the server received", received), ("back came", answer)):
        if difference := differ(HEADERS[name], got.data["headers"]):
            raise Violation(f"{where} other headers at {difference}")


@scenario("headers.none-given", "An event sent without headers arrives with empty headers.")
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
)
async def test_always_written(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.send_plain("nobody-listens", {"a": 1})
    await server.push_plain(client.conn, "nobody-listens", {"a": 1})
    for author in ("client", "server"):
        frame = await tap.wait(author=author, kind="text", within=client.patience)
        assert frame is not None, f"the {author} wrote nothing"
        keys = set(json.loads(frame.data))
        assert keys == {"eventName", "payload", "headers"}, f"the {author} wrote {sorted(keys)}"


@scenario("payload.null-pushed", "An event whose payload is null arrives with payload null.")
async def test_null_pushed(server: Server, client: Client) -> None:
    await client.open("nothing")
    await server.push(client.conn, "nothing", None)
    assert (await client.event("nothing")).data["payload"] is None


# What each direction must read although nobody here may write it. The judge writes it.
FORMS: dict[str, dict[str, Any]] = {
    "headers-absent": {"eventName": "echo", "payload": "x"},
    "headers-null": {"eventName": "echo", "payload": "x", "headers": None},
    "payload-absent": {"eventName": "echo", "headers": {}},
    "payload-and-headers-absent": {"eventName": "echo"},
    "unknown-keys": {"eventName": "echo", "payload": "x", "headers": {}, "extra": [1]},
    "other-key-order": {"payload": "x", "headers": {}, "eventName": "echo"},
}


@pytest.mark.parametrize("form", FORMS)
@scenario("form.server", "A server reads every legal form of a message.")
async def test_form_to_server(server: Server, client: Client, tap: Tap, form: str) -> None:
    await client.open()
    # Not echo: what the client makes of a payload that came back is not judged here.
    tap.inject("server", event_text(**FORMS[form]).replace('"echo"', '"whoami"'))
    event = await server.event("whoami")
    assert event.data.get("payload") == FORMS[form].get("payload")
    assert event.data["headers"] == {}


@pytest.mark.parametrize("form", FORMS)
@scenario("form.client", "A client reads every legal form of a message.")
async def test_form_to_client(client: Client, tap: Tap, form: str) -> None:
    await client.open()
    tap.inject("client", event_text(**FORMS[form]))
    event = await client.event("echo")
    assert event.data.get("payload") == FORMS[form].get("payload")
    assert event.data["headers"] == {}


@scenario("form.white-space", "White space around a message's tokens means nothing.")
async def test_white_space(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    text = ' \n{ "eventName" :\t"echo" , "payload" : [ 1 , 2 ] , "headers" : { } } \r\n'
    tap.inject("server", text)
    assert (await server.event("echo")).data["payload"] == [1, 2]
    tap.inject("client", text)
    assert (await client.event("echo")).data["payload"] == [1, 2]
