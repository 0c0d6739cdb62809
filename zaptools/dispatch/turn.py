"""How long one connection keeps the event loop to itself."""

from __future__ import annotations

import asyncio
from time import perf_counter

__all__ = ["EVENT", "SECONDS", "Turn"]

SECONDS = 0.005
"""Time after which other connections get their turn, however it was spent."""

EVENT = 128
"""The cost of an event besides its text, in bytes of text."""

_CHUNK = 1 << 13
"""Bytes between two looks at the clock: 4 ms for the most expensive texts, at 0.5 µs a byte."""

_LARGE = 1 << 16
"""A text counts as one more chunk for each so many bytes: four texts of 64 KiB end a turn."""

_CHUNKS = 4
"""Chunks after which others get their turn, however fast they were: about 140 echoes, 2 ms."""


class Turn:
    """A connection's turn, from the loop's last iteration on: a few chunks of work.

    The clock is not read for each message: that would cost as much as the rest of a turn.

    Attributes:
        left: the bytes of the present chunk that have not been handled; the owner counts them
            down, and calls `next_chunk` when it is negative.
    """

    __slots__ = ("_began", "_chunks", "left")

    def __init__(self) -> None:
        self.left = _CHUNK
        # When the first chunk of this turn was over.
        self._began = 0.0
        # Chunks since the event loop's last iteration.
        self._chunks = 0

    def next_chunk(self) -> bool:
        """Begin the next chunk; return whether other connections have to get their turn first."""
        now = perf_counter()
        if not self._chunks:
            self._began = now
            asyncio.get_running_loop().call_soon(self._end)
        self._chunks += 1 + max(0, -self.left) // _LARGE
        self.left = _CHUNK
        return self._chunks >= _CHUNKS or now - self._began > SECONDS

    def _end(self) -> None:
        """The event loop has begun another iteration."""
        self._chunks = 0
