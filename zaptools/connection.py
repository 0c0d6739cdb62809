"""One connection as the application sees it, and the loop that brings its events to handlers.

Nothing here knows how bytes travel: a shell (the server's, a client's, a framework's) gives a
`Transport` and feeds a `Dispatcher`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from ._closing import CloseInfo, check_close
from ._tasks import is_cancelled, spawn
from .exceptions import CodecError, ConnectionClosedError, ReservedEventError
from .protocol import LIFECYCLE_EVENTS, EventData, decode_event, encode_event
from .registry import Handler, HandlerBook
from .request import NO_REQUEST, ConnectionRequest

__all__ = ["CloseInfo", "Dispatcher", "EventContext", "Transport", "WebSocketConnection", "new_id"]

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())

_TURN = 100
"""Messages handled in a row before other connections get their turn: about 2 ms of echoes."""


_NOT, _RUNNING, _DONE = range(3)
"""Where the ``disconnected`` handler stands."""


class Transport(Protocol):
    """What carries a connection's messages."""

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message, UTF-8. Returns None when done, else what to await.

        Raises (or the awaitable does):
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer does not read; nothing was sent.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, and return when both sides have, or the close timeout is over."""

    def abort(self) -> None:
        """End the connection at once, waiting for nothing."""


def new_id() -> str:
    """Return a new connection id, ``zpt-<uuid4>``: the form that all implementations use."""
    return f"zpt-{uuid4()}"


class WebSocketConnection:
    """One connection of a server.

    Attributes:
        id: ``zpt-<uuid4>``.
        request: the request of its opening handshake; an empty one on a client's side.
        closed: how the connection ended; None while it is open.
    """

    __slots__ = (
        "__weakref__",
        "_omit_empty_headers",
        "_state",
        "_transport",
        "closed",
        "id",
        "request",
    )

    def __init__(
        self,
        id: str,
        transport: Transport,
        *,
        request: ConnectionRequest = NO_REQUEST,
        omit_empty_headers: bool = False,
    ) -> None:
        self.id = id
        self.request = request
        self.closed: CloseInfo | None = None
        self._transport = transport
        self._omit_empty_headers = omit_empty_headers
        self._state: SimpleNamespace | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether `send` may succeed."""
        return self.closed is None

    @property
    def state(self) -> SimpleNamespace:
        """A place for the application's own data about this connection."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event.

        Returns once the event is in the send buffer; waits while that is full, because the peer
        does not read.

        Raises:
            CodecError: the event cannot be written as JSON; nothing is sent.
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer did not read for too long; nothing of the event is sent.
        """
        data = encode_event(
            event_name, payload, headers, omit_empty_headers=self._omit_empty_headers
        )
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        waiting = self._transport.send(data)
        if waiting is not None:
            await waiting

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection. Events that are not yet handled are dropped.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Returns when the peer has closed too, or after the close timeout.

        Raises:
            ConnectionClosedError: the connection has ended already.
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        await self._transport.close(code, reason)


class EventContext(msgspec.Struct, eq=False):
    """What a handler gets.

    Attributes:
        event_data: the event. For lifecycle handlers one with that name; its payload is ``{}``,
            or for ``error`` a text that says what happened.
        connection: where it came from.
        error: in an error handler, the exception; else None.
        source: in an error handler, the event whose handler raised; None when the message was
            no event.
    """

    event_data: EventData
    connection: WebSocketConnection
    error: BaseException | None = None
    source: EventData | None = None

    @property
    def event_name(self) -> str:
        """The event's name."""
        return self.event_data.event_name

    @property
    def payload(self) -> Any:
        """The event's payload."""
        return self.event_data.payload

    @property
    def headers(self) -> dict[str, Any]:
        """The event's headers; empty when it had none."""
        return self.event_data.headers


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
        except asyncio.CancelledError:
            self._connection._transport.abort()
            self._queue.clear()
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
                except (Exception, asyncio.CancelledError) as exc:
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
        except (Exception, asyncio.CancelledError) as exc:
            await self._report(exc, context.event_data)

    async def _report(self, error: BaseException, source: EventData | None) -> None:
        """Bring `error` to the error handler, or to the log if there is none.

        A CancelledError is raised again when it is this task that is cancelled; it is a
        handler's own failure when the handler awaited something that somebody cancelled.
        """
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise error
        handler = self._book.lifecycle.get("error")
        if handler is None:
            _log(self._connection, error, source)
            return
        where = "a message" if source is None else f"the event {source.event_name!r}"
        text = f"An error occurred in {where}: {type(error).__name__}: {error}"
        context = EventContext(EventData("error", text), self._connection, error, source)
        try:
            result = handler(context)
            if result is not None and inspect.isawaitable(result):
                await result
        except (Exception, asyncio.CancelledError) as exc:
            if isinstance(exc, asyncio.CancelledError) and is_cancelled():
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
        name = source.event_name
        logger.error("%s: the handler of %r failed", connection.id, name, exc_info=error)
