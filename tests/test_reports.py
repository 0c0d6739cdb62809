"""Where errors go; that they get there is in tests/test_dispatcher.py."""

from __future__ import annotations

import logging

import pytest

from tests.support.fakes import Wired
from zaptools import CodecError, EventContext, EventData, EventRegister, PayloadError
from zaptools._reports import tell_error

EVENT = EventData("a", "secret")


@pytest.mark.parametrize(
    ("error", "source", "level", "words"),
    [
        (ValueError("no"), EVENT, logging.ERROR, "the handler of 'a' failed"),
        (PayloadError("a", "$.b", "no"), EVENT, logging.WARNING, "the payload of 'a': no at $.b"),
        (CodecError("x", text="secret"), None, logging.WARNING, "message is no event: x at $"),
        (KeyError("no"), None, logging.WARNING, "'no'"),
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
        await tell_error(wired.connection, EventRegister()._book, error, source)
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
    await tell_error(wired.connection, register._book, error, EVENT)
    (ctx,) = seen
    assert (ctx.error, ctx.source, ctx.connection) == (error, EVENT, wired.connection)
    assert ctx.payload == "An error occurred in the event 'a': ValueError: no"
    register.on_error(lambda ctx: 1 / 0)
    await tell_error(wired.connection, register._book, error, None)
    assert [record.getMessage() for record in caplog.records] == ["the error handler failed"]
