"""The matrix on the terminal, and what must be known about it."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..compatibility import compatibility
from ..results import Cell, Results, culprit_line, gates, rerun_command

__all__ = ["matrix", "print_plan", "print_report"]

_STYLES = {
    "passed": "green",
    "deviating": "yellow",
    "warned": "bold yellow",
    "failed": "bold red",
    "flaky": "bold red",
    "unsupported": "dim",
    "error": "bold magenta",
}
_START = 1.0
"""Seconds until the first cell runs."""

_RATE = 90.0
"""Cells that a worker runs in a second, measured on two cores."""

_SHOWN_SCENARIOS = 20
_SHOWN_PAIRS = 6


def matrix(results: Results) -> Table:
    """Return the table: a row a server, a column a client, the verdicts' counts in each."""
    table = Table(title="servers down, clients across", title_style="dim", show_lines=True)
    table.add_column("server", overflow="fold")
    for client in results.clients:
        table.add_column(client.replace("/", "/\n", 1), justify="right", overflow="fold")
    pairs = results.by_pair()
    for server in results.servers:
        row = [_cell(pairs.get((server, client))) for client in results.clients]
        table.add_row(server.replace("/", "/\n", 1), *row)
    return table


def print_plan(not_run: Mapping[str, str], cells: int, workers: int, console: Console) -> None:
    """Print what a run will not do, and how much it will.

    Args:
        not_run: why each row or column that was chosen cannot run.
        cells: how many runs of cells there will be.
        workers: how many processes share them.
        console: where to print it.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in not_run.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        text = f"[yellow]not run:[/] {escape(', '.join(names))}: {escape(reason)}"
        console.print(text, highlight=False, soft_wrap=True)
    seconds = _START + cells / (_RATE * max(workers, 1))
    about = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    console.print(f"{cells} cells, about {about}", highlight=False)


def print_report(results: Results, console: Console) -> None:
    """Print the matrix, the failures with the command that repeats each, and the sum.

    What did not run `print_plan` has said.
    """
    console.print(matrix(results))
    if results.not_run:
        console.print(f"[yellow]not run:[/] {len(results.not_run)} rows and columns, as said above")
    bad = [cell for cell in results.cells if gates(cell) or cell["verdict"] == "error"]
    amber = [cell for cell in results.cells if cell["verdict"] == "warned"]
    for title, style, cells in (("unexpected", "bold red", bad), ("should", "yellow", amber)):
        _print_cells(console, title, style, cells)
    for line in compatibility(results.cells):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if results.broken:
        text = f"[bold magenta]the testbed failed:[/] {escape(results.broken)}"
        console.print(text, highlight=False, soft_wrap=True)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in results.counts.items() if n)
    console.print(
        f"{len(results.cells)} cells in {results.duration_s:.0f} s: {counts or 'none'}"
        f" - exit status {results.exit_status}",
        highlight=False,
        soft_wrap=True,
    )


def _cell(counts: Mapping[str, int] | None) -> Text:
    if counts is None:
        return Text("-", style="dim")
    shown = [verdict for verdict in _STYLES if counts[verdict]]
    lines = [Text(f"{counts[verdict]} {verdict}", style=_STYLES[verdict]) for verdict in shown]
    return Text("\n").join(lines)


def _print_cells(console: Console, title: str, style: str, cells: list[Cell]) -> None:
    groups: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda c: (c["scenario"], c["server"], c["client"])):
        groups.setdefault(cell["scenario"], []).append(cell)
    for scenario, group in list(groups.items())[:_SHOWN_SCENARIOS]:
        rule = escape(group[0]["rule"])
        heading = f"[{style}]{title}[/] {escape(scenario)}: {rule}"
        console.print(heading, highlight=False, soft_wrap=True)
        for cell in group[:_SHOWN_PAIRS]:
            pair = f"{cell['server']} <-> {cell['client']}"
            reason = " ".join(cell["reason"].split())[:300]
            console.print(f"   {escape(pair)}: {escape(reason)}", highlight=False, soft_wrap=True)
            if culprit := culprit_line(cell):
                console.print(f"      {escape(culprit)}", highlight=False, soft_wrap=True)
        if len(group) > _SHOWN_PAIRS:
            console.print(f"   and {len(group) - _SHOWN_PAIRS} more pairs")
        console.print(f"   again: {rerun_command(group[0])}", highlight=False, soft_wrap=True)
    if len(groups) > _SHOWN_SCENARIOS:
        console.print(f"and {len(groups) - _SHOWN_SCENARIOS} more scenarios: see summary.md")
