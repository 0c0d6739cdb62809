"""What every client does: one connection at a time, and the states it goes through."""

from __future__ import annotations

import asyncio
import enum
import inspect
import logging
import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from ._closing import CloseInfo, check_close
from ._compression import Compression
from ._exchange import Predicate, reply_headers
from ._offers import check_headers, check_subprotocols
from ._opening import ClientTransport, open_transport, parse_url
from .connection import EventContext, WebSocketConnection, new_id
from .exceptions import (
    AlreadyConnectedError,
    ConnectError,
    ConnectionClosedError,
    NotConnectedError,
)
from .limits import Limits
from .protocol import EventData
from .registry import HandlerBook

__all__ = ["ClientCore", "ZapClientState"]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())


class ZapClientState(enum.Enum):
    """Where a client stands. The values are those of the published Python package."""

    ONLINE = 1
    OFFLINE = 2
    CONNECTING = 3
    ERROR = 4


class ClientCore:
    """A client's connection, and its states.

    Args:
        url: ``ws://…`` or ``wss://…``.
        limits: the bounds of the connection.
        compression: ``"deflate"`` offers compression to the server. Default None.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        ssl: TLS context for ``wss``. Default None: the one that Python gives a client.

    Raises:
        InvalidUrlError: the URL is not a WebSocket URL.
    """

    def __init__(
        self,
        url: str,
        *,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        parse_url(url)
        self.url = url
        self.limits = limits or Limits()
        self._compression: Compression = compression
        self._omit_empty_headers = omit_empty_headers
        self._ssl = ssl
        self._state = ZapClientState.OFFLINE
        self._transport: ClientTransport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._online: asyncio.Future[None] | None = None
        self._given_up = False
        self._protocols: Sequence[str] = ()
        self._headers: Mapping[str, str] = {}
        self._book = HandlerBook()
        self._book.lifecycle["connected"] = self._on_open
        self._book.lifecycle["disconnected"] = self._on_end

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
        connection = self._transport.connection if self._transport is not None else None
        return connection.closed if connection is not None else None

    @property
    def _connection(self) -> WebSocketConnection | None:
        connection = self._transport.connection if self._transport is not None else None
        return connection if connection is not None and connection.is_open else None

    async def connect(
        self,
        protocols: Sequence[str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connect. Returns when the client is online.

        A client may connect again after its connection has ended; its handlers and streams stay.

        Args:
            protocols: subprotocols to offer. Default none.
            headers: headers to add to the handshake's request. Default none.

        Raises:
            AlreadyConnectedError: the client is connected, or about to be.
            ConnectError: no connection came about; the state is `ZapClientState.ERROR` then.
            TypeError: `protocols` or `headers` are not of strings.
            ValueError: no request may carry one of them.
        """
        if self._state in (ZapClientState.CONNECTING, ZapClientState.ONLINE):
            raise AlreadyConnectedError(self.url)
        self._protocols, self._headers = check_subprotocols(protocols), check_headers(headers)
        self._state = ZapClientState.CONNECTING
        self._transport = None
        self._given_up = False
        try:
            await self._tell_state(ZapClientState.CONNECTING)
            if self._given_up:
                raise asyncio.CancelledError
            self._online = asyncio.get_running_loop().create_future()
            self._opening = asyncio.ensure_future(self._open())
            await self._opening
            await self._online
        except asyncio.CancelledError:
            await self._give_up_opening()
            here = asyncio.current_task()
            if here is not None and here.cancelling() > 0:
                raise
            raise ConnectError(self.url, "disconnect was called meanwhile") from None
        except Exception:
            await self._set_state(ZapClientState.ERROR)
            raise
        finally:
            self._opening = None

    async def _open(self) -> None:
        def begin(transport: ClientTransport) -> None:
            self._transport = transport  # before the first handler, which may want to send
            connection = WebSocketConnection(
                new_id(), transport, omit_empty_headers=self._omit_empty_headers
            )
            transport.begin(connection, self._book)

        await open_transport(
            self.url,
            begin,
            protocols=self._protocols,
            headers=self._headers,
            limits=self.limits,
            compression=self._compression,
            ssl=self._ssl,
        )

    async def _give_up_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()  # its end sets the state
        else:
            await self._set_state(ZapClientState.OFFLINE)

    async def disconnect(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect, and return when the connection has ended. No-op when there is none.

        Called while `connect` is under way, it makes that raise `ConnectError`. A handler that
        still runs a close timeout after the end is cancelled, and waited for that long once more.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Raises:
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        transport = self._transport
        if transport is None:
            if self._opening is not None:
                self._opening.cancel()
            elif self._state is ZapClientState.CONNECTING:
                self._given_up = True
            return
        await transport.close(code, reason)
        await asyncio.shield(transport.lost)
        if transport.task is not asyncio.current_task():
            await self._wait_for_handlers(transport)

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

        Args:
            period: how long to wait, in seconds or as a timedelta.

        Returns:
            Whether the client is connected now.
        """
        seconds = period.total_seconds() if isinstance(period, timedelta) else period
        await asyncio.sleep(seconds)
        try:
            await self.connect(self._protocols, self._headers)
        except ConnectError as exc:
            logger.info("%s", exc)
            return False
        return True

    async def send_event(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event; see `zaptools.connection.WebSocketConnection.send`.

        Raises:
            NotConnectedError: the client is not connected.
            CodecError: the event cannot be written as JSON; nothing is sent.
            SendTimeoutError: the server did not read for too long; nothing of it is sent.
        """
        connection = self._connection
        if connection is None:
            raise NotConnectedError
        try:
            await connection.send(event_name, payload, headers)
        except ConnectionClosedError as exc:
            raise NotConnectedError from exc

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
            TimeoutError, ConnectionClosedError, CodecError, SendTimeoutError: as there.
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

    # The connection's life, in its dispatcher's task

    async def _on_open(self, context: EventContext) -> None:
        await self._set_state(ZapClientState.ONLINE)
        if self._online is not None and not self._online.done():
            self._online.set_result(None)
        await self._tell_connected(context)

    async def _on_end(self, context: EventContext) -> None:
        await self._set_state(ZapClientState.OFFLINE)
        await self._tell_disconnected(context)

    async def _set_state(self, state: ZapClientState) -> None:
        self._state = state
        await self._tell_state(state)

    # What a kind of client adds

    async def _tell_state(self, state: ZapClientState) -> None:
        """Tell the application about a state."""

    async def _tell_connected(self, context: EventContext) -> None:
        """Tell the application that there is a connection."""

    async def _tell_disconnected(self, context: EventContext) -> None:
        """Tell the application that the connection has ended."""


async def call(callback: Callable[[Any], Any], argument: Any) -> None:
    """Call a handler that may be sync or async."""
    result = callback(argument)
    if result is not None and inspect.isawaitable(result):
        await result
