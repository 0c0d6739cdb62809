"""The address of zaptools 0.5 for events, their register and the caller of handlers."""

from __future__ import annotations

from .._tasks import call
from ..connection.context import EventContext
from ..handlers.book import Handler, HandlerBook
from ..handlers.register import EventRegister
from ..protocol.codec import EventData

__all__ = [
    "Event",
    "EventBook",
    "EventCallback",
    "EventCaller",
    "EventContext",
    "EventData",
    "EventRegister",
    "RequestInfo",
]

EventCallback = Handler


class RequestInfo:
    """A server's address. Nothing in zaptools 0.5 used it; see `zaptools.Handshake`."""

    def __init__(self, host: str, port: int, base_url: str) -> None:
        self.host = host
        self.port = port
        self.base_url = base_url


class Event:
    """A handler and the name of its event."""

    def __init__(self, name: str, callback: Handler) -> None:
        self.name = name
        self.callback = callback


class EventBook(HandlerBook):
    """The handlers of a register: ``EventRegister(EventBook())``. No two books share handlers."""

    __slots__ = ()

    @property
    def event_records(self) -> dict[str, Event]:
        """A copy of the recorded handlers, by event name."""
        return {name: Event(name, call) for name, call in {**self.lifecycle, **self.events}.items()}

    def save_event(self, event: Event) -> None:
        """Record a handler.

        Raises:
            RegistrationError: the name is no string, or the handler cannot be called.
        """
        self.record(event.name, event.callback)

    def get_event(self, name: str) -> Event | None:
        """Return the event recorded for `name`, or None."""
        return self.event_records.get(name)


class EventCaller:
    """Calls the handler of an event.

    Args:
        event_book: a book, or the register itself.
    """

    def __init__(self, event_book: HandlerBook | EventRegister) -> None:
        self.book = event_book.book if isinstance(event_book, EventRegister) else event_book

    async def trigger_event(self, ctx: EventContext) -> None:
        """Call the handler of the context's event, if there is one; raise its errors."""
        name = ctx.event_name
        handler = self.book.lifecycle.get(name) or self.book.events.get(name)
        if handler is not None:
            await call(handler, ctx)
