"""How messages get from a framework's socket into a connection's mailbox.

The connection's own task reads, and handles each message before it reads the next: nothing is read
ahead, and no other task is needed. (What the framework itself reads ahead has its own bound:
uvicorn and aiohttp stop reading TCP, Sanic holds one message.)

The exceptions: while a handler runs and a waiter is registered, for a reply say, another task reads
ahead, up to `Limits.queue_events` and `Limits.queue_bytes`; and a send that failed reads up to the
end, because only reading tells why the connection ended. A framework's call for the next message
is never cancelled half-way: when the last waiter is gone, the other task still receives one
message, and the connection's own task waits for that::

    own task reads ──> own task handles ──────────────> own task reads …   ──> over
                          │ a waiter registers               ↑
                          └──> another task reads ahead ─────┘ when its last call has returned
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable

from .._text import clip
from ..connection.connection import WebSocketConnection, mark_closed
from ..dispatch.mailbox import Mailbox
from ..limits import Limits
from ..protocol.close import LOST, TOO_BIG, CloseInfo
from .socket import FrameworkSocket

__all__ = ["Reading"]

logger = logging.getLogger(__name__)


class Reading:
    """Reads a framework's socket.

    Args:
        socket: the framework's socket.
        connection: the connection.
        mailbox: gets the messages.
        limits: `Limits.message_bytes`, `Limits.queue_events` and `Limits.queue_bytes` are used.
        close: closes the connection with a code and a reason.
        on_end: called when the connection has ended; its `closed` is set.

    Attributes:
        over: whether reading has stopped: the connection has ended, or was given up.
        ahead_bytes: bytes read ahead; the connection's own task sets it to 0 after each message.
        elsewhere: set while a task other than the connection's own reads; done when that task has
            stopped.
    """

    def __init__(
        self,
        socket: FrameworkSocket,
        connection: WebSocketConnection,
        mailbox: Mailbox,
        limits: Limits,
        *,
        close: Callable[[int, str], Awaitable[None]],
        on_end: Callable[[], None],
    ) -> None:
        self.over = False
        self.ahead_bytes = 0
        self.elsewhere: asyncio.Future[None] | None = None
        self._socket = socket
        self._connection = connection
        self._mailbox = mailbox
        self._limits = limits
        self._close = close
        self._on_end = on_end
        # `Limits.message_bytes`. A text of `_short` characters is within it: no character has more
        # than 4 bytes.
        self._largest = sys.maxsize if limits.message_bytes is None else limits.message_bytes
        self._short = self._largest // 4
        # The connection's own task; set by `begin`.
        self._task: asyncio.Task[None] | None = None
        # Whether another task may read while handlers run; False before `begin`, and in `wait`.
        self._may_read_ahead = False
        # Whether a task is in the framework's call for the next message.
        self._receiving = False
        # The task that reads ahead, while there is one.
        self._ahead: asyncio.Task[None] | None = None
        # Failed sends wait for it while a task reads; done when the connection has ended.
        self._end: asyncio.Future[None] | None = None
        # Whether `stop` has cancelled the connection's own task in the framework's call.
        self._gave_up = False

    def begin(self) -> None:
        """Note the current task as the connection's own."""
        self._task = asyncio.current_task()
        self._may_read_ahead = True

    # The connection's own task

    async def wait(self) -> None:
        """Wait until the task that reads in place of the connection's own has stopped."""
        assert self.elsewhere is not None
        self._may_read_ahead = False
        try:
            await asyncio.shield(self.elsewhere)
        finally:
            self._may_read_ahead = True

    async def receive_one(self) -> int:
        """Receive one message into the mailbox, or note the end; return the message's length.

        The connection's own task calls it only while `elsewhere` is None.
        """
        socket = self._socket
        self._receiving = True
        try:
            message = socket.read(await socket.receive())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._gave_up and task is self._task and task is not None and task.uncancel() == 0:
                message = LOST
            else:
                raise
        except Exception as exc:
            logger.info("%s: reading failed: %s", self._connection.id, clip(repr(exc)))
            message = LOST
        finally:
            self._receiving = False
        if isinstance(message, CloseInfo):
            self.end(message)
            return 0
        size = len(message)
        if self._connection.closed is None:
            if size > self._short and self._is_too_big(message):
                await self._close(TOO_BIG, "the message is too long")
            else:
                self._mailbox.put(message)
        return size

    def _is_too_big(self, message: str | bytes) -> bool:
        size = len(message) if isinstance(message, bytes) else len(message.encode(errors="replace"))
        return size > self._largest

    # Another task

    def read_ahead(self) -> None:
        """Start the task that reads ahead, if a handler runs and a waiter is registered."""
        is_idle = not self._receiving and self.elsewhere is None and not self.over
        if is_idle and self._mailbox.has_waiters and self._is_within_bounds():
            self.elsewhere = asyncio.get_running_loop().create_future()
            self._ahead = asyncio.create_task(self._read_while_handling())
            # No `finally` of the task's own: one that is cancelled before it began runs none.
            self._ahead.add_done_callback(self._end_reading_ahead)

    def _is_within_bounds(self) -> bool:
        limits = self._limits
        return (
            self._may_read_ahead
            and len(self._mailbox) <= limits.queue_events
            and self.ahead_bytes <= limits.queue_bytes
        )

    async def _read_while_handling(self) -> None:
        is_wanted = True
        while is_wanted and not self.over:
            size = await self.receive_one()
            self.ahead_bytes += size
            is_wanted = self._mailbox.has_waiters or self._end is not None
            is_wanted = is_wanted and self._is_within_bounds()

    def _end_reading_ahead(self, task: asyncio.Task[None]) -> None:
        elsewhere, self.elsewhere, self._ahead = self.elsewhere, None, None
        assert elsewhere is not None
        elsewhere.set_result(None)
        if not task.cancelled():  # a waiter may have registered after the last message
            self.read_ahead()

    async def find_end(self) -> CloseInfo:
        """Return how the connection ended, after a send that failed; only reading tells.

        Messages that arrived before the end are handled in their turn.
        """
        if self._connection.closed is None and not self.over:
            try:
                async with asyncio.timeout(self._socket.last_words):
                    await self._read_to_the_end()
            except TimeoutError:
                return LOST
        return self._connection.closed or LOST

    async def _read_to_the_end(self) -> None:
        if self._receiving or self.elsewhere is not None:  # another task will see the end
            if self._end is None:
                self._end = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._end)
            return
        self.elsewhere = asyncio.get_running_loop().create_future()
        try:
            while not self.over:
                await self.receive_one()
        finally:
            self.elsewhere.set_result(None)
            self.elsewhere = None

    # The end

    def end(self, info: CloseInfo) -> None:
        """Note that the connection has ended: as `info` says, unless that is known already."""
        self.over = True
        self._mailbox.end(mark_closed(self._connection, info))
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        self._on_end()

    def stop(self) -> None:
        """Give the connection up, also in the framework's call for the next message."""
        self.over = True
        if self._ahead is not None:
            self._ahead.cancel()
        elif self._receiving and self.elsewhere is None and self._task is not None:
            self._gave_up = True
            self._task.cancel()

    async def cancel_ahead(self) -> None:
        """Cancel the task that reads ahead, and wait for its end."""
        task = self._ahead
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
