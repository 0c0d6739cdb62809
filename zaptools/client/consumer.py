"""`ZapConsumer`: the client that calls handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar, overload

from .._arguments import explained
from .._tasks import call, ends_task
from ..connection.context import EventContext
from ..handlers.book import check_name
from ..handlers.decorators import UNSET, Unset, decorator, record_or_decorate
from ..handlers.replacing import in_place_of
from ..handlers.signatures import adapt, check_lifecycle
from ..protocol.codec import EventData
from .base import HINTS, UrlClient
from .link import ZapClientState
from .streams import BUFFER_SIZE, Stream, Streams

__all__ = ["EventCallback", "ZapConsumer"]

logger = logging.getLogger(__name__)

EventCallback: TypeAlias = Callable[[EventData], Awaitable[Any] | Any]
"""A function of an `EventData`, sync or async. What it returns is not used."""

H = TypeVar("H", bound=Callable[..., Any])


@explained(**HINTS)
class ZapConsumer(UrlClient):
    """A client that calls handlers.

    Each ``on_`` method is a decorator, and can be called with the function too. A handler of
    events takes an `EventData`, and also the payload, or the payload alone, if it has a parameter
    for it: see `zaptools.EventRegister`. Handlers run one after the other. They may be set at any
    time and stay through reconnects::

        client = ZapConsumer("ws://127.0.0.1:8000/ws")

        @client.on_event("welcome")
        async def welcome(event: EventData) -> None:
            print(event.payload)

        async with client:
            await client.send_event("greet", {"name": "Ada"})

    ``async for event in client`` also yields every event from then on, through reconnects, and
    ends with `disconnect`; with 4096 events unread, one more ends it with `BufferOverflowError`.

    Args:
        url: ``ws://…`` or ``wss://…``.
        reconnect: whether to reconnect when a connection ends that the application did not end;
            a policy, or True for ``ReconnectPolicy()``. Default False.
        offline: what a send does while there is no connection: ``"raise"`` (the default) raises
            `NotConnectedError`; ``"queue"`` keeps the event until there is one; ``"drop"`` loses
            it and counts it in `dropped_sends`.
        offline_limit: the number of events that ``"queue"`` keeps. One more raises
            `OfflineQueueFullError`. Default 1000.
        limits: the bounds of the connection. Default None: ``Limits()``.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        error_details: whether the reply to a server's request whose handler raised has the
            exception's type and text in it. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.
        route: the way to the server: proxies, sockets, redirects. Default None: ``Route()``,
            through the environment's proxy if there is one.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: an argument is of a wrong type.
        ValueError: an argument is out of its range.
    """

    # The streams that iterate over the client; None before the first.
    _events: Streams[EventData] | None = None
    # The application's handlers; None where it has registered none. The handlers of single events
    # are in the link's book.
    _any_event: Callable[[EventContext], Any] | None = None
    _connected_handler: EventCallback | None = None
    _disconnected_handler: EventCallback | None = None
    _error_handler: Callable[[Any], Any] | None = None
    _state_handler: Callable[[ZapClientState], Any] | None = None

    def __aiter__(self) -> Stream[EventData]:
        if self._events is None:
            self._events = Streams()
            self._link.book.any_event = self._on_any_event  # which calls the application's
        return self._events.add(Stream(None, BUFFER_SIZE, "raise"))

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Every ``async for`` over the client ends. Called while `connect` is under way, it makes
        that `connect` raise `ConnectError`. The client does not reconnect by itself any more.
        Events that wait for a connection are dropped, and counted in `dropped_sends`. A handler
        that is still running a close timeout after the end is cancelled, and waited for that long
        once more.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Raises:
            TypeError: the code is no int, or the reason no str.
            ValueError: no close frame may carry this code or reason.
        """
        await super().disconnect(code, reason)
        if self._events is not None:
            self._events.close()

    @overload
    def on_event(self, name: str, *, replace: bool = False) -> Callable[[H], H]: ...
    @overload
    def on_event(self, name: str, callback: H, *, replace: bool = False) -> H: ...
    def on_event(
        self, name: str, callback: H | Unset = UNSET, *, replace: bool = False
    ) -> H | Callable[[H], H]:
        """Register the handler of the event `name`, in place of an earlier one.

        The names ``connected`` and ``disconnected`` register what `on_connected` and
        `on_disconnected` do; a server cannot fire those.

        Args:
            name: the event's name.
            callback: the handler; left out when `on_event` is used as a decorator.
            replace: whether to replace another handler silently; if False, the default, that is
                a RuntimeWarning. The other ``on_`` methods have this too.

        Raises:
            RegistrationError: `name` is no string, or the handler cannot be called and awaited.
        """
        check_name(name)
        return record_or_decorate(partial(self._record, name, replace=replace), callback)

    def _record(self, name: str, callback: Callable[..., Any], *, replace: bool) -> None:
        if name == "connected":
            self.on_connected(callback, replace=replace)
        elif name == "disconnected":
            self.on_disconnected(callback, replace=replace)
        else:
            events, handler = self._link.book.events, adapt(callback, EventData)
            what = f"the event {name!r}"
            events[name] = in_place_of(events.get(name), handler, what, replace=replace)

    @decorator
    def on_connected(self, callback: EventCallback, replace: bool) -> None:
        """Register the handler that runs when there is a connection, before its first event."""
        check_lifecycle(callback, "EventData")
        self._connected_handler = in_place_of(
            self._connected_handler, callback, "'connected'", replace=replace
        )

    @decorator
    def on_disconnected(self, callback: EventCallback, replace: bool) -> None:
        """Register the handler that runs once when a connection has ended; see `closed`."""
        check_lifecycle(callback, "EventData")
        self._disconnected_handler = in_place_of(
            self._disconnected_handler, callback, "'disconnected'", replace=replace
        )

    @decorator
    def on_any_event(self, callback: EventCallback, replace: bool) -> None:
        """Register the handler that runs for every event, after the handler of its name."""
        handler = adapt(callback, EventData)
        self._any_event = in_place_of(self._any_event, handler, "any event", replace=replace)
        if self._events is None:
            self._link.book.any_event = self._any_event

    async def _on_any_event(self, context: EventContext) -> None:
        assert self._events is not None  # it is the handler only then
        self._events.push(context.event_data)
        if self._any_event is not None:
            await call(self._any_event, context)

    @decorator
    def on_error(self, callback: Callable[[Any], Any], replace: bool) -> None:
        """Register the handler of exceptions: a handler raised, or a message was no event.

        Without this handler errors are logged.
        """
        check_lifecycle(callback, "exception")
        self._error_handler = in_place_of(self._error_handler, callback, "errors", replace=replace)
        self._link.book.lifecycle["error"] = lambda context: callback(context.error)

    @decorator
    def on_connection_state_changed(
        self, callback: Callable[[ZapClientState], Any], replace: bool
    ) -> None:
        """Register the handler of states: of each `ZapClientState`, in order."""
        check_lifecycle(callback, "ZapClientState")
        self._state_handler = in_place_of(self._state_handler, callback, "states", replace=replace)

    async def _announce_state(self, state: ZapClientState) -> None:
        if self._state_handler is None:
            return
        try:
            await call(self._state_handler, state)
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            logger.error("the handler of the state %s failed", state.name, exc_info=exc)

    async def _announce_connected(self, context: EventContext) -> None:
        if self._connected_handler is not None:
            await call(self._connected_handler, context.event_data)

    async def _announce_disconnected(self, context: EventContext) -> None:
        if self._disconnected_handler is not None:
            await call(self._disconnected_handler, context.event_data)
