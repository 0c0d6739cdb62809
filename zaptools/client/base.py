"""The API that all clients share, over the `Link` that connects them."""

from __future__ import annotations

import logging
import ssl as ssl_module
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from .._arguments import check_flag, check_kind, check_seconds, check_ssl, shown
from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..connection.requests import Predicate, reply_headers
from ..exceptions import ConnectionClosedError, NotConnectedError
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import CloseInfo, check_close
from ..protocol.codec import EventData, encode_event
from ..transport.compression import Compression, client_extensions
from .credentials import Source
from .link import ClientConnection, Link, ZapClientState
from .offline import Offline, OfflineSends
from .reconnect import ReconnectPolicy
from .route import IN_ROUTE, Route
from .url import parse_url

__all__ = ["HINTS", "BaseClient", "UrlClient", "link_of"]

logger = logging.getLogger(__name__)

HINTS = {
    **dict.fromkeys(
        ("headers", "extra_headers", "additional_headers"),
        "pass them to connect(headers={…})",
    ),
    **dict.fromkeys(("auth", "token"), "pass it to connect(headers={'Authorization': …})"),
    **dict.fromkeys(("protocols", "subprotocols"), "pass them to connect(protocols=[…])"),
    **{name: f"pass reconnect=ReconnectPolicy({name}=…)" for name in ReconnectPolicy.__slots__},
    **IN_ROUTE,
    **IN_LIMITS,
}
"""Hints for arguments that no client's constructor has."""


class BaseClient:
    """The base of `ZapConsumer`, `ZapSubscriber` and `ZapClient`: all but connecting.

    A subclass overrides the methods named ``_announce_…``, which its link calls in order.

    Args:
        url: ``ws://…`` or ``wss://…``.
        reconnect: see `ZapConsumer`; so are the others.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: an argument is of a wrong type.
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        url: str,
        *,
        reconnect: ReconnectPolicy | bool = False,
        offline: Offline = "raise",
        offline_limit: int = 1000,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        error_details: bool = False,
        ssl: ssl_module.SSLContext | None = None,
        route: Route | None = None,
    ) -> None:
        parse_url(url)
        if not isinstance(reconnect, (bool, ReconnectPolicy)):
            raise TypeError(
                f"reconnect must be a ReconnectPolicy or a bool, not {shown(reconnect)}"
            )
        check_flag(omit_empty_headers, "omit_empty_headers")
        check_flag(error_details, "error_details")
        check_ssl(ssl)
        check_kind(route, Route, "route", "write route=Route(proxy=…)", none=True)
        client_extensions(compression)  # raises for a compression that does not exist
        # Owns the connection, the states, and everything about connecting.
        self._link = Link(
            url,
            policy=ReconnectPolicy() if reconnect is True else reconnect or None,
            limits=check_limits(limits),
            compression=compression,
            omit_empty_headers=omit_empty_headers,
            ssl=ssl,
            route=route or Route(),
            on_state=self._announce_state,
            on_connected=self._connected,
            on_disconnected=self._announce_disconnected,
        )
        self._link.book.error_details = error_details
        # Owns the events that wait for a connection.
        self._sends = OfflineSends(offline, offline_limit)

    @property
    def url(self) -> str:
        """The server's URL. Another one is for the next attempt to connect."""
        return self._link.url

    @url.setter
    def url(self, url: str) -> None:
        self._link.url = url

    @property
    def limits(self) -> Limits:
        """The bounds of a connection. Others are for the next one."""
        return self._link.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._link.limits = limits

    @property
    def last_error(self) -> Exception | None:
        """Why the client is not connected: the error of the last attempt to connect, or a
        `ConnectionClosedError` that says how the last connection ended. None while it is
        connected, and when the application ended it."""
        return self._link.last_error

    @property
    def current_connection_state(self) -> ZapClientState:
        """The state announced last; before the first connect, `ZapClientState.OFFLINE`."""
        return self._link.state

    @property
    def is_connected(self) -> bool:
        """Whether an event can be sent."""
        return self._link.is_connected

    @property
    def closed(self) -> CloseInfo | None:
        """How the last connection ended; None while it is open, or if there never was one."""
        return self._link.closed

    @property
    def queued_sends(self) -> int:
        """The number of events that wait for a connection."""
        return len(self._sends)

    @property
    def dropped_sends(self) -> int:
        """The number of events that were dropped: sent without a connection by a client whose
        `offline` is ``"drop"``, or still waiting for one when `disconnect` was called."""
        return self._sends.dropped

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Called while `connect` is under way, or in the handler of ONLINE or ``connected``, it makes
        that `connect` raise `ConnectError`. The client does not reconnect by itself any more, nor
        does a `try_reconnect` that still waits. Events that wait for a connection are dropped, and
        counted in `dropped_sends`.

        A handler that is still running a close timeout after the end is cancelled, and waited for
        that long once more.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Raises:
            TypeError: the code is no int, or the reason no str.
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        dropped = self._sends.drop()
        if dropped:
            logger.warning("dropped %d events that waited for a connection", dropped)
        await self._link.disconnect(code, reason)

    async def try_reconnect(self, period: float | timedelta) -> bool:
        """Wait, then connect once more, offering what the last `connect` offered.

        A client that reconnects by itself needs no such call; one that has done so meanwhile
        keeps its connection.

        Args:
            period: the time to wait, in seconds or as a timedelta.

        Returns:
            Whether the client is connected now. False also if `disconnect` was called meanwhile.

        Raises:
            AlreadyConnectedError: as for `connect`.
            TypeError, ValueError: `period` is no time to wait.
        """
        seconds = period.total_seconds() if isinstance(period, timedelta) else period
        check_seconds(seconds, "period", none=False)
        return await self._link.connect_after(seconds)

    async def send_event(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event; see `zaptools.connection.WebSocketConnection.send`.

        The client's `offline` decides what happens without a connection. Events that waited for
        one are sent first, in order.

        Raises:
            NotConnectedError: the client is not connected, and `offline` is ``"raise"``.
            OfflineQueueFullError: `offline_limit` events wait for a connection.
            CodecError: the event cannot be written as JSON; nothing is sent.
            SendTimeoutError: the server did not read for too long; no part of the event is sent.
        """
        connection = self._link.latest
        if connection is None or connection.closed is not None or self._sends.keeps:
            await self._send_or_keep(event_name, payload, headers)
            return
        try:
            await connection.send(event_name, payload, headers)
        except ConnectionClosedError as exc:
            if self._sends.refuses:
                raise NotConnectedError from exc
            self._sends.take(b"")  # the policy is "drop", which only counts

    async def request(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 10.0,  # noqa: ASYNC109 # as asyncio.wait_for has one
    ) -> EventData:
        """Send an event and return its reply; see `zaptools.WebSocketConnection.request`.

        Raises:
            NotConnectedError: the client is not connected.
            RemoteError, TimeoutError, ConnectionClosedError, CodecError, SendTimeoutError: as
                there.
        """
        connection = self._require_connection()
        return await connection.request(event_name, payload, headers, timeout=timeout)

    async def reply(
        self, event: EventData, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send the reply to a server's request; see `zaptools.EventContext.reply`.

        Raises:
            NoRequestError: `event` asks for no reply.
            NotConnectedError, CodecError, SendTimeoutError: as for `send_event`.
        """
        await self.send_event(event.event_name, payload, reply_headers(event, headers))

    async def wait_for(
        self,
        event_name: str,
        *,
        timeout: float | None = 10.0,  # noqa: ASYNC109 # as asyncio.wait_for has one
        predicate: Predicate | None = None,
    ) -> EventData:
        """Return the next event of a name; see `zaptools.WebSocketConnection.wait_for`.

        Raises:
            NotConnectedError: the client is not connected.
            TimeoutError, ConnectionClosedError, TypeError: as there.
        """
        connection = self._require_connection()
        return await connection.wait_for(event_name, timeout=timeout, predicate=predicate)

    def _require_connection(self) -> WebSocketConnection:
        connection = self._link.latest
        if connection is None or connection.closed is not None:
            raise NotConnectedError
        return connection

    async def _send_or_keep(
        self, event_name: str, payload: Any, headers: Mapping[str, Any] | None
    ) -> None:
        """Send an event after the queue of those that wait for a connection, or queue it."""
        sends, connection = self._sends, self._link.latest
        if sends.refuses:
            raise NotConnectedError
        omit = self._link.omit_empty_headers
        data = encode_event(event_name, payload, headers, omit_empty_headers=omit)
        if connection is None or connection.closed is not None or sends:
            sends.take(data)
            return
        number = sends.next_number()
        try:
            pause = connection.transport.send(data)
            if pause is not None:
                await pause
        except ConnectionClosedError as exc:  # no part of it was written
            if connection.attempt.dismissed:  # `disconnect` drops the queue; this caller is told
                raise NotConnectedError from exc
            sends.take(data, number)

    # Called by the link

    async def _connected(self, context: EventContext) -> None:
        connection = context.connection
        assert isinstance(connection, ClientConnection)
        self._sends.flush(connection.transport)
        await self._announce_connected(context)

    async def _announce_state(self, state: ZapClientState) -> None:
        """Announce a state to the application."""

    async def _announce_connected(self, context: EventContext) -> None:
        """Announce to the application that there is a connection."""

    async def _announce_disconnected(self, context: EventContext) -> None:
        """Announce to the application that the connection has ended."""


class UrlClient(BaseClient):
    """A client that is made with its URL: the base of `ZapConsumer` and `ZapSubscriber`."""

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

    async def connect(
        self,
        protocols: Sequence[str] | None = None,
        headers: Source | None = None,
        *,
        query: Source | None = None,
        if_needed: bool = False,
        retry: bool = False,
    ) -> None:
        """Connect. Returns when the client is online.

        A client may connect again after its connection has ended; its handlers and streams stay.
        While it waits to reconnect by itself, this call connects at once, in place of that.

        Called in a handler of a connection that has ended, it makes that handler the last: the
        `disconnected` handler runs first, events that still wait are dropped. A handler of states
        cannot await it; a task that the handler starts can.

        Args:
            protocols: subprotocols to offer. Default none.
            headers: headers to add to the handshake's request, ``Host`` in place of the URL's; or
                a function, sync or async, that returns them, called before every attempt, those
                to reconnect included, for at most `Limits.open_timeout`. What it raises fails the
                attempt. After a 401 it is called once more, with the refusal in `last_error`: if
                it returns others, they are tried at once. Default none.
            query: parameters to add to the URL's query, in place of those of the same names; or a
                function, as for `headers`. Default none.
            if_needed: return at once when the client is connected, and wait for an attempt that
                is under way, in place of raising `AlreadyConnectedError`. Default False.
            retry: try again as the client's policy says, until it gives up. Without it the first
                failure is raised, also by a client that reconnects. Default False.

        Raises:
            AlreadyConnectedError: the client is connected, or about to be; or the handlers of its
                last connection take longer than `Limits.close_timeout`.
            ConnectError: the attempt failed; the state is `ZapClientState.ERROR` then. Or
                `disconnect` was called meanwhile; it is `ZapClientState.OFFLINE` then.
            TypeError: `protocols`, `headers` or `query` are not of strings.
            ValueError: a protocol or a header is not allowed in a request, or a header belongs to
                the handshake itself; or `retry` is set and there is no policy.
        """
        link = self._link
        await link.connect(link.url, protocols, headers, query, if_needed=if_needed, retry=retry)


def link_of(client: BaseClient) -> Link:
    """Return the link of a client: for tests and for programs that break it on purpose."""
    return client._link
