"""Where errors go: to the error handler, or to the log."""

from __future__ import annotations

import asyncio
import inspect
import logging

from ._tasks import ends_task
from .connection import EventContext, WebSocketConnection
from .exceptions import CodecError, PayloadError, clip
from .protocol import EventData
from .registry import HandlerBook

__all__ = ["tell_error"]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())


async def tell_error(
    connection: WebSocketConnection,
    book: HandlerBook,
    error: BaseException,
    source: EventData | None,
) -> None:
    """Bring an error to the error handler, or to the log if there is none.

    Args:
        connection: where it happened.
        book: its handlers.
        error: what happened.
        source: the event whose handler raised; None when a message was no event.
    """
    handler = book.lifecycle.get("error")
    if handler is None:
        _log(connection, error, source)
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
        logger.error("the error handler failed", exc_info=exc)


def _log(connection: WebSocketConnection, error: BaseException, source: EventData | None) -> None:
    if isinstance(error, CodecError):  # its text is a payload's: not for this level
        logger.warning(
            "%s: message is no event: %s at %s", connection.id, error.reason, error.where
        )
        logger.debug("%s: %s", connection.id, error)
    elif source is None or isinstance(error, PayloadError):
        logger.warning("%s: %s", connection.id, error)
    else:
        name = clip(source.event_name)
        logger.error("%s: the handler of %r failed", connection.id, name, exc_info=error)
