"""How the bytes of one direction pass through the tap: at once, late, in pieces, or not at all.

::

    feed() ──> double, keep ──> at-once ────────────────────────────> write()
                                delayed: queue ── `delay` later ────> write()
                                byte-by-byte: queue ── a loop turn ─> write(), one byte
                                stalled: queue, until `set` changes the mode
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Literal

__all__ = ["Mode", "Passage", "reset_on_close"]

Mode = Literal["at-once", "stalled", "delayed", "byte-by-byte"]


class Passage:
    """One direction. In every mode bytes keep their order, and the end follows the last one.

    Args:
        write: writes bytes towards the receiver.
        end: ends the stream towards the receiver.

    Attributes:
        delay: seconds by which the mode ``delayed`` holds bytes back.
        double: the number of bytes at the start of the next read to write twice; then 0 again.
        taken: set once bytes arrive after a call of `keep`.
    """

    def __init__(
        self, write: Callable[[bytes], None], end: Callable[[], None], mode: Mode = "at-once"
    ) -> None:
        self.delay = 0.02
        self.double = 0
        self.taken = asyncio.Event()
        self._keep: int | None = None  # bytes that may still pass; None for any number
        self._write = write
        self._end = end
        self._mode: Mode = mode
        # Bytes held back, each with the time at which the mode ``delayed`` writes them; None for
        # the end of the stream.
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._pump: asyncio.Handle | None = None  # the scheduled call of `_step`

    def set(self, mode: Mode) -> None:
        """Change the mode, for the bytes held back too."""
        self._mode = mode
        self._schedule()

    def feed(self, data: bytes) -> None:
        """Take bytes from their writer."""
        if self.double:
            data = data[: self.double] + data
            self.double = 0
        if self._keep is not None:
            data, self._keep = data[: self._keep], max(0, self._keep - len(data))
        self._put(data)
        self.taken.set()

    def keep(self, count: int) -> None:
        """Let the next `count` bytes pass, and drop everything after them."""
        self._keep = count
        self.taken.clear()

    def finish(self) -> None:
        """End the stream, after the bytes held back."""
        self._put(None)

    def _put(self, data: bytes | None) -> None:
        if self._mode == "at-once" and not self._queue:
            self._pass(data)
            return
        self._queue.append((asyncio.get_running_loop().time() + self.delay, data))
        if self._pump is None:
            self._schedule()

    def _pass(self, data: bytes | None) -> None:
        if data is None:
            self._end()
        else:
            self._write(data)

    def _schedule(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        if not self._queue or self._mode == "stalled":
            return
        loop = asyncio.get_running_loop()
        if self._mode == "delayed":
            self._pump = loop.call_at(self._queue[0][0], self._step)
        else:
            self._pump = loop.call_soon(self._step)

    def _step(self) -> None:
        self._pump = None
        due, data = self._queue.popleft()
        if self._mode == "byte-by-byte" and data is not None and len(data) > 1:
            self._queue.appendleft((due, data[1:]))
            data = data[:1]
        self._pass(data)
        self._schedule()


def reset_on_close(sock: socket.socket | None) -> None:
    """Make the close of a TCP connection, a transport's socket, a reset, unless it has ended."""
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
