"""Runs the cells of a plan, all of them or until one is not as expected.

``python -m interop.mutate.cells PLAN [all]`` prints a line for each cell, and at last a `Seen` as
JSON. Without ``all`` it ends soon after the first red cell. It ends at once then; its peers end
with it, because their stdin does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from ..descriptors import raise_limit
from ..records import CellResult, Culprit, Verdict
from ..run.plan import Plan
from ..run.runner import run_plan

__all__ = ["Red", "Seen"]

_MORE = 0.3
"""Seconds after the first red cell in which others are waited for."""


class Red(Struct, frozen=True, omit_defaults=True):
    """A cell that is not as expected."""

    server: str
    client: str
    scenario: str
    verdict: Verdict
    reason: str
    culprit: Culprit | None = None

    @property
    def name(self) -> str:
        return f"{self.server} {self.client} {self.scenario}"


class Seen(Struct, frozen=True, omit_defaults=True):
    """What became of a plan.

    Attributes:
        cells: how many have a result.
        red: those that are not as expected, in order of their ends.
        broken: how the testbed failed; empty if it did not.
    """

    cells: int
    red: Sequence[Red] = ()
    broken: str = ""


def _red(cell: CellResult) -> Red | None:
    if cell.verdict not in ("failed", "flaky", "error"):
        return None
    return Red(
        cell.server, cell.client, cell.scenario, cell.verdict, _text(cell.reason), cell.culprit
    )


def _text(words: str) -> str:
    """Return words without lone surrogates, as a peer may have sent: they have no UTF-8."""
    return words.encode("utf-8", "backslashreplace").decode()


def _end(seen: Seen) -> NoReturn:
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)


class _Look:
    """Prints a line for each cell, and ends the process soon after the first red one."""

    def __init__(self, *, all: bool) -> None:
        self._all = all
        self._red: list[Red] = []
        self._first = 0.0  # when the first red cell ended

    def __call__(self, count: int, cell: CellResult) -> None:
        sys.stdout.write("\n")
        sys.stdout.flush()
        if self._all:
            return
        if (red := _red(cell)) is not None:
            self._first = self._first or time.monotonic()
            self._red.append(red)
        if self._red and time.monotonic() - self._first >= _MORE:
            _end(Seen(count, self._red))


def _main() -> None:
    _, file, *rest = sys.argv
    raise_limit()
    plan = Plan.parse(Path(file).read_text("utf-8"))
    cells, _, broken = run_plan(plan, workers=0, progress=_Look(all=bool(rest)))
    _end(Seen(len(cells), [red for cell in cells if (red := _red(cell))], _text(broken)))


if __name__ == "__main__":
    _main()
