"""A bound for the log lines that peers can cause as often as they like."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

__all__ = ["PER_MINUTE", "Quota"]

PER_MINUTE = 100
"""Most lines of one kind."""

_MINUTE = 60.0


class Quota:
    """The share of the log for lines of one kind: `PER_MINUTE`.

    Args:
        what: the subject of the lines, for the line that reports how many were left out.
        clock: returns the time in seconds. Default `time.monotonic`.
    """

    __slots__ = ("_clock", "_since", "_taken", "_what")

    def __init__(self, what: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        # The time of the first line of the current minute.
        self._since = -math.inf
        # The calls of `take` since then.
        self._taken = 0

    def take(self, logger: logging.Logger) -> bool:
        """Return whether one more line may be logged.

        The first call of a minute logs how many lines were left out in the one before, if any.
        """
        now = self._clock()
        if now - self._since >= _MINUTE:
            left_out = self._taken - PER_MINUTE
            self._since, self._taken = now, 0
            if left_out > 0:
                logger.warning("%d lines about %s were left out", left_out, self._what)
        self._taken += 1
        return self._taken <= PER_MINUTE
