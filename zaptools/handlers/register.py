"""Which handler belongs to which event."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar, overload

from .._arguments import check_flag, check_kind, explained
from .._text import clip
from ..connection.context import EventContext
from ..exceptions import NameTakenError, RegistrationError
from ..protocol.codec import LIFECYCLE_EVENTS
from .middleware import CallNext, Middleware, check_middleware, compose
from .quota import Quota
from .replacing import in_place_of
from .signatures import adapt, check_lifecycle, source

__all__ = ["CallNext", "EventRegister", "Handler", "HandlerBook", "Middleware"]

Handler: TypeAlias = Callable[[EventContext], Awaitable[Any] | Any]
"""A function of an `EventContext`, sync or async. What it returns is not used."""

H = TypeVar("H", bound=Callable[[EventContext, Any], Any] | Callable[[Any], Any])
"""A handler of events: of the context, of the context and the payload, or of the payload."""

L = TypeVar("L", bound=Handler)
"""A handler of the connection's life."""

M = TypeVar("M", bound=Middleware)


class _Given(enum.Enum):
    NOTHING = 0


_NOTHING: Final = _Given.NOTHING
"""In place of a handler in a decorator's call: None there is somebody's mistake."""

_Nothing: TypeAlias = Literal[_Given.NOTHING]


class _Route(NamedTuple):
    """An event's handler, and the middleware around it that came along from other registers."""

    handler: Handler
    inner: tuple[Middleware, ...]

    def is_like(self, other: _Route) -> bool:
        return source(self.handler) == source(other.handler) and self.inner == other.inner


class HandlerBook:
    """What a register has recorded: the dispatcher reads it at every event.

    Attributes:
        events: handlers by event name, the middleware around them included.
        lifecycle: handlers by lifecycle name: ``connected``, ``disconnected``, ``error``.
        any_event: the handler of every event, called after the event's own; as `events`.
        concurrency: how many handlers of one connection may run at the same time.
        error_details: whether an error reply has the exception's type and text in it.
        faults: how much the log takes of what peers do wrong.
        failures: how much it takes of what each handler raises, by the event's name.
    """

    __slots__ = (
        "__weakref__",
        "_middleware",
        "_routes",
        "any_event",
        "concurrency",
        "error_details",
        "events",
        "failures",
        "faults",
        "lifecycle",
    )

    def __init__(self) -> None:
        self.events: dict[str, Handler] = {}
        self.lifecycle: dict[str, Handler] = {}
        self.any_event: Handler | None = None
        self.concurrency = 1
        self.error_details = False
        self.faults = Quota("messages of peers")
        self.failures: dict[str, Quota] = {}
        self._routes: dict[str | None, _Route] = {}  # None: any event
        self._middleware: tuple[Middleware, ...] = ()

    def failures_of(self, name: str) -> Quota:
        """Return how much the log takes of what the handler of the event `name` raises.

        Names without a handler of their own, which a peer may think of, share one.
        """
        if name not in self.events and name not in LIFECYCLE_EVENTS:
            name = ""
        quota = self.failures.get(name)
        if quota is None:
            of = f" of {clip(name)!r}" if name else ""
            quota = self.failures[name] = Quota(f"failures{of}")
        return quota

    def record(
        self,
        name: str,
        handler: Callable[..., Any],
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> None:
        """Make `handler` that of `name`, in place of an earlier one.

        A RuntimeWarning says that another one is replaced, unless `replace` says it is meant.

        Raises:
            RegistrationError: `name` is no string, or `handler` cannot be called, or in no thread.
        """
        check_name(name)
        if name not in LIFECYCLE_EVENTS:
            self._record(name, handler, run_in_thread, replace)
            return
        check_lifecycle(handler)
        if run_in_thread:
            raise RegistrationError("handler", handler, f"that of {name!r} runs in no thread")
        old = self.lifecycle.get(name)
        self.lifecycle[name] = in_place_of(old, handler, repr(name), replace=replace)

    def record_any(
        self, handler: Callable[..., Any], *, run_in_thread: bool = False, replace: bool = False
    ) -> None:
        """Make `handler` that of any event, in place of an earlier one; see `record`.

        Raises:
            RegistrationError: `handler` cannot be called, or in no thread.
        """
        self._record(None, handler, run_in_thread, replace)

    def _record(
        self, name: str | None, handler: Callable[..., Any], run_in_thread: bool, replace: bool
    ) -> None:
        call = adapt(handler, run_in_thread=run_in_thread)
        route = self._routes.get(name)
        what = "any event" if name is None else f"the event {name!r}"
        old = None if route is None else route.handler
        self._set(name, _Route(in_place_of(old, call, what, replace=replace), ()))

    def add_middleware(self, middleware: Middleware) -> None:
        """Put `middleware` around every event's handler, inside of what is there already.

        Raises:
            RegistrationError: it is no middleware.
        """
        check_middleware(middleware)
        self._middleware += (middleware,)
        for name, route in self._routes.items():
            self._set(name, route)

    def include(self, other: HandlerBook, prefix: str) -> None:
        """Add the handlers of `other`; see `EventRegister.include`."""
        check_name(prefix)
        carried = () if other is self else other._middleware
        routes = {
            name if name is None else prefix + name: _Route(route.handler, carried + route.inner)
            for name, route in other._routes.items()
        }
        for name, route in routes.items():
            if name in LIFECYCLE_EVENTS or not self._routes.get(name, route).is_like(route):
                if name is None:
                    raise NameTakenError("handler", "any event")
                raise NameTakenError("event name", name)
        for name, handler in other.lifecycle.items():
            if self.lifecycle.get(name, handler) != handler:
                raise NameTakenError("handler", name)
        for key, route in routes.items():
            self._set(key, route)
        self.lifecycle.update(other.lifecycle)

    def _set(self, name: str | None, route: _Route) -> None:
        self._routes[name] = route
        handler = compose(self._middleware + route.inner, route.handler)
        if name is None:
            self.any_event = handler
        else:
            self.events[name] = handler


def check_name(name: object) -> None:
    """Raise `RegistrationError` unless `name` is a string."""
    if not isinstance(name, str):
        cure = "the name comes first: @on_event('greet')" if callable(name) else ""
        raise RegistrationError("event name", name, cure)


def check_concurrency(number: object) -> int:
    """Return `number`, or raise TypeError or ValueError if that many handlers cannot run."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"concurrency is a number of handlers, unlike {number!r}")
    if number < 1:
        raise ValueError(f"at least one handler runs at a time, unlike {number}")
    return number


@explained(register="event_book= is what registers share")
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
    earlier Python packages, with a RuntimeWarning unless ``replace=True``. No two registers share
    handlers.

    Args:
        event_book: where to record them. Default None: a book of its own.
        concurrency: how many event handlers of one connection may run at the same time. Default
            None: as the book has it, which is 1, one after the other. With more, they begin in
            order; ``connected`` still runs before the first and ``disconnected`` after the last.
            `include` does not bring that of another register along.
        error_details: whether the reply to a request whose handler raised has the exception's
            type and text in it, as ``"ValueError: no"``, for peers that may see the inside.
            Default None: as the book has it, which is False: ``"the handler failed"``.

    Raises:
        TypeError, ValueError: `concurrency` is no integer, or less than 1.
    """

    def __init__(
        self,
        event_book: HandlerBook | None = None,
        *,
        concurrency: int | None = None,
        error_details: bool | None = None,
    ) -> None:
        cure = "an EventBook of zaptools.core.events is one"
        check_kind(event_book, HandlerBook, "event_book", cure, none=True)
        self._book = event_book if event_book is not None else HandlerBook()
        if error_details is not None:
            check_flag(error_details, "error_details")
            self._book.error_details = error_details
        if concurrency is not None:
            self._book.concurrency = check_concurrency(concurrency)

    @overload
    def on_event(
        self, name: str, *, run_in_thread: bool = False, replace: bool = False
    ) -> Callable[[H], H]: ...
    @overload
    def on_event(
        self, name: str, callback: H, *, run_in_thread: bool = False, replace: bool = False
    ) -> H: ...
    def on_event(
        self,
        name: str,
        callback: H | _Nothing = _NOTHING,
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> H | Callable[[H], H]:
        """Register the handler of the event `name`.

        The names ``connected``, ``disconnected`` and ``error`` register what `on_connected`,
        `on_disconnected` and `on_error` do.

        Args:
            name: the event's name.
            callback: the handler; absent in a decorator's call.
            run_in_thread: run a plain function that blocks in another thread. The connection's
                next event waits for it as for any handler. It sends by
                `WebSocketConnection.send_from_thread`. Default False.
            replace: whether it is meant to replace another handler; if not, a RuntimeWarning says
                that it does. The other ``on_`` methods have this too. Default False.

        Raises:
            RegistrationError: `name` is no string, or the handler cannot be called as above; for
                a lifecycle name, with the context alone. Or a coroutine function, or the handler
                of a lifecycle name, is to run in a thread.
        """
        check_name(name)
        if callback is _NOTHING:
            return lambda function: self.on_event(
                name, function, run_in_thread=run_in_thread, replace=replace
            )
        self._book.record(name, callback, run_in_thread=run_in_thread, replace=replace)
        return callback

    @overload
    def on_connected(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_connected(self, callback: L, *, replace: bool = False) -> L: ...
    def on_connected(
        self, callback: L | _Nothing = _NOTHING, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register what runs once when a connection is there, before its first event."""
        return self._life("connected", callback, replace)

    @overload
    def on_disconnected(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_disconnected(self, callback: L, *, replace: bool = False) -> L: ...
    def on_disconnected(
        self, callback: L | _Nothing = _NOTHING, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register what runs once when a connection has ended, whatever ended it.

        `WebSocketConnection.closed` says how it ended.
        """
        return self._life("disconnected", callback, replace)

    @overload
    def on_error(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_error(self, callback: L, *, replace: bool = False) -> L: ...
    def on_error(
        self, callback: L | _Nothing = _NOTHING, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register what runs when a handler raised or a message was no event.

        `EventContext.error` holds the exception, `EventContext.source` the event whose handler
        raised (None when the message was no event). Without this handler errors are logged.
        """
        return self._life("error", callback, replace)

    @overload
    def on_any_event(
        self, *, run_in_thread: bool = False, replace: bool = False
    ) -> Callable[[H], H]: ...
    @overload
    def on_any_event(
        self, callback: H, *, run_in_thread: bool = False, replace: bool = False
    ) -> H: ...
    def on_any_event(
        self,
        callback: H | _Nothing = _NOTHING,
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> H | Callable[[H], H]:
        """Register what runs for every event, after the handler of its name.

        The arguments are those of `on_event`.
        """
        if callback is _NOTHING:
            return lambda function: self.on_any_event(
                function, run_in_thread=run_in_thread, replace=replace
            )
        self._book.record_any(callback, run_in_thread=run_in_thread, replace=replace)
        return callback

    @overload
    def middleware(self) -> Callable[[M], M]: ...
    @overload
    def middleware(self, function: M) -> M: ...
    def middleware(self, function: M | _Nothing = _NOTHING) -> M | Callable[[M], M]:
        """Put a coroutine function around the handlers of events, as a decorator or a call::

            @register.middleware
            async def timed(ctx: EventContext, call_next: CallNext) -> None:
                began = time.perf_counter()
                await call_next(ctx)
                print(ctx.event_name, time.perf_counter() - began)

        It runs around each handler, of a name or of any event: twice for an event that has both.
        Of several the first is outermost. One that does not call `call_next` stops the event. What
        it raises goes to the error handler, as what a handler raises. Handlers that are registered
        later have it around them too; those of the connection's life never.

        Raises:
            RegistrationError: it is no coroutine function of two arguments.
        """
        if function is _NOTHING:
            return self.middleware
        self._book.add_middleware(function)
        return function

    def include(self, other: EventRegister, *, prefix: str = "") -> None:
        """Add the handlers that another register has now.

        So an application is put together from parts::

            chat = EventRegister()
            chat.on_event("say", say)

            server.include(chat, prefix="chat.")  # handles "chat.say"

        Its middleware comes along, around its own handlers alone, inside of this register's.
        What `other` gets later is not added. All of them are, or none: where this
        register has another handler in a place that `other` fills too, nothing is replaced.
        That the same function is in both, with the same middleware, is no conflict.

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
            TypeError: `other` is no register.
        """
        check_kind(other, EventRegister, "other")
        self._book.include(other._book, prefix)

    def _life(self, name: str, callback: L | _Nothing, replace: bool) -> L | Callable[[L], L]:
        if callback is _NOTHING:
            return lambda function: self._life_handler(name, function, replace)
        return self._life_handler(name, callback, replace)

    def _life_handler(self, name: str, callback: L, replace: bool) -> L:
        self._book.record(name, callback, replace=replace)
        return callback
