"""The old names for events, books and callers."""

from __future__ import annotations

from typing import Any

import pytest

import zaptools
from zaptools.connection import WebSocketConnection
from zaptools.core import EventCaller, EventContext, EventData, EventRegister
from zaptools.core.events import Event, EventBook, EventCallback, RequestInfo
from zaptools.exceptions import RegistrationError


def context(name: str) -> EventContext:
    connection: Any = WebSocketConnection("id", None)  # type: ignore[arg-type]  # not used
    return EventContext(EventData(name, 1, {}), connection)


def test_they_are_the_ones() -> None:
    assert EventRegister is zaptools.EventRegister
    assert EventContext is zaptools.EventContext
    assert EventData is zaptools.EventData
    assert EventCallback is zaptools.Handler


def test_request_info() -> None:
    info = RequestInfo("h", 1, "/")
    assert (info.host, info.port, info.base_url) == ("h", 1, "/")


def test_books() -> None:
    book = EventBook()
    register = EventRegister(book)
    function = register.on_event("a")(lambda ctx: None)
    book.save_event(Event("connected", print))
    assert set(book.event_records) == {"a", "connected"}
    event = book.get_event("a")
    assert event is not None and (event.name, event.callback) == ("a", function)
    assert book.get_event("b") is None
    with pytest.raises(RegistrationError):
        book.save_event(Event("b", None))  # type: ignore[arg-type]  # that is the point


def test_no_two_share_handlers() -> None:
    EventRegister().on_event("a", print)
    EventBook().save_event(Event("b", print))
    assert not EventBook().event_records
    assert not EventRegister().book.events


async def test_callers() -> None:
    log: list[Any] = []
    register = EventRegister()

    @register.on_event("later")
    async def later(ctx: EventContext) -> None:
        log.append(ctx.payload)

    register.on_event("error", lambda ctx: log.append(ctx.event_name))
    register.on_event("boom", lambda ctx: 1 / 0)
    for caller in (EventCaller(register), EventCaller(register.book)):
        for name in ("later", "error", "unknown"):
            await caller.trigger_event(context(name))
        with pytest.raises(ZeroDivisionError):
            await caller.trigger_event(context("boom"))
    assert log == [1, "error"] * 2
