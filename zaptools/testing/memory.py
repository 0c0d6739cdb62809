"""The server's side of a connection in memory, for `zaptools.testing`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from .._arguments import check_seconds
from ..connection.connection import WebSocketConnection, mark_closed
from ..connection.handshake import Handshake
from ..connection.ids import IdStrategy, new_id
from ..connection.requests import Waiter
from ..dispatch.dispatcher import Dispatcher
from ..dispatch.errors import Reports
from ..dispatch.mailbox import Exchange
from ..exceptions import CodecError, ReservedEventError
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..protocol.close import GOING_AWAY, CloseInfo
from ..protocol.codec import EventData, decode_event
from ..server.roster import Roster

__all__ = ["ServerSide"]

_WRITE_BYTES = Limits().write_bytes


class ServerSide:
    """A connection and its `Transport`, which keeps the sent events.

    ::

        open ──┬── leave (a close frame of the client) ──> leaving ──(events handled)──┐
               │                                                                       v
               └── close, abort (of handlers), lose (the network failed) ──────────> closed

    Args:
        book: the handlers.
        handshake: the opening handshake as the handlers see it.
        roster: the server's connections, which this one joins.
        id_strategy: returns its id. Default: ``zpt-<uuid4>``.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        state: the connection's state, as `on_handshake` left it. Default None: a new one.
        raise_errors: keep the exceptions of handlers, if there is no error handler, instead of
            logging them. Default True.

    Attributes:
        connection: the connection.
        dispatcher: calls its handlers.
        leaving: the client's close frame; the connection ends when the events before it are
            handled.
        unreceived: the events of handlers that the test has not received.
        exchange: the test's waiters for certain events, which are not put into `unreceived`.
        errors: the exceptions of handlers that the test has not seen.
    """

    def __init__(
        self,
        book: HandlerBook,
        handshake: Handshake,
        *,
        roster: Roster,
        id_strategy: IdStrategy = new_id,
        omit_empty_headers: bool = False,
        state: SimpleNamespace | None = None,
        raise_errors: bool = True,
    ) -> None:
        self._roster = roster
        self._id = roster.claim_id(id_strategy)
        self.connection = WebSocketConnection(
            self._id,
            self,
            handshake=handshake,
            omit_empty_headers=omit_empty_headers,
            state=state,
        )
        self.dispatcher = Dispatcher(
            self.connection,
            book,
            on_idle=self._idle,
            on_finish=self._finished,
            reports=_Kept(self.connection, book, self._keep) if raise_errors else None,
        )
        self.leaving: CloseInfo | None = None
        self.unreceived: deque[bytes | EventData] = deque()
        self.exchange = Exchange()
        self.errors: list[BaseException] = []
        # Set by every change that `until` may wait for.
        self._news = asyncio.Event()
        # Bytes sent since the loop had its last turn; see `send`.
        self._unread = 0
        roster.enter(self._id, self.connection)

    @property
    def is_over(self) -> bool:
        """Whether no further event can come."""
        return self.connection.closed is not None

    async def until(
        self, condition: Callable[[], object], timeout: float, name: str = "timeout"
    ) -> None:
        """Return when `condition` holds, or after `timeout` seconds.

        Raises:
            TypeError, ValueError: `timeout` is no time to wait.
        """
        check_seconds(timeout, name, none=False)
        late = False

        def give_up() -> None:
            nonlocal late
            late = True
            self._news.set()

        timer = asyncio.get_running_loop().call_later(timeout, give_up)
        try:
            while not (condition() or late):
                self._news.clear()
                await self._news.wait()
        finally:
            timer.cancel()

    # As a transport

    def send(self, data: bytes) -> Awaitable[None] | None:
        if not self.exchange or not self._is_awaited(data):
            self.unreceived.append(data)
        self._news.set()
        # As with a socket: a task that sends endlessly gives the loop a turn with each full buffer.
        self._unread += len(data)
        if self._unread <= _WRITE_BYTES:
            return None
        self._unread = 0
        return asyncio.sleep(0)

    async def close(self, code: int, reason: str) -> None:
        self._end(self.leaving or CloseInfo(code, reason, "local"))
        self.dispatcher.drop_messages()
        self.dispatcher.end()

    def _is_awaited(self, data: bytes) -> bool:
        try:
            event = decode_event(data)
        except CodecError:  # `receive` raises it: a msgspec.Raw that is not JSON
            return False
        return self.exchange.is_reply(event) or self.exchange.show(event)

    def find(self, waiter: Waiter) -> None:
        """Show `waiter` the unreceived events, and remove those that it takes."""
        for index, data in enumerate(self.unreceived):
            try:
                event = data if isinstance(data, EventData) else decode_event(data)
            except CodecError:  # `receive` raises it
                continue
            self.unreceived[index] = event
            if waiter.look(event):
                del self.unreceived[index]
            if waiter.done:
                return

    def abort(self) -> None:
        self._end(CloseInfo(GOING_AWAY, "", "local"))

    # As the client

    def leave(self, info: CloseInfo) -> None:
        """Receive a close frame."""
        if self.leaving is None and not self.is_over:
            self.leaving = info
            self.dispatcher.end(info)

    def lose(self, info: CloseInfo) -> None:
        """Lose the connection."""
        self._end(info)
        self.dispatcher.end()

    async def cancel(self) -> None:
        """Abort, and cancel the handlers that still run."""
        self.abort()
        task = self.dispatcher.task
        if task is not None:
            task.cancel()
            await asyncio.wait([task], timeout=1)

    def forget(self) -> None:
        """Leave the roster: another connection may have the id."""
        self._roster.leave(self._id)

    def raise_errors(self) -> None:
        """Raise the exceptions of handlers, once."""
        errors, self.errors = self.errors, []
        if len(errors) > 1:
            raise BaseExceptionGroup("handlers failed", errors)
        if errors:
            raise errors[0]

    # Called by the dispatcher

    def _idle(self) -> None:
        if self.leaving is not None:
            self._end(self.leaving)
        # The dispatcher calls this while it is busy, and `settle` waits until it is not.
        asyncio.get_running_loop().call_soon(self._news.set)

    def _finished(self) -> None:
        self.forget()
        self._news.set()

    def _keep(self, error: BaseException) -> None:
        self.errors.append(error)
        self._news.set()

    def _end(self, info: CloseInfo) -> None:
        mark_closed(self.connection, info)
        self._news.set()


class _Kept(Reports):
    """Reports that keep the exceptions of handlers, instead of logging them."""

    __slots__ = ("_keep",)

    def __init__(
        self,
        connection: WebSocketConnection,
        book: HandlerBook,
        keep: Callable[[BaseException], None],
    ) -> None:
        super().__init__(connection, book)
        self._keep = keep

    def log(self, error: BaseException, source: EventData | None) -> None:
        if source is None or isinstance(error, ReservedEventError):
            super().log(error, source)
        else:
            self._keep(error)
