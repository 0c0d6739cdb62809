"""The asyncio shell over websockets' sans-I/O protocols: one object a connection.

What one read brings is parsed into frames at once, handed to the dispatcher as one batch, and
what a batch answers leaves in one write. The protocol rules (RFC 6455, RFC 7692) are those of
`websockets.protocol`; this module adds bounds, order and time:

- a ping is answered when it is read, also while a handler runs;
- when a close frame follows events, they are handled and answered before the close is;
- reading pauses while too much waits for handlers, sending while the peer does not read;
- a peer that answers no ping, or takes no part in the closing, is let go.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

from websockets.frames import CloseCode, Opcode
from websockets.protocol import SEND_EOF, Event, Protocol, State

from ..connection.connection import CloseInfo, WebSocketConnection
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.turn import SECONDS
from ..limits import Limits
from .keepalive import Keepalive
from .reader import Inbox
from .shutdown import Shutdown
from .writer import Outbox

__all__ = ["WebSocketTransport"]

_LINGER = 1.0
"""Seconds that the peer may take to close TCP once the WebSocket has ended."""


class WebSocketTransport(asyncio.Protocol, ABC):
    """A connection's `Transport`, and the asyncio protocol of its socket.

    The two sides derive from it: each does its opening handshake in `_handshake` and calls
    `_open` when it is done.

    An ending has three steps. `_end` learns that no event will come: if that is because of a
    close frame, the answer is held back until the dispatcher has handled what waits. `_release`
    writes it; sends fail from then on. `connection_lost` is TCP's end, whatever came before.

    Args:
        protocol: the protocol of that side.
        limits: the connection's bounds.

    Attributes:
        connection: the connection; None during the opening handshake.
        lost: done when TCP has ended.
        over: done when TCP has ended and the last handler is done, if there was any.
    """

    __slots__ = (
        "_closed",
        "_dispatcher",
        "_held",
        "_inbox",
        "_info",
        "_keepalive",
        "_limits",
        "_loop",
        "_outbox",
        "_protocol",
        "_read_paused",
        "_read_since_idle",
        "_shutdown",
        "_tcp",
        "_timer",
        "connection",
        "lost",
        "over",
    )

    def __init__(self, protocol: Protocol, limits: Limits) -> None:
        self.connection: WebSocketConnection | None = None
        self._limits = limits
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._dispatcher: Dispatcher | None = None
        self._keepalive: Keepalive | None = None
        self._inbox: Inbox | None = None
        self._read_paused = False
        self._read_since_idle = 0
        self._held: list[bytes] | None = None
        self._info: CloseInfo | None = None
        self._shutdown: Shutdown | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that runs this connection's handlers, if they are running."""
        return self._dispatcher.task if self._dispatcher is not None else None

    @property
    def is_caller(self) -> bool:
        """Whether a handler is the caller; see `Dispatcher.is_caller`."""
        return self._dispatcher is not None and self._dispatcher.is_caller

    # The opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tcp = cast(asyncio.Transport, transport)
        self._outbox = Outbox(self._tcp, self._protocol, self._limits)
        self._set_timer(self._limits.open_timeout)

    @abstractmethod
    def _handshake(self, events: list[Event], writes: list[bytes]) -> None:
        """Take what came, and what is to be written, while the connection was not open yet."""

    @abstractmethod
    def _receive_opening(self, data: bytes) -> None:
        """Measure what came of the head, and pass it to `_read_head`."""

    def _open(self, connection: WebSocketConnection, dispatcher: Dispatcher) -> None:
        """Begin the connection's life."""
        self.connection = connection
        self._dispatcher = dispatcher
        self._outbox.open(connection)
        self._inbox = Inbox(self._protocol)
        self._set_timer(None)
        # The protocol's parser holds the whole request or response, for the connection's life.
        self._protocol.parser = self._protocol.parse()
        next(self._protocol.parser)
        self._keepalive = Keepalive(self._limits, self._ping, self._peer_is_gone)
        self._keepalive.start()
        self._shutdown = Shutdown.join(self._loop, self)
        dispatcher.wake()

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._inbox is None:
            self._receive_opening(data)
        else:
            self._take(data)
            if self._inbox.pieces:
                self._read_on()

    def _read_head(self, head: bytes, rest: bytes) -> None:
        """Have the protocol read the head alone: what comes behind it is the inbox's."""
        protocol = self._protocol
        protocol.receive_data(head)
        self._handshake(protocol.events_received(), protocol.data_to_send())
        if rest and self._inbox is not None:
            self.data_received(rest)

    def _read_on(self) -> None:
        """Take what has come already, until too much waits for handlers."""
        assert self._inbox is not None
        until = perf_counter() + SECONDS
        while self._inbox.pieces and not self._read_paused:
            if perf_counter() > until:  # others get their turn first
                self._tcp.pause_reading()
                self._loop.call_soon(self._read_on)
                return
            self._take(b"")
        if not self._read_paused and not self._tcp.is_closing():
            self._tcp.resume_reading()

    def _take(self, data: bytes) -> None:
        protocol, outbox, dispatcher = self._protocol, self._outbox, self._dispatcher
        assert self._keepalive is not None and self._inbox is not None and dispatcher is not None
        self._keepalive.heard = True
        messages = self._inbox.take(data)
        if protocol.state is State.OPEN:
            if protocol.writes:
                outbox.write(protocol.data_to_send())
            if messages:
                outbox.hold()
                try:
                    dispatcher.feed(messages)
                finally:
                    outbox.release()
                if dispatcher.busy and self._is_behind(dispatcher, messages):
                    self._set_read_paused(True)
        elif self._info is None and self._is_at_end():
            self._end(messages, protocol.data_to_send())
        else:  # this side has ended, or is closing: messages come too late
            outbox.write(protocol.data_to_send())

    def _is_at_end(self) -> bool:
        """Whether nothing more can come: the peer said so, or the protocol has failed.

        Until the peer has answered a close frame, what it sent before it read that still comes.
        """
        protocol = self._protocol
        closing = self.connection is not None and self.connection.closed is not None
        return not closing or protocol.close_rcvd is not None or protocol.parser_exc is not None

    def _is_behind(self, dispatcher: Dispatcher, messages: list[str | bytes]) -> bool:
        limits = self._limits
        self._read_since_idle += sum(map(len, messages))
        return len(dispatcher) > limits.queue_events or self._read_since_idle > limits.queue_bytes

    def _set_read_paused(self, paused: bool) -> None:
        if paused == self._read_paused:
            return
        self._read_paused = paused
        assert self._keepalive is not None
        self._keepalive.deaf = paused
        self._keepalive.heard = True
        if self._tcp.is_closing():
            return
        if paused:
            self._tcp.pause_reading()
        elif (
            self._inbox is not None and self._inbox.pieces
        ):  # not from here, where a handler may be running
            self._loop.call_soon(self._read_on)
        else:
            self._tcp.resume_reading()

    def _idle(self) -> None:
        """The dispatcher has handled all that came."""
        self._read_since_idle = 0
        if self._read_paused:
            self._set_read_paused(False)
        if self._held is not None:
            self._release()

    # Writing

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        return self._outbox.send(data)

    @property
    def outbox(self) -> Outbox:
        """Where its frames go: a broadcast puts them there itself."""
        return self._outbox

    def pause_writing(self) -> None:
        self._outbox.pause()

    def resume_writing(self) -> None:
        self._outbox.resume()

    def _ping(self) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._outbox.write(self._protocol.data_to_send())

    # The ending

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, and return when both sides have, or the close timeout is over."""
        self.start_close(code, reason)
        if self._info is None and not self.lost.done():
            if self._closed is None:
                self._closed = self._loop.create_future()
            await asyncio.shield(self._closed)

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing without waiting for its end. Does nothing if it has begun.

        What waits for handlers is dropped.
        """
        if self.connection is None or self._dispatcher is None:
            self._tcp.close()
        elif self._held is not None:  # the peer began it
            self._dispatcher.discard()
            self._release()
        elif self.connection.closed is None:
            self._outbox.flush()
            self._mark_closed(CloseInfo(code, reason, "local"))
            self._dispatcher.discard()
            self._set_read_paused(False)
            self._protocol.send_close(code, reason)
            self._outbox.write(self._protocol.data_to_send())
            self._set_timer(self._limits.close_timeout)

    def abort(self) -> None:
        """End the connection at once: say 1001 if that can still be said, wait for nothing."""
        self._held = None
        if self.connection is not None and self.connection.closed is None:
            self._info = self._info or CloseInfo(int(CloseCode.GOING_AWAY), "", "local")
            self._mark_closed(self._info)
            if self._protocol.state is State.OPEN:
                self._protocol.fail(CloseCode.GOING_AWAY)
                self._outbox.write(self._protocol.data_to_send())
        self._tcp.close()
        self._stop_keepalive()
        self._set_timer(None if self.lost.done() else _LINGER)

    def eof_received(self) -> bool:
        (self._inbox or self._protocol).receive_eof()
        writes = self._protocol.data_to_send()
        if self._dispatcher is not None and self._info is None:
            self._end([], writes)
        # What is held back can still be written while TCP is half open. TLS never is.
        return self._held is not None and self._tcp.get_extra_info("sslcontext") is None

    def _end(self, messages: list[str | bytes], writes: list[bytes]) -> None:
        """No event will come after `messages`: handle those, then write the last of `writes`."""
        dispatcher, connection = self._dispatcher, self.connection
        assert dispatcher is not None and connection is not None
        closing = (i for i, w in enumerate(writes) if w == SEND_EOF or w[0] & 0x0F == Opcode.CLOSE)
        first = next(closing, len(writes))
        self._outbox.write(writes[:first])
        self._held = writes[first:]
        self._info = self._how_it_ended(connection)
        if connection.closed is not None or self._info.by is None:
            # This side began, or the peer is gone: there is nobody to answer.
            self._release()
        else:
            self._set_timer(self._limits.close_timeout, self._release)
            if messages:
                dispatcher.feed(messages)
            elif not dispatcher.busy:
                self._release()
        dispatcher.end(self._info)

    def _how_it_ended(self, connection: WebSocketConnection) -> CloseInfo:
        protocol = self._protocol
        if connection.closed is not None:
            return connection.closed
        if protocol.close_rcvd is not None and protocol.close_rcvd_then_sent:
            return CloseInfo(int(protocol.close_rcvd.code), protocol.close_rcvd.reason, "remote")
        if protocol.close_sent is not None:  # the protocol found a fault in what came
            return CloseInfo(int(protocol.close_sent.code), protocol.close_sent.reason, "local")
        return CloseInfo(int(CloseCode.ABNORMAL_CLOSURE))

    def _release(self) -> None:
        """Write what was held back, after which TCP may end."""
        held, self._held = self._held, None
        assert held is not None and self._info is not None
        self._outbox.flush()
        self._mark_closed(self._info)
        self._outbox.write(held)
        self._stop_keepalive()
        if self._protocol.reader.eof:
            self._tcp.close()
        self._set_timer(_LINGER)
        self._tell_closed()

    def _peer_is_gone(self) -> None:
        if self._protocol.state is not State.OPEN or self._dispatcher is None:
            return
        reason = f"no answer to a ping within {self._limits.ping_timeout:g} s"
        self._info = CloseInfo(int(CloseCode.INTERNAL_ERROR), reason, "local")
        self._protocol.fail(CloseCode.INTERNAL_ERROR, reason)
        self._held = self._protocol.data_to_send()
        self._dispatcher.discard()
        self._release()
        self._dispatcher.end(self._info)

    def connection_lost(self, exc: Exception | None) -> None:
        (self._inbox or self._protocol).receive_eof()
        self._stop_keepalive()
        self._set_timer(None)
        self._held = None
        self._outbox.drop()
        if self._info is None:
            self._info = CloseInfo(int(CloseCode.ABNORMAL_CLOSURE))
        self._mark_closed(self._info)
        self._tell_closed()
        self.lost.set_result(None)
        if self._dispatcher is None or self._dispatcher.finished:
            self._end_of_all()
        else:
            self._dispatcher.end(self._info)

    def _finished(self) -> None:
        """The dispatcher has called the last handler."""
        if self.lost.done():
            self._end_of_all()

    def _end_of_all(self) -> None:
        self.over.set_result(None)
        if self._shutdown is not None:
            self._shutdown.leave(self)
            self._shutdown = None

    def _mark_closed(self, info: CloseInfo) -> None:
        if self.connection is not None and self.connection.closed is None:
            self.connection.closed = info
            self._outbox.end(info)

    def _tell_closed(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()

    def _linger(self) -> None:
        """Wait for the peer's end of TCP, but not for long."""
        self._set_timer(_LINGER)

    def _set_timer(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Do `then` (default: drop TCP) after `seconds`, in place of what was to be done."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, then or self._tcp.abort)
