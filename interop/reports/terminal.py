"""The matrix on the terminal, with failures and totals."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.text import Text

from ..records import CellResult, Verdict
from .answer import Answer, Missing, missing
from .causes import Blame, Cause, blames, counted, details, others
from .compatibility import compatibility
from .files import judged_pairs
from .grid import grid
from .hints import Hints
from .pairs import MEANING, PairVerdict
from .results import Results, is_red, known_flaky, shortened, without_middle

__all__ = ["STYLES", "print_first", "print_plan", "print_report"]

STYLES: Mapping[Verdict, str] = {
    "passed": "green",
    "deviating": "yellow",
    "tolerated": "yellow",
    "warned": "bold yellow",
    "failed": "bold red",
    "flaky": "bold red",
    "unsupported": "dim",
    "error": "bold magenta",
}
_PAIR_STYLES: Mapping[PairVerdict, str] = {
    "works": "green",
    "deviates": "yellow",
    "broken": "bold red",
    "not run": "dim",
}
_START = 1.0
"""Seconds until the first cell runs."""

_RATE = 90.0
"""Cells that a worker runs in a second, measured on two cores."""

_WHOLE = 3000
"""Characters of a reason that is shown whole."""

_BRIEF = 160
"""The same, of a reason that is shown in short."""

_SHOWN_BROKEN = 8
_SHOWN_CAUSES = 12
_SHOWN_FLAKY = 10
_SHOWN_TOPICS = 8


def print_plan(not_run: Mapping[str, str], cells: int, workers: int, console: Console) -> None:
    """Print the size of a run, and the rows and columns left out.

    Args:
        not_run: why each row or column that was chosen cannot run.
        cells: how many runs of cells there will be.
        workers: how many processes share them.
        console: where to print it.
    """
    for each in missing(not_run):
        _print_missing(each, console)
        if each.details:
            _say(console, each.details)
    seconds = _START + cells / (_RATE * max(workers, 1))
    about = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    console.print(f"{cells} cells, about {about}", highlight=False)


def print_report(results: Results, console: Console, *, versions: bool = False) -> None:
    """Print the verdict of each pair, the failures by their causes, and the totals.

    Args:
        versions: whether to say which versions go together of pairs with one version too.
    """
    found = judged_pairs(results)
    answer = Answer(found, results.cells)
    hints = Hints(results.cells, results.options, results.folder)
    _print_grid(answer, hints, console)
    for each in missing(results.not_run):
        _print_missing(each, console)
    _print_causes(console, results, hints)
    _print_known_flaky(results, console)
    for line in compatibility(results.cells, single=versions):
        console.print(escape(line), highlight=False, soft_wrap=True)
    if results.stopped:
        text = f"[bold red]stopped:[/] {escape(results.stopped)}"
        console.print(text, highlight=False, soft_wrap=True)
    if results.broken:
        text = f"[bold magenta]the testbed failed:[/] {escape(results.broken)}"
        console.print(text, highlight=False, soft_wrap=True)
    console.print(f"\n[bold]{escape(answer.sentence)}[/]", highlight=False)
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


def _print_known_flaky(results: Results, console: Console) -> None:
    """Print what the cells that may fail or pass did, and which may not any more."""
    for each in results.known_flaky:
        style = "bold red" if each.over else "yellow"
        words = f"[{style}]known flaky:[/] {escape(known_flaky(each))}"
        console.print(words, highlight=False, soft_wrap=True)
        for server, client, scenario in each.failed[:_SHOWN_FLAKY]:
            _say(console, f"{scenario}: {server} <-> {client}")
        if (rest := len(each.failed) - _SHOWN_FLAKY) > 0:
            _say(console, f"and {counted(rest, 'more cell')}: see summary.md")


def _print_grid(answer: Answer, hints: Hints, console: Console) -> None:
    """Print the verdicts of the pairs, then what they leave open: exceptions, and broken ones."""
    marks = {
        place: Text(answer.mark(pair), _PAIR_STYLES[pair.verdict])
        for place, pair in answer.pairs.items()
    }
    if not marks:
        return
    console.print(MEANING, highlight=False)
    console.print()
    for line in grid(answer.rows, answer.columns, marks, console.width):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(f"[dim]{escape(answer.legend())}[/]", highlight=False)
    if answer.exempt:
        console.print("\nexceptions in plain use:")
        for each in answer.exempt:
            lines = Text(str(each)).wrap(console, console.width - 3)
            for number, line in enumerate(lines):
                mark = " " if number else each.letter
                console.print(f" {mark} {escape(line.plain.rstrip())}", highlight=False)
    broken = answer.broken()
    for group in broken[:_SHOWN_BROKEN]:
        words = f"[bold red]broken:[/] {escape(group.where)}: {escape(group.reason)}"
        if console.is_terminal:  # the causes below tell all of it
            console.print(words, highlight=False, no_wrap=True, overflow="ellipsis")
        else:
            console.print(words, highlight=False, soft_wrap=True)
    if rest := sum(len(group.pairs) for group in broken[_SHOWN_BROKEN:]):
        console.print(f"[bold red]broken:[/] {counted(rest, 'more pair')}", highlight=False)
    if (pair := answer.example) is not None:
        command = hints.explain(pair.server, pair.client)
        console.print(
            f"\neach deviation of a pair: {escape(command)}", highlight=False, soft_wrap=True
        )


def _print_missing(each: Missing, console: Console) -> None:
    console.print(f"[yellow]not run:[/] {escape(str(each))}", highlight=False, soft_wrap=True)


def _print_causes(console: Console, results: Results, hints: Hints) -> None:
    found = blames(cell for cell in results.cells if is_red(cell))
    most = _SHOWN_CAUSES
    for blame in found:
        if most > 0:
            console.print()
            _print_blame(console, blame, most, hints)
        most -= len(blame.causes)
    if most < 0:
        rest = [cause for blame in found for cause in blame.causes][most:]
        count = sum(len(cause.cells) for cause in rest)
        more = f"{counted(len(rest), 'more cause')} of {counted(count, 'cell')}"
        console.print(f"and {more}: see summary.md", highlight=False)


def _print_blame(console: Console, blame: Blame, most: int, hints: Hints) -> None:
    """Print what one culprit is at fault for: the first cause whole, the others in short.

    Args:
        most: how many causes are shown.
    """
    first, *rest = blame.causes[:most]
    title = "[bold yellow]should[/]" if blame.is_should else "[bold red]unexpected[/]"
    console.print(f"{title} {escape(blame.heading)}", highlight=False, soft_wrap=True)
    _print_cause(console, first, hints)
    for cause in rest:
        cell = cause.example
        should = " (a should)" if cause.is_should else ""
        words = f"[bold]and[/] {escape(cause.size)}{should}"
        console.print(words, highlight=False, soft_wrap=True)
        pair = f"{cell.server} <-> {cell.client}"
        _say(console, f"{cell.scenario}, {pair}: {shortened(cell.reason, _BRIEF)}")
        console.print(f"   show: {escape(hints.show(cell))}", highlight=False, soft_wrap=True)


def _print_cause(console: Console, cause: Cause, hints: Hints) -> None:
    """Print one cell of a cause whole, count the others, and show what to do with it."""
    cell = cause.example
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
