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
from collections.abc import Awaitable
from time import perf_counter
from typing import Any, cast

from websockets.protocol import Event, Protocol, State

from ..connection.connection import WebSocketConnection
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.turn import SECONDS
from ..limits import Limits
from .closing import Closing
from .keepalive import Keepalive
from .reader import Inbox
from .shutdown import Shutdown
from .writer import Outbox

__all__ = ["WebSocketTransport"]


class WebSocketTransport(asyncio.Protocol, ABC):
    """A connection's `Transport`, and the asyncio protocol of its socket.

    The two sides derive from it: each does its opening handshake in `_handshake` and calls
    `_open` when it is done.

    Args:
        protocol: the protocol of that side.
        limits: the connection's bounds.

    Attributes:
        connection: the connection; None during the opening handshake.
        dispatcher: what calls its handlers; likewise.
        limits: as given.
        protocol: as given.
        tcp: the socket's transport; set when TCP is connected, as the following.
        outbox: what writes its frames: a broadcast puts them there itself.
        closing: what ends it.
    """

    __slots__ = (
        "_inbox",
        "_keepalive",
        "_loop",
        "_read_paused",
        "_read_since_idle",
        "_shutdown",
        "closing",
        "connection",
        "dispatcher",
        "limits",
        "outbox",
        "protocol",
        "tcp",
    )

    tcp: asyncio.Transport
    outbox: Outbox
    closing: Closing

    def __init__(self, protocol: Protocol, limits: Limits) -> None:
        self.connection: WebSocketConnection | None = None
        self.dispatcher: Dispatcher | None = None
        self.limits = limits
        self.protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._keepalive: Keepalive | None = None
        self._inbox: Inbox | None = None
        self._read_paused = False
        self._read_since_idle = 0
        self._shutdown: Shutdown | None = None

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when TCP has ended."""
        return self.closing.lost

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when TCP has ended and the last handler is done, if there was any."""
        return self.closing.over

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that runs this connection's handlers, if they are running."""
        return self.dispatcher.task if self.dispatcher is not None else None

    @property
    def is_caller(self) -> bool:
        """Whether a handler is the caller; see `Dispatcher.is_caller`."""
        return self.dispatcher is not None and self.dispatcher.is_caller

    # The opening

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.tcp = cast(asyncio.Transport, transport)
        self.outbox = Outbox(self.tcp, self.protocol, self.limits)
        self.closing = Closing(
            self.tcp, self.protocol, self.outbox, self.limits, on_over=self._leave
        )
        self.closing.set_deadline(self.limits.open_timeout)

    @abstractmethod
    def _handshake(self, events: list[Event], writes: list[bytes]) -> None:
        """Take what came, and what is to be written, while the connection was not open yet."""

    @abstractmethod
    def _receive_opening(self, data: bytes) -> None:
        """Measure what came of the head, and pass it to `_read_head`."""

    def _open(self, connection: WebSocketConnection, dispatcher: Dispatcher) -> None:
        """Begin the connection's life."""
        self.connection = connection
        self.dispatcher = dispatcher
        self.outbox.open(connection)
        self._inbox = Inbox(self.protocol)
        # The protocol's parser holds the whole request or response, for the connection's life.
        self.protocol.parser = self.protocol.parse()
        next(self.protocol.parser)
        self._keepalive = Keepalive(self.limits, self._ping, self.closing.peer_is_silent)
        self._keepalive.start()
        self.closing.open(connection, dispatcher, self._keepalive)
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
        protocol = self.protocol
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
                self.tcp.pause_reading()
                self._loop.call_soon(self._read_on)
                return
            self._take(b"")
        if not self._read_paused and not self.tcp.is_closing():
            self.tcp.resume_reading()

    def _take(self, data: bytes) -> None:
        protocol, outbox, dispatcher = self.protocol, self.outbox, self.dispatcher
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
        else:
            self.closing.receive(messages, protocol.data_to_send())

    def _is_behind(self, dispatcher: Dispatcher, messages: list[str | bytes]) -> bool:
        limits = self.limits
        self._read_since_idle += sum(map(len, messages))
        return len(dispatcher) > limits.queue_events or self._read_since_idle > limits.queue_bytes

    def _set_read_paused(self, paused: bool) -> None:
        if paused == self._read_paused:
            return
        self._read_paused = paused
        assert self._keepalive is not None
        self._keepalive.deaf = paused
        self._keepalive.heard = True
        if self.tcp.is_closing():
            return
        if paused:
            self.tcp.pause_reading()
        elif (
            self._inbox is not None and self._inbox.pieces
        ):  # not from here, where a handler may be running
            self._loop.call_soon(self._read_on)
        else:
            self.tcp.resume_reading()

    def _idle(self) -> None:
        """The dispatcher has handled all that came."""
        self._read_since_idle = 0
        if self._read_paused:
            self._set_read_paused(False)
        if self.closing.is_answering:
            self.closing.end()

    # Writing

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        return self.outbox.send(data)

    def pause_writing(self) -> None:
        self.outbox.pause()

    def resume_writing(self) -> None:
        self.outbox.resume()

    def _ping(self) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_ping(b"")
            self.outbox.write(self.protocol.data_to_send())

    # The ending

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, and return when both sides have, or the close timeout is over."""
        self.start_close(code, reason)
        await self.closing.wait()

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing without waiting for its end; see `Closing.start`."""
        self.closing.start(code, reason)
        if self.connection is not None:  # the peer's close frame must be read
            self._set_read_paused(False)

    def abort(self) -> None:
        """End the connection at once: say 1001 if that can still be said, wait for nothing."""
        self.closing.abort()

    def eof_received(self) -> bool:
        (self._inbox or self.protocol).receive_eof()
        return self.closing.receive_eof(self.protocol.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        (self._inbox or self.protocol).receive_eof()
        self.closing.lose()

    def _leave(self) -> None:
        """Forget the connection: TCP has ended, and the last handler is done."""
        if self._shutdown is not None:
            self._shutdown.leave(self)
            self._shutdown = None
