"""The loop that decodes a connection's messages and calls their handlers.

::

    idle ──feed──> running ──the mailbox is empty: on_idle──> idle …
                      │ at first: ``connected``
                      ├─ `end` was called, and the mailbox is empty ─────┐
                      └─ `abort`:     the task is cancelled, or a        ├─> ``disconnected``
                         handler raised what is no Exception: messages   │       │
                         dropped, other handlers cancelled ──────────────┘       ↓
                                                                    finished: on_finish
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from types import CoroutineType
from typing import Any, NoReturn

from .._tasks import call, ends_task, spawn
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
"""Identifies the dispatcher whose handler started the current task or thread. It is an object of
its own and no reference to the dispatcher: a context may outlive its connection by far."""

_NOT, _RUNNING, _DONE = range(3)  # the ``disconnected`` handler's progress


class Dispatcher:
    """The loop of one connection: decodes messages and calls handlers, one after the other.

    Up to `HandlerBook.concurrency` handlers run at the same time, if that is not 1. A task exists
    only while there are messages to handle. ``connected`` is called before the first event and
    ``disconnected`` once after the last, whatever ended the connection.

    Args:
        connection: the connection of the events.
        book: the handlers.
        on_idle: called when all messages are handled.
        on_finish: called once, after the ``disconnected`` handler.
        reserved: event names that are reported as errors instead of being handled.
        on_wait: called when a waiter for an event registers. Default None.
        reports: where errors go. Default None: `Reports`.

    Attributes:
        mailbox: the messages that no handler has received, and the waiters for events.
        greeted: whether the ``connected`` handler has been called, here or by the owner.
        task: the task that runs it; None while there is nothing to handle, and until it begins.
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
        # The handlers that run at the same time; None where one runs at a time, in `drain` itself.
        self._crew: Crew | None = None
        if book.concurrency > 1:
            self._crew = Crew(book.concurrency, connection.transport.abort)
        # Where errors go; made for the first one, unless it was given.
        self._reports = reports
        # Each run of the loop has a copy of it; made by the first `wake`, of the context there.
        self._context: Context | None = None
        # Whether the loop runs, or its task has been made; set by `wake` and `run`.
        self._running = False
        # Set by `end` and `run_to_end`: ``disconnected`` is called when the mailbox is empty.
        self._ended = False
        # Set by `call_disconnected`.
        self._finished = _NOT
        # The connection's share of the event loop, which the mailbox uses too.
        self._turn = Turn()
        # The task of `run` until `run` begins, before Python 3.12, where tasks begin later.
        self._starting: asyncio.Task[Any] | None = None
        self.mailbox = Mailbox(connection, self._turn, reserved=reserved, on_wait=on_wait)
        self.greeted = False
        self.task: asyncio.Task[Any] | None = None

    @property
    def busy(self) -> bool:
        """Whether a handler is running or a message is queued for one."""
        return self._running

    @property
    def finished(self) -> bool:
        """Whether the last handler is done."""
        return self._finished == _DONE

    def __len__(self) -> int:
        return len(self.mailbox)

    def feed(self, messages: Iterable[str | bytes]) -> None:
        """Put messages into the mailbox, and handle them; see `Mailbox.put`."""
        self.mailbox.put_all(messages)
        self.wake()

    def drop_messages(self) -> None:
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
            # `run` sets `task`: a task cancelled before it began would leave it set for ever.
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
        """Start a new task in place of one that was cancelled before it began.

        The connection has ended, so no message will wake the dispatcher.
        """
        if task.cancelled():
            self.wake()

    def cancel(self) -> None:
        """Cancel the running handlers, and drop all messages."""
        self.mailbox.clear()
        if self.task is not None:
            self.task.cancel()

    @property
    def is_caller(self) -> bool:
        """Whether the caller is a running handler of this connection, or was started by one.

        A handler may be waiting for any task or thread that it has started.
        """
        context = self._context
        return self._running and context is not None and context[_caller] is _caller.get()

    async def run(self) -> None:
        """Call ``connected`` if it has not been, handle all messages, and then the end, if any."""
        self._running = True
        self.task = asyncio.current_task()
        try:
            if not self.greeted:
                await self.greet()
            await self.drain()
            self._on_idle()
            if self._ended:
                await self.call_disconnected()
        except BaseException as exc:  # cancellation too: `disconnected` is called all the same
            await self.abort(exc)
            raise
        finally:
            self._running = False
            self.task = self._starting = None

    async def greet(self) -> None:
        """Call the ``connected`` handler."""
        self.greeted = True
        await self._call_lifecycle("connected")

    async def abort(self, error: BaseException) -> None:
        """Abort the connection, and call ``disconnected``, because of `error`.

        The caller raises `error` afterwards.
        """
        if isinstance(error, GeneratorExit):
            return
        self.mailbox.clear()
        try:
            self._connection.transport.abort()
        finally:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):  # no time for handlers
                task = asyncio.current_task()
                assert task is not None  # asyncio runs no coroutine without one
                task.add_done_callback(_take_exception)  # the loop raises it: no need to log it
            else:
                try:
                    await self.stop_crew()
                finally:
                    await self.call_disconnected()

    async def run_to_end(self) -> None:
        """Handle all messages, and then the end, in the current task."""
        self._ended = True
        await self.run()

    async def stop_crew(self) -> None:
        """Cancel the handlers that run at the same time, and wait for their ends."""
        if self._crew is not None:
            await self._crew.stop()

    async def call_disconnected(self) -> None:
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

        An event's handlers are called in this class alone; `handlers` only finds and adapts them.
        The call stands twice: written out here for the handler of an event that is no request, and
        in `_call` for all others. Through `_call` an event would take 1.3 µs instead of 1.05 µs
        (measured, with a handler that does nothing).

        Args:
            until_room: where several handlers may run at the same time, return as soon as one more
                may start. Default False: return when all have ended.
        """
        mailbox, book, turn, crew = self.mailbox, self._book, self._turn, self._crew
        queue, reserved, events = mailbox.queue, mailbox.reserved, book.events
        left = had = turn.left  # counted down here, in a third of the time
        while True:
            if not (queue or (mailbox.exchange is not None and mailbox.refill())):
                if crew is None or not await crew.wait_for_progress(until_room):
                    break
                continue
            if left < 0:
                turn.left -= had - left
                is_over = turn.next_chunk()
                left = had = turn.left
                if is_over:
                    await asyncio.sleep(0)
                    continue  # a close may have dropped the messages meanwhile
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
                crew.check()  # from Python 3.12 on the handler may have ended already
                while not crew.has_room:
                    await crew.wait_for_progress(True)
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
                except BaseException as exc:  # `_report` re-raises those that end the task
                    await self._report(exc, event)
            elif any_event is None:
                logger.debug("no handler for the event %r", clip(name))
            if any_event is not None:
                await self._call(any_event, EventContext(event, self._connection))
        turn.left -= had - left

    async def _handle(self, event: EventData) -> None:
        """Call an event's handlers: its own, then that of any event; note it if it is a request."""
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
            await call(handler, context)
        except BaseException as exc:  # as in `drain`
            await self._report(exc, context.event_data)

    async def _report(self, error: BaseException, source: EventData | None) -> None:
        """Report an error, as `Reports.tell` does; raise it again if it has to end the connection.

        BaseExceptions other than a CancelledError are reported, then re-raised. An error that ends
        this task, as `ends_task` has it, is re-raised without a report.
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
