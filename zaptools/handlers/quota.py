"""How many lines a minute the log takes of what peers can make happen as often as they like."""

from __future__ import annotations

import logging
import time

__all__ = ["PER_MINUTE", "Quota"]

PER_MINUTE = 100
"""Lines of one kind, at most."""

_MINUTE = 60.0


class Quota:
    """A share of the log.

    Args:
        what: what its lines are about, in words: for the one that says how many were left out.
    """

    __slots__ = ("_since", "_taken", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._since = -_MINUTE  # when the minute began, with its first line
        self._taken = 0

    def take(self, logger: logging.Logger) -> bool:
        """Tell whether one more line may be logged.

        The first call of a minute logs how many were left out before it, if any were.
        """
        now = time.monotonic()
        if now - self._since >= _MINUTE:
            left_out = self._taken - PER_MINUTE
            self._since, self._taken = now, 0
            if left_out > 0:
                logger.warning("%d lines about %s were left out", left_out, self._what)
        self._taken += 1
        return self._taken <= PER_MINUTE
