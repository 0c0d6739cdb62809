"""The clients: `ZapConsumer` calls handlers, `ZapSubscriber` hands out streams.

`ZapClient`, the published Python package's, is here too; it is defined in a module of its own.
"""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, overload

from .._arguments import check_kind, explained
from .._tasks import ends_task
from ..connection.context import EventContext
from ..handlers.book import check_name
from ..handlers.decorators import UNSET, Unset, decorator
from ..handlers.replacing import in_place_of
from ..handlers.signatures import adapt, check_lifecycle
from ..limits import IN_LIMITS, Limits
from ..protocol.codec import EventData
from ..transport.compression import Compression
from .base import ClientCore, ZapClientState, call
from .offline import Offline
from .reconnect import ReconnectPolicy
from .streams import Overflow, Stream, Streams, check_buffer
from .zap_client import ZapClient

__all__ = [
    "EventCallback",
    "ReconnectPolicy",
    "Stream",
    "ZapClient",
    "ZapClientState",
    "ZapConsumer",
    "ZapSubscriber",
]

logger = logging.getLogger(__name__)

EventCallback: TypeAlias = Callable[[EventData], Awaitable[Any] | Any]
"""A function of an `EventData`, sync or async. What it returns is not used."""

_BUFFER_SIZE = 4096

H = TypeVar("H", bound=Callable[..., Any])


def check_handler(handler: Any, first: str = "EventData") -> Callable[[Any], Any]:
    """Return a handler of one argument, which is `first` in words, as it is.

    Raises:
        RegistrationError: it cannot be called so, or not be awaited: an async generator function.
    """
    check_lifecycle(handler, first)
    function: Callable[[Any], Any] = handler
    return function


_CURES = {
    **dict.fromkeys(
        ("headers", "extra_headers", "additional_headers"),
        "pass them to connect(headers={…})",
    ),
    **dict.fromkeys(("auth", "token"), "pass it to connect(headers={'Authorization': …})"),
    **dict.fromkeys(("protocols", "subprotocols"), "pass them to connect(protocols=[…])"),
    **{name: f"pass reconnect=ReconnectPolicy({name}=…)" for name in ReconnectPolicy.__slots__},
    **IN_LIMITS,
}


@explained(**_CURES)
class ZapConsumer(ClientCore):
    """A client that calls handlers.

    Each ``on_`` method is a decorator, which returns the function, and a call that takes it.
    Handlers of events take an `EventData`, and the payload too, or the payload alone, where a
    parameter is there for it: see `zaptools.EventRegister`. They run one after the other. They
    may be set at any time and stay through reconnects::

        client = ZapConsumer("ws://127.0.0.1:8000/ws")

        @client.on_event("welcome")
        async def welcome(event: EventData) -> None:
            print(event.payload)

        async with client:
            await client.send_event("greet", {"name": "Ada"})

    ``async for event in client`` hands out every event too, from then on, through reconnects, and
    ends with `disconnect`; an event that finds 4096 unread ends it with `BufferOverflowError`.

    Args:
        url: ``ws://…`` or ``wss://…``.
        reconnect: whether to connect again when a connection ends that the application did not
            end; a policy, or True for ``ReconnectPolicy()``. Default False.
        offline: what a send does while there is no connection: ``"raise"`` (the default) raises
            `NotConnectedError`; ``"queue"`` keeps the event until there is one; ``"drop"`` loses
            it and counts it in `dropped_sends`.
        offline_limit: how many events ``"queue"`` keeps. One more raises
            `OfflineQueueFullError`. Default 1000.
        limits: the bounds of the connection. Default None: ``Limits()``.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        error_details: whether the reply to a server's request whose handler raised has the
            exception's type and text in it. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.

    Attributes:
        last_error: why the client is not connected: the error of the last attempt, or a
            `ConnectionClosedError` that says how the last connection ended. None while it is
            connected, and when the application ended it.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: an argument is of a wrong type.
        ValueError: an argument is out of its range.
    """

    _events: Streams[EventData] | None = None
    _any_event: Callable[[EventContext], Any] | None = None
    _connected: EventCallback | None = None
    _disconnected: EventCallback | None = None
    _error: Callable[[Any], Any] | None = None
    _state_callback: Callable[[ZapClientState], Any] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.disconnect()

    def __aiter__(self) -> Stream[EventData]:
        if self._events is None:
            self._events = Streams()
            self._book.any_event = self._on_any_event  # which calls the application's
        return self._events.add(Stream(None, _BUFFER_SIZE, "raise"))

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        What iterates over the client ends. Called while `connect` is under way, it makes that
        raise `ConnectError`. The client does not reconnect by itself any more. Events that wait
        for a connection are dropped, and counted in `dropped_sends`. A handler that still runs a
        close timeout after the end is cancelled, and waited for that long once more.

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
            callback: the handler; absent in a decorator's call.
            replace: whether it is meant to replace another handler; if not, a RuntimeWarning says
                that it does. The other ``on_`` methods have this too. Default False.

        Raises:
            RegistrationError: `name` is no string, or the handler cannot be called and awaited.
        """
        check_name(name)
        if isinstance(callback, Unset):
            return lambda function: self.on_event(name, function, replace=replace)
        if name == "connected":
            return self.on_connected(callback, replace=replace)
        if name == "disconnected":
            return self.on_disconnected(callback, replace=replace)
        handler = adapt(callback, EventData)
        old = self._book.events.get(name)
        self._book.events[name] = in_place_of(old, handler, f"the event {name!r}", replace=replace)
        return callback

    @decorator
    def on_connected(self, callback: EventCallback, replace: bool) -> None:
        """Register what runs when there is a connection, before its first event."""
        handler = check_handler(callback)
        self._connected = in_place_of(self._connected, handler, "'connected'", replace=replace)

    @decorator
    def on_disconnected(self, callback: EventCallback, replace: bool) -> None:
        """Register what runs once when a connection has ended; `closed` says how it did."""
        handler = check_handler(callback)
        self._disconnected = in_place_of(
            self._disconnected, handler, "'disconnected'", replace=replace
        )

    @decorator
    def on_any_event(self, callback: EventCallback, replace: bool) -> None:
        """Register what runs for every event, after the handler of its name."""
        handler = adapt(callback, EventData)
        self._any_event = in_place_of(self._any_event, handler, "any event", replace=replace)
        if self._events is None:
            self._book.any_event = self._any_event

    async def _on_any_event(self, context: EventContext) -> None:
        assert self._events is not None  # it is the handler only then
        self._events.push(context.event_data)
        if self._any_event is not None:
            await call(self._any_event, context)

    @decorator
    def on_error(self, callback: Callable[[Any], Any], replace: bool) -> None:
        """Register what gets the exception when a handler raised or a message was no event.

        Without this handler errors are logged.
        """
        handler = check_handler(callback, "exception")
        self._error = in_place_of(self._error, handler, "errors", replace=replace)
        self._book.lifecycle["error"] = lambda context: handler(context.error)

    @decorator
    def on_connection_state_changed(
        self, callback: Callable[[ZapClientState], Any], replace: bool
    ) -> None:
        """Register what gets each `ZapClientState`, in order, before the events it allows."""
        handler = check_handler(callback, "ZapClientState")
        self._state_callback = in_place_of(self._state_callback, handler, "states", replace=replace)

    async def _tell_state(self, state: ZapClientState) -> None:
        if self._state_callback is None:
            return
        try:
            await call(self._state_callback, state)
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            logger.error("the handler of the state %s failed", state.name, exc_info=exc)

    async def _tell_connected(self, context: EventContext) -> None:
        if self._connected is not None:
            await call(self._connected, context.event_data)

    async def _tell_disconnected(self, context: EventContext) -> None:
        if self._disconnected is not None:
            await call(self._disconnected, context.event_data)


@explained(**_CURES)
class ZapSubscriber(ClientCore):
    """A client that hands out streams.

    A stream gets each event from the moment it is made, survives reconnects, and ends with
    `clean`; each stream sees every event. ``async for event in client`` reads one of all events::

        async with ZapSubscriber("ws://127.0.0.1:8000/ws") as client:
            welcomes = client.subscribe_to_event("welcome")
            await client.send_event("greet", {"name": "Ada"})
            async for event in welcomes:
                print(event.payload)

    Args:
        url: ``ws://…`` or ``wss://…``.
        buffer_size: how many events a stream holds for its reader. Default 4096.
        overflow: what a stream does when one more comes: ``"raise"`` (the default) ends it with
            `BufferOverflowError` after what it holds; ``"drop-oldest"`` or ``"drop-newest"``
            loses an event and counts it in `Stream.dropped`.
        reconnect: whether to connect again when a connection ends that the application did not
            end; a policy, or True for ``ReconnectPolicy()``. Default False.
        offline: what a send does while there is no connection: ``"raise"`` (the default) raises
            `NotConnectedError`; ``"queue"`` keeps the event until there is one; ``"drop"`` loses
            it and counts it in `dropped_sends`.
        offline_limit: how many events ``"queue"`` keeps. One more raises
            `OfflineQueueFullError`. Default 1000.
        limits: the bounds of the connection. Default None: ``Limits()``.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.

    Attributes:
        last_error: why the client is not connected: the error of the last attempt, or a
            `ConnectionClosedError` that says how the last connection ended. None while it is
            connected, and when the application ended it.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: an argument is of a wrong type.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        url: str,
        *,
        buffer_size: int = _BUFFER_SIZE,
        overflow: Overflow = "raise",
        reconnect: ReconnectPolicy | bool = False,
        offline: Offline = "raise",
        offline_limit: int = 1000,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        super().__init__(
            url,
            reconnect=reconnect,
            offline=offline,
            offline_limit=offline_limit,
            limits=limits,
            compression=compression,
            omit_empty_headers=omit_empty_headers,
            ssl=ssl,
        )
        check_buffer(buffer_size, overflow)
        self._buffer_size = buffer_size
        self._overflow: Overflow = overflow
        self._events: Streams[EventData] = Streams()
        self._states: Streams[ZapClientState] = Streams()
        self._book.any_event = self._on_any_event

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.clean()

    def __aiter__(self) -> Stream[EventData]:
        return self.subscribe_to_all_event()

    @property
    def connection_state(self) -> Stream[ZapClientState]:
        """A new stream of the states from now on, in order."""
        return self._states.add(Stream(None, self._buffer_size, self._overflow))

    def subscribe_to_event(self, name: str) -> Stream[EventData]:
        """Return a new stream of the events with this name.

        Raises:
            RegistrationError: `name` is no string.
        """
        return self.subscribe_to_events([name])

    def subscribe_to_events(self, names: Iterable[str]) -> Stream[EventData]:
        """Return a new stream of the events with one of these names.

        Raises:
            RegistrationError: one of them is no string.
            TypeError: `names` is a single string, or nothing to iterate over.
        """
        if isinstance(names, str):  # whose letters nobody means
            cure = f"subscribe_to_event({names!r}) is for one"
            raise TypeError(f"names must be several strings, not {names!r}: {cure}")
        check_kind(names, Iterable, "names")
        wanted = list(names)
        for name in wanted:
            check_name(name)
        return self._events.add(Stream(frozenset(wanted), self._buffer_size, self._overflow))

    def subscribe_to_all_event(self) -> Stream[EventData]:
        """Return a new stream of all events."""
        return self._events.add(Stream(None, self._buffer_size, self._overflow))

    async def clean(self) -> None:
        """Disconnect, and end every stream once its reader has had what it holds."""
        await self.disconnect()
        self._events.close()
        self._states.close()

    async def _tell_state(self, state: ZapClientState) -> None:
        self._states.push(state)

    def _on_any_event(self, context: EventContext) -> None:
        event = context.event_data
        self._events.push(event, event.event_name)
