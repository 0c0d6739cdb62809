"""Where errors go: to the error handler, or to the log.

What a peer does wrong is bounded in the log, at WARNING: a connection's first fault is told, then
a count at powers of ten, then the number at its end; and of all connections of a register
`PER_MINUTE` lines a minute, so that connecting again buys no more. What a handler raises is the
application's own fault: each is told at ERROR, with its traceback.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time

from ._tasks import ends_task
from ._text import clip
from .connection import EventContext, WebSocketConnection
from .exceptions import CodecError, PayloadError
from .protocol import EventData
from .registry import HandlerBook

__all__ = ["PER_MINUTE", "Reports"]

logger = logging.getLogger(__name__)

PER_MINUTE = 100
"""Lines about what the peers of one register did wrong, at most."""


class Reports:
    """What is told of a connection's errors.

    Args:
        connection: the connection.
        book: its handlers; the connections that share them share the lines of a minute.
    """

    __slots__ = ("_book", "_connection", "_count", "_told")

    def __init__(self, connection: WebSocketConnection, book: HandlerBook) -> None:
        self._connection = connection
        self._book = book
        self._count = 0  # messages of the peer that could not be handled
        self._told = 0  # how many of them the log tells of

    async def tell(self, error: BaseException, source: EventData | None) -> None:
        """Bring an error to the error handler, or to the log if there is none.

        Args:
            error: what happened.
            source: the event whose handler raised; None when no handler was to be called.
        """
        connection = self._connection
        handler = self._book.lifecycle.get("error")
        if handler is None:
            if source is None or isinstance(error, PayloadError):
                self._log_fault(error)
            else:
                name = clip(source.event_name)
                logger.error("%s: the handler of %r failed", connection.id, name, exc_info=error)
            return
        where = "a message" if source is None else f"the event {clip(source.event_name)!r}"
        text = f"An error occurred in {where}: {type(error).__name__}: {error}"
        context = EventContext(EventData("error", text), connection, error, source)
        try:
            result = handler(context)
            if result is not None and inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            logger.error("%s: the error handler failed", connection.id, exc_info=exc)

    def end(self) -> None:
        """The connection has ended: log how much its peer did wrong, if that is not told yet."""
        if self._count > self._told:
            text = "%s: %d messages of the peer could not be handled"
            self._warn(text, self._connection.id, self._count)

    def _log_fault(self, error: BaseException) -> None:
        self._count += 1
        if self._count == 1:
            self._warn("%s: %s", self._connection.id, _in_words(error))
        elif self._count == 10 * self._told:
            text = "%s: %d messages of the peer could not be handled by now, the last: %s"
            self._warn(text, self._connection.id, self._count, _in_words(error))
        else:
            return
        self._told = self._count
        logger.debug("%s: %s", self._connection.id, error)  # with the beginning of a bad text

    def _warn(self, text: str, *args: object) -> None:
        book, minute = self._book, int(time.monotonic() // 60)
        if book.fault_minute != minute:
            left_out = book.fault_lines - PER_MINUTE
            book.fault_minute, book.fault_lines = minute, 0
            if left_out > 0:
                logger.warning("%d lines about messages of peers were left out", left_out)
        book.fault_lines += 1
        if book.fault_lines <= PER_MINUTE:
            logger.warning(text, *args)


def _in_words(error: BaseException) -> str:
    if isinstance(error, CodecError):  # its own words have a part of the payload in them
        where = f"byte {error.where}" if isinstance(error.where, int) else error.where
        return f"message is no event: {error.reason} at {where}"
    return str(error)
