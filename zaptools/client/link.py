"""A client's life: one attempt to connect after the other, and the states it goes through.

An attempt begins with CONNECTING. It is settled when its failure has been told, or the end of the
connection that it made: OFFLINE, after which ``disconnected`` begins. The next one, if there is
any, begins after that; nothing that still runs for an earlier one can change it::

    OFFLINE ─┬─> CONNECTING ─┬─> ONLINE ──> OFFLINE, disconnected ─┬─> (again)
             │               ├─> ERROR        given up ─> ERROR <──┘
             └── OFFLINE <───┘  disconnect, cancelled, or to be tried again
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl as ssl_module
from typing import Any

from .._arguments import check_flag, check_ssl, shown
from .._text import redact
from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..connection.ids import new_id
from ..exceptions import AlreadyConnectedError, ConnectError, ConnectionClosedError
from ..handlers.book import HandlerBook
from ..limits import Limits, check_limits
from ..transport.compression import Compression, client_extensions
from .attempt import Attempt, ClientConnection, Offer
from .offline import Offline, OfflineSends
from .opening import ClientTransport, open_transport, parse_url
from .reconnect import ReconnectPolicy, is_fatal

__all__ = ["DISCONNECTED", "ClientLife", "ZapClientState"]

logger = logging.getLogger(__name__)

DISCONNECTED = "disconnect was called meanwhile"


class ZapClientState(enum.Enum):
    """Where a client stands. The values are those of the published Python package."""

    ONLINE = 1
    OFFLINE = 2
    CONNECTING = 3
    ERROR = 4


class ClientLife:
    """What becomes of a client's connections; the arguments are those of `ClientCore`."""

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
    ) -> None:
        parse_url(url)
        if not isinstance(reconnect, (bool, ReconnectPolicy)):
            raise TypeError(
                f"reconnect must be a ReconnectPolicy or a bool, not {shown(reconnect)}"
            )
        check_flag(omit_empty_headers, "omit_empty_headers")
        check_flag(error_details, "error_details")
        check_ssl(ssl)
        client_extensions(compression)  # which refuses what there is not
        self.url = url
        self.limits = check_limits(limits)
        self.last_error: Exception | None = None
        self._policy = ReconnectPolicy() if reconnect is True else reconnect or None
        self._sends = OfflineSends(offline, offline_limit)
        self._compression: Compression = compression
        self._omit_empty_headers = omit_empty_headers
        self._ssl = ssl
        self._state = ZapClientState.OFFLINE
        self._telling: asyncio.Task[Any] | None = None  # in which the handler of states runs
        self._offer = Offer()  # that of the last connect
        self._attempt: Attempt | None = None  # the last one
        self._latest: ClientConnection | None = None  # the last connection
        self._disconnects = 0  # calls, for those that were waiting when one came
        self._retrying: asyncio.Future[str] | None = None  # ends the wait for the next attempt
        self._reconnecting: asyncio.Task[None] | None = None
        self._book = HandlerBook()
        self._book.error_details = error_details
        self._book.lifecycle["connected"] = self._on_open
        self._book.lifecycle["disconnected"] = self._on_end

    @property
    def _connection(self) -> WebSocketConnection | None:
        latest = self._latest
        return latest if latest is not None and latest.closed is None else None

    @property
    def _transport(self) -> ClientTransport | None:
        return self._attempt.transport if self._attempt is not None else None

    async def _begin(self, url: str, offer: Offer, if_needed: bool, retry: bool) -> None:
        """Do what ``connect`` does."""
        disconnects = self._disconnects
        if not await self._make_way(if_needed):
            return
        if self._disconnects != disconnects:
            raise ConnectError(url, DISCONNECTED)
        self._stop_retrying("connect was called meanwhile")
        self.url, self._offer = url, offer
        self._retrying = stop = asyncio.get_running_loop().create_future()
        await self._keep_connecting(offer, 0, stop, retry=retry)

    async def _make_way(self, if_needed: bool) -> bool:
        """Return whether to connect, once all is told of what was before."""
        while (attempt := self._attempt) is not None and not attempt.settled.done():
            connecting = self._state is ZapClientState.CONNECTING and not attempt.dismissed
            task, transport = asyncio.current_task(), attempt.transport
            if attempt.is_connected and not connecting and if_needed:
                return False
            if self._telling is task:
                detail = (
                    "this handler of states is in the way; let a task that it starts connect, "
                    "or the client reconnect by itself (reconnect=True)"
                )
                raise AlreadyConnectedError(self.url, detail)
            if attempt.is_connected or connecting:
                if not if_needed:
                    raise AlreadyConnectedError(self.url)
                await attempt.wait()
                return False
            if transport is not None and transport.task is task:
                await transport.finish()
            else:
                await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)
            if not attempt.settled.done():
                detail = "a handler of the connection that has ended is still running"
                raise AlreadyConnectedError(self.url, detail)
        return True

    async def _keep_connecting(
        self, offer: Offer, delay: float | None, stop: asyncio.Future[str], *, retry: bool = True
    ) -> None:
        """Attempt to connect after `delay` seconds, and again; None for not any more.

        Raises what the last attempt did, or ConnectError with the reason that `stop` was given.
        """
        try:
            while delay is not None:
                if delay > 0:
                    why = self.last_error
                    logger.info("connecting to %s in %.2f s: %s", redact(self.url), delay, why)
                    await asyncio.wait([stop], timeout=delay)
                if stop.done():
                    raise ConnectError(self.url, stop.result())
                # From the last attempt's settling to here nothing is awaited but the delay, in
                # which `stop` is set by all that begins an attempt: this one is the next.
                self._attempt = attempt = self._new_attempt(offer)
                delay = await self._run(attempt, retry)
        finally:
            if self._retrying is stop:
                self._retrying = None

    def _stop_retrying(self, reason: str) -> None:
        if self._retrying is not None and not self._retrying.done():
            self._retrying.set_result(reason)

    def _new_attempt(self, offer: Offer) -> Attempt:
        return Attempt(self.url, offer)

    async def _run(self, attempt: Attempt, retry: bool) -> float | None:
        """Make an attempt. Returns None, or how long to wait before the next one."""
        try:
            await self._set_state(ZapClientState.CONNECTING)
            await self._reach(attempt)
        except asyncio.CancelledError:  # `disconnect` cancels no more than the opening
            attempt.dismiss("connect was cancelled")
            if attempt.transport is None:
                await self._fail(attempt, attempt.dismissal(), ZapClientState.OFFLINE)
            else:
                attempt.fail(attempt.dismissal())
                attempt.transport.abort()  # its end tells of itself
            raise
        except Exception as exc:
            if attempt.transport is not None:  # its end tells of itself
                await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)
                raise
            delay = self._delay_after(attempt, exc) if retry and not attempt.dismissed else None
            given_up = delay is None and not attempt.dismissed
            state = ZapClientState.ERROR if given_up else ZapClientState.OFFLINE
            await self._fail(attempt, exc, state)
            if delay is None:
                raise
            return delay
        except BaseException as exc:  # in a hurry: no handler is told
            self._state = ZapClientState.ERROR
            attempt.settle()
            attempt.fail(ConnectError(attempt.url, f"{type(exc).__name__} broke it off"))
            raise
        return None

    async def _reach(self, attempt: Attempt) -> None:
        """Open the connection, and return when the client is online."""
        if not attempt.dismissed:  # in the handler of CONNECTING
            # A task of its own, which `disconnect` cancels: a CancelledError here is always one
            # of the task that called `connect`.
            attempt.opening = asyncio.ensure_future(self._open(attempt))
            attempt.opening.add_done_callback(_retrieve)
            await asyncio.wait([attempt.opening])
            if not attempt.dismissed:
                attempt.opening.result()
        if attempt.transport is None:
            raise attempt.dismissal()
        await attempt.wait()

    async def _open(self, attempt: Attempt) -> None:
        offer = attempt.offer
        await open_transport(
            attempt.url,
            lambda transport: self._take(attempt, transport),
            protocols=offer.protocols,
            headers=offer.headers or {},
            limits=self.limits,
            compression=self._compression,
            ssl=self._ssl,
        )

    def _take(self, attempt: Attempt, transport: ClientTransport) -> None:
        """Begin the life of an attempt's connection, before the first handler wants to send."""
        if attempt.dismissed:
            transport.abort()
            return
        omit = self._omit_empty_headers
        connection = ClientConnection(new_id(), transport, attempt, omit_empty_headers=omit)
        attempt.transport, attempt.connection = transport, connection
        self._latest = connection
        transport.begin(connection, self._book)

    def _delay_after(self, attempt: Attempt, error: Exception) -> float | None:
        backoff = attempt.offer.backoff
        if backoff is None or attempt.hopeless or is_fatal(error):
            return None
        return backoff.next()

    async def _fail(self, attempt: Attempt, error: Exception, state: ZapClientState) -> None:
        """Tell that an attempt has failed, and settle it."""
        self.last_error = None if attempt.dismissed else error
        try:
            await self._set_state(state)
        finally:
            attempt.settle()
            attempt.fail(error)

    # The connection's life, in its dispatcher's task

    async def _on_open(self, context: EventContext) -> None:
        attempt = Attempt.of(context)
        transport = attempt.transport
        assert transport is not None
        self.last_error = None
        attempt.online_since = asyncio.get_running_loop().time()
        try:
            await self._set_state(ZapClientState.ONLINE)
        except BaseException as exc:  # cancellation too: what waits in connect() is told
            attempt.hopeless = True
            name = type(exc).__name__
            error = ConnectError(attempt.url, f"the handler of ONLINE raised {name}")
            error.__cause__ = exc
            attempt.fail(error)
            transport.abort()
            raise
        attempt.succeed()
        self._sends.flush(transport)
        await self._tell_connected(context)

    async def _on_end(self, context: EventContext) -> None:
        attempt, closed = Attempt.of(context), context.connection.closed
        assert closed is not None
        attempt.ended = True
        error = ConnectionClosedError(*closed)
        self.last_error = None if attempt.dismissed else error
        try:
            await self._set_state(ZapClientState.OFFLINE)
        finally:
            attempt.settle()
            attempt.fail(ConnectError(attempt.url, str(error)))
        try:
            await self._tell_disconnected(context)
        finally:
            await self._reconnect_after(attempt, error)

    async def _reconnect_after(self, attempt: Attempt, error: ConnectionClosedError) -> None:
        task, backoff = asyncio.current_task(), attempt.offer.backoff
        if backoff is None or attempt.dismissed or self._attempt is not attempt:
            return  # in the last case the application has connected meanwhile
        if task is not None and task.cancelling() > 0:
            return
        loop, offer = asyncio.get_running_loop(), attempt.offer
        backoff.ended(loop.time() - attempt.online_since)
        delay = self._delay_after(attempt, error)
        if delay is None:
            logger.error("connecting to %s is given up: %s", redact(attempt.url), error)
            # No attempt is made, but until it is told that there is none, none may begin.
            self._attempt = attempt = self._new_attempt(offer)
            await self._fail(attempt, error, ZapClientState.ERROR)
            return
        self._retrying = stop = loop.create_future()
        self._reconnecting = asyncio.create_task(self._reconnect(offer, delay, stop))

    async def _reconnect(self, offer: Offer, delay: float, stop: asyncio.Future[str]) -> None:
        try:
            await self._keep_connecting(offer, delay, stop)
        except Exception as exc:
            if not stop.done():
                trace = None if isinstance(exc, ConnectError) else exc
                url = redact(self.url)
                logger.error("connecting to %s is given up: %s", url, exc, exc_info=trace)

    async def _set_state(self, state: ZapClientState) -> None:
        self._state = state
        self._telling = asyncio.current_task()
        try:
            await self._tell_state(state)
        finally:
            self._telling = None

    # What a kind of client adds

    async def _tell_state(self, state: ZapClientState) -> None:
        """Tell the application about a state."""

    async def _tell_connected(self, context: EventContext) -> None:
        """Tell the application that there is a connection."""

    async def _tell_disconnected(self, context: EventContext) -> None:
        """Tell the application that the connection has ended."""


def _retrieve(task: asyncio.Task[None]) -> None:
    """Look at a task's exception: what awaited it may have been cancelled in the same moment."""
    if not task.cancelled():
        task.exception()
