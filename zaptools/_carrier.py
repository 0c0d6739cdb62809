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
"""

from __future__ import annotations

import asyncio
import logging
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import Any

from ._closing import LOST, CloseInfo
from ._dispatcher import Dispatcher
from ._ids import claim_id
from ._tasks import begin, ends_task
from ._text import clip
from .connection import WebSocketConnection
from .exceptions import ConnectionClosedError, NameTakenError, SendTimeoutError
from .limits import Limits
from .registry import HandlerBook

__all__ = ["Carrier"]

logger = logging.getLogger(__name__)

_GOING_AWAY = CloseInfo(1001, "", "local")
_TOO_BIG = 1009
_ID_TAKEN = CloseInfo(1008, "the connection's id is taken", "local")
_LAST_WORDS = 1.0
"""Seconds that the close frame of a cancelled connection may take."""


class Carrier(ABC):
    """A connection's `Transport`, and the loop that reads it.

    Args:
        connection: the connection; its transport is this object.
        book: its handlers.
        limits: `Limits.message_bytes`, `Limits.send_timeout`, `Limits.close_timeout`, and as above
            `Limits.queue_events` and `Limits.queue_bytes` are used; the rest is the framework's
            business.
    """

    def __init__(self, connection: WebSocketConnection, book: HandlerBook, limits: Limits) -> None:
        self.connection = connection
        self._ids = book.ids
        self._limits = limits
        most = sys.maxsize if limits.message_bytes is None else limits.message_bytes
        self._in_turn = book.concurrency == 1
        self._short = most // 4  # no character has more than 4 bytes
        self._dispatcher = Dispatcher(
            connection, book, on_idle=_nothing, on_finish=_nothing, on_wait=self._read_ahead
        )
        self._task: asyncio.Task[None] | None = None
        self._reading = self._handling = self._over = self._gave_up = False
        self._ahead = 0
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end: asyncio.Future[None] | None = None
        self._peek: asyncio.Future[None] | None = None

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

    def _known_end(self) -> CloseInfo | None:
        """Return how the connection ended, where a framework cancels because of that."""
        return None

    # The loop

    async def run(self) -> None:
        """Serve the connection until it has ended and its last handler is done.

        One whose id another connection of the same register has is closed with 1008; no handler
        is called for it.
        """
        connection = self.connection
        try:
            claim_id(self._ids, lambda: connection.id)
        except NameTakenError as exc:
            logger.warning("connection refused: %s", exc)
            connection.closed = _ID_TAKEN
            await self._say(_ID_TAKEN)
            return
        try:
            await self._serve()
        finally:
            self._ids.discard(connection.id)

    async def _serve(self) -> None:
        self._task = asyncio.current_task()
        dispatcher, connection = self._dispatcher, self.connection
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
                        dispatcher.hold(message)
                    else:
                        await self._take(message)
                if not self._in_turn:
                    await self._handle()
                    continue
                # The same, for 1 µs less of the 12 that an echo takes on uvicorn:
                self._handling = True
                self._ahead = 0
                if dispatcher.waiting:
                    self._read_ahead()
                try:
                    await dispatcher.drain()
                except BaseException as exc:  # as in Dispatcher.run
                    await dispatcher.break_off(exc)
                    raise
                finally:
                    self._handling = False
        except BaseException:  # cancellation too: the peer is told, whatever ends the task
            await self._stop_reader()
            self.abort()
            try:
                await self._say(_GOING_AWAY)
            finally:
                await dispatcher.stop()
            raise
        finally:
            self._note_end(LOST)
            await self._stop_reader()
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
            self._dispatcher.hold(message)

    # Reading while a handler runs

    def _read_ahead(self) -> None:
        """Read in another task, if a handler runs and somebody waits for what is to come."""
        idle = not self._reading and self._peek is None and not self._over
        if idle and self._dispatcher.waiting and self._may_read_ahead():
            self._peek = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read_while_handling(self._peek))

    def _may_read_ahead(self) -> bool:
        limits = self._limits
        return (
            self._handling
            and len(self._dispatcher) <= limits.queue_events
            and self._ahead <= limits.queue_bytes
        )

    async def _read_while_handling(self, done: asyncio.Future[None]) -> None:
        wanted = True
        try:
            while wanted and not self._over:
                message = await self._next()
                self._ahead += len(message or ())
                await self._take(message)
                wanted = self._dispatcher.waiting or self._end is not None
                wanted = wanted and self._may_read_ahead()
        finally:
            self._reader = self._peek = None
            done.set_result(None)

    async def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def _next(self) -> str | bytes | None:
        """Return the next message; None when the connection has ended."""
        self._reading = True
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
        self._dispatcher.cut(self.connection.closed)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    # Sending

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        try:
            rest = begin(self._write(data.decode()))
        except (Exception, asyncio.CancelledError) as exc:
            return self._fail(exc)
        return None if rest is None else self._finish_sending(rest)

    async def _finish_sending(self, rest: Awaitable[None]) -> None:
        limit = self._limits.send_timeout
        timeout = asyncio.timeout(limit)
        try:
            async with timeout:
                await rest
        except (Exception, asyncio.CancelledError) as exc:
            if timeout.expired():
                raise SendTimeoutError(limit or 0) from exc
            await self._fail(exc)

    async def _fail(self, error: BaseException) -> None:
        """Raise what a send raises when the framework raised `error`."""
        if ends_task(error):
            raise error
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
                    self._dispatcher.hold(message)
        finally:
            self._peek.set_result(None)
            self._peek = None

    # The ending

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; see `zaptools.connection.Transport`.

        Returns when the framework's own call does. If it then never says that the connection
        has ended, that is taken for granted after the close timeout.
        """
        self.connection.closed = CloseInfo(code, reason, "local")
        self._dispatcher.discard()
        if self._limits.close_timeout is not None and self._timer is None and not self._over:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._limits.close_timeout, self._give_up)
        await self._shut_quietly(code, reason)

    async def _shut_quietly(self, code: int, reason: str) -> None:
        try:
            await self._shut(code, reason)
        except Exception as exc:  # it has ended meanwhile
            logger.debug("%s: closing failed: %s", self.connection.id, clip(repr(exc)))

    def _give_up(self) -> None:
        self._timer = None
        self._stop_reading()

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
        self._dispatcher.cut(self.connection.closed)
        if asyncio.current_task() is not self._task:  # a handler beside it has failed
            self._stop_reading()

    async def _say(self, info: CloseInfo) -> None:
        """Tell the peer why, if that can still be done."""
        if self._over or self.connection.closed is not info:
            return
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._shut_quietly(info.code, info.reason)
        except TimeoutError:
            logger.debug("%s: the peer takes no close frame", self.connection.id)


def _nothing() -> None:
    """There is nothing to be done."""
