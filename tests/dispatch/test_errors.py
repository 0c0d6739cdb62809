"""Where errors go; that they get there is in tests/test_dispatcher.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import within
from tests.support.app import App
from tests.support.fakes import Wired, event
from tests.support.raw import raw_client
from zaptools import (
    CallNext,
    CloseInfo,
    CodecError,
    ConnectionClosedError,
    EventContext,
    EventData,
    EventRegister,
    NoRequestError,
    PayloadError,
    RemoteError,
    ReservedEventError,
    SendTimeoutError,
)
from zaptools.dispatch.errors import Reports
from zaptools.handlers.book import HandlerBook
from zaptools.handlers.quota import PER_MINUTE

EVENT = EventData("a", "secret")


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages in the log at WARNING and above, without the connection's id."""
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage().partition(": ")[2] for record in found]


@pytest.mark.parametrize(
    ("error", "source", "level", "words"),
    [
        (ValueError("no"), EVENT, logging.ERROR, "the handler of 'a' failed"),
        (CodecError("number", text="x"), EVENT, logging.ERROR, "the handler of 'a' failed"),
        (PayloadError("a", "$.b", "no"), EVENT, logging.WARNING, "the payload of 'a': no at $.b"),
        (CodecError("x", text="secret"), None, logging.WARNING, "message is no event: x at $"),
        (CodecError("x", where=7), None, logging.WARNING, "message is no event: x at byte 7"),
        (
            ReservedEventError("error"),
            None,
            logging.WARNING,
            "the peer sent an event with the reserved name 'error'",
        ),
    ],
)
async def test_the_log(
    error: Exception,
    source: EventData | None,
    level: int,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wired = Wired(EventRegister())
    with caplog.at_level(logging.INFO, "zaptools"):
        await Reports(wired.connection, EventRegister().book).tell(error, source)
    (record,) = caplog.records
    assert record.levelno == level
    assert record.getMessage() == f"{wired.connection.id}: {words}"
    assert (record.exc_info is not None) == (level == logging.ERROR)


async def test_the_error_handler(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()
    seen: list[EventContext] = []
    register.on_error(seen.append)
    wired = Wired(register)
    error = ValueError("no")
    reports = Reports(wired.connection, register.book)
    await reports.tell(error, EVENT)
    (ctx,) = seen
    assert (ctx.error, ctx.source, ctx.connection) == (error, EVENT, wired.connection)
    assert ctx.payload == "An error occurred in the event 'a': ValueError: no"
    reports.end()
    assert caplog.records == []


async def test_an_error_handler_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()

    def fail(ctx: EventContext) -> None:
        raise KeyError("in the error handler")

    def boom(ctx: EventContext) -> None:
        raise ValueError("in the handler")

    register.on_error(fail)
    register.on_event("a", boom)
    await Wired(register).run(event("a"), "{")
    first, second = caplog.records
    assert first.levelno == second.levelno == logging.ERROR
    assert first.getMessage().endswith(": the error handler failed")
    assert "in the error handler" in caplog.text and "in the handler" in caplog.text
    assert "not-json" in caplog.text


async def test_ten_thousand_bad_messages_of_one_peer(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()

    @register.on_event("a")
    def handler(ctx: EventContext, payload: int) -> None:
        raise AssertionError("no payload fits")

    wired = Wired(register)
    for _ in range(3334):
        await wired.run("{", event("a", "x"), event("connected"))
    await wired.end()
    fit = "the payload of 'a': Expected `int`, got `str` at $"
    assert lines(caplog) == [
        "message is no event: not-json at byte 1",
        "10 messages of the peer could not be handled by now, the last: message is no event: "
        "not-json at byte 1",
        "100 messages of the peer could not be handled by now, the last: message is no event: "
        "not-json at byte 1",
        "1000 messages of the peer could not be handled by now, the last: message is no event: "
        "not-json at byte 1",
        "10000 messages of the peer could not be handled by now, the last: message is no event: "
        "not-json at byte 1",
        "10002 messages of the peer could not be handled",
    ]
    caplog.clear()
    await Wired(register).run(event("a", "x"))  # another peer's first is told too
    assert lines(caplog) == [fit]


async def test_one_bad_message_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    wired = Wired(EventRegister())
    await wired.run("{")
    await wired.end()
    assert lines(caplog) == ["message is no event: not-json at byte 1"]


async def test_connecting_again_buys_no_more_lines(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    register = EventRegister(HandlerBook(clock=lambda: now))
    for _ in range(3 * PER_MINUTE):
        wired = Wired(register)
        await wired.run("{", "{")
        await wired.end()
    assert len(lines(caplog)) == PER_MINUTE
    caplog.clear()
    now = 60.0
    await Wired(register).run("{")
    left_out, first = (record.getMessage() for record in caplog.records)
    assert left_out.endswith(" lines about messages of peers were left out")
    assert first.endswith(": message is no event: not-json at byte 1")


PEERS_DOINGS: list[tuple[Exception, str | None]] = [
    (ConnectionClosedError(1001, "gone", "remote"), None),  # this connection's end
    (
        ConnectionClosedError(1006),
        "the handler of 'a': ConnectionClosedError: connection lost, code 1006",
    ),
    (SendTimeoutError(1), "the handler of 'a': SendTimeoutError: "),
    (NoRequestError("a"), "the handler of 'a': NoRequestError: the event 'a' is not a request"),
    (RemoteError("no"), "the handler of 'a': RemoteError: no"),
]


@pytest.mark.parametrize(("error", "words"), PEERS_DOINGS)
async def test_what_peers_make_a_handler_raise_is_bounded_as_their_faults_are(
    error: Exception, words: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    register = EventRegister()

    @register.on_event("a")
    def handler(ctx: EventContext) -> None:
        ctx.connection.closed = CloseInfo(1001, "gone", "remote")
        raise error

    wired = Wired(register)
    await wired.run(*[event("a")] * 99)
    found = lines(caplog)
    if words is None:
        assert found == []
    else:
        assert len(found) == 2 and found[0].startswith(words)
        assert found[1].startswith("10 messages of the peer could not be handled by now, the last:")
    assert "Traceback" not in caplog.text


async def test_a_handler_that_waits_when_the_peer_closes_fails_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its connection is open until that handler is done, so that what it answers is sent."""
    app = App()
    failed = asyncio.Event()

    @app.on_event("a")
    async def handler(ctx: EventContext) -> None:
        try:
            await ctx.connection.wait_for("b")
        finally:
            failed.set()

    del app.book.lifecycle["error"]
    async with app, raw_client(app.port) as peer:
        peer.event("a")
        peer.protocol.send_close(3000, "bye")
        peer.flush()
        await within(failed.wait())
        assert (await peer.closed()).code == 3000
    assert lines(caplog) == []


async def test_a_peer_does_not_say_how_often_a_failure_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    register = EventRegister(HandlerBook(clock=lambda: now))
    register.on_any_event(fail)
    register.on_event("a", fail)
    register.on_event("b", fail)
    wired = Wired(register)
    await wired.run(*(event(f"name {number}") for number in range(2 * PER_MINUTE)))
    assert len(lines(caplog)) == PER_MINUTE
    caplog.clear()
    await wired.run(*[event("a")] * PER_MINUTE)  # each event is handled twice
    assert lines(caplog) == ["the handler of 'a' failed"] * PER_MINUTE
    caplog.clear()
    await wired.run(event("b"))  # no handler's failures hide those of another
    assert lines(caplog)[0] == "the handler of 'b' failed"
    caplog.clear()
    now = 60.0
    await wired.run(event("a"))
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0] == f"{PER_MINUTE} lines about failures of 'a' were left out"


async def test_a_failing_error_handler_is_bounded_too(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()
    register.on_event("a", fail)
    register.on_error(fail)
    await Wired(register).run(*[event("a")] * (PER_MINUTE + 1))
    assert lines(caplog) == ["the error handler failed"] * PER_MINUTE


class Wordless(Exception):
    def __str__(self) -> str:
        raise KeyError


@pytest.mark.parametrize("with_error_handler", [False, True])
async def test_an_exception_without_a_text(with_error_handler: bool) -> None:
    register = EventRegister(error_details=True)
    seen: list[EventContext] = []
    if with_error_handler:
        register.on_error(seen.append)

    @register.on_event("a")
    def handler(ctx: EventContext) -> None:
        raise Wordless

    wired = Wired(register)
    await wired.run(event("a", headers=ID), event("a", headers=ID))
    text = "Wordless (its text cannot be made: KeyError)"
    assert [each["headers"]["replyError"] for each in wired.transport.sent] == [text, text]
    assert all(ctx.payload.endswith(text) for ctx in seen)


async def test_what_a_peer_wrote_is_escaped(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()

    @register.on_event("a\x1b[31m\n" * 1000)
    def handler(ctx: EventContext, payload: int) -> None:
        raise AssertionError("no payload fits")

    messages = (
        event("a\x1b[31m\n" * 1000, "x"),
        '{"eventName": "a", "payload": {"\\u001b[31m\\n": 1, "\\u001b[31m\\n": 1}}',
    )
    for message in messages:
        await Wired(register).run(message)
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert record.getMessage().isprintable() and len(record.getMessage()) < 1000


# Error replies

ID = {"requestId": "7"}
FAILED = {"replyTo": "7", "replyError": "the handler failed"}


def fail(ctx: EventContext) -> None:
    raise ValueError("the inside")


async def refuse(ctx: EventContext) -> None:
    raise RemoteError("out of stock")


async def forward(ctx: EventContext) -> None:
    raise RemoteError("of another peer", reply=EventData("b", None, {"replyTo": "1"}))


async def cancelled(ctx: EventContext) -> None:
    raise asyncio.CancelledError


async def typed(ctx: EventContext, number: int) -> None:
    raise AssertionError("the payload does not fit")


async def reply_first(ctx: EventContext) -> None:
    await ctx.reply(1)
    raise ValueError


async def reply_by_hand_first(ctx: EventContext) -> None:
    await ctx.connection.send("a", 1, {"replyTo": "7"})
    raise RemoteError("too late")


async def reply_what_cannot_be_written(ctx: EventContext) -> None:
    await ctx.reply(float("nan"))


async def close_first(ctx: EventContext) -> None:
    await ctx.connection.close()
    raise ValueError


async def no_text(ctx: EventContext) -> None:
    raise RemoteError("a lone \ud800")


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize(
    ("handler", "text", "levels"),
    [
        (fail, "the handler failed", ["ERROR"]),
        (typed, "the payload does not fit", ["WARNING"]),
        (refuse, "out of stock", []),
        (forward, "the handler failed", ["ERROR"]),
        (cancelled, "the handler failed", ["ERROR"]),
        (reply_what_cannot_be_written, "the handler failed", ["ERROR"]),
        (no_text, "a lone \\ud800", []),
    ],
)
async def test_a_failure_is_the_reply_to_a_request(
    handler: Callable[..., Any],
    text: str,
    levels: list[str],
    concurrency: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    register = EventRegister(concurrency=concurrency)
    register.on_event("a", handler)
    wired = Wired(register)
    await wired.run(event("a", "x", headers=ID))
    headers = {"replyTo": "7", "replyError": text}
    assert wired.transport.sent == [{"eventName": "a", "payload": {}, "headers": headers}]
    assert [record.levelname for record in caplog.records] == levels


@pytest.mark.parametrize("handler", [reply_first, reply_by_hand_first])
async def test_what_has_been_replied_to_is_not_replied_to_again(
    handler: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    register = EventRegister()
    register.on_event("a", handler)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert [sent["payload"] for sent in wired.transport.sent] == [1]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("headers", [{}, {"replyTo": "7"}, {"requestId": 7}, {"requestId": None}])
async def test_nothing_is_sent_where_nothing_was_asked(headers: dict[str, Any]) -> None:
    register = EventRegister()
    handlers: dict[str, Callable[..., Any]] = {"a": fail, "b": refuse, "c": typed}
    for name, handler in handlers.items():
        register.on_event(name, handler)
    wired = Wired(register)
    await wired.run(*(event(name, "x", headers=headers) for name in "abc"), "{")
    await wired.end()
    assert wired.transport.sent == []


async def test_a_refusal_that_nothing_asked_for_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    register = EventRegister()
    register.on_event("a", refuse)
    await Wired(register).run(event("a"))
    assert "RemoteError: out of stock" in caplog.text


async def test_a_reserved_name(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()
    wired = Wired(register)
    await wired.run(event("connected", headers=ID))
    (sent,) = wired.transport.sent
    assert sent["eventName"] == "connected"
    assert sent["headers"] == {"replyTo": "7", "replyError": "the event's name is reserved"}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_middleware() -> None:
    register = EventRegister()

    @register.middleware
    async def guard(ctx: EventContext, call_next: CallNext) -> None:
        raise RemoteError("not you")

    register.on_event("a", fail)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert [sent["headers"]["replyError"] for sent in wired.transport.sent] == ["not you"]


async def test_the_error_handler_replies_first() -> None:
    register = EventRegister()
    register.on_event("a", fail)
    wired = Wired(register)
    register.on_error(lambda ctx: ctx.reply("sorry"))
    await wired.run(event("a", headers=ID))
    register.on_error(refuse, replace=True)
    await wired.run(event("a", headers=ID))
    register.on_error(lambda ctx: None, replace=True)
    await wired.run(event("a", headers=ID))
    assert [(each["payload"], each["headers"]) for each in wired.transport.sent] == [
        ("sorry", {"replyTo": "7"}),
        ({}, {"replyTo": "7", "replyError": "out of stock"}),
        ({}, FAILED),
    ]


async def test_an_error_handler_does_not_get_a_refusal() -> None:
    register = EventRegister()
    seen: list[EventContext] = []
    register.on_error(seen.append)
    register.on_event("a", refuse)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert seen == [] and len(wired.transport.sent) == 1


async def test_a_failing_error_handler(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()
    register.on_event("a", fail)
    register.on_error(fail)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert [each["headers"] for each in wired.transport.sent] == [FAILED]
    assert "the error handler failed" in caplog.text


async def test_one_error_for_two_handlers() -> None:
    register = EventRegister()
    register.on_event("a", fail)
    register.on_any_event(fail)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert [each["headers"] for each in wired.transport.sent] == [FAILED]


async def test_a_connection_that_has_ended() -> None:
    register = EventRegister()
    register.on_event("a", close_first)
    wired = Wired(register)
    await wired.run(event("a", headers=ID))
    assert wired.transport.sent == []
    with pytest.raises(ConnectionClosedError):
        await wired.connection.send("a")


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (fail, "ValueError: the inside"),
        (typed, "PayloadError: the payload of 'a': Expected `int`, got `str` at $"),
        (refuse, "out of stock"),
    ],
)
async def test_details_on_request(handler: Callable[..., Any], text: str) -> None:
    register = EventRegister(error_details=True)
    assert EventRegister(register.book).book.error_details  # as the book has it
    register.on_event("a", handler)
    wired = Wired(register)
    await wired.run(event("a", "x", headers=ID))
    assert [each["headers"]["replyError"] for each in wired.transport.sent] == [text]


async def test_nothing_is_kept_of_a_request() -> None:
    register = EventRegister()
    register.on_event("a", fail)
    register.on_event("b", lambda ctx: None)
    wired = Wired(register)
    for name in "ab":
        await wired.run(event(name, headers=ID))
    assert not wired.connection.open_requests
