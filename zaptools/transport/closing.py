"""How a connection ends: the closing handshake, its timeouts, and the end of TCP.

::

    opening ──> open ──┬── `start` ───────────────────> closing ────┐
                       │                                            │ the peer's close frame,
                       │                                            │ a fault in its input, EOF
                       ├── the peer's close frame, ──> answering ───┤
                       │   a fault in its input                     │ messages handled, `start`,
                       │                                            │ or the close timeout
                       │                                            v
                       └── no pong, EOF, `abort` ───────────────> ended ──> lost ──> over

- *closing*: this side's close frame is sent, sends fail, and events that still arrive are dropped.
  The close timeout drops TCP: *lost*.
- *answering*: no further event will arrive. Those that arrived before are handled, and sends
  succeed; this side's close frame is held back until then. The state ends at once if no message
  arrived before and no handler runs.
- *ended*: no more is written; the peer has `_LINGER` seconds to end TCP.
- *lost*: TCP has ended. A connection gets here from each other state, and by `abort` soon.
- *over*: the ``disconnected`` handler is done too.

`zaptools.protocol.close` has a table of the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from websockets.frames import Opcode
from websockets.protocol import SEND_EOF, Protocol, State

from ..connection.connection import WebSocketConnection, mark_closed
from ..dispatch.dispatcher import Dispatcher
from ..limits import Limits
from ..protocol.close import GOING_AWAY, INTERNAL_ERROR, LOST, CloseInfo
from .keepalive import Keepalive
from .writer import Writer

__all__ = ["Closing"]

_LINGER = 1.0
"""Seconds that the peer may take to end TCP once the WebSocket has ended."""


class Closing:
    """The end of one connection; made when TCP is connected.

    Args:
        tcp: the socket's transport.
        protocol: the WebSocket's protocol.
        writer: what writes the connection's frames.
        limits: `Limits.close_timeout` is used.
        on_over: called once, when TCP has ended and the last handler is done, if there was any.

    Attributes:
        info: how the connection ends; None while that is not known. `WebSocketConnection.closed`
            is the same, from the moment on in which sends fail: it is None while *answering*, and
            set in *closing*, in which this may still be None.
        is_answering: whether the connection is in that state.
        is_lost: whether TCP has ended.
        is_over: whether TCP has ended and the last handler is done.
    """

    __slots__ = (
        "_answer",
        "_connection",
        "_deadline",
        "_dispatcher",
        "_ended",
        "_keepalive",
        "_limits",
        "_loop",
        "_lost",
        "_on_over",
        "_over",
        "_protocol",
        "_tcp",
        "_writer",
        "info",
        "is_answering",
        "is_lost",
        "is_over",
    )

    def __init__(
        self,
        tcp: asyncio.Transport,
        protocol: Protocol,
        writer: Writer,
        limits: Limits,
        *,
        on_over: Callable[[], None],
    ) -> None:
        self._tcp = tcp
        self._protocol = protocol
        self._writer = writer
        self._limits = limits
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        # These three are set by `open`, and None during the opening handshake.
        self._connection: WebSocketConnection | None = None
        self._dispatcher: Dispatcher | None = None
        self._keepalive: Keepalive | None = None
        # The close frame and the EOF to write when the state `answering` ends.
        self._answer: Sequence[bytes] = ()
        # Ends the present state, the opening too, when it takes too long; None without a bound.
        self._deadline: asyncio.TimerHandle | None = None
        # Futures completed on entering each state. Made on first use: an idle connection has none,
        # which saves 144 bytes each (measured).
        self._ended: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[None] | None = None
        self._over: asyncio.Future[None] | None = None
        self.info: CloseInfo | None = None
        self.is_answering = self.is_lost = self.is_over = False

    @property
    def lost(self) -> asyncio.Future[None]:
        """Done when TCP has ended."""
        if self._lost is None:
            self._lost = self._loop.create_future()
            if self.is_lost:
                self._lost.set_result(None)
        return self._lost

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when TCP has ended and the last handler is done."""
        if self._over is None:
            self._over = self._loop.create_future()
            if self.is_over:
                self._over.set_result(None)
        return self._over

    def open(
        self, connection: WebSocketConnection, dispatcher: Dispatcher, keepalive: Keepalive
    ) -> None:
        """Begin: the opening handshake is done."""
        self._connection = connection
        self._dispatcher = dispatcher
        self._keepalive = keepalive
        self.set_deadline(None)

    # This side ends it

    def start(self, code: int, reason: str) -> None:
        """Close from this side, or answer the peer's close at once.

        Does nothing if this side is closing already. Queued messages are dropped.
        """
        if self._connection is None or self._dispatcher is None:
            self._tcp.close()
        elif self.is_answering:
            self._dispatcher.drop_messages()
            self.end()
        elif self._connection.closed is None:
            self._writer.flush()
            self._mark_closed(CloseInfo(code, reason, "local"))
            self._dispatcher.drop_messages()
            self._protocol.send_close(code, reason)
            self._writer.write(self._protocol.data_to_send())
            self.set_deadline(self._limits.close_timeout)

    async def wait(self) -> None:
        """Return when both sides have closed, or the close timeout is over."""
        if self.info is None and not self.is_lost:
            if self._ended is None:
                self._ended = self._loop.create_future()
            await asyncio.shield(self._ended)

    def abort(self) -> None:
        """End at once, without waiting; send 1001 if the protocol still allows a close frame."""
        self.is_answering = False
        if self._connection is not None and self._connection.closed is None:
            self.info = self.info or CloseInfo(GOING_AWAY, "", "local")
            self._mark_closed(self.info)
            if self._protocol.state is State.OPEN:
                self._protocol.fail(GOING_AWAY)
                self._writer.write(self._protocol.data_to_send())
        self._tcp.close()
        self._stop_keepalive()
        self.set_deadline(None if self.is_lost else _LINGER)

    def peer_is_silent(self) -> None:
        """End with 1011: the peer has not answered a ping."""
        if self._protocol.state is not State.OPEN or self._dispatcher is None:
            return
        reason = f"no answer to a ping within {self._limits.ping_timeout:g} s"
        self.info = CloseInfo(INTERNAL_ERROR, reason, "local")
        self._protocol.fail(INTERNAL_ERROR, reason)
        self._answer = self._protocol.data_to_send()
        self._dispatcher.drop_messages()
        self.end()
        self._dispatcher.end(self.info)

    # The peer ends it, or TCP

    def receive(self, messages: list[str | bytes], writes: list[bytes]) -> None:
        """Handle input after the protocol has left OPEN.

        Args:
            messages: the messages before the peer's close frame, or before a fault.
            writes: what the protocol wants written.
        """
        if self.info is None and self._is_at_end():
            self._receive_last(messages, writes)
        else:  # this side has ended, or is closing: messages are dropped
            self._writer.write(writes)

    def receive_eof(self, writes: list[bytes]) -> bool:
        """Handle EOF; return whether TCP stays half open, for this side to write."""
        if self._dispatcher is not None and self.info is None:
            self._receive_last([], writes)
        # An answer can still be written while TCP is half open. TLS never is.
        return self.is_answering and self._tcp.get_extra_info("sslcontext") is None

    def tcp_lost(self) -> None:
        """Enter *lost*: TCP has ended."""
        self._stop_keepalive()
        self.set_deadline(None)
        self.is_answering = False
        self._writer.drop()
        if self.info is None:
            self.info = LOST
        self._mark_closed(self.info)
        _fulfil(self._ended)
        self.is_lost = True
        _fulfil(self._lost)
        if self._dispatcher is None or self._dispatcher.finished:
            self._set_over()
        else:
            self._dispatcher.end(self.info)

    def handlers_done(self) -> None:
        """Enter *over* if TCP has ended: the ``disconnected`` handler is done."""
        if self.is_lost:
            self._set_over()

    def end(self) -> None:
        """Enter *ended*: write the answer that was held back, after which TCP may end."""
        assert self.info is not None
        self.is_answering = False
        self._writer.flush()
        self._mark_closed(self.info)
        self._writer.write(self._answer)
        self._stop_keepalive()
        if self._protocol.reader.eof:
            self._tcp.close()
        self.linger()
        _fulfil(self._ended)

    # The time that a state may take

    def linger(self) -> None:
        """Give the peer `_LINGER` seconds to end TCP."""
        self.set_deadline(_LINGER)

    def set_deadline(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Call `then` after `seconds`, in place of an earlier deadline; None for no deadline.

        The default of `then` drops TCP.
        """
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            self._deadline = self._loop.call_later(seconds, then or self._tcp.abort)

    # Inside

    def _is_at_end(self) -> bool:
        """Whether no more messages can arrive: after a close frame, or after the protocol failed.

        While *closing*, those that the peer sent before it read the close frame still arrive.
        """
        protocol = self._protocol
        closing = self._connection is not None and self._connection.closed is not None
        return not closing or protocol.close_rcvd is not None or protocol.parser_exc is not None

    def _receive_last(self, messages: list[str | bytes], writes: list[bytes]) -> None:
        """Handle the last `messages`, then write `writes` from the close frame on."""
        dispatcher, connection = self._dispatcher, self._connection
        assert dispatcher is not None and connection is not None
        closing = (i for i, w in enumerate(writes) if w == SEND_EOF or w[0] & 0x0F == Opcode.CLOSE)
        first = next(closing, len(writes))
        self._writer.write(writes[:first])
        self._answer = writes[first:]
        self.info = self.outcome(connection)
        if connection.closed is not None or self.info.by is None:
            self.end()  # this side closed first, or the peer is gone: no answer to hold back
        else:
            self.is_answering = True
            self.set_deadline(self._limits.close_timeout, self.end)
            if messages:
                dispatcher.feed(messages)
            elif not dispatcher.busy:
                self.end()
        dispatcher.end(self.info)

    def outcome(self, connection: WebSocketConnection) -> CloseInfo:
        """Return how the connection ends, from what both sides have said."""
        protocol = self._protocol
        if connection.closed is not None:
            return connection.closed
        if protocol.close_rcvd is not None and protocol.close_rcvd_then_sent:
            return CloseInfo(int(protocol.close_rcvd.code), protocol.close_rcvd.reason, "remote")
        if protocol.close_sent is not None:  # the protocol found a fault in the input
            return CloseInfo(int(protocol.close_sent.code), protocol.close_sent.reason, "local")
        return LOST

    def _mark_closed(self, info: CloseInfo) -> None:
        """Make sends fail from now on."""
        if self._connection is not None and self._connection.closed is None:
            mark_closed(self._connection, info)
            self._writer.end(info)

    def _set_over(self) -> None:
        self.is_over = True
        _fulfil(self._over)
        self._on_over()

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()


def _fulfil(future: asyncio.Future[None] | None) -> None:
    """Complete a future, if it has been made and is not done."""
    if future is not None and not future.done():
        future.set_result(None)
