"""What every client does: one connection at a time, and the states it goes through."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from .._arguments import check_seconds
from ..connection.connection import WebSocketConnection
from ..connection.handshake import check_headers, check_subprotocols
from ..connection.requests import Predicate, reply_headers
from ..exceptions import ConnectError, ConnectionClosedError, NotConnectedError
from ..protocol.close import CloseInfo, check_close
from ..protocol.codec import EventData, encode_event
from .attempt import Offer
from .link import DISCONNECTED, ClientLife, ZapClientState
from .opening import ClientTransport
from .reconnect import Backoff

__all__ = ["ClientCore", "ZapClientState"]

logger = logging.getLogger(__name__)


class ClientCore(ClientLife):
    """A client's connection, and its states.

    Args:
        url: ``ws://…`` or ``wss://…``.
        reconnect: whether to connect again when a connection ends that the application did not
            end; a policy, or True for ``ReconnectPolicy()``. Default False.
        offline: what a send does while there is no connection: ``"raise"`` (the default) raises
            `NotConnectedError`; ``"queue"`` keeps the event until there is one; ``"drop"`` loses
            it and counts it in `dropped_sends`.
        offline_limit: how many events ``"queue"`` keeps. One more raises
            `OfflineQueueFullError`. Default 1000.
        limits: the bounds of the connection.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        error_details: as for `EventRegister`. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.

    Attributes:
        last_error: why the client is not connected: the error of the last attempt, or a
            `ConnectionClosedError` that says how the last connection ended. None while it is
            connected, and when the application ended it.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
        TypeError: `reconnect` is neither a policy nor a bool, or `offline_limit` no int.
        ValueError: `offline` or `offline_limit` is out of its range.
    """

    @property
    def current_connection_state(self) -> ZapClientState:
        """The state that was announced last; before the first connect, `ZapClientState.OFFLINE`."""
        return self._state

    @property
    def is_connected(self) -> bool:
        """Whether an event can be sent."""
        return self._connection is not None

    @property
    def closed(self) -> CloseInfo | None:
        """How the last connection ended; None while there is one, or if there never was."""
        return self._latest.closed if self._latest is not None else None

    @property
    def queued_sends(self) -> int:
        """How many events wait for a connection."""
        return len(self._sends)

    @property
    def dropped_sends(self) -> int:
        """How many events were not sent and will not be: dropped for want of a connection, or
        still waiting for one when `disconnect` was called."""
        return self._sends.dropped

    async def connect(
        self,
        protocols: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        if_needed: bool = False,
        retry: bool = False,
    ) -> None:
        """Connect. Returns when the client is online.

        A client may connect again after its connection has ended; its handlers and streams stay.
        While it waits to reconnect by itself, this connects at once, in place of that.

        Called in a handler of a connection that has ended, it makes that handler the last: the
        `disconnected` handler runs first, events that still wait are dropped. A handler of states
        cannot await it; a task that the handler starts can.

        Args:
            protocols: subprotocols to offer. Default none.
            headers: headers to add to the handshake's request; ``Host`` takes the place of the
                URL's. Default none.
            if_needed: whether being connected already is fine, and being about to be is waited
                for. Default False.
            retry: whether to try again as the client's policy says, until it gives up. Without it
                the first failure is raised, also by a client that reconnects. Default False.

        Raises:
            AlreadyConnectedError: the client is connected, or about to be; or the handlers of its
                last connection take longer than `Limits.close_timeout`.
            ConnectError: no connection came about; the state is `ZapClientState.ERROR` then. Or
                `disconnect` was called meanwhile; it is `ZapClientState.OFFLINE` then.
            TypeError: `protocols` or `headers` are not of strings.
            ValueError: no request may carry one of them, or a header is the handshake's own; or
                `retry` with no policy.
        """
        if retry and self._policy is None:
            raise ValueError("retry needs a client with a policy: pass it reconnect=True")
        await self._begin(self.url, self._new_offer(protocols, headers), if_needed, retry)

    def _new_offer(
        self, protocols: Sequence[str] | None, headers: Mapping[str, str] | None
    ) -> Offer:
        return Offer(
            protocols=check_subprotocols(protocols),
            headers=check_headers(headers),
            backoff=Backoff(self._policy) if self._policy is not None else None,
        )

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Called while `connect` is under way, or in the handler of ONLINE or ``connected``, it makes
        that raise `ConnectError`. The client does not reconnect by itself any more, nor does a
        `try_reconnect` that still waits. Events that wait for a connection are dropped, and
        counted in `dropped_sends`.

        A handler that still runs a close timeout after the end is cancelled, and waited for that
        long once more.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Raises:
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        self._disconnects += 1
        self._stop_retrying(DISCONNECTED)
        dropped = self._sends.drop()
        if dropped:
            logger.warning("%d events that waited for a connection are dropped", dropped)
        attempt, task = self._attempt, asyncio.current_task()
        if attempt is None:
            return
        attempt.dismiss(DISCONNECTED)
        transport = attempt.transport
        if transport is not None:
            await transport.close(code, reason)
            await asyncio.shield(transport.lost)
            if not transport.is_caller:
                await self._wait_for_handlers(transport)
        elif self._telling is not task:
            await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)

    async def _wait_for_handlers(self, transport: ClientTransport) -> None:
        timeout = self.limits.close_timeout
        await asyncio.wait([transport.over], timeout=timeout)
        if not transport.over.done() and transport.task is not None:
            transport.task.cancel()
            await asyncio.wait([transport.over], timeout=timeout)
            if not transport.over.done():
                logger.warning("a handler does not end, though it was cancelled")

    async def try_reconnect(self, period: float | timedelta) -> bool:
        """Wait, then connect once more, offering what the last `connect` offered.

        A client that reconnects by itself needs no such call; if it has done so meanwhile, that
        is fine.

        Args:
            period: how long to wait, in seconds or as a timedelta.

        Returns:
            Whether the client is connected now. Not if `disconnect` was called meanwhile.

        Raises:
            AlreadyConnectedError: as for `connect`.
            TypeError, ValueError: `period` is no time to wait.
        """
        seconds = period.total_seconds() if isinstance(period, timedelta) else period
        check_seconds(seconds, "period", none=False)
        disconnects = self._disconnects
        await asyncio.sleep(seconds)
        if self._disconnects != disconnects:
            return False
        try:
            await self._connect_again()
        except ConnectError as exc:
            logger.info("%s", exc)
            return False
        return True

    async def _connect_again(self) -> None:
        offer = self._offer
        await self.connect(offer.protocols, offer.headers, if_needed=self._policy is not None)

    async def send_event(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event; see `zaptools.connection.WebSocketConnection.send`.

        What happens without a connection is the client's `offline`. Events that waited for one go
        out first, in order, when there is one.

        Raises:
            NotConnectedError: the client is not connected, and `offline` is ``"raise"``.
            OfflineQueueFullError: as many events as may wait for a connection do.
            CodecError: the event cannot be written as JSON; nothing is sent.
            SendTimeoutError: the server did not read for too long; nothing of it is sent.
        """
        connection = self._connection
        if connection is None or self._sends.keeps:
            await self._send_or_keep(event_name, payload, headers)
            return
        try:
            await connection.send(event_name, payload, headers)
        except ConnectionClosedError as exc:
            if self._sends.refuses:
                raise NotConnectedError from exc
            self._sends.take(b"")  # which drops it

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
        """Send the reply to a request of the server's; see `zaptools.EventContext.reply`.

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
        connection = self._connection
        if connection is None:
            raise NotConnectedError
        return connection

    async def _send_or_keep(
        self, event_name: str, payload: Any, headers: Mapping[str, Any] | None
    ) -> None:
        """Send an event behind those that wait for a connection, if it may wait for one itself."""
        sends, connection = self._sends, self._latest
        if sends.refuses:
            raise NotConnectedError
        omit = self._omit_empty_headers
        data = encode_event(event_name, payload, headers, omit_empty_headers=omit)
        if connection is None or connection.closed is not None or sends:
            sends.take(data)
            return
        number = sends.next_number()
        try:
            pause = connection._transport.send(data)
            if pause is not None:
                await pause
        except ConnectionClosedError as exc:  # nothing of it was written
            if connection.attempt.dismissed:  # `disconnect` drops what waits; this can be told
                raise NotConnectedError from exc
            sends.take(data, number)


async def call(callback: Callable[[Any], Any], argument: Any) -> None:
    """Call a handler that may be sync or async."""
    result = callback(argument)
    if result is not None and inspect.isawaitable(result):
        await result
