"""Request and reply: two headers, which any implementation can set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from interop.control.operations import asked_of
from interop.errors import PeerFailure, Violation
from interop.roles.client import Client
from interop.roles.judged import Judged, JudgedClient, JudgedServer, request_id_of
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.scenarios.test_headers import PAYLOADS, check_event
from interop.scenarios.test_reconnect import again, cut, keeping
from interop.wire.frames import TEXT
from interop.wire.raw import RawConnection
from interop.wire.rules import event_text

PATIENCE = 10.0
"""Seconds to wait for a reply that must come."""

HUNDREDS = 200

PAYLOAD = {"text": "a question", "numbers": [1, 2.5, None]}


@scenario(
    "request.by-hand",
    "A handler can answer a request by copying one header.",
    rules=["R-16", "R-27"],
)
async def test_by_hand(client: Client) -> None:
    await client.open("answer")
    await client.send("answer", PAYLOAD, {"requestId": "by hand-1", "more": 1})
    reply = await client.event("answer")
    assert reply.data["payload"] == PAYLOAD
    assert reply.data["headers"].get("replyTo") == "by hand-1"
    assert "requestId" not in reply.data["headers"], "the reply has a requestId"


@scenario(
    "request.reply",
    "A request returns its handler's answer, and no other handler gets it.",
    rules=["R-15", "R-17"],
)
async def test_reply(server: Server, client: Client) -> None:
    await client.open("answer")
    for number in range(3):
        reply = await client.request("answer", [PAYLOAD, number], seconds=PATIENCE)
        assert (reply["name"], reply["payload"]) == ("answer", [PAYLOAD, number])
        request = await server.event("answer")
        assert isinstance(request.data["headers"]["requestId"], str)
        assert reply["headers"]["replyTo"] == request.data["headers"]["requestId"]
    await client.check_usable()
    assert client.count("event", name="answer") == 0, "a reply went to the event's handler too"


@scenario(
    "request.no-reply",
    "A request without an answer times out, and leaves the connection usable.",
    rules=["R-20"],
)
async def test_no_reply(client: Client) -> None:
    await client.open()
    for event in ("unregistered", "echo"):  # echo sends the headers back, which is no reply
        try:
            await client.request(event, PAYLOAD, seconds=0.1)
        except PeerFailure as failure:
            assert failure.kind == "TimeoutError", failure
        else:
            raise Violation(f"the request {event!r} got a reply that was not sent")
    echo = await client.event("echo")
    assert echo.data["payload"] == PAYLOAD
    await client.check_usable()


@scenario(
    "request.error",
    "A request whose handler fails gets one reply, which is an error.",
    rules=["R-21", "R-22"],
)
async def test_error(server: Server, client: Client) -> None:
    await client.open("fail")
    await client.send("fail", PAYLOAD, {"requestId": "by hand-1", "more": 1})
    await server.event("fail")
    check_error((await client.event("fail")).data, "by hand-1")
    await client.check_usable()
    assert client.count("event", name="fail") == 1, "the request has more than one reply"


@scenario(
    "request.error-to-server",
    "A request to a client whose handler fails gets one reply, which is an error.",
    rules=["R-21", "R-22"],
)
async def test_error_to_server(server: Server, client: Client) -> None:
    await client.open("fail")
    await server.push(client.conn, "fail", PAYLOAD, {"requestId": "by hand-1", "more": 1})
    await client.event("fail")
    check_error((await server.event("fail", client.conn)).data, "by hand-1")
    await client.check_usable()
    assert server.count("event", name="fail") == 1, "the request has more than one reply"


@scenario(
    "request.error-raised",
    "A client's request that is answered with an error fails at once.",
    rules=["R-23"],
)
async def test_error_raised(client: Client) -> None:
    await client.open()
    try:
        await client.request("fail", PAYLOAD, seconds=PATIENCE)
    except PeerFailure as failure:
        check_failure(failure)
    else:
        raise Violation("a request that was answered with an error did not fail")
    await client.check_usable()


@scenario(
    "request.error-raised-in-server",
    "A server's request that is answered with an error fails at once.",
    rules=["R-23"],
)
async def test_error_raised_in_server(server: Server, client: Client) -> None:
    await client.open("fail")
    try:
        await server.request(client.conn, "fail", PAYLOAD, seconds=PATIENCE)
    except PeerFailure as failure:
        check_failure(failure)
    else:
        raise Violation("a request that was answered with an error did not fail")
    await client.check_usable()


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "request.connection-ends",
    "A request that waits for its reply when the connection ends fails at once.",
    side="each",
    rules=["R-24"],
)
async def test_connection_ends(judged: Judged, how: str) -> None:
    connection = await judged.open()
    asking = judged.start_request("unanswered", PAYLOAD, seconds=PATIENCE)
    asked = connection.soon(TEXT)
    await judged.first(asking, asked)
    if asked.done():  # else the library refused, or cannot
        if how == "close":
            connection.send_close(1000)
        else:
            connection.abort(reset=True)
        await judged.ended()
        await judged.role.settle()
        if not asking.done():
            raise Violation("a request still waits, though its connection has ended")
    asked.cancel()
    try:
        await judged.role.session.reply("request", asking)
    except PeerFailure:
        return
    raise Violation("a request got a reply that was not sent")


@scenario(
    "request.after-end",
    "A request on a connection that has ended fails at once.",
    side="each",
    rules=["R-34"],
)
async def test_after_end(judged: Judged) -> None:
    connection = await judged.open()
    request_id, asking = await judged.take_request(connection, "question", 1, seconds=PATIENCE)
    connection.send_event("question", 1, {"replyTo": request_id})
    await judged.role.session.reply("request", asking)
    connection.abort(reset=True)
    await judged.ended()
    await check_fails_at_once(judged)


@scenario(
    "request.offline",
    "A request of a client that keeps what is sent while it is offline fails at once too, and is "
    "not written later.",
    side="client",
    rules=["R-34"],
)
async def test_offline(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more=keeping()))
    await check_fails_at_once(judged)
    connection = await again(judged, "by-hand")
    await judged.works(connection)
    written = [frame.payload for frame in connection.frames if b"question" in frame.payload]
    assert not written, f"the request was written on the next connection: {written[0]!r}"


async def check_fails_at_once(judged: Judged) -> None:
    """Check that a request without a connection is an error to its caller, before its timeout."""
    asking = judged.start_request("question", PAYLOAD, seconds=PATIENCE)
    try:
        async with judged.role.patience.limit():
            await asyncio.wait([asking])
    except TimeoutError:
        raise Violation(
            "a request waits, though there is no connection",
            api=judged.role.api,
            within=judged.role.patience,
        ) from None
    try:
        await judged.role.session.reply("request", asking)
    except PeerFailure:
        return
    raise Violation("a request got a reply that was not sent")


@pytest.mark.parametrize("how", ["late", "second"])
@scenario(
    "request.reply-unawaited",
    "A reply that no request waits for, as one that is late or the second, is an event as any "
    "other, and not the reply to the next request.",
    side="each",
    rules=["R-26"],
)
async def test_reply_unawaited(judged: Judged, how: str) -> None:
    connection = await judged.open(more={"all": True})
    seconds = 0.1 if how == "late" else PATIENCE
    first, asking = await judged.take_request(connection, "question", 1, seconds=seconds)
    if how == "late":
        with pytest.raises(PeerFailure, match="TimeoutError"):
            await judged.role.session.reply("request", asking)
    else:
        connection.send_event("question", "the first", {"replyTo": first})
        await judged.role.session.reply("request", asking)
    second, asking = await judged.take_request(connection, "question", 2, seconds=PATIENCE)
    connection.send_event("question", how, {"replyTo": first})
    connection.send_event("question", "in time", {"replyTo": second})
    got = (await judged.role.session.reply("request", asking))["payload"]
    assert got == "in time", f"expected the reply 'in time', got {got!r}"
    await judged.received("question", how)


KINDS: list[Any] = [payload for payloads in PAYLOADS.values() for payload in payloads]
"""Payloads of replies; null is the first."""


@scenario(
    "request.reply-whole",
    "A request returns its reply's payload, of every kind, and its headers.",
    side="each",
    rules=["R-18"],
)
async def test_reply_whole(judged: Judged) -> None:
    connection = await judged.open()
    for payload in KINDS:
        request_id, asking = await judged.take_request(
            connection, "question", payload, seconds=PATIENCE
        )
        connection.send_event("question", payload, {"replyTo": request_id, "more": {"a": [1]}})
        reply = await judged.role.session.reply("request", asking)
        name = reply["name"]
        assert name == "question", f"expected a reply named 'question', got {name!r}"
        check_event(
            f"the {judged.side} returned",
            reply,
            payload,
            {"replyTo": request_id, "more": {"a": [1]}},
        )


@scenario(
    "request.replies-swapped",
    "Two requests at the same time each get their own reply, in whatever order these arrive.",
    side="each",
    rules=["R-19"],
)
async def test_replies_swapped(judged: Judged) -> None:
    connection = await judged.open()
    first, asking_first = await judged.take_request(connection, "question", 1, seconds=PATIENCE)
    second, asking_second = await judged.take_request(connection, "question", 2, seconds=PATIENCE)
    connection.send_event("question", "second", {"replyTo": second})
    connection.send_event("question", "first", {"replyTo": first})
    for asking, expected in ((asking_first, "first"), (asking_second, "second")):
        got = (await judged.role.session.reply("request", asking))["payload"]
        assert got == expected, f"expected the reply {expected!r}, got {got!r}"


@scenario(
    "request.reply-of-another",
    "A reply counts only if the connection sends it that was asked.",
    side="server",
    rules=["R-31"],
)
async def test_reply_of_another(judged: JudgedServer) -> None:
    other = await judged.open()
    connection = await judged.open()
    request_id, asking = await judged.take_request(
        connection, "question", PAYLOAD, seconds=PATIENCE
    )
    other.send_event("question", "forged", {"replyTo": request_id})
    await judged.works(other)
    connection.send_event("question", "asked for", {"replyTo": request_id})
    got = (await judged.role.session.reply("request", asking))["payload"]
    assert got == "asked for", f"expected the reply of the connection that was asked, got {got!r}"


@scenario(
    "request.error-kinds",
    "A reply is an error whatever its replyError holds, an empty text too, unless it is null or "
    "false.",
    side="each",
    rules=["R-23"],
)
async def test_error_kinds(judged: Judged) -> None:
    connection = await judged.open()
    errors: list[Any] = ["", "no", 0, {}, [], True, None, False]
    for error in errors:
        request_id, asking = await judged.take_request(
            connection, "question", PAYLOAD, seconds=PATIENCE
        )
        connection.send_event("question", 1, {"replyTo": request_id, "replyError": error})
        kind = None
        try:
            await judged.role.session.reply("request", asking)
        except PeerFailure as failure:
            kind = failure.kind
        expected = None if error is None or error is False else "RemoteError"
        assert kind == expected, f"for the replyError {error!r}: expected {expected}, got {kind}"


@scenario(
    "request.by-hand-to-client",
    "A client's handler answers a request with one header, and every kind of payload.",
    side="client",
    rules=["R-29"],
)
async def test_by_hand_to_client(judged: JudgedClient) -> None:
    connection = await judged.open(events=["answer"])
    for number, payload in enumerate(KINDS[1:]):  # null is `headers.from-handler.null`
        connection.send_event("answer", payload, {"requestId": f"by hand-{number}", "more": 1})
        reply = await connection.next_event("answer")
        check_event("the client sent", reply, payload, {"replyTo": f"by hand-{number}"})


@scenario(
    "request.from-handler",
    "A handler can wait for the reply to a request that it sends to the same client.",
    side="server",
    rules=["R-25"],
)
async def test_from_handler(judged: JudgedServer) -> None:
    connection = await judged.open()
    request_id = await asked_back(judged, connection)
    connection.send_event("question", "its reply", {"replyTo": request_id})
    reply = await connection.next_event("asked")
    check_event("the server sent", reply, "its reply", {"of": "the first"})


@scenario(
    "request.from-client-handler",
    "A client's handler can wait for the reply to a request that it sends.",
    side="client",
    rules=["R-33"],
)
async def test_from_client_handler(judged: JudgedClient) -> None:
    connection = await judged.open(events=["ask-back"])
    request_id = await asked_back(judged, connection)
    connection.send_event("question", "its reply", {"replyTo": request_id})
    reply = await connection.next_event("asked")
    check_event("the client sent", reply, "its reply", {"of": "the first"})


@scenario(
    "request.reply-behind-many",
    "A handler gets the reply that it waits for from behind hundreds of events, which are handled "
    "after it, in their order.",
    side="server",
    rules=["R-30"],
)
async def test_reply_behind_many(judged: JudgedServer) -> None:
    connection = await judged.open()
    for _ in range(3):  # together more than the 256 KiB that this library reads ahead
        request_id = await asked_back(judged, connection)
        sent = [[number, "x" * 500] for number in range(HUNDREDS)]
        events = [connection.frame(TEXT, judged.event(payload)) for payload in sent]
        reply = event_text(eventName="question", payload=1, headers={"replyTo": request_id})
        connection.write(*events, connection.frame(TEXT, reply))
        got = [await connection.next_message() for _ in range(1 + HUNDREDS)]
        names = [each["eventName"] for each in got]
        assert names[0] == "asked", f"expected 'asked' before the events, got {names[:3]}"
        payloads = [each["payload"] for each in got[1:]]
        assert payloads == sent, "the events came in another order"


async def asked_back(judged: Judged, connection: RawConnection) -> str:
    """Let a handler send a request and wait for its reply; return the request's id."""
    op = "ask-back" if judged.side == "server" else "request"
    judged.role.session.features |= asked_of(op, {})
    question = {"event": "question", "payload": PAYLOAD, "timeout": PATIENCE}
    connection.send_event("ask-back", question, {"of": "the first"})
    got = await connection.next_message()
    judged.role.check_supported(op, got["eventName"], got["payload"])
    asked = got["eventName"], got["payload"]
    assert asked == ("question", PAYLOAD), f"expected the request 'question', got {got}"
    return request_id_of(got, connection.other)


@scenario(
    "request.no-error",
    "A failed handler sends no error where the event was not a request.",
    escapes=True,
    rules=["R-26"],
)
async def test_no_error(server: Server, client: Client) -> None:
    await client.open("boom", "fail")
    for headers in ({}, {"replyTo": "by hand-1"}):
        await client.send("boom", PAYLOAD, headers)
        await server.event("boom")
    await client.check_usable()
    replies = client.count("event", name="boom")
    assert replies == 0, f"expected no event from failed handlers, got {replies}"


def check_error(event: Mapping[str, Any], request_id: str) -> None:
    """Check that a reply is an error as docs/wire.md describes it."""
    headers, payload = event["headers"], event["payload"]
    replies_to, error = headers.get("replyTo"), headers.get("replyError")
    assert replies_to == request_id, f"expected replyTo to be {request_id!r}, got {replies_to!r}"
    assert isinstance(error, str), f"expected replyError to be a string, got {error!r}"
    assert payload == {}, f"expected an empty object as the error's payload, got {payload!r}"
    assert "requestId" not in headers, "the error has a requestId"
    assert "boom" not in error, f"the error reveals to the peer what the handler raised: {error!r}"


def check_failure(failure: PeerFailure) -> None:
    """Check that a request failed because its reply is an error."""
    assert failure.kind == "RemoteError", f"expected a RemoteError, got: {failure.what}"
    assert failure.message, "expected a text in the error, got none"
