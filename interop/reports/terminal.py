"""The matrix on the terminal, with failures and totals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..records import CellResult, Verdict
from .compatibility import compatibility
from .results import Results, culprit_line, gates, rerun_command

__all__ = ["compact", "matrix", "print_plan", "print_report"]

_STYLES: Mapping[Verdict, str] = {
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


def compact(results: Results, width: int) -> Iterator[Table | str]:
    """Yield the matrix in tables no wider than `width`, and a legend of their short forms.

    Clients are numbered; verdicts other than *passed* are shown by their first letter.
    """
    numbers = {client: str(number) for number, client in enumerate(results.clients, 1)}
    # A column is as wide as its widest count and a letter, and a space.
    most = max((n for counts in results.by_pair().values() for n in counts.values()), default=0)
    column = max(len(str(most)), len(str(len(numbers)))) + 2
    first = max((len(part) for server in results.servers for part in _parts(server)), default=0)
    count = max((width - max(first, len("server")) - 1) // column, 1)
    for at in range(0, len(results.clients), count):
        clients = results.clients[at : at + count]
        yield _block(results, clients, numbers)
        yield "".join(f"{numbers[client]:>4} {client}\n" for client in clients)
    shown = [v for v in _STYLES if v != "passed" and results.counts[v]]
    if shown:
        yield "  " + ", ".join(f"{_letter(verdict)} {verdict}" for verdict in shown)


def _block(results: Results, clients: Sequence[str], numbers: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("server", overflow="fold")
    for client in clients:
        table.add_column(numbers[client], justify="right", no_wrap=True)
    pairs = results.by_pair()
    for server in results.servers:
        row = [_cell(pairs.get((server, client)), short=True) for client in clients]
        table.add_row("\n".join(_parts(server)), *row)
    return table


def _parts(api: str) -> list[str]:
    return api.replace("/", "/\n", 1).split("\n")


def _letter(verdict: Verdict) -> str:
    return {"failed": "F", "error": "E"}.get(verdict, verdict[0])


def print_plan(not_run: Mapping[str, str], cells: int, workers: int, console: Console) -> None:
    """Print the size of a run, and the rows and columns left out.

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
    """Print the matrix, the failures with the command that repeats each, and the totals.

    `print_plan` reports what did not run.
    """
    table = matrix(results)
    endless = console.options.update(max_width=10_000)  # else it measures how far it would shrink
    if console.measure(table, options=endless).maximum <= console.width:
        console.print(table)
    else:
        for part in compact(results, console.width):
            console.print(part, highlight=False)
    if results.not_run:
        console.print(f"[yellow]not run:[/] {len(results.not_run)} rows and columns, as said above")
    bad = [cell for cell in results.cells if gates(cell) or cell.verdict == "error"]
    amber = [cell for cell in results.cells if cell.verdict == "warned"]
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


def _cell(counts: Mapping[Verdict, int] | None, *, short: bool = False) -> Text:
    if counts is None:
        return Text("-", style="dim")
    shown = [verdict for verdict in _STYLES if counts[verdict]]
    words = {verdict: f" {verdict}" for verdict in shown}
    if short:
        words = {verdict: "" if verdict == "passed" else _letter(verdict) for verdict in shown}
    lines = [Text(f"{counts[v]}{words[v]}", style=_STYLES[v]) for v in shown]
    return Text("\n").join(lines)


def _print_cells(console: Console, title: str, style: str, cells: list[CellResult]) -> None:
    groups: dict[str, list[CellResult]] = {}
    for cell in sorted(cells, key=lambda c: (c.scenario, c.server, c.client)):
        groups.setdefault(cell.scenario, []).append(cell)
    for scenario, group in list(groups.items())[:_SHOWN_SCENARIOS]:
        rule = escape(group[0].rule)
        heading = f"[{style}]{title}[/] {escape(scenario)}: {rule}"
        console.print(heading, highlight=False, soft_wrap=True)
        for cell in group[:_SHOWN_PAIRS]:
            pair = f"{cell.server} <-> {cell.client}"
            reason = " ".join(cell.reason.split())[:300]
            console.print(f"   {escape(pair)}: {escape(reason)}", highlight=False, soft_wrap=True)
            if culprit := culprit_line(cell):
                console.print(f"      {escape(culprit)}", highlight=False, soft_wrap=True)
        if len(group) > _SHOWN_PAIRS:
            console.print(f"   and {len(group) - _SHOWN_PAIRS} more pairs")
        console.print(f"   again: {rerun_command(group[0])}", highlight=False, soft_wrap=True)
    if len(groups) > _SHOWN_SCENARIOS:
        console.print(f"and {len(groups) - _SHOWN_SCENARIOS} more scenarios: see summary.md")
