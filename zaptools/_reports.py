"""Where errors go: to the error handler, or to the log; and to a peer that waits for a reply.

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

from ._exchange import REQUEST_ID, error_headers
from ._tasks import ends_task
from ._text import clip, printable
from .connection import EventContext, WebSocketConnection
from .exceptions import CodecError, PayloadError, RemoteError, ReservedEventError, ZapError
from .protocol import EventData
from .registry import HandlerBook

__all__ = ["PER_MINUTE", "Reports"]

logger = logging.getLogger(__name__)

PER_MINUTE = 100
"""Lines about what the peers of one register did wrong, at most."""

_DETAILS = 1000
"""Characters of an exception's text that a peer gets at most."""


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

        If the event is a request that nothing has replied to, not even the error handler, the
        error is the reply. A `RemoteError` that a handler has made is that alone.

        Args:
            error: what happened.
            source: the event that it happened with; None when the message is no event.
        """
        asks = source is not None and self._is_unanswered(source)
        if not (asks and _is_refusal(error)):
            error = await self._tell(error, source, asks)
        if asks and source is not None and self._is_unanswered(source):
            await self._reply(source, self._text_for_peer(error))

    async def _tell(
        self, error: BaseException, source: EventData | None, asks: bool
    ) -> BaseException:
        """Do so; return the error to reply with, which the error handler may have replaced."""
        handler = self._book.lifecycle.get("error")
        if handler is None:
            self._log(error, source)
            return error
        where = "a message" if source is None else f"the event {clip(source.event_name)!r}"
        text = f"An error occurred in {where}: {type(error).__name__}: {error}"
        context = EventContext(EventData("error", text), self._connection, error, source)
        try:
            result = handler(context)
            if result is not None and inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            if asks and _is_refusal(exc):
                return exc
            logger.error("%s: the error handler failed", self._connection.id, exc_info=exc)
        return error

    # The reply

    def _is_unanswered(self, event: EventData) -> bool:
        unanswered = self._connection._unanswered
        if not unanswered:
            return False
        request_id = event.headers.get(REQUEST_ID)
        return isinstance(request_id, str) and request_id in unanswered

    def _text_for_peer(self, error: BaseException) -> str:
        """Say what went wrong; nothing of the inside unless the application wants that."""
        if isinstance(error, RemoteError) and _is_refusal(error):
            return error.message
        if self._book.error_details:
            return printable(f"{type(error).__name__}: {error}", _DETAILS)
        if isinstance(error, PayloadError):
            return "the payload does not fit"
        if isinstance(error, ReservedEventError):
            return "the event's name is reserved"
        return "the handler failed"

    async def _reply(self, request: EventData, text: str) -> None:
        text = text.encode(errors="backslashreplace").decode()  # no event has lone surrogates
        headers = error_headers(request.headers[REQUEST_ID], text)
        try:
            # No null: zaptools_server 0.3.0 and zaptools_client 0.3.0 (Dart) fail on that.
            await self._connection.send(request.event_name, {}, headers)
        except ZapError as exc:  # the connection has ended, or its peer does not read
            logger.debug("%s: no error reply: %s", self._connection.id, exc)

    # The log

    def _log(self, error: BaseException, source: EventData | None) -> None:
        if source is None or isinstance(error, (PayloadError, ReservedEventError)):
            self._log_fault(error)
        else:
            id, name = self._connection.id, clip(source.event_name)
            logger.error("%s: the handler of %r failed", id, name, exc_info=error)

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


def _is_refusal(error: BaseException) -> bool:
    """Whether a handler has made `error` for the requester: none that it got from elsewhere."""
    return isinstance(error, RemoteError) and error.reply is None


def _in_words(error: BaseException) -> str:
    if isinstance(error, CodecError):  # its own words have a part of the payload in them
        where = f"byte {error.where}" if isinstance(error.where, int) else error.where
        return f"message is no event: {error.reason} at {where}"
    return str(error)
