"""`ZapClient`: the client of the published Python package, over the core of the others."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from .._arguments import check_count, explained
from ..connection.context import EventContext
from ..exceptions import NotConnectedError
from ..limits import IN_LIMITS, Limits
from ..protocol.close import CloseInfo
from ..protocol.codec import EventData
from ..transport.compression import Compression
from .attempt import Attempt, Offer
from .base import ClientCore, ZapClientState
from .opening import parse_url

__all__ = ["ZapClient"]

_STATES = 1024
"""States that are kept for whoever reads them; the oldest go first."""

_NO_URL = "ws://0.0.0.0"

T = TypeVar("T")


@explained(
    url="pass it to connect(url)",
    headers="pass them to connect(url, headers={…})",
    protocols="pass them to connect(url, [...])",
    subprotocols="pass them to connect(url, [...])",
    **IN_LIMITS,
)
class ZapClient(ClientCore):
    """The client of zaptools 0.5: one stream of all events, one of all states::

        client = ZapClient()
        await client.connect("ws://127.0.0.1:8000/ws")
        await client.send("greet", {"name": "Ada"})
        async for event in client.event_stream():
            print(event.payload)

    Args:
        buffer_size: how many events are held for `event_stream`. While it is full, nothing more
            is read from the server. Default 4096.
        limits: the bounds of the connection.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.
    """

    def __init__(
        self,
        *,
        buffer_size: int = 4096,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        super().__init__(
            _NO_URL,
            limits=limits,
            compression=compression,
            omit_empty_headers=omit_empty_headers,
            ssl=ssl,
        )
        check_count(buffer_size, "buffer_size")
        self._buffer_size = buffer_size
        self._events: _Buffer[EventData] | None = None
        self._states: _Buffer[ZapClientState] = _Buffer(_STATES)
        self._book.any_event = self._on_any_event

    async def connect(  # type: ignore[override] # the published method takes the URL here
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connect. Returns when the client is online. It may connect again after an end.

        Args:
            url: ``ws://…`` or ``wss://…``.
            protocols: subprotocols to offer. Default none.
            headers: headers to add to the handshake's request. Default none.

        Raises:
            InvalidUrlError: the URL is not a WebSocket URL.
            AlreadyConnectedError: the client is connected, or about to be.
            ConnectError: no connection came about; the state is `ZapClientState.ERROR` then.
        """
        parse_url(url)
        await self._begin(url, self._new_offer(protocols, headers), if_needed=False, retry=False)

    async def _connect_again(self) -> None:
        await self.connect(self.url, self._offer.protocols, self._offer.headers)

    def _new_attempt(self, offer: Offer) -> Attempt:
        attempt = _ZapAttempt(self.url, offer, self._buffer_size)
        self._events = attempt.events
        return attempt

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event; see `send_event`, which is the same.

        Raises:
            NotConnectedError: the client is not connected.
            CodecError: the event cannot be written as JSON; nothing is sent.
            SendTimeoutError: the server did not read for too long; nothing of it is sent.
        """
        await self.send_event(event_name, payload, headers)

    async def event_stream(self) -> AsyncGenerator[EventData, None]:
        """Yield the connection's events, those since `connect` included, until it has ended.

        Several of these at once share the events: each goes to one of them. After another
        `connect`, ask for another stream.

        Raises:
            NotConnectedError: `connect` has not been called.
        """
        events = self._events
        if events is None:
            raise NotConnectedError
        while (event := await events.get()) is not None:
            yield event

    async def connection_state(self) -> AsyncGenerator[ZapClientState, None]:
        """Yield this client's states, those since it was made included. It never ends.

        Several of these at once share the states: each goes to one of them.
        """
        while (state := await self._states.get()) is not None:
            yield state

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Events that are not yet read are still in the stream.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Raises:
            ValueError: no close frame may carry this code or reason.
        """
        await self.disconnect(code, reason)

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Do what `close` does."""
        if self._events is not None:
            self._events.open_up()
        await super().disconnect(code, reason)

    async def _on_any_event(self, context: EventContext) -> None:
        await _ZapAttempt.of(context).events.put(context.event_data)

    async def _on_end(self, context: EventContext) -> None:
        closed = context.connection.closed
        if closed is not None and _is_failure(closed):
            await self._set_state(ZapClientState.ERROR)
        _ZapAttempt.of(context).events.close()
        await super()._on_end(context)

    async def _tell_state(self, state: ZapClientState) -> None:
        self._states.push(state)


class _ZapAttempt(Attempt):
    """An attempt with the events of its connection."""

    __slots__ = ("events",)

    def __init__(self, url: str, offer: Offer, size: int) -> None:
        super().__init__(url, offer)
        self.events: _Buffer[EventData] = _Buffer(size)

    def settle(self) -> None:
        self.events.close()  # also of an attempt that failed: nothing will come
        super().settle()


def _is_failure(closed: CloseInfo) -> bool:
    """Whether a connection ended otherwise than by somebody's wish (RFC 6455, section 7.4.1)."""
    return closed.code == 1006 or (closed.code in range(1002, 1016) and closed.code != 1005)


class _Buffer(Generic[T]):
    """A bounded queue with an end."""

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque()
        self._size: int | None = size
        self._closed = False
        self._getters: deque[asyncio.Future[None]] = deque()
        self._putter: asyncio.Future[None] | None = None

    def push(self, item: T) -> None:
        """Add an item; the oldest goes if there is no room."""
        if self._size is not None and len(self._items) >= self._size:
            self._items.popleft()
        self._items.append(item)
        self._wake()

    async def put(self, item: T) -> None:
        """Add an item when there is room. There is one caller, the connection's task."""
        while self._size is not None and len(self._items) >= self._size:
            self._putter = asyncio.get_running_loop().create_future()
            await self._putter
        self._items.append(item)
        self._wake()

    async def get(self) -> T | None:
        """Return the next item; None at the end."""
        while not self._items:
            if self._closed:
                return None
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake()  # what woke this reader is for another now
                raise
        item = self._items.popleft()
        self._make_room()
        return item

    def open_up(self) -> None:
        """Let whoever waits for room have it: what is still to come is bounded elsewhere."""
        self._size = None
        self._make_room()

    def close(self) -> None:
        """End it: readers get what is held, and then the end."""
        self._closed = True
        while self._getters:
            self._wake()

    def _make_room(self) -> None:
        if self._putter is not None and not self._putter.done():
            self._putter.set_result(None)

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
