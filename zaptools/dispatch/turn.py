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
    """A connection's turn, from the loop's last iteration on.

    The clock is not read for each message: that would cost as much as the rest of a turn.

    Attributes:
        left: bytes that may be handled before `is_over` is asked; the owner counts them down.
    """

    __slots__ = ("_began", "_chunks", "left")

    def __init__(self) -> None:
        self.left = _CHUNK
        # When the first chunk of this turn was over.
        self._began = 0.0
        # Chunks since the event loop's last iteration.
        self._chunks = 0

    def is_over(self) -> bool:
        """Whether others have to get their turn before this connection goes on."""
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
