"""The handlers of a register, by event name, and the middleware around them."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from .._text import clip
from ..connection.admission import Admission
from ..connection.context import EventContext
from ..exceptions import NameTakenError, RegistrationError
from ..protocol.codec import LIFECYCLE_EVENTS
from .quota import Quota
from .replacing import in_place_of
from .signatures import adapt, check_lifecycle, check_middleware, source

__all__ = [
    "CallNext",
    "Handler",
    "HandlerBook",
    "Middleware",
    "check_name",
    "compose",
]

Handler: TypeAlias = Callable[[EventContext], Awaitable[Any] | Any]
"""A function of an `EventContext`, sync or async. Its return value is ignored."""

CallNext: TypeAlias = Callable[[EventContext], Awaitable[None]]
"""The next middleware, or the handler itself: a middleware calls it to let the event pass."""

Middleware: TypeAlias = Callable[[EventContext, CallNext], Awaitable[Any]]
"""A coroutine function around handlers. Its return value is ignored."""


class _Route(NamedTuple):
    """An event's handler, and the middleware that `include` brought along with it."""

    handler: Handler
    inner: tuple[Middleware, ...]

    def is_like(self, other: _Route) -> bool:
        return source(self.handler) == source(other.handler) and self.inner == other.inner


class HandlerBook:
    """The handlers of a register: the dispatcher looks them up for every event.

    Each transport's dispatcher reads it. A client writes `lifecycle` and `any_event`, which are its
    own handlers around the application's.

    Args:
        clock: returns the time in seconds, for the shares of the log. Default `time.monotonic`.

    Attributes:
        events: handlers by event name, the middleware around them included.
        lifecycle: handlers by lifecycle name: ``connected``, ``disconnected``, ``error``.
        admission: decides on each request for a connection; None accepts all.
        any_event: the handler of every event, the middleware around it included, called after
            the event's own; None without one.
        concurrency: how many handlers of one connection may run at the same time.
        error_details: whether an error reply contains the exception's type and text.
        faults: the share of the log for messages and requests that peers got wrong.
        failures: the share of the log for the exceptions of each handler, by event name.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_middleware",
        "_routes",
        "admission",
        "any_event",
        "concurrency",
        "error_details",
        "events",
        "failures",
        "faults",
        "lifecycle",
    )

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.events: dict[str, Handler] = {}
        self.lifecycle: dict[str, Handler] = {}
        self.admission: Admission | None = None
        self.any_event: Handler | None = None
        self.concurrency = 1
        self.error_details = False
        self.faults = Quota("messages of peers", clock=clock)
        self.failures: dict[str, Quota] = {}
        # The time, for the shares of the log.
        self._clock = clock
        # Handlers as they were registered, by event name; None is any event. `events` and
        # `any_event` are composed of these anew when middleware is added.
        self._routes: dict[str | None, _Route] = {}
        # This register's own middleware, the first outermost.
        self._middleware: tuple[Middleware, ...] = ()

    def failures_of(self, name: str) -> Quota:
        """Return the share of the log for the exceptions of the handler of the event `name`.

        Names without a handler of their own share one, because a peer may invent any number.
        """
        if name not in self.events and name not in LIFECYCLE_EVENTS:
            name = ""
        quota = self.failures.get(name)
        if quota is None:
            of = f" of {clip(name)!r}" if name else ""
            quota = self.failures[name] = Quota(f"failures{of}", clock=self._clock)
        return quota

    def record(
        self,
        name: str,
        handler: Callable[..., Any],
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> None:
        """Record the handler of the event, or the lifecycle event, `name`.

        Args:
            name: the name.
            handler: what `EventRegister.on_event` accepts.
            run_in_thread: whether to call it in a thread. Default False.
            replace: whether to replace another handler without a RuntimeWarning. Default False.

        Raises:
            RegistrationError: `name` is not a string, or `handler` cannot be called, or cannot run
                in a thread.
        """
        check_name(name)
        if name not in LIFECYCLE_EVENTS:
            self._record(name, handler, run_in_thread, replace)
            return
        check_lifecycle(handler)
        if run_in_thread:
            raise RegistrationError(
                "handler", handler, f"the handler of {name!r} cannot run in a thread"
            )
        old = self.lifecycle.get(name)
        self.lifecycle[name] = in_place_of(old, handler, repr(name), replace=replace)

    def record_admission(self, function: Admission, *, replace: bool = False) -> None:
        """Record the function that decides on each request for a connection; see `record`.

        Raises:
            RegistrationError: `function` cannot be called with one argument.
        """
        check_lifecycle(function, "HandshakeRequest")
        self.admission = in_place_of(self.admission, function, "the handshake", replace=replace)

    def record_any(
        self, handler: Callable[..., Any], *, run_in_thread: bool = False, replace: bool = False
    ) -> None:
        """Record the handler of any event; see `record`.

        Raises:
            RegistrationError: `handler` cannot be called, or cannot run in a thread.
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
        """Put `middleware` around the handlers of events, inside the middleware added before.

        Raises:
            RegistrationError: it is not a coroutine function of two arguments.
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
        if other.admission is not None:
            if self.admission not in (None, other.admission):
                raise NameTakenError("handler", "the handshake")
            self.admission = other.admission
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
    """Raise `RegistrationError` unless `name` is a string: the name of an event."""
    if not isinstance(name, str):
        cure = "the name comes first: @on_event('greet')" if callable(name) else ""
        raise RegistrationError("event name", name, cure)


def compose(
    middleware: Sequence[Middleware], handler: Callable[[EventContext], Any]
) -> Callable[[EventContext], Any]:
    """Return `handler` with `middleware` around it, the first outermost; itself with none."""
    for each in reversed(middleware):
        handler = _around(each, handler)
    return handler


def _around(
    middleware: Middleware, inner: Callable[[EventContext], Any]
) -> Callable[[EventContext], Any]:
    async def call_next(context: EventContext) -> None:
        result = inner(context)
        if result is not None and inspect.isawaitable(result):
            await result

    return lambda context: middleware(context, call_next)
