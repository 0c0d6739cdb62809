"""The queue of sends and broadcasts for a peer that does not read: first in, first out."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from ..exceptions import ConnectionClosedError, SendTimeoutError
from ..protocol.close import CloseInfo

__all__ = ["Line"]


class Line:
    """The queued texts of one connection, in order.

    Each is the text of a send, whose task waits for its turn up to a timeout, or of a broadcast,
    for which no task waits.

    Args:
        on_missed: called when a send's task is cancelled after its turn has come and before it
            could use it. Default None.

    Attributes:
        size: how many bytes are queued.
    """

    __slots__ = ("_entries", "_on_missed", "size")

    def __init__(self, on_missed: Callable[[], None] | None = None) -> None:
        # The texts, in order: by the future of a send, or by a key of no meaning for a broadcast.
        self._entries: OrderedDict[object, bytes] = OrderedDict()
        self._on_missed = on_missed
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def keep(self, data: bytes) -> None:
        """Queue a text of a broadcast."""
        self._put(object(), data)

    async def wait(self, data: bytes, seconds: float | None) -> None:
        """Queue the text of a send, and return when it is its turn: when `pop` has returned it.

        Args:
            data: the text.
            seconds: how long to wait; 0 fails at once, None is no bound.

        Raises:
            SendTimeoutError: its turn did not come in time.
            ConnectionClosedError: the connection has ended; see `fail`.
        """
        if seconds == 0:
            raise SendTimeoutError(0)
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, self._give_up, turn, seconds) if seconds else None
        self._put(turn, data)
        try:
            await turn
        except BaseException:  # cancellation too: an unused turn goes to the next in the queue
            had_turn = turn.done() and not turn.cancelled() and turn.exception() is None
            if had_turn and self._on_missed is not None:
                self._on_missed()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._leave(turn)

    def pop(self) -> tuple[asyncio.Future[None] | None, bytes] | None:
        """Remove the first text from the queue.

        Returns:
            The future of its send, which waits until the caller sets the future's result, or None
            for a broadcast; and the text. None when the queue is empty.
        """
        while self._entries:
            key, data = self._entries.popitem(last=False)
            self.size -= len(data)
            if not isinstance(key, asyncio.Future):
                return None, data
            if not key.done():  # its task may have been cancelled in this turn of the loop
                return key, data
        return None

    def fail(self, info: CloseInfo) -> None:
        """Make each send fail: the connection has ended. Texts of broadcasts stay."""
        for key in list(self._entries):
            if isinstance(key, asyncio.Future):
                self._leave(key)
                if not key.done():
                    key.set_exception(ConnectionClosedError(*info))

    def clear(self) -> None:
        """Drop the texts of broadcasts. Sends have failed before."""
        self._entries.clear()
        self.size = 0

    def _give_up(self, turn: asyncio.Future[None], seconds: float) -> None:
        if not turn.done():
            self._leave(turn)
            turn.set_exception(SendTimeoutError(seconds))

    def _put(self, key: object, data: bytes) -> None:
        self._entries[key] = data
        self.size += len(data)

    def _leave(self, key: object) -> None:
        self.size -= len(self._entries.pop(key, b""))
