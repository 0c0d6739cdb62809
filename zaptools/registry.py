"""Which handler belongs to which event."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar, overload

from ._signatures import adapt, check_lifecycle, source
from .connection import EventContext
from .exceptions import NameTakenError, RegistrationError
from .protocol import LIFECYCLE_EVENTS

__all__ = ["EventRegister", "Handler", "HandlerBook"]

Handler: TypeAlias = Callable[[EventContext], Awaitable[Any] | Any]
"""A function of an `EventContext`, sync or async. What it returns is not used."""

H = TypeVar("H", bound=Callable[[EventContext, Any], Any] | Callable[[Any], Any])
"""A handler of events: of the context, of the context and the payload, or of the payload."""

L = TypeVar("L", bound=Handler)
"""A handler of the connection's life."""


class _Given(enum.Enum):
    NOTHING = 0


_NOTHING: Final = _Given.NOTHING
"""In place of a handler in a decorator's call: None there is somebody's mistake."""

_Nothing: TypeAlias = Literal[_Given.NOTHING]


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

    def record(self, name: str, handler: Callable[..., Any]) -> None:
        """Make `handler` that of `name`, in place of an earlier one.

        Raises:
            RegistrationError: `name` is no string, or `handler` cannot be called.
        """
        check_name(name)
        if name in LIFECYCLE_EVENTS:
            check_lifecycle(handler)
            self.lifecycle[name] = handler
        else:
            self.events[name] = adapt(handler)

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
                if source(here.get(name, handler)) != source(handler):
                    raise NameTakenError(what, name)
        any_event = other.any_event or self.any_event
        if None not in (self.any_event, any_event) and source(self.any_event) != source(any_event):
            raise NameTakenError("handler", "any event")
        self.events.update(events)
        self.lifecycle.update(other.lifecycle)
        self.any_event = any_event


def check_name(name: object) -> None:
    """Raise `RegistrationError` unless `name` is a string."""
    if not isinstance(name, str):
        raise RegistrationError("event name", name)


class EventRegister:
    """Handlers for the events of a server's connections.

    Each method is a decorator, which returns the function, and a call that takes it::

        register = EventRegister()

        @register.on_event("greet")
        async def greet(ctx: EventContext) -> None:
            await ctx.connection.send("welcome", ctx.payload)

        register.on_event("greet", greet)  # the same

    A handler takes an `EventContext` and may be a plain function, run in place, or a coroutine
    function, awaited. A second parameter is for the payload, and one with a type annotation gets
    it as that type: a msgspec Struct, a dataclass, a TypedDict, a NamedTuple, a pydantic model or
    what else msgspec decodes. A handler of events whose only parameter is annotated so takes the
    payload alone. A payload that does not fit is reported as `PayloadError` in place of the
    handler's call. The second handler for a name replaces the first, as in the Dart and the
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
    def on_event(self, name: str, callback: H | _Nothing = _NOTHING) -> H | Callable[[H], H]:
        """Register the handler of the event `name`.

        The names ``connected``, ``disconnected`` and ``error`` register what `on_connected`,
        `on_disconnected` and `on_error` do.

        Raises:
            RegistrationError: `name` is no string, or the handler cannot be called as above; for
                a lifecycle name, with the context alone.
        """
        check_name(name)
        if callback is _NOTHING:
            return lambda function: self.on_event(name, function)
        self._book.record(name, callback)
        return callback

    @overload
    def on_connected(self) -> Callable[[L], L]: ...
    @overload
    def on_connected(self, callback: L) -> L: ...
    def on_connected(self, callback: L | _Nothing = _NOTHING) -> L | Callable[[L], L]:
        """Register what runs once when a connection is there, before its first event."""
        return self._life("connected", callback)

    @overload
    def on_disconnected(self) -> Callable[[L], L]: ...
    @overload
    def on_disconnected(self, callback: L) -> L: ...
    def on_disconnected(self, callback: L | _Nothing = _NOTHING) -> L | Callable[[L], L]:
        """Register what runs once when a connection has ended, whatever ended it.

        `WebSocketConnection.closed` says how it ended.
        """
        return self._life("disconnected", callback)

    @overload
    def on_error(self) -> Callable[[L], L]: ...
    @overload
    def on_error(self, callback: L) -> L: ...
    def on_error(self, callback: L | _Nothing = _NOTHING) -> L | Callable[[L], L]:
        """Register what runs when a handler raised or a message was no event.

        `EventContext.error` holds the exception, `EventContext.source` the event whose handler
        raised (None when the message was no event). Without this handler errors are logged.
        """
        return self._life("error", callback)

    @overload
    def on_any_event(self) -> Callable[[H], H]: ...
    @overload
    def on_any_event(self, callback: H) -> H: ...
    def on_any_event(self, callback: H | _Nothing = _NOTHING) -> H | Callable[[H], H]:
        """Register what runs for every event, after the handler of its name."""
        if callback is _NOTHING:
            return lambda function: self.on_any_event(function)
        self._book.any_event = adapt(callback)
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

    def _life(self, name: str, callback: L | _Nothing) -> L | Callable[[L], L]:
        if callback is _NOTHING:
            return lambda function: self._life_handler(name, function)
        return self._life_handler(name, callback)

    def _life_handler(self, name: str, callback: L) -> L:
        self._book.record(name, callback)
        return callback
