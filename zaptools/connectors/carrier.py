"""One connection over a socket that belongs to a framework: what all connectors share.

A framework calls the connector in a task of its own, with a socket that hands out one message at
a time. That task reads, and handles each message before it reads the next: so nothing is read
ahead, and no other task is needed. (What the framework itself reads ahead is its own bound:
uvicorn and aiohttp stop reading TCP, Sanic holds one message.)

Where several handlers may run at the same time, it reads the next message as soon as one more may.

The one exception: while a handler runs and somebody waits for an event, a reply for one, another
task reads on, up to `Limits.queue_events` and `Limits.queue_bytes`. A framework's call for the
next message is never given up in the middle: when nobody waits any more, that task still gets one
message, for which the first task then waits.

Frameworks make a write wait while the peer does not read. One write waits in the framework at a
time; the others wait here, in a line: sends in their own tasks, and the events of broadcasts, which
a task of the connection's own writes when their turn comes.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Coroutine
from typing import Any

from .._tasks import begin, ends_task
from .._text import clip
from ..connection.connection import WebSocketConnection
from ..connection.ids import ids_of
from ..dispatch.dispatcher import Dispatcher
from ..exceptions import ConnectionClosedError, NameTakenError, SendTimeoutError
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..protocol.close import LOST, CloseInfo
from ..transport.line import Line

__all__ = ["Carrier"]

logger = logging.getLogger(__name__)

_GOING_AWAY = CloseInfo(1001, "", "local")
_TOO_BIG = 1009
_ID_TAKEN = CloseInfo(1008, "the connection's id is taken", "local")
_LAST_WORDS = 1.0
"""Seconds that the close frame of a cancelled connection may take."""

_TURN = 16
"""Writes for one message that did not wait, after which the loop has its turn: a socket that has
failed takes what is written, and only the loop tells of its end. asyncio logs a warning for each
such write but the first four."""


class Carrier(ABC):
    """A connection's `Transport`, and the loop that reads it.

    Args:
        connection: the connection; its transport is this object.
        book: its handlers.
        limits: `Limits.message_bytes`, `Limits.send_timeout`, `Limits.close_timeout`,
            `Limits.backlog_bytes`, and as above `Limits.queue_events` and `Limits.queue_bytes` are
            used; the rest is the framework's business.
    """

    def __init__(self, connection: WebSocketConnection, book: HandlerBook, limits: Limits) -> None:
        self.connection = connection
        self._book = book
        self._limits = limits
        most = sys.maxsize if limits.message_bytes is None else limits.message_bytes
        self._in_turn = book.concurrency == 1
        self._short = most // 4  # no character has more than 4 bytes
        self._dispatcher = Dispatcher(
            connection, book, on_idle=_nothing, on_finish=_nothing, on_wait=self._read_ahead
        )
        self._mailbox = self._dispatcher.mailbox
        self._task: asyncio.Task[None] | None = None
        self._reading = self._handling = self._over = self._gave_up = False
        self._ahead = 0
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.Future[None] | None = None
        self._peek: asyncio.Future[None] | None = None
        self._written = 0  # since the last message came, or the loop had its turn
        self._writing = False  # whether a write waits in the framework, or one is about to begin
        self._line: Line | None = None  # what waits for that; None as long as nothing ever had to
        self._writer: asyncio.Task[None] | None = None  # writes the events of broadcasts
        self._scope: asyncio.Timeout | None = None  # bounds the send that waits in the framework

    # What a framework's socket does

    @abstractmethod
    def _receive(self) -> Awaitable[Any]:
        """Return the next message, or how the connection ended, or what `_read` makes that of."""

    def _read(self, received: Any) -> str | bytes | CloseInfo:
        """Return the message or end that `_receive` got; by default it is that."""
        message: str | bytes | CloseInfo = received
        return message

    @abstractmethod
    def _write(self, text: str) -> Awaitable[None]:
        """Send one text message. Whatever it raises means that the connection has ended."""

    @abstractmethod
    async def _shut(self, code: int, reason: str) -> None:
        """Begin the closing, or do all of it."""

    def _drop(self) -> None:  # noqa: B027  # not every framework gives a way to
        """End TCP at once, where a framework gives a way to: the peer did not close in time."""

    def _note_failure(self, error: BaseException) -> None:  # noqa: B027  # most need nothing
        """A write has failed: do what the framework does itself in that case."""

    def _known_end(self) -> CloseInfo | None:
        """Return how the connection ended, where a framework cancels because of that."""
        return None

    # The loop

    async def run(self) -> None:
        """Serve the connection until it has ended and its last handler is done.

        One whose id another connection of the same register has is closed with 1008; no handler
        is called for it.
        """
        connection, ids = self.connection, ids_of(self._book)
        try:
            ids.claim(lambda: connection.id)
        except NameTakenError as exc:
            if self._book.faults.take(logger):  # the id may be the peer's word
                logger.warning("connection refused: %s", exc)
            connection.closed = _ID_TAKEN
            await self._say(_ID_TAKEN)
            return
        try:
            await self._serve()
        finally:
            ids.release(connection.id)

    async def _serve(self) -> None:
        self._task = asyncio.current_task()
        dispatcher, mailbox, connection = self._dispatcher, self._mailbox, self.connection
        try:
            await self._handle()  # calls the connected handler
            while not self._over:
                if self._peek is not None:  # somebody else reads
                    await asyncio.shield(self._peek)
                else:
                    message = await self._next()
                    if (
                        message is not None
                        and len(message) <= self._short
                        and connection.closed is None
                    ):
                        mailbox.put(message)
                    else:
                        await self._take(message)
                if not self._in_turn:
                    await self._handle()
                    continue
                # The same, for 1 µs less of the 12 that an echo takes on uvicorn:
                self._handling = True
                self._ahead = 0
                if mailbox.has_waiters:
                    self._read_ahead()
                try:
                    await dispatcher.drain()
                except BaseException as exc:  # as in Dispatcher.run
                    await dispatcher.break_off(exc)
                    raise
                finally:
                    self._handling = False
        except BaseException:  # cancellation too: the peer is told, whatever ends the task
            try:
                await _stop(self._reader)
                self.abort()
                await self._say(_GOING_AWAY)
            finally:  # cancelled once more
                self.abort()
                await dispatcher.stop()
            raise
        finally:
            self._note_end(LOST)
            try:
                await _stop(self._reader, self._writer)
            finally:
                await dispatcher.finish()

    async def _handle(self) -> None:
        """Handle what there is."""
        self._handling = True
        self._ahead = 0
        self._read_ahead()
        try:
            await self._dispatcher.run(until_room=True)
        finally:
            self._handling = False

    async def _take(self, message: str | bytes | None) -> None:
        """Put a message where `_handle` finds it."""
        if message is None or self.connection.closed is not None:
            return
        if self._too_big(message):
            await self.close(_TOO_BIG, "the message is too long")
        else:
            self._mailbox.put(message)

    # Reading while a handler runs

    def _read_ahead(self) -> None:
        """Read in another task, if a handler runs and somebody waits for what is to come."""
        idle = not self._reading and self._peek is None and not self._over
        if idle and self._mailbox.has_waiters and self._may_read_ahead():
            self._peek = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read_while_handling())
            # No `finally` of the task's own: one that is cancelled before it began runs none.
            self._reader.add_done_callback(self._end_reading_ahead)

    def _may_read_ahead(self) -> bool:
        limits = self._limits
        return (
            self._handling
            and len(self._mailbox) <= limits.queue_events
            and self._ahead <= limits.queue_bytes
        )

    async def _read_while_handling(self) -> None:
        wanted = True
        while wanted and not self._over:
            message = await self._next()
            self._ahead += len(message or ())
            await self._take(message)
            wanted = self._mailbox.has_waiters or self._end is not None
            wanted = wanted and self._may_read_ahead()

    def _end_reading_ahead(self, task: asyncio.Task[None]) -> None:
        peek, self._peek, self._reader = self._peek, None, None
        assert peek is not None
        peek.set_result(None)
        if not task.cancelled():  # a handler may have begun to wait after the last message
            self._read_ahead()

    async def _next(self) -> str | bytes | None:
        """Return the next message; None when the connection has ended."""
        self._reading = True
        self._written = 0
        try:
            message = self._read(await self._receive())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._gave_up and task is self._task and task is not None and task.uncancel() == 0:
                message = LOST
            else:
                raise
        except Exception as exc:
            logger.info("%s: reading failed: %s", self.connection.id, clip(repr(exc)))
            message = LOST
        finally:
            self._reading = False
        if isinstance(message, CloseInfo):
            self._note_end(message)
            return None
        return message

    def _too_big(self, message: str | bytes) -> bool:
        limit = self._limits.message_bytes
        if limit is None or len(message) <= self._short:
            return False
        size = len(message) if isinstance(message, bytes) else len(message.encode(errors="replace"))
        return size > limit

    def _note_end(self, info: CloseInfo) -> None:
        """The connection has ended; `info` says how, unless that is known already."""
        self._over = True
        if self.connection.closed is None:
            self.connection.closed = info
        self._mailbox.end(self.connection.closed)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        self._stop_sending(self.connection.closed)

    # Sending

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        if self._writing:
            return self._send_in_turn(data)
        try:
            rest = begin(self._write(data.decode()))
        except (Exception, asyncio.CancelledError) as exc:
            return self._fail(exc)
        if rest is None:
            return asyncio.sleep(0) if self._has_written() else None
        self._writing = True
        return self._finish_sending(rest, self._limits.send_timeout)

    async def _send_in_turn(self, data: bytes) -> None:
        closed, limit = self.connection.closed, self._limits.send_timeout
        if closed is not None:
            raise ConnectionClosedError(*closed)
        started = asyncio.get_running_loop().time()
        await self._take_turn(data, limit)
        if limit is not None:
            limit -= asyncio.get_running_loop().time() - started
        await self._finish_sending(self._write_later(data), limit)

    async def _take_turn(self, data: bytes, limit: float | None) -> None:
        """Wait until nothing else is written. `_pass_turn` is to follow."""
        if self._writing:
            await self._waiting().wait(data, limit)
        self._writing = True

    async def _finish_sending(self, rest: Awaitable[None], limit: float | None) -> None:
        self._scope = scope = asyncio.timeout(limit)
        try:
            try:
                async with scope:
                    await rest
            finally:
                self._scope = None
                self._pass_turn()
        except (Exception, asyncio.CancelledError) as exc:
            if not scope.expired():
                await self._fail(exc)
            elif self.connection.closed is not None:  # see _stop_sending
                raise ConnectionClosedError(*self.connection.closed) from exc
            else:
                raise SendTimeoutError(self._limits.send_timeout or 0) from exc

    async def _write_later(self, data: bytes) -> None:
        await self._write(data.decode())

    def offer(self, data: bytes) -> bool:
        """Send one text message of a broadcast without waiting.

        Returns:
            Whether the loop should have its turn: it waits for the peer to read, or many did not.

        Raises:
            SendTimeoutError: more than `Limits.backlog_bytes` wait already.
            ConnectionClosedError: the connection has ended.
        """
        if self._writing:
            line = self._waiting()
            if line.size > self._limits.backlog_bytes:
                raise SendTimeoutError(0)
            line.keep(data)
            return True
        try:
            rest = begin(self._write(data.decode()))
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            self._note_failure(exc)
            raise ConnectionClosedError(*(self.connection.closed or LOST)) from exc
        if rest is None:
            return self._has_written()
        self._writing = True
        self._write_kept(rest)
        return True

    def _has_written(self) -> bool:
        """Note a write that did not wait; tell whether the loop should have its turn."""
        self._written += 1
        if self._written < _TURN:
            return False
        self._written = 0
        return True

    def _waiting(self) -> Line:
        if self._line is None:
            self._line = Line(self._pass_turn)
        return self._line

    def _pass_turn(self) -> None:
        """A write is over: let the next in line have its turn."""
        entry = self._line.pop() if self._line is not None else None
        if entry is None:
            self._writing = False
        elif entry[0] is not None:
            entry[0].set_result(None)
        else:
            self._write_kept(self._write_later(entry[1]))

    def _write_kept(self, write: Coroutine[Any, Any, None]) -> None:
        """Write an event of a broadcast, or the rest of one, in a task."""
        self._writer = asyncio.get_running_loop().create_task(write)
        self._writer.add_done_callback(self._end_writing)

    def _end_writing(self, task: asyncio.Task[None]) -> None:
        self._writer = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("%s: a broadcast was not written: %r", self.connection.id, error)
            self._note_failure(error)
        self._pass_turn()

    def _stop_sending(self, info: CloseInfo) -> None:
        """Give up what waits to be written: the connection has ended, and `info` says how."""
        if self._line is not None:
            self._line.fail(info)
            self._line.clear()
        if self._writer is not None:
            self._writer.cancel()
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(0)

    async def _fail(self, error: BaseException) -> None:
        """Raise what a send raises when the framework raised `error`."""
        if ends_task(error):
            raise error
        self._note_failure(error)
        raise ConnectionClosedError(*await self._how_it_ended()) from error

    async def _how_it_ended(self) -> CloseInfo:
        """Sending has failed: find out how the connection ended, which only reading tells.

        Messages that came before the end are handled in their turn.
        """
        connection = self.connection
        if connection.closed is None and not self._over:
            try:
                async with asyncio.timeout(_LAST_WORDS):
                    await self._read_to_the_end()
            except TimeoutError:
                return LOST
        return connection.closed or LOST

    async def _read_to_the_end(self) -> None:
        if self._reading or self._peek is not None:  # in another task, which will tell
            if self._end is None:
                self._end = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._end)
            return
        self._peek = asyncio.get_running_loop().create_future()
        try:
            while not self._over:
                message = await self._next()
                if message is not None:
                    self._mailbox.put(message)
        finally:
            self._peek.set_result(None)
            self._peek = None

    # The ending

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; see `zaptools.connection.Transport`.

        Returns when the framework's own call does, or after the close timeout. If the framework
        never says that the connection has ended, that is taken for granted then.

        The events of broadcasts that wait go out first; sends that wait fail.
        """
        info = self.connection.closed = CloseInfo(code, reason, "local")
        self._dispatcher.discard()
        limit = self._limits.close_timeout
        if limit is not None and self._timer is None and not self._over:
            self._timer = asyncio.get_running_loop().call_later(limit, self._give_up)
        if self._line is not None:
            self._line.fail(info)
        try:
            async with asyncio.timeout(limit):
                await self._take_turn(b"", None)
                try:
                    await self._shut_quietly(code, reason)
                finally:
                    self._pass_turn()
        except ConnectionClosedError:  # it has ended, or was given up, before its turn came
            pass
        except TimeoutError:
            self._drop()

    async def _shut_quietly(self, code: int, reason: str) -> None:
        try:
            await self._shut(code, reason)
        except Exception as exc:  # it has ended meanwhile
            logger.debug("%s: closing failed: %s", self.connection.id, clip(repr(exc)))

    def _give_up(self) -> None:
        self._timer = None
        self._stop_reading()
        self._stop_sending(self.connection.closed or LOST)
        self._drop()

    def _stop_reading(self) -> None:
        """Take the connection for ended, also in a call for the next message."""
        self._over = True
        if self._reader is not None:
            self._reader.cancel()
        elif self._reading and self._peek is None and self._task is not None:
            self._gave_up = True
            self._task.cancel()

    def abort(self) -> None:
        """Take the connection for ended, waiting for nothing."""
        if self.connection.closed is None:
            self.connection.closed = self._known_end() or _GOING_AWAY
        self._mailbox.end(self.connection.closed)
        self._stop_sending(self.connection.closed)
        if asyncio.current_task() is not self._task:  # a handler beside it has failed
            self._stop_reading()

    async def _say(self, info: CloseInfo) -> None:
        """Tell the peer why, if that can still be done."""
        if self.connection.closed is info:
            await self._shut_soon(info.code, info.reason)

    async def _shut_soon(self, code: int, reason: str) -> None:
        """Begin the closing, and wait no longer for a peer that does not read."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._shut_quietly(code, reason)
        except TimeoutError:
            logger.debug("%s: the peer takes no close frame", self.connection.id)


async def _stop(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel `tasks`, and wait for their ends."""
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _nothing() -> None:
    """There is nothing to be done."""
