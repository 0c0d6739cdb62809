"""The slowest scenarios and pairs: ``--durations``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from ..records import Attempt, CellResult
from .results import Results

__all__ = ["Share", "print_durations", "slowest"]

_TOP = 10


def print_durations(results: Results, console: Console) -> None:
    """Print the slowest scenarios and pairs, and their shares of waiting and set-up.

    Waiting is the time in which a scenario awaited a peer's report; set-up and
    tear-down are each cell's cost before and after its scenario.
    """
    runs = [run for cell in results.cells for run in _runs(cell)]
    if not runs:
        return
    console.print(_table("scenario", _shares(runs, lambda run: run.scenario)))
    console.print(_table("pair", _shares(runs, lambda run: run.pair)))
    around = [run.around for run in runs]
    inside, waited = sum(run.inside for run in runs), sum(run.waited for run in runs)
    console.print(
        f"{len(runs)} runs of cells: {waited / 1000:.1f} s waiting for peers, "
        f"{(inside - waited) / 1000:.1f} s else in scenarios, {sum(around) / 1000:.1f} s in set-up "
        f"and tear-down ({median(around):.1f} ms a run in the median, "
        f"{sum(around) / len(runs):.1f} in the mean, which holds the start of peers), "
        "all workers together",
        highlight=False,
        soft_wrap=True,
    )


@dataclass(frozen=True, slots=True)
class Share:
    """What a scenario, or a pair, took of a run: seconds of all its cells together.

    Attributes:
        seconds: set-up and tear-down, `around`, among them, and the time that was `waited`.
        cells: how many runs of cells.
    """

    name: str
    seconds: float
    waited: float
    around: float
    cells: int


def slowest(cells: Iterable[CellResult]) -> list[Share]:
    """Return the slowest scenarios, the slowest first."""
    return _shares((run for cell in cells for run in _runs(cell)), lambda run: run.scenario)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a cell, with its times in milliseconds.

    Attributes:
        inside: the scenario's own, of which `waited` is a part.
        around: set-up and tear-down.
    """

    scenario: str
    pair: str
    inside: float
    waited: float
    around: float


def _runs(cell: CellResult) -> Iterator[_Run]:
    pair = f"{cell.server} <-> {cell.client}"
    runs: Sequence[Attempt | CellResult] = cell.runs or [cell]
    for run in runs:
        around = run.setup_ms + run.teardown_ms
        yield _Run(cell.scenario, pair, run.duration_ms, run.waited_ms, around)


def _shares(runs: Iterable[_Run], name: Callable[[_Run], str]) -> list[Share]:
    groups: dict[str, list[_Run]] = {}
    for run in runs:
        groups.setdefault(name(run), []).append(run)
    found = [
        Share(
            label,
            sum(run.inside + run.around for run in group) / 1000,
            sum(run.waited for run in group) / 1000,
            sum(run.around for run in group) / 1000,
            len(group),
        )
        for label, group in groups.items()
    ]
    return sorted(found, key=lambda share: share.seconds, reverse=True)[:_TOP]


def _table(what: str, shares: Iterable[Share]) -> Table:
    table = Table(title=f"time by {what}", title_style="dim", box=None)
    table.add_column(what, overflow="fold")
    for column in ("s", "waiting", "set-up", "cells"):
        table.add_column(column, justify="right")
    for share in shares:
        times = (share.seconds, share.waited, share.around)
        table.add_row(share.name, *(f"{time:.1f}" for time in times), str(share.cells))
    return table
