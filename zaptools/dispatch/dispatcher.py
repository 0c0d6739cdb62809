"""The loop that brings a connection's events to handlers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from types import CoroutineType
from typing import Any, NoReturn

from .._tasks import ends_task, spawn
from .._text import clip
from ..connection.connection import WebSocketConnection, leave_all_groups
from ..connection.context import EventContext
from ..connection.requests import REQUEST_ID, OpenRequests
from ..exceptions import CodecError, ReservedEventError
from ..handlers.book import Handler, HandlerBook
from ..protocol.close import LOST, CloseInfo
from ..protocol.codec import LIFECYCLE_EVENTS, EventData, decode_event
from .crew import Crew
from .errors import Reports
from .mailbox import Mailbox, event_of
from .turn import EVENT, Turn

__all__ = ["Dispatcher"]

logger = logging.getLogger(__name__)

_caller: ContextVar[object] = ContextVar("zaptools_caller", default=None)
"""Stands for the dispatcher whose handlers started what runs; no reference to it, because a
context may outlive its connection by far."""

_NOT, _RUNNING, _DONE = range(3)  # where the ``disconnected`` handler stands


class Dispatcher:
    """The loop of one connection: decodes what came and calls handlers, one after the other.

    Up to `HandlerBook.concurrency` of them run at the same time, if that is not 1. A task runs
    only while there is something to do. ``connected`` is called before the first event and
    ``disconnected`` once after the last, whatever ended the connection.

    While somebody waits for an event, messages are decoded and shown to them when they come, in
    front of the queue: so a handler may wait for one that comes behind its own.

    Args:
        connection: the connection that the events belong to.
        book: the handlers.
        on_idle: called when all that came is handled.
        on_finish: called once, after the ``disconnected`` handler.
        reserved: event names that are reported as errors instead of being handled.
        on_wait: called when somebody begins to wait for an event. Default None.
        reports: what is told of errors. Default None: `Reports`.

    Attributes:
        task: the task that runs it; None while there is nothing to do, and until it begins.
    """

    __slots__ = (
        "_book",
        "_connection",
        "_context",
        "_crew",
        "_ended",
        "_finished",
        "_on_finish",
        "_on_idle",
        "_reports",
        "_running",
        "_starting",
        "_turn",
        "greeted",
        "mailbox",
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
        on_wait: Callable[[], None] | None = None,
        reports: Reports | None = None,
    ) -> None:
        self._connection = connection
        self._book = book
        self._on_idle = on_idle
        self._on_finish = on_finish
        many = book.concurrency > 1
        self._crew = Crew(book.concurrency, connection.transport.abort) if many else None
        self._reports = reports  # if it is None, made for the first error
        self._context: Context | None = None  # whose copies the handlers run in
        self._running = self.greeted = self._ended = False
        self._finished = _NOT
        self._turn = Turn()
        self.mailbox = Mailbox(connection, self._turn, reserved=reserved, on_wait=on_wait)
        self._starting: asyncio.Task[Any] | None = None  # what runs `run`, once that has begun
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
        return len(self.mailbox)

    def feed(self, messages: Iterable[str | bytes]) -> None:
        """Take messages: text as str; bytes stand for a binary message, which is an error."""
        self.mailbox.put_all(messages)
        self.wake()

    def discard(self) -> None:
        """Drop the messages that no handler has received."""
        self.mailbox.clear()
        if self._connection.closed is not None:
            self.mailbox.end(self._connection.closed)

    def end(self, info: CloseInfo | None = None) -> None:
        """Note that no message will arrive any more. Queued ones are handled first.

        Args:
            info: how the connection has ended. Default None: as it says itself.
        """
        self._ended = True
        self.mailbox.end(info or self._connection.closed or LOST)
        if self._finished == _NOT:
            self.wake()
            if self._starting is not None and self.task is None:
                self._starting.add_done_callback(self._start_again)

    def wake(self) -> None:
        """Run in a task, unless it runs already."""
        if self._running and self.task is None and self._starting is not None:
            # Before Python 3.12 a task may be cancelled before it begins; its `run` never ran.
            self._running = not self._starting.cancelled()
        if not self._running:
            self._running = True
            if self._context is None:
                self._context = copy_context()
                self._context.run(_caller.set, object())
            # `run` sets `task`: one cancelled before it began would tell nobody.
            if sys.version_info >= (3, 12):
                try:
                    spawn(self.run(), self._context.copy())
                except (KeyboardInterrupt, SystemExit) as exc:
                    # They end the loop. uvloop 0.23 only logs what a protocol's method raises.
                    asyncio.get_running_loop().call_soon(_raise, exc)
            else:  # before Python 3.12
                self._starting = spawn(self.run(), self._context.copy())
        elif self._crew is not None:
            self._crew.wake()

    def _start_again(self, task: asyncio.Task[None]) -> None:
        """Nothing else wakes a dispatcher whose connection has ended."""
        if task.cancelled():
            self.wake()

    def cancel(self) -> None:
        """Cancel the handlers that run, and drop what waits for them."""
        self.mailbox.clear()
        if self.task is not None:
            self.task.cancel()

    @property
    def is_caller(self) -> bool:
        """Whether a handler runs that is the caller, or may be waiting for the caller.

        Any task or thread is taken for that which a handler of this connection has started.
        """
        context = self._context
        return self._running and context is not None and context[_caller] is _caller.get()

    async def run(self) -> None:
        """Call the ``connected`` handler first, handle all messages, and the end if it came."""
        self._running = True
        self.task = asyncio.current_task()
        try:
            if not self.greeted:
                await self.greet()
            await self.drain()
            self._on_idle()
            if self._ended:
                await self.tell_end()
        except BaseException as exc:  # cancellation too: `disconnected` is told all the same
            await self.break_off(exc)
            raise
        finally:
            self._running = False
            self.task = self._starting = None

    async def greet(self) -> None:
        """Call the ``connected`` handler."""
        self.greeted = True
        await self._call_lifecycle("connected")

    async def break_off(self, error: BaseException) -> None:
        """Tell the end because of `error`, whatever it is; it goes on from there."""
        if isinstance(error, GeneratorExit):
            return
        self.mailbox.clear()
        try:
            self._connection.transport.abort()
        finally:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # in a hurry
                task = asyncio.current_task()
                assert task is not None  # asyncio runs no coroutine without one
                task.add_done_callback(_take_exception)  # the loop raises it: no need to log it
            else:
                try:
                    await self.stop()
                finally:
                    await self.tell_end()

    async def finish(self) -> None:
        """Handle what waits, and then the end, here."""
        self._ended = True
        await self.run()

    async def stop(self) -> None:
        """Cancel the handlers that run beside each other, and wait for their ends."""
        if self._crew is not None:
            await self._crew.stop()

    async def tell_end(self) -> None:
        """Call the ``disconnected`` handler, once."""
        if self._finished == _NOT:
            self._finished = _RUNNING
            try:
                await self._call_lifecycle("disconnected")
            finally:
                self._finished = _DONE
                if self._reports is not None:
                    self._reports.end()
                leave_all_groups(self._connection)
                self._on_finish()

    async def drain(self, until_room: bool = False) -> None:
        """Handle all messages: the one loop from a text to its handler's call.

        Args:
            until_room: where several handlers may run at the same time, return when one more may,
                though others run. Default False: return when all have ended.
        """
        mailbox, book, turn, crew = self.mailbox, self._book, self._turn, self._crew
        queue, reserved, events = mailbox.queue, mailbox.reserved, book.events
        left = had = turn.left  # counted down here, in a third of the time
        while True:
            if not (queue or (mailbox.exchange is not None and mailbox.refill())):
                if crew is None or not await crew.goes_on(until_room):
                    break
                continue
            if left < 0:
                turn.left -= had - left
                is_over = turn.is_over()
                left = had = turn.left
                if is_over:
                    await asyncio.sleep(0)
                    continue  # a close may have dropped it meanwhile
            message = queue.popleft()
            try:
                if type(message) is str:
                    left -= len(message) + EVENT
                    event = decode_event(message)
                else:
                    left -= EVENT
                    event = event_of(message)
            except CodecError as exc:
                await self._report(exc, None)
                continue
            if crew is not None:
                crew.start(self._handle, event)
                crew.check()  # from Python 3.12 on it may have ended already
                while not crew.has_room:
                    await crew.goes_on(True)
                continue
            name = event.event_name
            if name in reserved or (event.headers and REQUEST_ID in event.headers):
                await self._handle(event)
                continue
            handler = events.get(name)
            any_event = book.any_event
            if handler is not None:
                context = EventContext(event, self._connection)
                try:
                    result = handler(context)
                    if type(result) is CoroutineType or inspect.isawaitable(result):
                        await result
                except BaseException as exc:  # _report raises again what is no failure
                    await self._report(exc, event)
            elif any_event is None:
                logger.debug("no handler for the event %r", clip(name))
            if any_event is not None:
                await self._call(any_event, EventContext(event, self._connection))
        turn.left -= had - left

    async def _handle(self, event: EventData) -> None:
        """Call an event's handlers: its own, then that of any event. A failure is a reply too."""
        request_id = event.headers.get(REQUEST_ID)
        if type(request_id) is not str:
            await self._call_all(event)
            return
        requests = self._connection.open_requests
        if requests is None:
            requests = self._connection.open_requests = OpenRequests()
        requests.open(request_id, event)
        try:
            await self._call_all(event)
        finally:
            requests.close(request_id, event)

    async def _call_all(self, event: EventData) -> None:
        if event.event_name in self.mailbox.reserved:
            await self._report(ReservedEventError(event.event_name), event)
            return
        handler, any_event = self._book.events.get(event.event_name), self._book.any_event
        if handler is None and any_event is None:
            logger.debug("no handler for the event %r", clip(event.event_name))
        for each in (handler, any_event):
            if each is not None:
                await self._call(each, EventContext(event, self._connection))

    async def _call_lifecycle(self, name: str) -> None:
        handler = self._book.lifecycle.get(name)
        if handler is not None:
            await self._call(handler, EventContext(EventData(name, {}), self._connection))

    async def _call(self, handler: Handler, context: EventContext) -> None:
        try:
            result = handler(context)
            if result is not None and inspect.isawaitable(result):
                await result
        except BaseException as exc:  # as in drain
            await self._report(exc, context.event_data)

    async def _report(self, error: BaseException, source: EventData | None) -> None:
        """Bring `error` to the error handler, or to the log if there is none.

        What is no Exception is raised again after that, and ends the connection; at once if it
        is no failure. A CancelledError is one unless it is this task that is cancelled.
        """
        if ends_task(error):
            raise error
        if self._reports is None:
            self._reports = Reports(self._connection, self._book)
        await self._reports.tell(error, source)
        if not isinstance(error, (Exception, asyncio.CancelledError)):
            raise error


def _take_exception(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


if sys.version_info >= (3, 12):

    def _raise(error: BaseException) -> NoReturn:
        raise error
