"""How texts get from a connection into a framework's socket.

Frameworks make a write wait while the peer does not read. One write waits in the framework at a
time; the others wait here, in a line: sends in their own tasks, and the events of broadcasts, which
a task of the connection's own writes when their turn comes::

    free ──> writing ──> the next in line, or free
               └──> failed: the framework raised, and the send says how the connection ended
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from .._tasks import begin, ends_task
from ..connection.connection import WebSocketConnection
from ..exceptions import ConnectionClosedError, SendTimeoutError
from ..limits import Limits
from ..protocol.close import LOST, CloseInfo
from ..transport.line import Line
from .socket import FrameworkSocket

__all__ = ["Writing"]

logger = logging.getLogger(__name__)

_TURN = 16
"""Writes for one message that did not wait, after which the event loop has its turn: a socket that
has failed accepts further writes, and only the loop reports its end. asyncio logs a warning for
each such write but the first four."""


class Writing:
    """Writes to a framework's socket, one message at a time.

    Args:
        socket: the framework's socket.
        connection: the connection.
        limits: `Limits.send_timeout` and `Limits.backlog_bytes` are used.
        find_end: finds out how the connection ended, after a send that failed.

    Attributes:
        unbroken: the writes in a row that did not wait, since the last message or the loop's turn.
    """

    def __init__(
        self,
        socket: FrameworkSocket,
        connection: WebSocketConnection,
        limits: Limits,
        find_end: Callable[[], Awaitable[CloseInfo]],
    ) -> None:
        self.unbroken = 0
        self._socket = socket
        self._connection = connection
        self._limits = limits
        self._find_end = find_end
        # Whether a write waits in the framework, or one is about to begin.
        self._is_busy = False
        # The writes that wait for that one; made when the first has to.
        self._line: Line | None = None
        # The task that writes an event of a broadcast, while one does.
        self._task: asyncio.Task[None] | None = None
        # Bounds the send that waits in the framework, while one does; `stop` ends it early.
        self._scope: asyncio.Timeout | None = None

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport`."""
        if self._is_busy:
            return self._send_in_turn(data)
        try:
            rest = begin(self._socket.write(data.decode()))
        except (Exception, asyncio.CancelledError) as exc:
            return self._fail(exc)
        if rest is None:
            return asyncio.sleep(0) if self._count_write() else None
        self._is_busy = True
        return self._finish_sending(rest, self._limits.send_timeout)

    def offer(self, data: bytes) -> bool:
        """Send one text message of a broadcast without waiting.

        Returns:
            Whether the caller should yield to the event loop: the text waits for the peer to read,
            or `_TURN` texts in a row did not wait.

        Raises:
            SendTimeoutError: more than `Limits.backlog_bytes` wait already.
            ConnectionClosedError: the connection has ended.
        """
        if self._is_busy:
            line = self._the_line()
            # Without the framework's own buffer, whose size it does not tell: up to so much more
            # is unsent than on a socket of our own, where `Writer.offer` counts the buffer.
            if line.size > self._limits.backlog_bytes:
                raise SendTimeoutError(0, backlog=line.size)
            line.keep(data)
            return True
        try:
            rest = begin(self._socket.write(data.decode()))
        except (Exception, asyncio.CancelledError) as exc:
            if ends_task(exc):
                raise
            self._socket.note_failure(exc)
            raise ConnectionClosedError(*(self._connection.closed or LOST)) from exc
        if rest is None:
            return self._count_write()
        self._is_busy = True
        self._write_in_task(rest)
        return True

    async def close(self, info: CloseInfo) -> None:
        """Close the socket behind the broadcasts in line; sends in line fail, as `info` says.

        Raises:
            ConnectionClosedError: the connection ended, or was given up, before its turn came.
        """
        if self._line is not None:
            self._line.fail(info)
        await self._take_turn(b"", None)
        try:
            await self._socket.close_quietly(info.code, info.reason)
        finally:
            self._pass_turn()

    def stop(self, info: CloseInfo) -> None:
        """Give up all writes: the connection has ended, and `info` says how."""
        if self._line is not None:
            self._line.fail(info)
            self._line.clear()
        if self._task is not None:
            self._task.cancel()
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(0)

    async def cancel(self) -> None:
        """Cancel the task that writes, and wait for its end."""
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    # A send

    async def _send_in_turn(self, data: bytes) -> None:
        closed, limit = self._connection.closed, self._limits.send_timeout
        if closed is not None:
            raise ConnectionClosedError(*closed)
        started = asyncio.get_running_loop().time()
        await self._take_turn(data, limit)
        if limit is not None:
            limit -= asyncio.get_running_loop().time() - started
        await self._finish_sending(self._write_later(data), limit)

    async def _finish_sending(self, rest: Awaitable[None], limit: float | None) -> None:
        self._scope = scope = asyncio.timeout(limit)
        try:
            try:
                async with scope:
                    await rest
            finally:
                self._scope = None
                self._pass_turn()
        except (Exception, asyncio.CancelledError) as exc:
            if not scope.expired():
                await self._fail(exc)
            elif self._connection.closed is not None:  # see `stop`
                raise ConnectionClosedError(*self._connection.closed) from exc
            else:
                raise SendTimeoutError(self._limits.send_timeout or 0) from exc

    async def _fail(self, error: BaseException) -> None:
        """Raise the error of a send for the framework's `error`."""
        if ends_task(error):
            raise error
        self._socket.note_failure(error)
        raise ConnectionClosedError(*await self._find_end()) from error

    def _count_write(self) -> bool:
        """Count a write that did not wait; return whether the loop should have its turn."""
        self.unbroken += 1
        if self.unbroken < _TURN:
            return False
        self.unbroken = 0
        return True

    # The line

    def _the_line(self) -> Line:
        if self._line is None:
            self._line = Line(self._pass_turn)
        return self._line

    async def _take_turn(self, data: bytes, limit: float | None) -> None:
        """Wait until no other write is under way. The caller calls `_pass_turn` after its own."""
        if self._is_busy:
            await self._the_line().wait(data, limit)
        self._is_busy = True

    def _pass_turn(self) -> None:
        """End a turn: the next write in line has its own."""
        entry = self._line.pop() if self._line is not None else None
        if entry is None:
            self._is_busy = False
        elif entry[0] is not None:
            entry[0].set_result(None)
        else:
            self._write_in_task(self._write_later(entry[1]))

    async def _write_later(self, data: bytes) -> None:
        await self._socket.write(data.decode())

    def _write_in_task(self, write: Coroutine[Any, Any, None]) -> None:
        """Write an event of a broadcast in a task, or finish a write that has begun."""
        self._task = asyncio.get_running_loop().create_task(write)
        self._task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.debug("%s: a broadcast was not written: %r", self._connection.id, error)
            self._socket.note_failure(error)
        self._pass_turn()
