"""A client's life: one attempt to connect after the other, and the states it goes through.

An attempt begins with CONNECTING and is settled when its failure has been told, or the end of the
connection that it made: OFFLINE, and then ``disconnected``. Nothing begins before that.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl as ssl_module
from collections.abc import Mapping, Sequence
from typing import Any

from ._compression import Compression
from ._offline import Offline, OfflineSends
from ._opening import ClientTransport, open_transport, parse_url
from ._text import redact
from .connection import EventContext, WebSocketConnection, new_id
from .exceptions import AlreadyConnectedError, ConnectError, ConnectionClosedError
from .limits import Limits
from .reconnect import Backoff, ReconnectPolicy, is_fatal
from .registry import HandlerBook

__all__ = ["ClientLife", "ZapClientState"]

logger = logging.getLogger(__name__)


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
            raise TypeError(f"reconnect must be a ReconnectPolicy or a bool, not {reconnect!r}")
        self.url = url
        self.limits = limits or Limits()
        self.last_error: Exception | None = None
        self._policy = ReconnectPolicy() if reconnect is True else reconnect or None
        self._sends = OfflineSends(offline, offline_limit)
        self._compression: Compression = compression
        self._omit_empty_headers = omit_empty_headers
        self._ssl = ssl
        self._state = ZapClientState.OFFLINE
        self._telling: asyncio.Task[Any] | None = None
        self._transport: ClientTransport | None = None
        self._latest: WebSocketConnection | None = None
        self._opening: asyncio.Task[None] | None = None
        # Of the current attempt, and of the connection that it made:
        self._online: asyncio.Future[None] | None = None  # done when it is online, or failed
        self._settled: asyncio.Future[None] | None = None  # done when its end has been told
        self._given_up = False
        # What outlives them:
        self._wanted_end = False
        self._disconnects = 0
        self._backoff: Backoff | None = None
        self._online_since = 0.0
        self._retrying: asyncio.Future[str] | None = None
        self._reconnecting: asyncio.Task[None] | None = None
        self._protocols: Sequence[str] = ()
        self._headers: Mapping[str, str] = {}
        self._book = HandlerBook()
        self._book.error_details = error_details
        self._book.lifecycle["connected"] = self._on_open
        self._book.lifecycle["disconnected"] = self._on_end

    @property
    def _connection(self) -> WebSocketConnection | None:
        latest = self._latest
        return latest if latest is not None and latest.closed is None else None

    async def _make_way(self, if_needed: bool) -> bool:
        """Return whether to connect, once all is told of what was before."""
        while self._settled is not None and not self._settled.done():
            connecting = self._state is ZapClientState.CONNECTING
            task, transport = asyncio.current_task(), self._transport
            if self._connection is not None and not connecting and if_needed:
                return False
            if self._telling is task:
                detail = (
                    "this handler of states is in the way; let a task that it starts connect, "
                    "or the client reconnect by itself (reconnect=True)"
                )
                raise AlreadyConnectedError(self.url, detail)
            if self._connection is not None or connecting:
                if not if_needed:
                    raise AlreadyConnectedError(self.url)
                assert self._online is not None
                await asyncio.shield(self._online)
                return False
            if transport is not None and transport.task is task:
                await transport.finish()
            else:
                await asyncio.wait([self._settled], timeout=self.limits.close_timeout)
            if not self._settled.done():
                detail = "a handler of the connection that has ended is still running"
                raise AlreadyConnectedError(self.url, detail)
        return True

    async def _keep_connecting(
        self, delay: float | None, stop: asyncio.Future[str], *, retry: bool = True
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
                delay = await self._attempt(retry)
        finally:
            if self._retrying is stop:
                self._retrying = None

    def _stop_retrying(self, reason: str) -> None:
        if self._retrying is not None and not self._retrying.done():
            self._retrying.set_result(reason)

    async def _attempt(self, retry: bool) -> float | None:
        """Attempt to connect. Returns None, or how long to wait before the next attempt."""
        loop = asyncio.get_running_loop()
        self._online, self._settled = loop.create_future(), loop.create_future()
        self._transport = None
        self._given_up = False
        try:
            await self._set_state(ZapClientState.CONNECTING)
            if self._given_up:
                raise asyncio.CancelledError
            self._opening = asyncio.ensure_future(self._open())
            await self._opening
            await asyncio.shield(self._online)
        except asyncio.CancelledError:
            self._wanted_end = True
            error = ConnectError(self.url, "disconnect was called meanwhile")
            await self._abandon(error)
            here = asyncio.current_task()
            if here is not None and here.cancelling() > 0:
                raise
            raise error from None
        except Exception as exc:
            if self._transport is not None:  # its end tells of itself
                await asyncio.wait([self._settled], timeout=self.limits.close_timeout)
                raise
            delay = self._delay_after(exc) if retry else None
            if delay is None:
                await self._fail(exc, ZapClientState.ERROR)
                raise
            await self._fail(exc, ZapClientState.OFFLINE)
            return delay
        except BaseException as exc:  # in a hurry: no handler is told
            self._state = ZapClientState.ERROR
            self._settle()
            self._resolve(ConnectError(self.url, f"{type(exc).__name__} broke it off"))
            raise
        finally:
            self._opening = None
        return None

    async def _open(self) -> None:
        def begin(transport: ClientTransport) -> None:
            self._transport = transport  # before the first handler, which may want to send
            self._latest = WebSocketConnection(
                new_id(), transport, omit_empty_headers=self._omit_empty_headers
            )
            transport.begin(self._latest, self._book)

        await open_transport(
            self.url,
            begin,
            protocols=self._protocols,
            headers=self._headers,
            limits=self.limits,
            compression=self._compression,
            ssl=self._ssl,
        )

    def _delay_after(self, error: Exception) -> float | None:
        if self._backoff is None or is_fatal(error):
            return None
        return self._backoff.next()

    async def _abandon(self, error: ConnectError) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._transport is not None:
            self._resolve(error)
            self._transport.abort()  # its end sets the state
        else:
            await self._fail(error, ZapClientState.OFFLINE)

    async def _fail(self, error: Exception, state: ZapClientState) -> None:
        self.last_error = None if self._wanted_end else error
        if self._settled is None or self._settled.done():
            self._settled = asyncio.get_running_loop().create_future()
        try:
            await self._set_state(state)
        finally:
            self._settle()
            self._resolve(error)

    def _settle(self) -> None:
        assert self._settled is not None
        self._settled.set_result(None)

    def _resolve(self, error: Exception | None) -> None:
        """Say to whom it may concern how the attempt went."""
        online = self._online
        if online is None or online.done():
            return
        if error is None:
            online.set_result(None)
        else:
            online.set_exception(error)
            online.exception()  # there may be nobody

    # The connection's life, in its dispatcher's task

    async def _on_open(self, context: EventContext) -> None:
        transport = self._transport
        assert transport is not None
        self.last_error = None
        self._online_since = asyncio.get_running_loop().time()
        try:
            await self._set_state(ZapClientState.ONLINE)
        except BaseException as exc:  # cancellation too: whoever waits in connect() is told
            self._backoff = None
            error = ConnectError(self.url, f"the handler of ONLINE raised {type(exc).__name__}")
            error.__cause__ = exc
            self._resolve(error)
            transport.abort()
            raise
        self._resolve(None)
        self._sends.flush(transport)
        await self._tell_connected(context)

    async def _on_end(self, context: EventContext) -> None:
        transport, closed = self._transport, context.connection.closed
        assert closed is not None
        error = ConnectionClosedError(*closed)
        self.last_error = None if self._wanted_end else error
        try:
            await self._set_state(ZapClientState.OFFLINE)
        finally:
            self._settle()
        try:
            await self._tell_disconnected(context)
        finally:
            await self._reconnect_after(error, transport)

    async def _reconnect_after(
        self, error: ConnectionClosedError, ended: ClientTransport | None
    ) -> None:
        task = asyncio.current_task()
        if self._policy is None or self._wanted_end or self._transport is not ended:
            return  # in the last case a handler has connected
        if task is not None and task.cancelling() > 0:
            return
        loop = asyncio.get_running_loop()
        if self._backoff is not None:
            self._backoff.ended(loop.time() - self._online_since)
        delay = self._delay_after(error)
        if delay is None:
            logger.error("connecting to %s is given up: %s", redact(self.url), error)
            await self._fail(error, ZapClientState.ERROR)
            return
        self._retrying = stop = loop.create_future()
        self._reconnecting = asyncio.create_task(self._reconnect(delay, stop))

    async def _reconnect(self, delay: float, stop: asyncio.Future[str]) -> None:
        try:
            await self._keep_connecting(delay, stop)
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
