"""Request and reply: events with two headers, which any implementation can answer by hand."""

from __future__ import annotations

from interop.errors import PeerFailure, Violation
from interop.scenario import scenario
from interop.session import Client, Server

PATIENCE = 10.0
"""Seconds for a reply that must come."""

PAYLOAD = {"text": "a question", "numbers": [1, 2.5, None]}


@scenario("request.by-hand", "A handler answers a request with nothing but a header.")
async def test_by_hand(client: Client) -> None:
    await client.open("answer")
    await client.send("answer", PAYLOAD, {"requestId": "by hand-1", "more": 1})
    reply = await client.event("answer")
    assert reply.data["payload"] == PAYLOAD
    assert reply.data["headers"].get("replyTo") == "by hand-1"
    assert "requestId" not in reply.data["headers"], "the reply is a request itself"


@scenario("request.reply", "A request returns what the server's handler answers, and nobody else.")
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


@scenario("request.no-reply", "A request that nobody answers ends, and harms nothing.")
async def test_no_reply(client: Client) -> None:
    await client.open()
    for event in ("nobody-listens", "echo"):  # which sends the headers back, and is no reply
        try:
            await client.request(event, PAYLOAD, seconds=0.1)
        except PeerFailure as failure:
            assert failure.kind == "TimeoutError", failure
        else:
            raise Violation(f"a request {event!r} had a reply that nobody sent")
    echo = await client.event("echo")
    assert echo.data["payload"] == PAYLOAD
    await client.check_usable()
