"""What failed in a run, as far as that changes what its workers do next.

In a pair that is known to fail the other cells need not wait long for what must come: an answer
that comes at all comes within a fraction of a second, and only a missing one costs the whole
patience. A pair in which plain use fails fails in hundreds of cells for that same reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ..catalog import Api
from ..reports.compatibility import is_plain

__all__ = ["Failing"]

ENOUGH = 3
"""Unexpected failures, found by one worker, after which a pair is known to fail although plain use
passed, or is not concerned: the judge's rows and columns have no cell of plain use."""

_END = "end"
"""The name of the file that stands for the end of the run."""

_AGAIN = 0.05
"""Seconds after which a worker looks again whether another one has found a pair failing."""


class Failing:
    """The pairs that are known to fail, as the workers of a run share them.

    Args:
        folder: a folder of the run's own. In it a file stands for each of those pairs: the workers
            are processes that exchange nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: Counter[tuple[Api, Api]] = Counter()

    def add(self, pair: tuple[Api, Api], scenario: str) -> None:
        """Take note of an unexpected failure.

        Args:
            scenario: the id of the scenario that failed, with its parameters.
        """
        self._counts[pair] += 1
        if is_plain(scenario) or self._counts[pair] >= ENOUGH:
            self._mark(self._file(pair))

    def end_run(self) -> None:
        """Let every worker begin no cell any more."""
        self._mark(self._folder / _END)

    @property
    def run_ends(self) -> bool:
        """Whether `end_run` was called, by any worker."""
        return (self._folder / _END).exists()

    def watch(self, pair: tuple[Api, Api]) -> Callable[[], bool]:
        """Return the function that says whether a pair is known to fail by now."""
        file, known, looked = self._file(pair), False, 0.0

        def failing() -> bool:
            nonlocal known, looked
            if not known and time.monotonic() - looked >= _AGAIN:
                known, looked = file.exists(), time.monotonic()
            return known

        return failing

    @staticmethod
    def _mark(file: Path) -> None:
        with contextlib.suppress(OSError):  # on a full disk the run takes longer, and no harm
            file.touch()

    def _file(self, pair: tuple[Api, Api]) -> Path:
        name = hashlib.sha256("\n".join(api.id for api in pair).encode()).hexdigest()
        return self._folder / f"failing-{name[:32]}"
