"""`EventRegister`: where an application registers its handlers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, overload

from .._arguments import check_count, check_flag, check_kind, explained
from ..connection.admission import Admission
from ..connection.context import EventContext
from .book import Handler, HandlerBook, Middleware, check_name
from .decorators import UNSET, Unset, record_or_decorate

__all__ = ["EventRegister"]

H = TypeVar("H", bound=Callable[[EventContext, Any], Any] | Callable[[Any], Any])
"""A handler of events: of the context, of the context and the payload, or of the payload."""

A = TypeVar("A", bound=Admission)
"""A function that decides on a request for a connection."""

L = TypeVar("L", bound=Handler)
"""A handler of a lifecycle event."""

M = TypeVar("M", bound=Middleware)


@explained(register="event_book= is what registers share")
class EventRegister:
    """Handlers for the events of a server's connections.

    Each method is a decorator, which returns the function unchanged, and a call that takes it::

        register = EventRegister()

        @register.on_event("greet")
        async def greet(ctx: EventContext) -> None:
            await ctx.connection.send("welcome", ctx.payload)

        register.on_event("greet", greet)  # the same

    A handler takes an `EventContext` and may be a plain function, run in place, or a coroutine
    function, awaited. A second parameter is for the payload; one with a type annotation gets it as
    that type: a msgspec Struct, a dataclass, a TypedDict, a NamedTuple, a pydantic model or any
    other type that msgspec decodes. A handler of events whose only parameter has such an annotation
    takes the payload alone. For a payload that does not fit, the handler is not called, and a
    `PayloadError` is reported. The second handler for a name replaces the first, as in the Dart and
    the earlier Python packages, with a RuntimeWarning unless ``replace=True``. No two registers
    share handlers.

    Args:
        event_book: where to record them. Default None: a book of its own.
        concurrency: how many event handlers of one connection may run at the same time. Default
            None: the book's, which is 1, one after the other. With more, they begin in order;
            ``connected`` still runs before the first and ``disconnected`` after the last.
            `include` does not change it.
        error_details: whether the reply to a request whose handler raised contains the exception's
            type and text, as ``"ValueError: no"``, for peers that may see internals. Default None:
            the book's, which is False: ``"the handler failed"``.

    Raises:
        TypeError, ValueError: `concurrency` is not an integer, or less than 1.
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
            check_count(concurrency, "concurrency")
            self._book.concurrency = concurrency

    @property
    def book(self) -> HandlerBook:
        """The recorded handlers: for a transport's dispatcher, not for applications."""
        return self._book

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
        callback: H | Unset = UNSET,
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> H | Callable[[H], H]:
        """Register the handler of the event `name`.

        The names ``connected``, ``disconnected`` and ``error`` register what `on_connected`,
        `on_disconnected` and `on_error` do.

        Args:
            name: the event's name.
            callback: the handler; left out when `on_event` is used as a decorator.
            run_in_thread: run a plain function that blocks in another thread. The connection's
                next event waits for it as for any handler. It sends by
                `WebSocketConnection.send_from_thread`. Default False.
            replace: replace another handler without the RuntimeWarning. The other ``on_`` methods
                have this too. Default False.

        Raises:
            RegistrationError: `name` is not a string; the handler cannot be called as above, or,
                for a lifecycle name, with the context alone; or `run_in_thread` was passed for a
                coroutine function or a lifecycle name.
        """
        check_name(name)
        record = partial(self._book.record, name, run_in_thread=run_in_thread, replace=replace)
        return record_or_decorate(record, callback)

    @overload
    def on_handshake(self, *, replace: bool = False) -> Callable[[A], A]: ...
    @overload
    def on_handshake(self, callback: A, *, replace: bool = False) -> A: ...
    def on_handshake(
        self, callback: A | Unset = UNSET, *, replace: bool = False
    ) -> A | Callable[[A], A]:
        """Register the function that decides whether a client gets a connection::

            @server.on_handshake
            async def check(request: HandshakeRequest) -> None:
                user = await user_of(request.headers.get("authorization"))
                if user is None:
                    raise Refuse(401)
                request.state.user = user  # handlers read ctx.connection.state.user

        It is called with a `HandshakeRequest` that is valid in all else, before it is answered. It
        may be a plain function, which must not block, or a coroutine function, which may take
        `Limits.admission_timeout`. It returns nothing, or raises `Refuse`. If it fails otherwise,
        the client gets 500; the log says why.

        On Sanic, which accepts a WebSocket before a connector sees it, the refused get the close
        code 1008.
        """
        return record_or_decorate(partial(self._book.record_admission, replace=replace), callback)

    @overload
    def on_connected(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_connected(self, callback: L, *, replace: bool = False) -> L: ...
    def on_connected(
        self, callback: L | Unset = UNSET, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register the handler that runs once for each connection, before its first event."""
        record = partial(self._book.record, "connected", replace=replace)
        return record_or_decorate(record, callback)

    @overload
    def on_disconnected(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_disconnected(self, callback: L, *, replace: bool = False) -> L: ...
    def on_disconnected(
        self, callback: L | Unset = UNSET, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register the handler that runs once when a connection has ended, for whatever reason.

        `WebSocketConnection.closed` says how it ended.
        """
        record = partial(self._book.record, "disconnected", replace=replace)
        return record_or_decorate(record, callback)

    @overload
    def on_error(self, *, replace: bool = False) -> Callable[[L], L]: ...
    @overload
    def on_error(self, callback: L, *, replace: bool = False) -> L: ...
    def on_error(
        self, callback: L | Unset = UNSET, *, replace: bool = False
    ) -> L | Callable[[L], L]:
        """Register the handler that runs when a handler raised or a message was not an event.

        `EventContext.error` is the exception, `EventContext.source` the event whose handler raised
        (None when the message was not an event). Without this handler errors are logged.
        """
        return record_or_decorate(partial(self._book.record, "error", replace=replace), callback)

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
        callback: H | Unset = UNSET,
        *,
        run_in_thread: bool = False,
        replace: bool = False,
    ) -> H | Callable[[H], H]:
        """Register the handler that runs for every event, after the handler of its name.

        The arguments are those of `on_event`.
        """
        record = partial(self._book.record_any, run_in_thread=run_in_thread, replace=replace)
        return record_or_decorate(record, callback)

    @overload
    def middleware(self) -> Callable[[M], M]: ...
    @overload
    def middleware(self, function: M) -> M: ...
    def middleware(self, function: M | Unset = UNSET) -> M | Callable[[M], M]:
        """Put a coroutine function around the handlers of events, as a decorator or a call::

            @register.middleware
            async def timed(ctx: EventContext, call_next: CallNext) -> None:
                began = time.perf_counter()
                await call_next(ctx)
                print(ctx.event_name, time.perf_counter() - began)

        It runs around each handler, of a name or of any event: twice for an event that has both.
        Of several the first is outermost. One that does not call `call_next` stops the event. Its
        exceptions go to the error handler, like those of a handler. Handlers that are registered
        later have it around them too; lifecycle handlers never do.

        Raises:
            RegistrationError: it is not a coroutine function of two arguments.
        """
        return record_or_decorate(self._book.add_middleware, function)

    def include(self, other: EventRegister, *, prefix: str = "") -> None:
        """Add the handlers that another register has now.

        This way an application is put together from parts::

            chat = EventRegister()
            chat.on_event("say", say)

            server.include(chat, prefix="chat.")  # handles "chat.say"

        Its middleware comes along, around its own handlers alone, inside this register's. Handlers
        that `other` gets later are not added. Either all are added or none: where both registers
        have a handler for the same name, nothing is replaced. The same function in both, with the
        same middleware, is not a conflict.

        Args:
            other: where the handlers are.
            prefix: put before each event's name; an `EventContext` has the name as it was sent,
                the prefix included. The handlers of ``connected``, ``disconnected``, ``error``
                and of any event have no name of their own: they are added as they are, for every
                connection and every event of this register. Default empty.

        Raises:
            NameTakenError: this register has another handler for the same name, or a name with
                its prefix is a lifecycle name.
            RegistrationError: `prefix` is not a string.
            TypeError: `other` is not an `EventRegister`.
        """
        check_kind(other, EventRegister, "other")
        self._book.include(other.book, prefix)
