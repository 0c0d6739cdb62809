"""Which handler belongs to which event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from .exceptions import NameTakenError, RegistrationError
from .protocol import LIFECYCLE_EVENTS

if TYPE_CHECKING:
    from .connection import EventContext

__all__ = ["EventRegister", "Handler", "HandlerBook"]

Handler: TypeAlias = "Callable[[EventContext], Awaitable[Any] | Any]"
"""A function of an `EventContext`, sync or async. What it returns is not used."""

H = TypeVar("H", bound=Callable[..., Any])


class HandlerBook:
    """What a register has recorded: the dispatcher reads it at every event.

    Attributes:
        events: handlers by event name.
        lifecycle: handlers by lifecycle name: ``connected``, ``disconnected``, ``error``.
        any_event: the handler of every event, called after the event's own.
        ids: the ids of the connections that use these handlers now.
    """

    __slots__ = ("any_event", "events", "ids", "lifecycle")

    def __init__(self) -> None:
        self.events: dict[str, Handler] = {}
        self.lifecycle: dict[str, Handler] = {}
        self.any_event: Handler | None = None
        self.ids: set[str] = set()

    def record(self, name: str, handler: Handler) -> None:
        """Make `handler` that of `name`, in place of an earlier one.

        Raises:
            RegistrationError: `name` is no string, or `handler` cannot be called.
        """
        check_name(name)
        check_callable(handler)
        (self.lifecycle if name in LIFECYCLE_EVENTS else self.events)[name] = handler

    def include(self, other: HandlerBook, prefix: str) -> None:
        """Add the handlers of `other`; see `EventRegister.include`."""
        check_name(prefix)
        events = {prefix + name: handler for name, handler in other.events.items()}
        for name in events:
            if name in LIFECYCLE_EVENTS:
                raise NameTakenError("event name", name)
        for there, here, what in (
            (events, self.events, "event name"),
            (other.lifecycle, self.lifecycle, "handler"),
        ):
            for name, handler in there.items():
                if here.get(name, handler) != handler:
                    raise NameTakenError(what, name)
        any_event = other.any_event or self.any_event
        if self.any_event not in (None, any_event):
            raise NameTakenError("handler", "any event")
        self.events.update(events)
        self.lifecycle.update(other.lifecycle)
        self.any_event = any_event


def check_name(name: object) -> None:
    """Raise `RegistrationError` unless `name` is a string."""
    if not isinstance(name, str):
        raise RegistrationError("event name", name)


def check_callable(handler: object) -> None:
    """Raise `RegistrationError` unless `handler` can be called."""
    if not callable(handler):
        raise RegistrationError("handler", handler)


class EventRegister:
    """Handlers for the events of a server's connections.

    Each method is a decorator, which returns the function, and a call that takes it::

        register = EventRegister()

        @register.on_event("greet")
        async def greet(ctx: EventContext) -> None:
            await ctx.connection.send("welcome", ctx.payload)

        register.on_event("greet", greet)  # the same

    A handler takes an `EventContext` and may be a plain function, run in place, or a coroutine
    function, awaited. The second handler for a name replaces the first, as in the Dart and the
    earlier Python packages. No two registers share handlers.

    Args:
        event_book: where to record them. Default None: a book of its own.
    """

    def __init__(self, event_book: HandlerBook | None = None) -> None:
        self._book = event_book if event_book is not None else HandlerBook()

    @overload
    def on_event(self, name: str) -> Callable[[H], H]: ...
    @overload
    def on_event(self, name: str, callback: H) -> H: ...
    def on_event(self, name: str, callback: H | None = None) -> H | Callable[[H], H]:
        """Register the handler of the event `name`.

        The names ``connected``, ``disconnected`` and ``error`` register what `on_connected`,
        `on_disconnected` and `on_error` do.

        Raises:
            RegistrationError: `name` is no string, or the handler cannot be called.
        """
        check_name(name)
        if callback is None:
            return lambda function: self.on_event(name, function)
        self._book.record(name, callback)
        return callback

    @overload
    def on_connected(self) -> Callable[[H], H]: ...
    @overload
    def on_connected(self, callback: H) -> H: ...
    def on_connected(self, callback: H | None = None) -> H | Callable[[H], H]:
        """Register what runs once when a connection is there, before its first event."""
        return self.on_event("connected") if callback is None else self._set("connected", callback)

    @overload
    def on_disconnected(self) -> Callable[[H], H]: ...
    @overload
    def on_disconnected(self, callback: H) -> H: ...
    def on_disconnected(self, callback: H | None = None) -> H | Callable[[H], H]:
        """Register what runs once when a connection has ended, whatever ended it.

        `WebSocketConnection.closed` says how it ended.
        """
        if callback is None:
            return self.on_event("disconnected")
        return self._set("disconnected", callback)

    @overload
    def on_error(self) -> Callable[[H], H]: ...
    @overload
    def on_error(self, callback: H) -> H: ...
    def on_error(self, callback: H | None = None) -> H | Callable[[H], H]:
        """Register what runs when a handler raised or a message was no event.

        `EventContext.error` holds the exception, `EventContext.source` the event whose handler
        raised (None when the message was no event). Without this handler errors are logged.
        """
        return self.on_event("error") if callback is None else self._set("error", callback)

    @overload
    def on_any_event(self) -> Callable[[H], H]: ...
    @overload
    def on_any_event(self, callback: H) -> H: ...
    def on_any_event(self, callback: H | None = None) -> H | Callable[[H], H]:
        """Register what runs for every event, after the handler of its name."""
        if callback is None:
            return lambda function: self.on_any_event(function)
        check_callable(callback)
        self._book.any_event = callback
        return callback

    def include(self, other: EventRegister, *, prefix: str = "") -> None:
        """Add the handlers that another register has now.

        So an application is put together from parts::

            chat = EventRegister()
            chat.on_event("say", say)

            server.include(chat, prefix="chat.")  # handles "chat.say"

        Handlers that `other` gets later are not added. All of them are, or none: where this
        register has another handler in a place that `other` fills too, nothing is replaced.
        That the same function is in both is no conflict.

        Args:
            other: where the handlers are.
            prefix: comes before each event's name; an `EventContext` has the name as it was sent,
                the prefix included. The handlers of ``connected``, ``disconnected``, ``error``
                and of any event have no name of their own: they come along as they are, for every
                connection and every event of this register. Default empty.

        Raises:
            NameTakenError: this register has a handler in the place of one of `other`, or a name
                with its prefix is a lifecycle name.
            RegistrationError: `prefix` is no string.
        """
        self._book.include(other._book, prefix)

    def _set(self, name: str, callback: H) -> H:
        self._book.record(name, callback)
        return callback
