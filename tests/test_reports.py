"""Where errors go; that they get there is in tests/test_dispatcher.py."""

from __future__ import annotations

import logging

import pytest

from tests.support.fakes import Wired, event
from zaptools import (
    CodecError,
    EventContext,
    EventData,
    EventRegister,
    PayloadError,
    ReservedEventError,
)
from zaptools._reports import PER_MINUTE, Reports

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
        await Reports(wired.connection, EventRegister()._book).tell(error, source)
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
    reports = Reports(wired.connection, register._book)
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
    register = EventRegister()
    for _ in range(3 * PER_MINUTE):
        wired = Wired(register)
        await wired.run("{", "{")
        await wired.end()
    assert len(lines(caplog)) <= 2 * PER_MINUTE  # where a minute begins in between
    caplog.clear()
    register._book.fault_minute -= 1  # a minute later
    await Wired(register).run("{")
    left_out, first = (record.getMessage() for record in caplog.records)
    assert left_out.endswith(" lines about messages of peers were left out")
    assert first.endswith(": message is no event: not-json at byte 1")


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
