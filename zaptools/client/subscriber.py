"""`ZapSubscriber`: the client that hands out streams."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Iterable
from types import TracebackType

from .._arguments import check_kind, explained
from ..connection.context import EventContext
from ..handlers.book import check_name
from ..limits import Limits
from ..protocol.codec import EventData
from ..transport.compression import Compression
from .base import HINTS, UrlClient
from .link import ZapClientState
from .offline import Offline
from .reconnect import ReconnectPolicy
from .route import Route
from .streams import BUFFER_SIZE, Overflow, Stream, Streams, check_buffer

__all__ = ["ZapSubscriber"]


@explained(**HINTS)
class ZapSubscriber(UrlClient):
    """A client that hands out streams.

    A stream gets each event from the moment it is made, survives reconnects, and ends with
    `clean`; each stream sees every event. ``async for event in client`` reads a stream of all
    events::

        async with ZapSubscriber("ws://127.0.0.1:8000/ws") as client:
            welcomes = client.subscribe_to_event("welcome")
            await client.send_event("greet", {"name": "Ada"})
            async for event in welcomes:
                print(event.payload)

    Args:
        url: ``ws://…`` or ``wss://…``.
        buffer_size: the number of events that a stream holds for its reader. Default 4096.
        overflow: what a stream does with one more: ``"raise"`` (the default) ends it with
            `BufferOverflowError` once the held events are read; ``"drop-oldest"`` or
            ``"drop-newest"`` loses an event and counts it in `Stream.dropped`.
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
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.
        route: the way to the server: proxies, sockets, redirects. Default None: ``Route()``,
            through the environment's proxy if there is one.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: an argument is of a wrong type.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        url: str,
        *,
        buffer_size: int = BUFFER_SIZE,
        overflow: Overflow = "raise",
        reconnect: ReconnectPolicy | bool = False,
        offline: Offline = "raise",
        offline_limit: int = 1000,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        route: Route | None = None,
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
            route=route,
        )
        check_buffer(buffer_size, overflow)
        # The options of every stream.
        self._buffer_size = buffer_size
        self._overflow: Overflow = overflow
        # The open streams.
        self._events: Streams[EventData] = Streams()
        self._states: Streams[ZapClientState] = Streams()
        self._link.book.any_event = self._on_any_event

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
            TypeError: `names` is a single string, or not iterable.
        """
        if isinstance(names, str):  # iterable, but its letters are not meant
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
        """Disconnect, and end every stream once its reader has read the held events."""
        await self.disconnect()
        self._events.close()
        self._states.close()

    async def _announce_state(self, state: ZapClientState) -> None:
        self._states.push(state)

    def _on_any_event(self, context: EventContext) -> None:
        event = context.event_data
        self._events.push(event, event.event_name)
