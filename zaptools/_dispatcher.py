"""The loop that brings a connection's events to handlers."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ._tasks import ends_task, spawn
from .connection import EventContext, WebSocketConnection
from .exceptions import CodecError, ReservedEventError, clip
from .protocol import LIFECYCLE_EVENTS, EventData, decode_event
from .registry import Handler, HandlerBook

__all__ = ["Dispatcher"]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())

_TURN = 100
"""Messages handled in a row before other connections get their turn: about 2 ms of echoes."""


_NOT, _RUNNING, _DONE = range(3)
"""Where the ``disconnected`` handler stands."""


class Dispatcher:
    """The loop of one connection: decodes what came and calls handlers, one after the other.

    A task runs only while there is something to do. ``connected`` is called before the first
    event and ``disconnected`` once after the last, whatever ended the connection.

    Args:
        connection: the connection that the events belong to.
        book: the handlers.
        on_idle: called when all that came is handled.
        on_finish: called once, after the ``disconnected`` handler.
        reserved: event names that are reported as errors instead of being handled.

    Attributes:
        task: the task that runs it; None while there is nothing to do.
    """

    __slots__ = (
        "_book",
        "_connection",
        "_ended",
        "_finished",
        "_greeted",
        "_on_finish",
        "_on_idle",
        "_queue",
        "_reserved",
        "_running",
        "task",
    )

    def __init__(
        self,
        connection: WebSocketConnection,
        book: HandlerBook,
        *,
        on_idle: Callable[[], None],
        on_finish: Callable[[], None],
        reserved: frozenset[str] = LIFECYCLE_EVENTS,
    ) -> None:
        self._connection = connection
        self._book = book
        self._on_idle = on_idle
        self._on_finish = on_finish
        self._reserved = reserved
        self._queue: deque[str | bytes] = deque()
        self._running = self._greeted = self._ended = False
        self._finished = _NOT
        self.task: asyncio.Task[Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether a handler is running or a message waits for one."""
        return self._running

    @property
    def finished(self) -> bool:
        """Whether the last handler is done."""
        return self._finished == _DONE

    def __len__(self) -> int:
        return len(self._queue)

    def feed(self, messages: Iterable[str | bytes]) -> None:
        """Take messages: text as str; bytes stand for a binary message, which is an error."""
        self._queue.extend(messages)
        self.wake()

    def discard(self) -> None:
        """Drop what waits to be handled."""
        self._queue.clear()

    def end(self) -> None:
        """Say that no message will come any more. What waits is handled first."""
        self._ended = True
        if self._finished == _NOT:
            self.wake()

    def wake(self) -> None:
        """Run in a task, unless it runs already."""
        if self._running:
            return
        self._running = True
        task = spawn(self.run())
        if not task.done():
            self.task = task

    async def run(self) -> None:
        """Handle all that waits; then, if the connection has ended, the end."""
        self._running = True
        self.task = asyncio.current_task()
        try:
            if not self._greeted:
                self._greeted = True
                await self._call_lifecycle("connected")
            await self._drain()
            self._on_idle()
            if self._ended:
                await self._finish()
        except GeneratorExit:
            raise
        except BaseException as exc:  # whatever it is, the end is told and it goes on
            self._connection._transport.abort()
            self._queue.clear()
            if not isinstance(exc, (KeyboardInterrupt, SystemExit)):  # these are in a hurry
                await self._finish()
            raise
        finally:
            self._running = False
            self.task = None

    def hold(self, message: str | bytes) -> None:
        """Take a message, for `run` to handle."""
        self._queue.append(message)

    async def finish(self) -> None:
        """Handle what waits, and then the end, here."""
        self._ended = True
        await self.run()

    async def _finish(self) -> None:
        if self._finished == _NOT:
            self._finished = _RUNNING
            try:
                await self._call_lifecycle("disconnected")
            finally:
                self._finished = _DONE
                self._connection._leave_groups()
                self._on_finish()

    async def _drain(self) -> None:
        queue = self._queue
        book = self._book
        events = book.events
        handled = 0
        while queue:
            handled += 1
            if handled % _TURN == 0:
                await asyncio.sleep(0)
                if not queue:  # a close dropped it meanwhile
                    break
            message = queue.popleft()
            try:
                if type(message) is not str:
                    raise CodecError("binary", text=repr(message[:40]), detail="a binary message")
                event = decode_event(message)
                name = event.event_name
                if name in self._reserved:
                    raise ReservedEventError(name)
            except (CodecError, ReservedEventError) as exc:
                await self._report(exc, None)
                continue
            handler = events.get(name)
            any_event = book.any_event
            if handler is not None:
                context = EventContext(event, self._connection)
                try:
                    result = handler(context)
                    if result is not None and inspect.isawaitable(result):
                        await result
                except BaseException as exc:  # _report raises again what is no failure
                    await self._report(exc, event)
            elif any_event is None:
                logger.debug("no handler for the event %r", name)
            if any_event is not None:
                await self._call(any_event, EventContext(event, self._connection))

    async def _call_lifecycle(self, name: str) -> None:
        handler = self._book.lifecycle.get(name)
        if handler is not None:
            await self._call(handler, EventContext(EventData(name, {}), self._connection))

    async def _call(self, handler: Handler, context: EventContext) -> None:
        try:
            result = handler(context)
            if result is not None and inspect.isawaitable(result):
                await result
        except BaseException as exc:  # as in _drain
            await self._report(exc, context.event_data)

    async def _report(self, error: BaseException, source: EventData | None) -> None:
        """Bring `error` to the error handler, or to the log if there is none.

        What is no Exception is raised again after that, and ends the connection; at once if it
        is no failure. A CancelledError is one unless it is this task that is cancelled.
        """
        if ends_task(error):
            raise error
        await self._tell(error, source)
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            raise error

    async def _tell(self, error: BaseException, source: EventData | None) -> None:
        handler = self._book.lifecycle.get("error")
        if handler is None:
            _log(self._connection, error, source)
            return
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
            logger.error("the error handler failed", exc_info=exc)


def _log(connection: WebSocketConnection, error: BaseException, source: EventData | None) -> None:
    if isinstance(error, CodecError):  # its text is a payload's: not for this level
        logger.warning(
            "%s: message is no event: %s at %s", connection.id, error.reason, error.where
        )
        logger.debug("%s: %s", connection.id, error)
    elif source is None:
        logger.warning("%s: %s", connection.id, error)
    else:
        name = clip(source.event_name)
        logger.error("%s: the handler of %r failed", connection.id, name, exc_info=error)
