"""The slowest scenarios and pairs: ``--durations``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from ..records import Attempt, CellResult
from .results import Results

__all__ = ["print_durations"]

_TOP = 10


def print_durations(results: Results, console: Console) -> None:
    """Print the slowest scenarios and pairs, and their shares of waiting and set-up.

    Waiting is the time in which a scenario awaited a peer's report; set-up and
    tear-down are each cell's cost before and after its scenario.
    """
    runs = [run for cell in results.cells for run in _runs(cell)]
    if not runs:
        return
    console.print(_table("scenario", runs, lambda run: run.scenario))
    console.print(_table("pair", runs, lambda run: run.pair))
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


def _table(what: str, runs: Iterable[_Run], name: Callable[[_Run], str]) -> Table:
    groups: dict[str, list[_Run]] = {}
    for run in runs:
        groups.setdefault(name(run), []).append(run)
    table = Table(title=f"time by {what}", title_style="dim", box=None)
    table.add_column(what, overflow="fold")
    for column in ("s", "waiting", "set-up", "cells"):
        table.add_column(column, justify="right")
    rows = [
        (
            sum(run.inside + run.around for run in group),
            sum(run.waited for run in group),
            sum(run.around for run in group),
            label,
            len(group),
        )
        for label, group in groups.items()
    ]
    for *times, label, count in sorted(rows, key=lambda row: row[0], reverse=True)[:_TOP]:
        table.add_row(label, *(f"{time / 1000:.1f}" for time in times), str(count))
    return table
