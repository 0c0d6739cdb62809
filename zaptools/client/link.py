"""A client's link to its server: the attempts to connect, the connection, and reconnecting.

The states, and the calls that announce them. Each arrow is announced with ``on_state``; a
connection also with ``on_connected`` and, once, ``on_disconnected``::

    OFFLINE ─┬─> CONNECTING ─┬─> ONLINE, connected ──> OFFLINE, disconnected ─┬─> (reconnect)
             │               ├─> ERROR                     gave up ─> ERROR <─┘
             └── OFFLINE <───┘  failed and about to be retried, or dismissed by the application

One call of ``connect`` makes an *offer*: the subprotocols and credentials of the opening request,
which its attempts have in common. The *connect loop* makes an attempt, waits for the policy's
delay, and so on until one is online; one loop runs at a time, for ``connect`` or, in a task, to
reconnect.

One attempt leads to one connection at most. It is *dismissed* when the application ends it, by
``disconnect`` or by cancelling ``connect``: that is no failure, and nothing is retried. Two futures
mark its progress, each is done once::

    begun ─┬─> online ──> settled        the end of its connection has been announced
           └─> failed ──> settled        its failure has been announced

The next attempt begins only when this one is *settled*, and is another object: code that still runs
for an earlier attempt cannot change a later one.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from .._text import redact
from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..connection.handshake import check_subprotocols
from ..connection.ids import new_id
from ..exceptions import (
    AlreadyConnectedError,
    ConnectError,
    ConnectionClosedError,
    HandshakeError,
)
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..protocol.close import CloseInfo
from ..transport.compression import Compression
from .credentials import Credentials, Source
from .opening import ClientTransport, open_transport
from .reconnect import Backoff, ReconnectPolicy, is_fatal
from .route import Route

__all__ = ["Attempt", "ClientConnection", "Link", "Offer", "ZapClientState"]

logger = logging.getLogger(__name__)

_DISCONNECTED = "disconnect was called meanwhile"


class ZapClientState(enum.Enum):
    """The state of a client. The values are those of the published Python package."""

    ONLINE = 1
    OFFLINE = 2
    CONNECTING = 3
    ERROR = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # no repr: it holds credentials
class Offer:
    """What one call of ``connect`` offers to the server, in its own attempt and in later ones.

    Attributes:
        protocols: subprotocols to offer. Default none.
        credentials: headers, and parameters of the query, to add to the request. Default none.
        backoff: the delays between attempts; None for a client that makes a single attempt.
    """

    protocols: Sequence[str] = ()
    credentials: Credentials = field(default_factory=Credentials)
    backoff: Backoff | None = None


class Attempt:
    """One attempt to connect, and its connection, if it succeeds.

    Args:
        url: the server's URL.
        offer: the subprotocols and credentials of its request, and the delays after a failure.
    """

    __slots__ = (
        "_withdrawn",
        "connection",
        "dismissed",
        "ended",
        "is_final",
        "offer",
        "online",
        "online_since",
        "opening",
        "settled",
        "transport",
        "url",
    )

    def __init__(self, url: str, offer: Offer) -> None:
        loop = asyncio.get_running_loop()
        self.url = url
        self.offer = offer
        # Done when the client is online; holds the error if the attempt failed.
        self.online: asyncio.Future[None] = loop.create_future()
        # Done when the failure, or the end of the connection, has been announced.
        self.settled: asyncio.Future[None] = loop.create_future()
        # The task that opens the connection; None until it starts. `dismiss` cancels it.
        self.opening: asyncio.Task[None] | None = None
        # Both set by the link when the handshake is done, unless the attempt is dismissed.
        self.transport: ClientTransport | None = None
        self.connection: ClientConnection | None = None
        # The reason, as text, if the application ended it by `disconnect`, or by cancelling
        # `connect`; else None.
        self.dismissed: str | None = None
        # Whether it was dismissed before its connection ended: then `connect` raises.
        self._withdrawn = False
        # Whether its connection has ended, and the end is being announced: a dismissal is too late
        # to make `connect` raise, and only prevents reconnecting.
        self.ended = False
        # Set when the handler of ONLINE failed: no reconnect may follow, whatever the policy says.
        self.is_final = False
        # The time at which its connection was online, in the event loop's clock.
        self.online_since = loop.time()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and it has not ended."""
        return self.connection is not None and self.connection.closed is None

    def dismiss(self, detail: str) -> None:
        """End the attempt on the application's behalf; the caller closes the transport, if any."""
        self.dismissed = self.dismissed or detail
        self._withdrawn |= not self.ended
        if self.transport is None and self.opening is not None:
            self.opening.cancel()

    def succeed(self) -> None:
        """Complete the pending `connect` call: the client is online. No-op after a failure."""
        if not self.online.done():
            self.online.set_result(None)

    def fail(self, error: Exception) -> None:
        """Fail the pending `connect` call. No-op once that is completed."""
        if not self.online.done():
            self.online.set_exception(error)
            self.online.exception()  # retrieved: there may be no call that awaits it

    def settle(self) -> None:
        """Let the next attempt begin: the end of this one has been announced."""
        if not self.settled.done():
            self.settled.set_result(None)

    def dismissal(self) -> ConnectError:
        """Return the error for the callers that wait for a dismissed attempt."""
        assert self.dismissed is not None
        return ConnectError(self.url, self.dismissed)

    async def wait(self) -> None:
        """Return when the client is online.

        Raises:
            ConnectError: the attempt failed, or `disconnect` was called.
        """
        await asyncio.shield(self.online)
        if self._withdrawn:  # dismissed between coming online and the caller's next turn
            raise self.dismissal()


class ClientConnection(WebSocketConnection):
    """A client's connection.

    Attributes:
        attempt: the attempt that made it.
        transport: its transport, for messages that are encoded already.
    """

    __slots__ = ("attempt",)

    transport: ClientTransport

    def __init__(
        self, id: str, transport: ClientTransport, attempt: Attempt, *, omit_empty_headers: bool
    ) -> None:
        super().__init__(id, transport, omit_empty_headers=omit_empty_headers)
        self.attempt = attempt


class Link:
    """Makes one connection at a time, announces its states, and reconnects after its end.

    Args:
        url: the server's URL.
        policy: when to reconnect; None for never.
        limits: the bounds of each connection.
        compression: what to offer to the server.
        omit_empty_headers: see `zaptools.protocol.encode_event`.
        ssl: TLS context for ``wss``; None for Python's default.
        route: the way to the server.
        on_state: awaited with each state, in order.
        on_connected: awaited when there is a connection, before its first event.
        on_disconnected: awaited once when a connection has ended.

    Attributes:
        opener: opens a connection, as `open_transport` does, which is the default. It may be
            replaced until `connect` is called, and so may the three callbacks.
    """

    def __init__(
        self,
        url: str,
        *,
        policy: ReconnectPolicy | None,
        limits: Limits,
        compression: Compression,
        omit_empty_headers: bool,
        ssl: ssl_module.SSLContext | None,
        route: Route,
        on_state: Callable[[ZapClientState], Awaitable[None]],
        on_connected: Callable[[EventContext], Awaitable[None]],
        on_disconnected: Callable[[EventContext], Awaitable[None]],
    ) -> None:
        self.url = url  # of the next attempt; `connect` sets it, the application may
        self.limits = limits  # of the next connection; the application may set it
        self.policy = policy
        self.on_state = on_state
        self.on_connected = on_connected
        self.on_disconnected = on_disconnected
        self.opener = open_transport
        self.omit_empty_headers = omit_empty_headers
        self._compression: Compression = compression
        self._ssl = ssl
        self._route = route
        # The handlers of every connection.
        self.book = HandlerBook()
        self.book.lifecycle["connected"] = self._opened
        self.book.lifecycle["disconnected"] = self._ended
        # The state announced last, or being announced.
        self.state = ZapClientState.OFFLINE
        # Why there is no connection: the last attempt's error, or how the last connection ended.
        # None while online, and when the application ended it.
        self.last_error: Exception | None = None
        # The last connection, open or not; None before the first.
        self.latest: ClientConnection | None = None
        # The last attempt, under way or settled; None before the first.
        self._attempt: Attempt | None = None
        # The offer of the last `connect`; `connect_after` makes it again.
        self._offer = Offer()
        # The task in which `on_state` runs now, else None: a call from it must not wait for the
        # next state.
        self._announcing: asyncio.Task[Any] | None = None
        # The number of calls of `disconnect`: a caller that waits sees whether there was one.
        self._disconnects = 0
        # Stops the connect loop before its next attempt: its result is the reason, for the error.
        # None while no loop runs.
        self._loop_stop: asyncio.Future[str] | None = None
        # The task of the connect loop that reconnects, held here because the event loop holds tasks
        # weakly.
        self._reconnecting: asyncio.Task[None] | None = None

    @property
    def closed(self) -> CloseInfo | None:
        """How the last connection ended; None while it is open, or if there never was one."""
        return self.latest.closed if self.latest is not None else None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and it has not ended."""
        return self.latest is not None and self.latest.closed is None

    # Called by the application

    async def connect(
        self,
        url: str,
        protocols: Sequence[str] | None = None,
        headers: Source | None = None,
        query: Source | None = None,
        *,
        if_needed: bool = False,
        retry: bool = False,
    ) -> None:
        """Connect to `url`, and return when the client is online.

        Raises:
            AlreadyConnectedError, ConnectError, TypeError, ValueError: see
                `zaptools.ZapConsumer.connect`.
        """
        if retry and self.policy is None:
            raise ValueError("retry needs a client with a policy: pass it reconnect=True")
        offer = Offer(
            protocols=check_subprotocols(protocols),
            credentials=Credentials(headers, query),
            backoff=Backoff(self.policy) if self.policy is not None else None,
        )
        disconnects = self._disconnects
        if not await self._wait_for_turn(if_needed):
            return
        if self._disconnects != disconnects:
            raise ConnectError(url, _DISCONNECTED)
        self._stop_connect_loop("connect was called meanwhile")
        self.url, self._offer = url, offer
        self._loop_stop = stop = asyncio.get_running_loop().create_future()
        await self._connect_loop(offer, 0, stop, retry=retry)

    async def connect_after(self, seconds: float) -> bool:
        """Wait, then connect with the offer of the last `connect`, if that is still wanted.

        Returns:
            Whether there is a connection. False also if `disconnect` was called meanwhile.

        Raises:
            AlreadyConnectedError: as for `connect`; not for a link that reconnects by itself.
        """
        disconnects = self._disconnects
        await asyncio.sleep(seconds)
        if self._disconnects != disconnects:
            return False
        offer, if_needed = self._offer, self.policy is not None
        try:
            given = offer.credentials
            await self.connect(
                self.url, offer.protocols, given.headers, given.query, if_needed=if_needed
            )
        except ConnectError as exc:
            logger.info("%s", exc)
            return False
        return True

    async def disconnect(self, code: int, reason: str) -> None:
        """End the connection or the attempt, stop reconnecting, and return when that is done.

        A handler that is still running a close timeout after the end is cancelled, and waited for
        that long again.
        """
        self._disconnects += 1
        self._stop_connect_loop(_DISCONNECTED)
        attempt = self._attempt
        if attempt is None:
            return
        attempt.dismiss(_DISCONNECTED)
        transport = attempt.transport
        if transport is not None:
            await transport.close(code, reason)
            await asyncio.shield(transport.lost)
            if not transport.is_caller:
                await self._wait_for_handlers(transport)
        elif self._announcing is not asyncio.current_task():
            await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)

    async def _wait_for_handlers(self, transport: ClientTransport) -> None:
        timeout = self.limits.close_timeout
        await asyncio.wait([transport.over], timeout=timeout)
        if not transport.over.done() and transport.task is not None:
            transport.task.cancel()
            await asyncio.wait([transport.over], timeout=timeout)
            if not transport.over.done():
                logger.warning("a handler does not end, though it was cancelled")

    # Attempts

    async def _wait_for_turn(self, if_needed: bool) -> bool:
        """Wait until the last attempt is settled; return whether to connect then."""
        while (attempt := self._attempt) is not None and not attempt.settled.done():
            connecting = self.state is ZapClientState.CONNECTING and not attempt.dismissed
            task, transport = asyncio.current_task(), attempt.transport
            if attempt.is_connected and not connecting and if_needed:
                return False
            if self._announcing is task:
                detail = (
                    "the handler of states cannot await it; let a task that it starts connect, "
                    "or the client reconnect by itself (reconnect=True)"
                )
                raise AlreadyConnectedError(self.url, detail)
            if attempt.is_connected or connecting:
                if not if_needed:
                    raise AlreadyConnectedError(self.url)
                await attempt.wait()
                return False
            if transport is not None and transport.task is task:
                await transport.call_disconnected()
            else:
                await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)
            if not attempt.settled.done():
                detail = "a handler of the connection that has ended is still running"
                raise AlreadyConnectedError(self.url, detail)
        return True

    async def _connect_loop(
        self, offer: Offer, delay: float | None, stop: asyncio.Future[str], *, retry: bool = True
    ) -> None:
        """The connect loop: wait for `delay` seconds, make an attempt, until one is online.

        Raises:
            ConnectError: the last attempt's error, or one with the result of `stop`.
        """
        try:
            while delay is not None:
                if delay > 0:
                    why = self.last_error
                    logger.info("connecting to %s in %.2f s: %s", redact(self.url), delay, why)
                    await asyncio.wait([stop], timeout=delay)
                if stop.done():
                    raise ConnectError(self.url, stop.result())
                # Since the last attempt settled nothing but the delay was awaited, and every
                # other call that begins an attempt sets `stop`: this attempt is the next one.
                self._attempt = attempt = Attempt(self.url, offer)
                delay = await self._run(attempt, retry)
        finally:
            if self._loop_stop is stop:
                self._loop_stop = None

    def _stop_connect_loop(self, reason: str) -> None:
        """Make a connect loop that waits for its next attempt raise, with this reason."""
        if self._loop_stop is not None and not self._loop_stop.done():
            self._loop_stop.set_result(reason)

    async def _run(self, attempt: Attempt, retry: bool) -> float | None:
        """Make an attempt. Return None when it is online, or the delay before the next one."""
        try:
            await self._announce(ZapClientState.CONNECTING)
            await self._reach(attempt)
        except asyncio.CancelledError:  # of the `connect` call: `disconnect` cancels the opening
            attempt.dismiss("connect was cancelled")
            if attempt.transport is None:
                await self._fail(attempt, attempt.dismissal(), ZapClientState.OFFLINE)
            else:
                attempt.fail(attempt.dismissal())
                attempt.transport.abort()  # `_ended` announces the rest
            raise
        except Exception as exc:
            if attempt.transport is not None:  # `_ended` announces the rest
                await asyncio.wait([attempt.settled], timeout=self.limits.close_timeout)
                raise
            delay = self._delay_after(attempt, exc) if retry and not attempt.dismissed else None
            gave_up = delay is None and not attempt.dismissed
            state = ZapClientState.ERROR if gave_up else ZapClientState.OFFLINE
            await self._fail(attempt, exc, state)
            if delay is None:
                raise
            return delay
        except BaseException as exc:  # KeyboardInterrupt and the like: nothing is announced
            self.state = ZapClientState.ERROR
            attempt.settle()
            attempt.fail(ConnectError(attempt.url, f"interrupted by {type(exc).__name__}"))
            raise
        return None

    async def _reach(self, attempt: Attempt) -> None:
        """Open the connection, and return when the client is online."""
        if not attempt.dismissed:  # by the handler of CONNECTING
            # In a task of its own, for `disconnect` to cancel: so a CancelledError here is always
            # a cancellation of the task that called `connect`.
            attempt.opening = asyncio.ensure_future(self._open(attempt))
            attempt.opening.add_done_callback(_retrieve)
            await asyncio.wait([attempt.opening])
            if not attempt.dismissed:
                attempt.opening.result()
        if attempt.transport is None:
            raise attempt.dismissal()
        await attempt.wait()

    async def _open(self, attempt: Attempt) -> None:
        """Open the connection. Credentials that may change are asked for once more after a 401."""
        credentials = attempt.offer.credentials
        sent = await credentials.current(attempt.url, self.limits.open_timeout)
        try:
            await self._open_with(attempt, *sent)
        except HandshakeError as exc:
            may_ask = credentials.may_change and self._route.sock is None  # which is used up
            if exc.status != HTTPStatus.UNAUTHORIZED or not may_ask:
                raise
            self.last_error = exc  # tells the application's function that it was refused
            others = await credentials.current(attempt.url, self.limits.open_timeout)
            if others == sent:
                raise
            await self._open_with(attempt, *others)

    async def _open_with(self, attempt: Attempt, url: str, headers: Mapping[str, str]) -> None:
        await self.opener(
            url,
            lambda transport: self._begin(attempt, transport),
            protocols=attempt.offer.protocols,
            headers=headers,
            limits=self.limits,
            compression=self._compression,
            ssl=self._ssl,
            route=self._route,
        )

    def _begin(self, attempt: Attempt, transport: ClientTransport) -> None:
        """Begin the connection of an attempt: the handshake is done."""
        if attempt.dismissed:
            transport.abort()
            return
        omit = self.omit_empty_headers
        connection = ClientConnection(new_id(), transport, attempt, omit_empty_headers=omit)
        attempt.transport, attempt.connection = transport, connection
        self.latest = connection
        transport.begin(connection, self.book)

    def _delay_after(self, attempt: Attempt, error: Exception) -> float | None:
        """Return the delay before the next attempt; None to give up."""
        backoff = attempt.offer.backoff
        if backoff is None or attempt.is_final or is_fatal(error):
            return None
        return backoff.next(error)

    async def _fail(self, attempt: Attempt, error: Exception, state: ZapClientState) -> None:
        """Announce that an attempt has failed, and settle it."""
        self.last_error = None if attempt.dismissed else error
        try:
            await self._announce(state)
        finally:
            attempt.settle()
            attempt.fail(error)

    async def _announce(self, state: ZapClientState) -> None:
        self.state = state
        self._announcing = asyncio.current_task()
        try:
            await self.on_state(state)
        finally:
            self._announcing = None

    # The connection's begin and end, in its dispatcher's task

    async def _opened(self, context: EventContext) -> None:
        attempt = _attempt_of(context)
        assert attempt.transport is not None
        self.last_error = None
        attempt.online_since = asyncio.get_running_loop().time()
        try:
            await self._announce(ZapClientState.ONLINE)
        except BaseException as exc:  # a cancellation too: the pending `connect` call must fail
            attempt.is_final = True
            name = type(exc).__name__
            error = ConnectError(attempt.url, f"the handler of ONLINE raised {name}")
            error.__cause__ = exc
            attempt.fail(error)
            attempt.transport.abort()
            raise
        attempt.succeed()
        await self.on_connected(context)

    async def _ended(self, context: EventContext) -> None:
        attempt, closed = _attempt_of(context), context.connection.closed
        assert closed is not None
        attempt.ended = True
        error = ConnectionClosedError(*closed)
        self.last_error = None if attempt.dismissed else error
        try:
            await self._announce(ZapClientState.OFFLINE)
        finally:
            attempt.settle()
            attempt.fail(ConnectError(attempt.url, str(error)))
        try:
            await self.on_disconnected(context)
        finally:
            await self._reconnect_after(attempt, error)

    async def _reconnect_after(self, attempt: Attempt, error: ConnectionClosedError) -> None:
        task, backoff = asyncio.current_task(), attempt.offer.backoff
        if backoff is None or attempt.dismissed:
            return
        if self._attempt is not attempt:  # the application has connected meanwhile
            return
        if task is not None and task.cancelling() > 0:
            return
        loop, offer = asyncio.get_running_loop(), attempt.offer
        backoff.ended(loop.time() - attempt.online_since)
        delay = self._delay_after(attempt, error)
        if delay is None:
            logger.error("gave up connecting to %s: %s", redact(attempt.url), error)
            # An attempt that has failed already: no other one may begin before ERROR is announced.
            self._attempt = attempt = Attempt(self.url, offer)
            await self._fail(attempt, error, ZapClientState.ERROR)
            return
        self._loop_stop = stop = loop.create_future()
        self._reconnecting = asyncio.create_task(
            self._reconnect(offer, delay, stop), name=f"reconnect to {redact(self.url)}"
        )

    async def _reconnect(self, offer: Offer, delay: float, stop: asyncio.Future[str]) -> None:
        try:
            await self._connect_loop(offer, delay, stop)
        except Exception as exc:
            if not stop.done():
                trace = None if isinstance(exc, ConnectError) else exc
                logger.error("gave up connecting to %s: %s", redact(self.url), exc, exc_info=trace)


def _attempt_of(context: EventContext) -> Attempt:
    """Return the attempt that made the connection of a handler's context."""
    connection = context.connection
    assert isinstance(connection, ClientConnection)
    return connection.attempt


def _retrieve(task: asyncio.Task[None]) -> None:
    """Retrieve a task's exception: the caller may have been cancelled at the same moment."""
    if not task.cancelled():
        task.exception()
