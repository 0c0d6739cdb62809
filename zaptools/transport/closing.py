"""How a connection ends: the closing handshake, its timeouts, and the end of TCP.

::

    opening ──> open ──┬── start ──────────────────> closing ────┐
                       │                                         │ the peer's close frame,
                       │                                         │ a fault in what it sends,
                       │                                         │ or the close timeout
                       ├── the peer's close frame ─> answering ──┤
                       │                                         │ handlers done, `start`,
                       │                                         │ or the close timeout
                       │                                         v
                       └── a fault, no pong, abort, EOF ──────> ended ──> lost ──> over

- *closing*: this side's close frame is sent, sends fail, and events that still come are dropped.
- *answering*: no event will come. Those that came before the close frame are handled, and sends
  succeed; the answer is held back until then.
- *ended*: nothing will be written any more; the peer has `_LINGER` seconds to end TCP.
- *lost*: TCP has ended, whatever came before: a connection gets here from each other state.
- *over*: the ``disconnected`` handler is done too.
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
        # What is to be written when the state `answering` ends: a close frame, and the end.
        self._answer: Sequence[bytes] = ()
        # Ends the state that the connection is in, the opening too; None where nothing does.
        self._deadline: asyncio.TimerHandle | None = None
        # Done in the states of their names. Made when they are first asked for: an idle connection
        # does without, which saves 144 bytes each (measured).
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
        """Begin the closing, or end one that the peer has begun.

        Does nothing if this side has begun it. What waits for handlers is dropped.
        """
        if self._connection is None or self._dispatcher is None:
            self._tcp.close()
        elif self.is_answering:
            self._dispatcher.discard()
            self.end()
        elif self._connection.closed is None:
            self._writer.flush()
            self._mark_closed(CloseInfo(code, reason, "local"))
            self._dispatcher.discard()
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
        """End at once: say 1001 if that can still be said, wait for nothing."""
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
        self._dispatcher.discard()
        self.end()
        self._dispatcher.end(self.info)

    # The peer ends it, or TCP

    def receive(self, messages: list[str | bytes], writes: list[bytes]) -> None:
        """Take what came when it left the protocol in another state than open.

        Args:
            messages: what came in front of that.
            writes: what the protocol wants written.
        """
        if self.info is None and self._is_at_end():
            self._receive_last(messages, writes)
        else:  # this side has ended, or is closing: messages come too late
            self._writer.write(writes)

    def receive_eof(self, writes: list[bytes]) -> bool:
        """Take the end of what the peer sends; return whether TCP stays open for this side."""
        if self._dispatcher is not None and self.info is None:
            self._receive_last([], writes)
        # An answer can still be written while TCP is half open. TLS never is.
        return self.is_answering and self._tcp.get_extra_info("sslcontext") is None

    def lose(self) -> None:
        """Take the end of TCP."""
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
            self._finish()
        else:
            self._dispatcher.end(self.info)

    def handlers_done(self) -> None:
        """Note that the dispatcher has called the last handler."""
        if self.is_lost:
            self._finish()

    def end(self) -> None:
        """Write the answer that was held back, after which TCP may end."""
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
        """Wait for the peer's end of TCP, but not for long."""
        self.set_deadline(_LINGER)

    def set_deadline(self, seconds: float | None, then: Callable[[], None] | None = None) -> None:
        """Call `then` after `seconds`, in place of what was to be called; None for no deadline.

        The default of `then` drops TCP.
        """
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            self._deadline = self._loop.call_later(seconds, then or self._tcp.abort)

    # Inside

    def _is_at_end(self) -> bool:
        """Whether nothing more can come: the peer said so, or the protocol has failed.

        Until the peer has answered a close frame, what it sent before it read that still comes.
        """
        protocol = self._protocol
        closing = self._connection is not None and self._connection.closed is not None
        return not closing or protocol.close_rcvd is not None or protocol.parser_exc is not None

    def _receive_last(self, messages: list[str | bytes], writes: list[bytes]) -> None:
        """No event will come after `messages`: handle those, then write the last of `writes`."""
        dispatcher, connection = self._dispatcher, self._connection
        assert dispatcher is not None and connection is not None
        closing = (i for i, w in enumerate(writes) if w == SEND_EOF or w[0] & 0x0F == Opcode.CLOSE)
        first = next(closing, len(writes))
        self._writer.write(writes[:first])
        self._answer = writes[first:]
        self.info = self.outcome(connection)
        if connection.closed is not None or self.info.by is None:
            self.end()  # this side began, or the peer is gone: there is nothing to wait for
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
        if protocol.close_sent is not None:  # the protocol found a fault in what came
            return CloseInfo(int(protocol.close_sent.code), protocol.close_sent.reason, "local")
        return LOST

    def _mark_closed(self, info: CloseInfo) -> None:
        """Make sends fail from now on."""
        if self._connection is not None and self._connection.closed is None:
            mark_closed(self._connection, info)
            self._writer.end(info)

    def _finish(self) -> None:
        self.is_over = True
        _fulfil(self._over)
        self._on_over()

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()


def _fulfil(future: asyncio.Future[None] | None) -> None:
    """Set the result of a future that something may wait for, unless it is done."""
    if future is not None and not future.done():
        future.set_result(None)
