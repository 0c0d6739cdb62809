"""Where sends and broadcasts wait while a peer does not read: one line, first come first served."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from ..exceptions import ConnectionClosedError, SendTimeoutError
from ..protocol.close import CloseInfo

__all__ = ["Line"]


class Line:
    """The texts that wait for one connection, in order.

    A send waits for its turn with a bound; an event of a broadcast is kept, with nothing that
    waits for it.

    Args:
        on_missed: called when the task of a send is cancelled in the moment in which its turn has
            come. Default None.

    Attributes:
        size: how many bytes wait.
    """

    __slots__ = ("_entries", "_on_missed", "size")

    def __init__(self, on_missed: Callable[[], None] | None = None) -> None:
        # By a send's future, or by a key of its own for what is kept.
        self._entries: OrderedDict[object, bytes] = OrderedDict()
        self._on_missed = on_missed
        self.size = 0

    def __bool__(self) -> bool:
        return bool(self._entries)

    def keep(self, data: bytes) -> None:
        """Line up an event of a broadcast."""
        self._put(object(), data)

    async def wait(self, data: bytes, seconds: float | None) -> None:
        """Line up, and return when it is this one's turn: when `pop` has taken it out.

        Args:
            data: the text.
            seconds: how long to wait; 0 fails at once, None is no bound.

        Raises:
            SendTimeoutError: its turn has not come in time.
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
        except BaseException:  # cancellation too: a turn that is not used goes to the next in line
            had = turn.done() and not turn.cancelled() and turn.exception() is None
            if had and self._on_missed is not None:
                self._on_missed()
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._leave(turn)

    def pop(self) -> tuple[asyncio.Future[None] | None, bytes] | None:
        """Take out what is first.

        Returns:
            The future of a send, which waits until the caller sets its result, or None for what
            is kept; and the text. None when nobody waits.
        """
        while self._entries:
            who, data = self._entries.popitem(last=False)
            self.size -= len(data)
            if not isinstance(who, asyncio.Future):
                return None, data
            if not who.done():  # its task may have been cancelled in this turn of the loop
                return who, data
        return None

    def fail(self, info: CloseInfo) -> None:
        """Tell each send that the connection has ended. What is kept stays."""
        for who in list(self._entries):
            if isinstance(who, asyncio.Future):
                self._leave(who)
                if not who.done():
                    who.set_exception(ConnectionClosedError(*info))

    def clear(self) -> None:
        """Forget what is kept; sends have failed before."""
        self._entries.clear()
        self.size = 0

    def _give_up(self, turn: asyncio.Future[None], seconds: float) -> None:
        if not turn.done():
            self._leave(turn)
            turn.set_exception(SendTimeoutError(seconds))

    def _put(self, who: object, data: bytes) -> None:
        self._entries[who] = data
        self.size += len(data)

    def _leave(self, who: object) -> None:
        self.size -= len(self._entries.pop(who, b""))
