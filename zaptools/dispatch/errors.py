"""Where errors go: to the error handler, or to the log; and to a peer that waits for a reply.

A peer's faults are logged at WARNING, within bounds: a connection's first one, then their number
at powers of ten, and their number at its end; and for all connections of a register `PER_MINUTE`
lines a minute, so that connecting again buys no more. They include the errors that a handler
raises because the peer ended the connection, does not read, or asked for no reply.

Other errors of a handler are the application's own faults, logged at ERROR with the traceback.
The peer decides how often they happen, so each handler has `PER_MINUTE` of them a minute.
"""

from __future__ import annotations

import asyncio
import logging

from .._tasks import call, ends_task
from .._text import clip, printable
from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..connection.requests import REQUEST_ID, error_headers
from ..exceptions import (
    CodecError,
    ConnectionClosedError,
    NoRequestError,
    PayloadError,
    RemoteError,
    ReservedEventError,
    SendTimeoutError,
    ZapError,
)
from ..handlers.book import HandlerBook
from ..protocol.codec import EventData

__all__ = ["Reports"]

logger = logging.getLogger(__name__)

_OF_PEERS = (ConnectionClosedError, NoRequestError, SendTimeoutError)
"""Errors of a handler that the peer causes: it ended the connection, asked nothing, or is slow."""

_DETAILS = 1000
"""The largest number of characters of an exception's text that a peer gets."""


class Reports:
    """Reports the errors of one connection.

    Args:
        connection: the connection.
        book: its handlers; the connections that share them share the lines a minute.
    """

    __slots__ = ("_book", "_connection", "_count", "_logged")

    def __init__(self, connection: WebSocketConnection, book: HandlerBook) -> None:
        self._connection = connection
        self._book = book
        # The peer's faults: messages that could not be handled.
        self._count = 0
        # The number of them in the last line of the log; 0 before the first.
        self._logged = 0

    async def tell(self, error: BaseException, source: EventData | None) -> None:
        """Pass an error to the error handler, or to the log if there is none.

        If the event is a request without a reply, and the error handler does not reply either, an
        error reply is sent. A `RemoteError` that a handler has made is only sent.

        Args:
            error: the error.
            source: the event whose handler raised it; None when the message is no event.
        """
        asks = source is not None and self._is_open(source)
        if not (asks and _is_refusal(error)):
            error = await self._tell(error, source, asks)
        if asks and source is not None and self._is_open(source):
            await self._reply(source, self._text_for_peer(error))

    async def _tell(
        self, error: BaseException, source: EventData | None, asks: bool
    ) -> BaseException:
        """Pass the error to the handler, or to the log; return the reply's error.

        That is another one if the error handler raised a `RemoteError`, to refuse the request.
        """
        handler = self._book.lifecycle.get("error")
        if handler is None:
            self.log(error, source)
            return error
        where = "a message" if source is None else f"the event {clip(source.event_name)!r}"
        text = f"An error occurred in {where}: {_named(error)}"
        context = EventContext(EventData("error", text), self._connection, error, source)
        try:
            await call(handler, context)
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            if asks and _is_refusal(exc):
                return exc
            if self._book.failures_of("error").take(logger):
                logger.error("%s: the error handler failed", self._connection.id, exc_info=exc)
        return error

    # The reply

    def _is_open(self, event: EventData) -> bool:
        """Whether an event is a request without a reply."""
        requests = self._connection.open_requests
        return requests is not None and requests.is_open(event)

    def _text_for_peer(self, error: BaseException) -> str:
        """Describe an error; without internal details, unless the application wants them."""
        if isinstance(error, RemoteError) and _is_refusal(error):
            return error.message
        if self._book.error_details:
            return printable(_named(error), _DETAILS)
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

    def log(self, error: BaseException, source: EventData | None) -> None:
        """Log an error that no error handler takes; arguments as for `tell`."""
        id = self._connection.id
        if source is None:
            self._log_fault(error, _in_words(error))
        elif isinstance(error, ConnectionClosedError) and self._is_end(error):
            # Normal: the peer left while a handler was running.
            logger.info("%s: the handler of %r: %s", id, clip(source.event_name), error)
        elif isinstance(error, (PayloadError, ReservedEventError)):
            self._log_fault(error, str(error))
        elif isinstance(error, _OF_PEERS) or (_is_refusal(error) and not _asks(source)):
            self._log_fault(error, f"the handler of {clip(source.event_name)!r}: {_named(error)}")
        elif self._book.failures_of(source.event_name).take(logger):
            name = clip(source.event_name)
            logger.error("%s: the handler of %r failed", id, name, exc_info=error)

    def _is_end(self, error: ConnectionClosedError) -> bool:
        """Whether `error` is about this connection's end, and the peer or the network caused it."""
        mailbox = self._connection.mailbox
        end = (error.code, error.reason, error.by)
        return mailbox is not None and mailbox.end_info == end and error.by != "local"

    def end(self) -> None:
        """Log the number of the peer's faults at the connection's end, if it has grown."""
        if self._count > self._logged:
            text = "%s: %d messages of the peer could not be handled"
            self._warn(text, self._connection.id, self._count)

    def _log_fault(self, error: BaseException, words: str) -> None:
        self._count += 1
        if self._count == 1:
            self._warn("%s: %s", self._connection.id, words)
        elif self._count == 10 * self._logged:
            text = "%s: %d messages of the peer could not be handled by now, the last: %s"
            self._warn(text, self._connection.id, self._count, words)
        else:
            return
        self._logged = self._count
        logger.debug("%s: %s", self._connection.id, error)  # with the beginning of a bad text

    def _warn(self, text: str, *args: object) -> None:
        if self._book.faults.take(logger):
            logger.warning(text, *args)


def _asks(event: EventData) -> bool:
    return isinstance(event.headers.get(REQUEST_ID), str)


def _is_refusal(error: BaseException) -> bool:
    """Whether `error` is a handler's own refusal, and not another peer's error passed on."""
    return isinstance(error, RemoteError) and error.reply is None


def _named(error: BaseException) -> str:
    """Return an exception's type and text; its own ``__str__`` may fail."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception as exc:
        return f"{name} (its text cannot be made: {type(exc).__name__})"


def _in_words(error: BaseException) -> str:
    if isinstance(error, CodecError):  # its text quotes the payload, which only DEBUG may show
        where = f"byte {error.where}" if isinstance(error.where, int) else error.where
        return f"message is no event: {error.reason} at {where}"
    return str(error)
