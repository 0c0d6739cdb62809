"""How long one connection keeps the event loop to itself."""

from __future__ import annotations

import asyncio
from time import perf_counter

__all__ = ["EVENT", "SECONDS", "Turn"]

SECONDS = 0.005
"""Time after which others get their turn, whatever it was spent on."""

EVENT = 128
"""What an event costs besides its text, in bytes."""

_CHUNK = 1 << 13
"""Bytes between two looks at the clock: 4 ms for the dearest texts there are, at 0.5 µs a byte."""

_LARGE = 1 << 16
"""So many bytes of one text count as a chunk more: four texts of 64 KiB end a turn."""

_CHUNKS = 4
"""After so many others get their turn, however fast it went: about 140 echoes in 2 ms."""


class Turn:
    """A connection's turn, from the loop's last iteration on.

    The clock is not asked for each message: that would cost as much as all the rest of a turn.

    Attributes:
        left: bytes that may be worked off before `is_over` is asked; count them down.
    """

    __slots__ = ("_began", "_chunks", "left")

    def __init__(self) -> None:
        self.left = _CHUNK
        self._began = 0.0
        self._chunks = 0  # since the loop has turned

    def is_over(self) -> bool:
        """Whether others are to get their turn before this connection goes on."""
        now = perf_counter()
        if not self._chunks:
            self._began = now
            asyncio.get_running_loop().call_soon(self._end)
        self._chunks += 1 + max(0, -self.left) // _LARGE
        self.left = _CHUNK
        return self._chunks >= _CHUNKS or now - self._began > SECONDS

    def _end(self) -> None:
        """The loop has turned."""
        self._chunks = 0
