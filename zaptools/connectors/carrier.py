"""One connection over a socket that belongs to a framework: what all connectors share.

A framework calls the connector in a task of its own, with a socket that hands out one message at
a time. `Carrier.run` serves the connection in that task: it reads a message, has it handled, and
reads the next. Where several handlers may run at the same time, it reads the next message as soon
as one more may. `Reading` and `Writing` hold the two directions; this module holds the life of the
connection::

    run ──> connected ──> read, handle, read, handle … ──> disconnected ──> run returns
                │                    │                          ↑
                │                    ├─ the socket says that it has ended
                │                    ├─ close: the end follows, or the close timeout gives it up
                └────────────────────┴─ cancelled, or a handler ends it: abort, 1001 to the peer
"""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

from ..connection.connection import OfferingTransport, WebSocketConnection, mark_closed
from ..connection.handshake import NO_HANDSHAKE, Handshake
from ..connection.ids import ids_of, new_id
from ..dispatch.dispatcher import Dispatcher
from ..exceptions import ConnectionClosedError, NameTakenError
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..protocol.close import GOING_AWAY, LOST, POLICY_VIOLATION, CloseInfo
from .reading import Reading
from .socket import FrameworkSocket
from .writing import Writing

__all__ = ["Carrier"]

logger = logging.getLogger(__name__)

_GOING_AWAY = CloseInfo(GOING_AWAY, "", "local")
_ID_TAKEN = CloseInfo(POLICY_VIOLATION, "the connection's id is taken", "local")


class Carrier(OfferingTransport):
    """The `Transport` of a connection over a framework's socket, and the loop that serves it.

    Args:
        socket: the framework's socket.
        book: the handlers.
        limits: the bounds; `zaptools.Limits` says which apply to a framework's socket.
        connection_id: the connection's id. Default None: a new one.
        handshake: the request that opened the connection.
        omit_empty_headers: see `zaptools.protocol.encode_event`.
        state: the connection's state, as `on_handshake` left it. Default None: a new one.
        connection: a connection made elsewhere, whose transport becomes this; the four arguments
            before it are not used then. Default None.

    Attributes:
        connection: the connection.
        dispatcher: calls its handlers.
    """

    def __init__(
        self,
        socket: FrameworkSocket,
        book: HandlerBook,
        limits: Limits,
        *,
        connection_id: str | None = None,
        handshake: Handshake = NO_HANDSHAKE,
        omit_empty_headers: bool = False,
        state: SimpleNamespace | None = None,
        connection: WebSocketConnection | None = None,
    ) -> None:
        if connection is None:
            connection = WebSocketConnection(
                connection_id or new_id(),
                self,
                handshake=handshake,
                omit_empty_headers=omit_empty_headers,
                state=state,
            )
        else:
            connection.transport = self
        self.connection = connection
        self.dispatcher = Dispatcher(
            connection, book, on_idle=_nothing, on_finish=_nothing, on_wait=self._read_ahead
        )
        socket.connection_id = connection.id
        self._socket = socket
        self._book = book
        self._limits = limits
        self._reading = Reading(
            socket,
            connection,
            self.dispatcher.mailbox,
            limits,
            close=self.close,
            on_end=self._note_end,
        )
        self._writing = Writing(socket, connection, limits, self._reading.find_end)
        # `Transport.send`, and what a broadcast calls: attributes, which saves a call each.
        self.send = self._writing.send
        self.offer = self._writing.offer
        # The task of the framework that serves the connection; set when `run` begins.
        self._task: asyncio.Task[None] | None = None
        # Gives the connection up after the close timeout; set by `close`, cancelled by the end.
        self._timer: asyncio.TimerHandle | None = None
        # The close that `close_soon` has begun.
        self._closing: asyncio.Task[None] | None = None

    # The loop

    async def run(self) -> None:
        """Serve the connection until it has ended and its last handler is done.

        A connection whose id is in use by another of the same register is closed with 1008; no
        handler is called for it.
        """
        connection, ids = self.connection, ids_of(self._book)
        try:
            ids.claim(lambda: connection.id)
        except NameTakenError as exc:
            if self._book.faults.take(logger):  # the id may be the peer's word
                logger.warning("connection refused: %s", exc)
            mark_closed(connection, _ID_TAKEN)
            await self._socket.close_briefly(_ID_TAKEN.code, _ID_TAKEN.reason)
            return
        try:
            await self._serve()
        finally:
            ids.release(connection.id)

    async def _serve(self) -> None:
        dispatcher, reading, writing = self.dispatcher, self._reading, self._writing
        mailbox = dispatcher.mailbox
        self._task = asyncio.current_task()
        reading.begin()
        is_handling = True
        try:
            if not dispatcher.greeted:
                await dispatcher.greet()
            while True:
                await dispatcher.drain(True)
                if reading.over:
                    break
                is_handling = False
                writing.unbroken = reading.ahead_bytes = 0
                if reading.elsewhere is None:
                    await reading.receive_one()
                else:
                    await reading.wait()
                is_handling = True
                if mailbox.exchange is not None:
                    reading.read_ahead()
        except BaseException as exc:  # cancellation too: the peer gets a close frame
            try:
                if is_handling:
                    await dispatcher.abort(exc)
            finally:
                await self._go_away()
            raise
        finally:
            reading.end(LOST)
            try:
                await reading.cancel_ahead()
                await writing.cancel()
            finally:
                await dispatcher.run_to_end()

    async def _go_away(self) -> None:
        """Abort, send the peer a close frame, and cancel the handlers that still run."""
        try:
            await self._reading.cancel_ahead()
            self.abort()
            if self.connection.closed is _GOING_AWAY:
                await self._socket.close_briefly(_GOING_AWAY.code, _GOING_AWAY.reason)
        finally:  # cancelled once more
            self.abort()
            await self.dispatcher.stop_crew()

    def _read_ahead(self) -> None:
        self._reading.read_ahead()

    # The end

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; see `zaptools.connection.Transport`.

        Returns when the framework's own call does, or after the close timeout. If the framework
        has not reported the connection's end by then, the connection is given up.

        The events of broadcasts in line go out first; sends in line fail.
        """
        info = mark_closed(self.connection, CloseInfo(code, reason, "local"))
        self.dispatcher.drop_messages()
        limit = self._limits.close_timeout
        if limit is not None and self._timer is None and not self._reading.over:
            self._timer = asyncio.get_running_loop().call_later(limit, self._give_up)
        try:
            async with asyncio.timeout(limit):
                await self._writing.close(info)
        except ConnectionClosedError:  # ended, or given up, before the close frame's turn came
            pass
        except TimeoutError:
            self._socket.drop()

    def close_soon(self, code: int, reason: str) -> None:
        """Begin to close the connection, in a task of its own, unless it has ended."""
        if self.connection.closed is None:
            self._closing = asyncio.create_task(self.close(code, reason))

    def abort(self) -> None:
        """End the connection without waiting."""
        info = mark_closed(self.connection, self._socket.known_end() or _GOING_AWAY)
        self.dispatcher.mailbox.end(info)
        self._writing.stop(info)
        if asyncio.current_task() is not self._task:  # a handler beside it has failed
            self._reading.stop()

    def _note_end(self) -> None:
        """Cancel the close timeout, and stop writing: the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writing.stop(self.connection.closed or LOST)

    def _give_up(self) -> None:
        """End a connection whose end the framework has not reported within the close timeout."""
        self._timer = None
        self._reading.stop()
        self._writing.stop(self.connection.closed or LOST)
        self._socket.drop()


def _nothing() -> None:
    """Do nothing, for callbacks of the dispatcher that the carrier does not need."""
