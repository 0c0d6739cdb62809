"""One connection as the application sees it.

Nothing here knows how bytes travel: a `Transport` (the server's, a client's, or a connector's)
sends them, and passes the messages that it receives to a dispatcher::

    open ──────────> closed is set ──────────────────> groups are left
    send, request    they raise ConnectionClosedError  after the ``disconnected`` handler
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from .._arguments import check_seconds
from ..exceptions import ConnectionClosedError, RegistrationError, WrongThreadError
from ..protocol.close import LOST, CloseInfo, check_close
from ..protocol.codec import EventData, encode_event
from .handshake import NO_HANDSHAKE, Handshake
from .requests import (
    EventSource,
    OpenRequests,
    Predicate,
    Waiter,
    check_reply,
    new_request_id,
    request_headers,
    waiting,
)

__all__ = [
    "CloseInfo",
    "Group",
    "OfferingTransport",
    "Transport",
    "WebSocketConnection",
    "groups_of",
    "join_group",
    "leave_all_groups",
    "leave_group",
    "mark_closed",
]


_LOOP_CHECK_INTERVAL = 0.05
"""Seconds between two checks, in a thread that waits for an event loop, whether the loop is closed:
a loop that closes silently drops the callbacks that have not run."""

_LOOP_ENDED = LOST._replace(reason="the event loop has ended")


class Transport(Protocol):
    """Carries a connection's messages."""

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message, UTF-8. Returns None when it is sent, else an awaitable.

        Messages leave in the order of the calls. The awaitable takes no longer than
        `zaptools.Limits.send_timeout`: over a transport that is not one of this package's, a
        broadcast awaits it for all its receivers at once, and so takes as long as the slowest.

        Raises (or the awaitable does):
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer does not read; nothing was sent.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; returns when both sides have, or after the close timeout."""

    def abort(self) -> None:
        """End the connection at once, without waiting."""


class OfferingTransport:
    """Base of a `Transport` to which a broadcast gives its event without waiting.

    A plain class, because a broadcast looks for it at each receiver: `isinstance` takes 0.03 µs
    with it, 0.1 µs with an abstract class and 4 µs with a protocol.

    Attributes:
        offer: sends one text message, or keeps it for a peer that does not read; returns whether
            the loop should have its turn. Raises SendTimeoutError when too much is kept already,
            and ConnectionClosedError when the connection has ended.
    """

    offer: Callable[[bytes], bool]


class Group(Protocol):
    """A set of connections that each of them leaves when it ends: a room, a router."""

    def member_ended(self, connection: WebSocketConnection) -> None:
        """Remove a member; its ``disconnected`` handler is done. Must not raise."""


class WebSocketConnection:
    """One connection of a server.

    Attributes:
        id: ``zpt-<uuid4>``.
        handshake: the request that opened it; an empty one on a client's side.
        closed: how the connection ended; None while sends succeed. On a server and a client of this
            package that is so until the peer's close has been answered: the answer waits for the
            handlers of the messages before it, but no longer than `Limits.close_timeout`.

    The other attributes are for transports and dispatchers: `transport`, `mailbox`,
    `open_requests`, `omit_empty_headers`.
    """

    __slots__ = (
        "__weakref__",
        "_groups",
        "_has_left",
        "_loop",
        "_state",
        "closed",
        "handshake",
        "id",
        "mailbox",
        "omit_empty_headers",
        "open_requests",
        "transport",
    )

    def __init__(
        self,
        id: str,
        transport: Transport,
        *,
        handshake: Handshake = NO_HANDSHAKE,
        omit_empty_headers: bool = False,
        state: SimpleNamespace | None = None,
    ) -> None:
        self.id = id
        self.handshake = handshake
        self.closed: CloseInfo | None = None
        self.mailbox: EventSource | None = None  # set by the mailbox of its dispatcher
        # The event loop that it was made in, for `send_from_thread`; None if it was made in none.
        self._loop = _running_loop()
        # Carries what `send` sends; a connector for an adapter of zaptools 0.5 replaces it.
        self.transport = transport
        # Whether events without headers are sent without the key ``headers``.
        self.omit_empty_headers = omit_empty_headers
        # Its groups in the order of joining; made by the first. A group is not kept alive by it.
        self._groups: WeakKeyDictionary[Group, None] | None = None
        # Set when it has left its groups at its end: it would never leave one that it joins later.
        self._has_left = False
        # As `on_handshake` left it, or made by the first use of `state`.
        self._state = state
        # The peer's requests that have no reply yet; made by the dispatcher for the first one.
        self.open_requests: OpenRequests | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether `send` may succeed."""
        return self.closed is None

    @property
    def state(self) -> SimpleNamespace:
        """A place for the application's own data about this connection."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event.

        Returns once the event is in the send buffer; waits while the buffer is full because the
        peer does not read. While the peer's close waits to be answered (see `closed`) it succeeds:
        a handler can still reply. Whether the peer reads what follows its close is up to the peer.

        Raises:
            CodecError: the event cannot be written as JSON; nothing is sent.
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer did not read for too long; no part of the event is sent.
        """
        data = encode_event(
            event_name, payload, headers, omit_empty_headers=self.omit_empty_headers
        )
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        if headers and self.open_requests:
            self.open_requests.note_reply(headers)
        waiting = self.transport.send(data)
        if waiting is not None:
            await waiting

    def send_from_thread(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Send an event from a thread other than the event loop's; blocks until `send` is done.

        Args:
            event_name: the event's name.
            payload: as for `send`.
            headers: as for `send`.
            timeout: seconds to wait for the event loop. Default None: no bound.

        Raises:
            WrongThreadError: called in the event loop's own thread, where it would block the loop
                that it waits for: await `send` there.
            TimeoutError: it took too long; the event may still be sent if the loop had begun to.
            ConnectionClosedError: as for `send`; also if the event loop has ended, or ends during
                the wait.
            CodecError, SendTimeoutError: as for `send`.
        """
        check_seconds(timeout)
        loop = self._loop
        if loop is None or _running_loop() is loop:
            raise WrongThreadError
        until = None if timeout is None else time.monotonic() + timeout
        coroutine = self._try_to_send(event_name, payload, headers)
        try:
            sending = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:  # the loop is closed
            coroutine.close()
            raise self._loop_ended() from None
        while True:
            wait = _LOOP_CHECK_INTERVAL
            if until is not None:
                wait = min(wait, max(0, until - time.monotonic()))
            try:
                error = sending.result(wait)
                break
            except CancelledError:  # a loop that ends cancels its tasks
                raise self._loop_ended() from None
            except TimeoutError:
                if loop.is_closed() and not sending.done():
                    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                        coroutine.close()
                    raise self._loop_ended() from None
                if until is not None and time.monotonic() >= until and sending.cancel():
                    words = f"{event_name!r} was not sent within {timeout:g} s"
                    raise TimeoutError(words) from None
        if error is not None:
            raise error

    async def _try_to_send(self, *event: Any) -> Exception | None:
        """Return the exception of `send`: raised by the task, an ending loop would report it."""
        try:
            await self.send(*event)
        except Exception as exc:
            return exc
        return None

    def _loop_ended(self) -> ConnectionClosedError:
        return ConnectionClosedError(*(self.closed or _LOOP_ENDED))

    async def request(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 10.0,  # noqa: ASYNC109 # as asyncio.wait_for has one
    ) -> EventData:
        """Send an event, and return the peer's reply.

        The reply has the same name; no handler is called for it. A handler may await this: unlike
        events, the reply does not wait for the handler to finish.

        Args:
            event_name: the event's name.
            payload: as for `send`.
            headers: as for `send`; ``requestId`` and ``replyTo`` among them are replaced.
            timeout: seconds for the sending and the reply; None for no bound. Default 10.

        Raises:
            RemoteError: the reply is an error: the peer's handler failed, or refused.
            TimeoutError: there was no reply in time.
            ConnectionClosedError: the connection has ended, or ended before the reply.
            CodecError, SendTimeoutError: as for `send`.
            TypeError, ValueError: `timeout` is not a number, negative or not finite.
        """
        waiter = Waiter(event_name, reply_to=new_request_id())
        assert self.mailbox is not None and waiter.reply_to is not None
        send_headers = request_headers(headers, waiter.reply_to)
        failure = f"no reply to the event {event_name!r}"
        async with waiting(self.mailbox, waiter, timeout, failure):
            await self.send(event_name, payload, send_headers)
            return check_reply(await waiter.event())

    async def wait_for(
        self,
        event_name: str,
        *,
        timeout: float | None = 10.0,  # noqa: ASYNC109 # as asyncio.wait_for has one
        predicate: Predicate | None = None,
    ) -> EventData:
        """Return the next event of a name: the first that has not yet been passed to a handler.

        Its handlers are called too. A handler may await this: it gets an event that arrives, or
        has arrived, after its own. No two calls return the same event, unless both wait for it.

        Args:
            event_name: the event's name.
            timeout: seconds to wait; None for no bound. Default 10.
            predicate: a plain function of an `EventData` that returns whether to accept it. Default
                None: any is accepted.

        Raises:
            TimeoutError: there was none in time.
            ConnectionClosedError: the connection has ended, or ended before the event.
            RegistrationError: `event_name` is not a string.
            TypeError: `predicate` is not a plain function, or `timeout` not a number.
            ValueError: `timeout` is negative, or not finite.
            Exception: whatever `predicate` raised.
        """
        if not isinstance(event_name, str):
            raise RegistrationError("event name", event_name)
        waiter = Waiter(event_name, predicate=predicate)
        assert self.mailbox is not None
        async with waiting(self.mailbox, waiter, timeout, f"no event {event_name!r}"):
            return await waiter.event()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection. Events that have not been handled are dropped.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Returns when the peer has closed too, or after the close timeout.

        Raises:
            ConnectionClosedError: the connection has ended already.
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        await self.transport.close(code, reason)


def mark_closed(connection: WebSocketConnection, info: CloseInfo) -> CloseInfo:
    """Note how `connection` has ended, unless that is known: from now on sends fail.

    Transports call this, and nothing else sets `WebSocketConnection.closed`. The states are in
    `zaptools.protocol.close`.

    Returns:
        How it has ended: `info`, or that of the first call.
    """
    if connection.closed is None:
        connection.closed = info
    return connection.closed


# Functions, and no methods, because they are for groups and for the dispatcher: an application adds
# a connection to a room by the room's own method.


def join_group(connection: WebSocketConnection, group: Group) -> None:
    """Note that `connection` is a member of `group` from now on.

    Raises:
        ConnectionClosedError: it has ended and left its groups, and would never leave this one.
    """
    if connection._has_left:
        raise ConnectionClosedError(*(connection.closed or LOST))
    if connection._groups is None:
        connection._groups = WeakKeyDictionary()
    connection._groups[group] = None


def leave_group(connection: WebSocketConnection, group: Group) -> None:
    """Note that `connection` is no longer a member of `group`. Does nothing if it was none."""
    if connection._groups is not None:
        connection._groups.pop(group, None)


def groups_of(connection: WebSocketConnection) -> list[Group]:
    """Return the groups that `connection` is a member of, in the order in which it joined them."""
    return list(connection._groups or ())


def leave_all_groups(connection: WebSocketConnection) -> None:
    """Leave every group, and join none from now on: after the ``disconnected`` handler."""
    connection._has_left = True
    groups = groups_of(connection)
    connection._groups = None
    for group in groups:
        group.member_ended(connection)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
