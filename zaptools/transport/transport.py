"""The transport of our own socket: asyncio around websockets' sans-I/O protocols.

The events of one read are handed to the dispatcher as one batch, and their answers leave in one
write::

    socket ──data_received──> Reader ──messages──> Dispatcher ──> handlers
                                 │ pongs, close frames               │ send
                                 v                                   v
    socket <────────────────── Writer <──────────────────────────────┘

The protocol rules (RFC 6455, RFC 7692) are those of `websockets.protocol`; this folder adds
bounds, order and time:

- a ping is answered when it is read, also while a handler runs;
- events before a close frame are handled and answered before the close frame is answered;
- reading pauses while too many messages wait for handlers, sending while the peer does not read;
- a peer that answers no ping, or takes no part in the closing, is dropped.

`Closing` has the states of a connection's end.
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
from .reader import Reader
from .shutdown import Shutdown
from .writer import Writer

__all__ = ["WebSocketTransport"]


class WebSocketTransport(asyncio.Protocol, ABC):
    """A connection's `Transport`, and the asyncio protocol of its socket.

    The two sides derive from it: each does its opening handshake in `receive_handshake` and calls
    `open` when it is done.

    Args:
        protocol: the protocol of that side.
        limits: the connection's bounds.

    Attributes:
        connection: the connection; None during the opening handshake.
        dispatcher: what calls its handlers; likewise.
        limits: as given.
        protocol: as given.
        loop: the event loop.
        tcp: the socket's transport; set when TCP is connected, as the following two.
        writer: writes the frames; a broadcast calls it without this object.
        closing: ends the connection.
        reading_paused: whether reading is paused, because too many messages wait for handlers.
    """

    __slots__ = (
        "_keepalive",
        "_read_since_idle",
        "_reader",
        "_shutdown",
        "closing",
        "connection",
        "dispatcher",
        "limits",
        "loop",
        "protocol",
        "reading_paused",
        "tcp",
        "writer",
    )

    tcp: asyncio.Transport
    writer: Writer
    closing: Closing

    def __init__(self, protocol: Protocol, limits: Limits) -> None:
        self.connection: WebSocketConnection | None = None
        self.dispatcher: Dispatcher | None = None
        self.limits = limits
        self.protocol = protocol
        self.loop = asyncio.get_running_loop()
        # Sends pings; None during the opening handshake.
        self._keepalive: Keepalive | None = None
        # Parses the input; None during the opening handshake, when the protocol parses it.
        self._reader: Reader | None = None
        self.reading_paused = False
        # The size, in characters and bytes, of the messages read since the mailbox was last empty.
        self._read_since_idle = 0
        # Ends the connection with its event loop; None when it is not open, or is over.
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
        self.writer = Writer(self.tcp, self.protocol, self.limits)
        self.closing = Closing(
            self.tcp, self.protocol, self.writer, self.limits, on_over=self.forget
        )
        self.closing.set_deadline(self.limits.open_timeout)

    @abstractmethod
    def receive_handshake(self, events: list[Event], writes: list[bytes]) -> None:
        """Handle events and writes of the protocol during the opening handshake."""

    @abstractmethod
    def receive_opening(self, data: bytes) -> None:
        """Handle bytes of the opening handshake; pass those of a head to `read_head`."""

    def open(self, connection: WebSocketConnection, dispatcher: Dispatcher) -> None:
        """Begin the life of the connection: the opening handshake is done."""
        self.connection = connection
        self.dispatcher = dispatcher
        self.writer.open(connection)
        self._reader = Reader(self.protocol)
        # The old parser would keep the whole request or response for the life of the connection.
        self.protocol.parser = self.protocol.parse()
        next(self.protocol.parser)
        self._keepalive = Keepalive(self.limits, self._ping, self.closing.peer_is_silent)
        self._keepalive.start()
        self.closing.open(connection, dispatcher, self._keepalive)
        self._shutdown = Shutdown.join(self.loop, self)
        dispatcher.wake()

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._reader is None:
            self.receive_opening(data)
        else:
            self._take(data)
            if self._reader.unparsed:
                self._read_on()

    def read_head(self, head: bytes, rest: bytes) -> None:
        """Have the protocol parse the head alone: the reader parses `rest`."""
        protocol = self.protocol
        protocol.receive_data(head)
        self.receive_handshake(protocol.events_received(), protocol.data_to_send())
        if rest and self._reader is not None:
            self.data_received(rest)

    def _read_on(self) -> None:
        """Parse the received bytes, until too many messages wait for handlers."""
        assert self._reader is not None
        until = perf_counter() + SECONDS
        while self._reader.unparsed and not self.reading_paused:
            if perf_counter() > until:  # other connections get their turn first
                self.tcp.pause_reading()
                self.loop.call_soon(self._read_on)
                return
            self._take(b"")
        if not self.reading_paused and not self.tcp.is_closing():
            self.tcp.resume_reading()

    def _take(self, data: bytes) -> None:
        protocol, writer, dispatcher = self.protocol, self.writer, self.dispatcher
        assert self._keepalive is not None and self._reader is not None and dispatcher is not None
        self._keepalive.heard = True
        messages = self._reader.take(data)
        if protocol.state is State.OPEN:
            if protocol.writes:
                writer.write(protocol.data_to_send())
            if messages:
                writer.hold()
                try:
                    dispatcher.feed(messages)
                finally:
                    writer.release()
                if dispatcher.busy and self._is_behind(dispatcher, messages):
                    self._set_reading_paused(True)
        else:
            self.closing.receive(messages, protocol.data_to_send())

    def _is_behind(self, dispatcher: Dispatcher, messages: list[str | bytes]) -> bool:
        limits = self.limits
        self._read_since_idle += sum(map(len, messages))
        return len(dispatcher) > limits.queue_events or self._read_since_idle > limits.queue_bytes

    def _set_reading_paused(self, paused: bool) -> None:
        if paused == self.reading_paused:
            return
        self.reading_paused = paused
        assert self._keepalive is not None
        self._keepalive.reading_paused = paused
        self._keepalive.heard = True
        if self.tcp.is_closing():
            return
        if paused:
            self.tcp.pause_reading()
        elif self._reader is not None and self._reader.unparsed:
            # Not at once: a handler may be the caller.
            self.loop.call_soon(self._read_on)
        else:
            self.tcp.resume_reading()

    def messages_handled(self) -> None:
        """Continue reading, or end. Called by the dispatcher when it has handled all messages."""
        self._read_since_idle = 0
        if self.reading_paused:
            self._set_reading_paused(False)
        if self.closing.is_answering:
            self.closing.end()

    # Writing

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        return self.writer.send(data)

    def pause_writing(self) -> None:
        self.writer.pause()

    def resume_writing(self) -> None:
        self.writer.resume()

    def _ping(self) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_ping(b"")
            self.writer.write(self.protocol.data_to_send())

    # The ending

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; see `zaptools.connection.Transport`."""
        self.start_close(code, reason)
        await self.closing.wait()

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing without waiting for its end; see `Closing.start`."""
        self.closing.start(code, reason)
        if self.connection is not None:  # the peer's close frame must be read
            self._set_reading_paused(False)

    def abort(self) -> None:
        """End the connection at once, without waiting; see `Closing.abort`."""
        self.closing.abort()

    def eof_received(self) -> bool:
        (self._reader or self.protocol).receive_eof()
        return self.closing.receive_eof(self.protocol.data_to_send())

    def connection_lost(self, exc: Exception | None) -> None:
        (self._reader or self.protocol).receive_eof()
        self.closing.tcp_lost()

    def forget(self) -> None:
        """Forget the connection: TCP has ended, and the last handler is done."""
        if self._shutdown is not None:
            self._shutdown.leave(self)
            self._shutdown = None
