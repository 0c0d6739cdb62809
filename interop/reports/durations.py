"""Where a run's time went: ``--durations``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

from rich.console import Console
from rich.table import Table

from .results import Cell, Results

__all__ = ["print_durations"]

_TOP = 10


def print_durations(results: Results, console: Console) -> None:
    """Print the scenarios and the pairs that took most, and what was waiting and what set-up.

    Waiting is the time in which a scenario awaited what a peer should report; set-up and
    tear-down are what each cell costs before and after its scenario.
    """
    runs = [run for cell in results.cells for run in _runs(cell)]
    if not runs:
        return
    console.print(_table("scenario", runs, lambda cell: str(cell["scenario"])))
    console.print(_table("pair", runs, lambda cell: f"{cell['server']} <-> {cell['client']}"))
    around = _sum(runs, "setup_ms") + _sum(runs, "teardown_ms")
    each = median(run.get("setup_ms", 0.0) + run.get("teardown_ms", 0.0) for run in runs)
    inside, waited = _sum(runs, "duration_ms"), _sum(runs, "waited_ms")
    console.print(
        f"{len(runs)} runs of cells: {waited / 1000:.1f} s waiting for peers, "
        f"{(inside - waited) / 1000:.1f} s else in scenarios, {around / 1000:.1f} s in set-up "
        f"and tear-down ({each:.1f} ms a run in the median, {around / len(runs):.1f} in the mean, "
        "which holds the start of peers), all workers together",
        highlight=False,
        soft_wrap=True,
    )


def _runs(cell: Cell) -> list[Cell]:
    names = {key: cell[key] for key in ("server", "client", "scenario")}
    return [{**names, **run} for run in cell.get("runs", [cell])]


def _sum(runs: Iterable[Cell], key: str) -> float:
    return float(sum(run.get(key, 0.0) for run in runs))


def _table(what: str, runs: Iterable[Cell], name: Callable[[Cell], str]) -> Table:
    groups: dict[str, list[Cell]] = {}
    for run in runs:
        groups.setdefault(name(run), []).append(run)

    def total(group: list[Cell]) -> float:
        return sum(_sum(group, key) for key in ("duration_ms", "setup_ms", "teardown_ms"))

    table = Table(title=f"time by {what}", title_style="dim", box=None)
    table.add_column(what, overflow="fold")
    for column in ("s", "waiting", "set-up", "cells"):
        table.add_column(column, justify="right")
    longest = sorted(groups.items(), key=lambda item: total(item[1]), reverse=True)
    for label, group in longest[:_TOP]:
        seconds = (total(group), _sum(group, "waited_ms"))
        setup = _sum(group, "setup_ms") + _sum(group, "teardown_ms")
        cells = [f"{value / 1000:.1f}" for value in (*seconds, setup)]
        table.add_row(label, *cells, str(len(group)))
    return table
