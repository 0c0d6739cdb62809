"""`ZapClient`: the client of the published Python package, zaptools 0.5."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from .._arguments import check_count, explained
from ..connection.context import EventContext
from ..exceptions import NotConnectedError
from ..limits import IN_LIMITS, Limits
from ..protocol.close import CloseInfo
from ..protocol.codec import EventData
from ..transport.compression import Compression
from .base import BaseClient
from .credentials import Source
from .link import ZapClientState
from .route import IN_ROUTE, Route
from .streams import BUFFER_SIZE, Stream
from .url import parse_url

__all__ = ["ZapClient"]

_STATES = 1024
"""The number of states that are held for the readers of `connection_state`; the oldest are lost."""

_NO_URL = "ws://0.0.0.0"
"""The URL of a client before `connect`."""


@explained(
    url="pass it to connect(url)",
    headers="pass them to connect(url, headers={…})",
    protocols="pass them to connect(url, [...])",
    subprotocols="pass them to connect(url, [...])",
    **IN_ROUTE,
    **IN_LIMITS,
)
class ZapClient(BaseClient):
    """The client of zaptools 0.5: one stream of all events, one of all states::

        client = ZapClient()
        await client.connect("ws://127.0.0.1:8000/ws")
        await client.send("greet", {"name": "Ada"})
        async for event in client.event_stream():
            print(event.payload)

    Args:
        buffer_size: the number of events held for `event_stream`. While that many are unread, no
            more is read from the server. Default 4096.
        limits: the bounds of the connection.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.
        route: the way to the server: proxies, sockets, redirects. Default None: ``Route()``,
            through the environment's proxy if there is one.
    """

    def __init__(
        self,
        *,
        buffer_size: int = BUFFER_SIZE,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        route: Route | None = None,
    ) -> None:
        super().__init__(
            _NO_URL,
            limits=limits,
            compression=compression,
            omit_empty_headers=omit_empty_headers,
            ssl=ssl,
            route=route,
        )
        check_count(buffer_size, "buffer_size")
        self._buffer_size = buffer_size
        # The events of the last attempt's connection, from its CONNECTING on; None before the
        # first attempt.
        self._events: Stream[EventData] | None = None
        self._states: Stream[ZapClientState] = Stream(None, _STATES, "drop-oldest")
        # Whether the state announced last is ONLINE: then OFFLINE means that a connection ended.
        self._was_online = False
        self._link.book.any_event = self._on_any_event

    async def connect(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        headers: Source | None = None,
        *,
        query: Source | None = None,
    ) -> None:
        """Connect, and return when the client is online. A client may connect again.

        Args:
            url: ``ws://…`` or ``wss://…``.
            protocols: subprotocols to offer. Default none.
            headers: headers to add to the handshake's request, or a function that returns them;
                see `zaptools.ZapConsumer.connect`. Default none.
            query: parameters to add to the URL's query, or a function that returns them. Default
                none.

        Raises:
            InvalidUrlError: the URL is not a WebSocket URL.
            AlreadyConnectedError: the client is connected, or about to be.
            ConnectError: the attempt failed; the state is `ZapClientState.ERROR` then.
        """
        parse_url(url)
        await self._link.connect(url, protocols, headers, query)

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event; see `send_event`, which is the same.

        Raises:
            NotConnectedError: the client is not connected.
            CodecError: the event cannot be written as JSON; nothing is sent.
            SendTimeoutError: the server did not read for too long; no part of the event is sent.
        """
        await self.send_event(event_name, payload, headers)

    async def event_stream(self) -> AsyncGenerator[EventData, None]:
        """Yield the connection's events, from `connect` on, until it has ended.

        Several streams at once share the events: each event goes to one of them. After another
        `connect`, ask for another stream.

        Raises:
            NotConnectedError: `connect` has not been called.
        """
        events = self._events
        if events is None:
            raise NotConnectedError
        async for event in events:
            yield event

    async def connection_state(self) -> AsyncGenerator[ZapClientState, None]:
        """Yield this client's states, from the first one on. It never ends.

        Several streams at once share the states: each state goes to one of them.
        """
        async for state in self._states:
            yield state

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Events that are not yet read stay in the stream.

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
            self._events.unbound()
        await super().disconnect(code, reason)

    async def _on_any_event(self, context: EventContext) -> None:
        assert self._events is not None  # made with CONNECTING
        await self._events.put(context.event_data)

    async def _announce_state(self, state: ZapClientState) -> None:
        if state is ZapClientState.CONNECTING:
            self._events = Stream(None, self._buffer_size, "wait")
        elif state is not ZapClientState.ONLINE and self._events is not None:
            if self._was_online and _is_failure(self.closed):
                self._states.push(ZapClientState.ERROR)
            self._events.close()  # also after a failed attempt: no event will come
        self._was_online = state is ZapClientState.ONLINE
        self._states.push(state)


def _is_failure(closed: CloseInfo | None) -> bool:
    """Whether a connection ended with a failure (RFC 6455, section 7.4.1)."""
    return closed is not None and closed.code in range(1002, 1016) and closed.code != 1005
