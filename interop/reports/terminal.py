"""The matrix on the terminal, with failures and totals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..records import CellResult, Verdict
from .causes import Cause, causes, counted, details, others, size
from .compatibility import compatibility
from .hints import Hints
from .results import Results, is_red, shortened, without_middle

__all__ = ["STYLES", "compact", "matrix", "print_first", "print_plan", "print_report"]

STYLES: Mapping[Verdict, str] = {
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

_WHOLE = 3000
"""Characters of a reason that is shown whole."""

_SHOWN_CAUSES = 12
_SHOWN_TOPICS = 8


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
    shown = [v for v in STYLES if v != "passed" and results.counts[v]]
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
    """Print the matrix, the failures by their causes, and the totals.

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
    _print_causes(console, results)
    for line in compatibility(results.cells):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if results.stopped:
        text = f"[bold red]stopped:[/] {escape(results.stopped)}"
        console.print(text, highlight=False, soft_wrap=True)
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


def print_first(cell: CellResult, hints: Hints, console: Console) -> None:
    """Print the first unexpected cell of a run whole, while the run goes on.

    What other cells show of its culprit is known at the end.
    """
    console.print("[bold red]the first unexpected result:[/]", highlight=False)
    pair = f"{cell.server} <-> {cell.client}"
    reason = without_middle(cell.reason, _WHOLE)
    for line in (f"{cell.scenario}: {cell.rule}", f"{pair}: {reason}", *details(cell)):
        _say(console, line)
    console.print(f"   again: {escape(hints.again(cell))}", highlight=False, soft_wrap=True)


def _cell(counts: Mapping[Verdict, int] | None, *, short: bool = False) -> Text:
    if counts is None:
        return Text("-", style="dim")
    shown = [verdict for verdict in STYLES if counts[verdict]]
    words = {verdict: f" {verdict}" for verdict in shown}
    if short:
        words = {verdict: "" if verdict == "passed" else _letter(verdict) for verdict in shown}
    lines = [Text(f"{counts[v]}{words[v]}", style=STYLES[v]) for v in shown]
    return Text("\n").join(lines)


def _print_causes(console: Console, results: Results) -> None:
    found = causes(cell for cell in results.cells if is_red(cell))
    hints = Hints(results.cells, results.options, results.folder)
    for cause in found[:_SHOWN_CAUSES]:
        console.print()
        _print_cause(console, cause, hints)
    if rest := found[_SHOWN_CAUSES:]:
        count = sum(len(cause.cells) for cause in rest)
        more = f"{counted(len(rest), 'more cause')} of {counted(count, 'cell')}"
        console.print(f"and {more}: see summary.md", highlight=False)


def _print_cause(console: Console, cause: Cause, hints: Hints) -> None:
    """Print one cell of a cause whole, count the others, and show what to do with it."""
    cell = cause.example
    amber = all(each.verdict == "warned" for each in cause.cells)
    title = "[bold yellow]should[/]" if amber else "[bold red]unexpected[/]"
    console.print(f"{title} {escape(size(cause))}", highlight=False, soft_wrap=True)
    pair = f"{cell.server} <-> {cell.client}"
    lines = [f"{cell.scenario}: {cell.rule}", f"{pair}: {shortened(cell.reason)}", *details(cell)]
    if also := others(cause, _SHOWN_TOPICS):
        lines.append(also)
    for line in lines:
        _say(console, line)
    for name, command in (("show", hints.show(cell)), ("again", hints.again(cell))):
        console.print(f"   {name}: {escape(command)}", highlight=False, soft_wrap=True)


def _say(console: Console, line: str) -> None:
    """Print an indented line: wrapped on a terminal, whole where it may be searched."""
    if console.is_terminal:
        console.print(Padding(Text(line), (0, 0, 0, 3)))
    else:
        console.print(f"   {escape(line)}", highlight=False, soft_wrap=True)
