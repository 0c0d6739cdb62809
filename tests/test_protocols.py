"""What adapters, event books and id sources are: structurally, as in zaptools 0.5."""

from __future__ import annotations

from zaptools import core, protocols
from zaptools.adapters import FastApiAdapter, SanicAdapter
from zaptools.core.events import Event, EventBook


def test_what_there_is_fits() -> None:
    adapters: list[protocols.ConnectionAdapter] = [FastApiAdapter(1), SanicAdapter(2)]
    assert [adapter.websocket for adapter in adapters] == [1, 2]
    event: protocols.Event = Event("greet", print)
    book: protocols.EventBook = EventBook()
    book.save_event(event)
    assert book.get_event("greet").name == "greet" and list(book.event_records) == ["greet"]
    ids: protocols.IDController = core.IDController()
    assert ids.eval("mine") == "mine"
