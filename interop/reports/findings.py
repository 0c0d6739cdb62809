"""What was found of one server or client that the testbed does not control, with the judge alone.

The first line is the verdict, for a reader with two seconds; the failures follow, by their causes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape

from ..catalog import JUDGE_IDS
from ..output import say
from ..records import CellResult, Verdict
from ..spec.rules import quoted
from .answer import Answer
from .causes import DIRECT, Cause, causes, counted, others
from .pairs import Pair
from .results import Results, gates, is_red, shortened
from .timeline import passage_words

__all__ = ["answered", "print_findings", "subject", "verdict"]

_SHOWN_CAUSES = 12
_SHOWN_FRAMES = 8
_SHOWN_KNOWN = 3
_SHOWN_TOPICS = 8
_SHOWN_LINES = 6
_SHOWN_CHARACTERS = 200

_FRAME = re.compile(r"\s|#\d+ +")
"""How the lines of a stack trace's frames begin, in Python, JavaScript, Java and Dart."""

_VERDICTS: Sequence[Verdict] = ("passed", "deviating", "warned", "failed", "error")
_STYLES = {0: "bold green", 1: "bold red", 2: "bold magenta"}


def subject(results: Results) -> str:
    """Return the name of the side that was judged."""
    return next(name for name in (*results.servers, *results.clients) if name not in JUDGE_IDS)


def verdict(results: Results) -> str:
    """Return in one line whether it works, is broken, or could not be checked, and why.

    What was found before a check broke off is said too.
    """
    wrong = _wrong(results)
    if results.exit_status == 2:
        return "; ".join(filter(None, [f"could not be checked: {_why(results)}", wrong]))
    if wrong:
        return f"broken: {wrong}"
    cells = results.cells
    parts = [counted(len(cells), "scenario")]
    if known := sum(cell.verdict == "deviating" for cell in cells):
        parts.append(counted(known, "known deviation"))
    if shoulds := sum(cell.verdict == "warned" for cell in cells):
        parts.append(f"{counted(shoulds, 'should')} failed")
    words = f"works: {', '.join(parts)}"
    if stale := [cell.scenario for cell in cells if gates(cell)]:
        gone = f"{counted(len(stale), 'known deviation')} did not show"
        return f"{words}, but {gone}, first: {stale[0]}"
    return words


def answered(results: Results, found: Sequence[Pair]) -> str:
    """Return the answer of a run in one sentence, whatever it judged."""
    if results.answer:
        return results.answer
    if results.engine == "check":
        return f"{subject(results)}: {verdict(results)}"
    return Answer(found, results.cells).sentence


def print_findings(results: Results, console: Console) -> None:
    """Print the verdict, the failures by their causes, what is known, and what was not judged."""
    style, words = _STYLES[results.exit_status], verdict(results)
    label, colon, rest = words.partition(":")
    say(console, f"{escape(subject(results))}: [{style}]{label}[/]{colon}{escape(rest)}")
    found = causes(cell for cell in results.cells if is_red(cell))
    for cause in found[:_SHOWN_CAUSES]:
        say(console, "")
        _print_cause(cause, console)
    if more := found[_SHOWN_CAUSES:]:
        size = counted(sum(len(cause.cells) for cause in more), "scenario")
        say(console, f"and {counted(len(more), 'more cause')} of {size}: --report FILE has them")
    if not results.cells:
        return
    say(console, "")
    _print_topics(results.cells, console)
    for excuse, names in _known(results.cells).items():
        beyond = [f"and {len(names) - _SHOWN_KNOWN} more"] if len(names) > _SHOWN_KNOWN else []
        listed = ", ".join([*names[:_SHOWN_KNOWN], *beyond])
        say(console, f"[dim]known: {escape(excuse)} ({escape(listed)})[/]")
    for why in results.unjudged:
        say(console, f"not judged: {escape(why)}")
    say(console, f"{counted(len(results.cells), 'scenario')} in {results.duration_s:.1f} s: "
                 f"{_counted(results.cells) or 'none'} - exit status "
                 f"{results.exit_status}")  # fmt: skip


def _why(results: Results) -> str:
    if results.broken:
        return results.broken
    errors = [cell for cell in results.cells if cell.verdict == "error"]
    if not errors:
        return "nothing was run"
    return f"the testbed failed in {counted(len(errors), 'scenario')}{_first(errors)}"


def _wrong(results: Results) -> str:
    """Return how many rules failed; empty if none did, known deviations aside."""
    # A known deviation that does not show any more is a failure that nothing raised.
    red = [cell for cell in results.cells if gates(cell) and cell.raised]
    if not red:
        return ""
    judged = [cell for cell in results.cells if results.strict or cell.severity == "must"]
    noun = "rules" if results.strict else "musts"
    return f"{len(red)} of {len(judged)} {noun} failed{_first(red)}"


def _first(cells: Sequence[CellResult]) -> str:
    cell = causes(cells)[0].example
    culprit = cell.culprit
    direct = culprit is not None and culprit.basis in DIRECT
    words = culprit.why if culprit is not None and direct else cell.raised or cell.reason
    name = f"{cell.scenario}: {shortened(words, 120)}"
    return f", first: {name}" if len(cells) > 1 else f": {name}"


def _print_cause(cause: Cause, console: Console) -> None:
    cell = cause.example
    title = _title(cause)
    say(console, f"{title}: {counted(len(cause.cells), 'scenario')}")
    lines = [f"{cell.scenario}: {cell.rule}", shortened(cell.reason)]
    if cell.culprit is not None and cell.culprit.basis in DIRECT:
        lines.append(shortened(cell.culprit.why))
    for line in (*dict.fromkeys(lines), *(f"rule {rule}" for rule in quoted(cell.broken))):
        say(console, f"   {escape(line)}")
    for each in cell.passages:
        if each.what == "handshake" and not cell.frames:
            say(console, f"      {escape(f'{each.author} -> {passage_words(each)}')}")
    for frame in cell.frames[:_SHOWN_FRAMES]:
        code = f" {frame.code}" if frame.code else ""
        text = frame.text
        said = f" {text[:120]!r}{'…' if len(text) > 120 else ''}" if text else ""
        say(console, f"      {escape(frame.author)} -> {frame.kind}{code}{escape(said)}")
    if cell.frames_total > _SHOWN_FRAMES:
        say(console, f"      and {counted(cell.frames_total - _SHOWN_FRAMES, 'more frame')}")
    for each in cell.passages:
        if each.what != "handshake":
            say(console, f"      {each.author} -> {passage_words(each)}")
    for line in _telling(cell.printed):
        say(console, f"   [dim]it printed:[/] {escape(line[:_SHOWN_CHARACTERS])}")
    if also := others(cause, _SHOWN_TOPICS):
        say(console, f"   {escape(also)}")
    say(console, f"   again: {escape(cell.again)}")


def _title(cause: Cause) -> str:
    if cause.example.verdict == "error":
        return "[bold magenta]the testbed failed[/]"
    if cause.example.severity == "must":
        return "[bold red]must[/]"
    return "[yellow]should[/]" if cause.is_should else "[bold red]should (strict)[/]"


def _telling(printed: Sequence[str]) -> list[str]:
    """Return the last lines that a program printed, without those of a stack trace's frames."""
    return [line for line in printed if not _FRAME.match(line)][-_SHOWN_LINES:]


def _print_topics(cells: Iterable[CellResult], console: Console) -> None:
    topics: dict[str, list[CellResult]] = {}
    for cell in cells:
        topics.setdefault(cell.scenario.partition(".")[0], []).append(cell)
    for topic, of_topic in topics.items():
        say(console, f"  {topic}: {_counted(of_topic)}")


def _known(cells: Iterable[CellResult]) -> dict[str, list[str]]:
    """Return the scenarios of each known deviation that showed."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        for excuse in cell.excuses if cell.verdict == "deviating" else ():
            found.setdefault(shortened(str(excuse)), []).append(cell.scenario)
    return found


def _counted(cells: Iterable[CellResult]) -> str:
    verdicts = [cell.verdict for cell in cells]
    counts = ((verdicts.count(verdict), verdict) for verdict in _VERDICTS)
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
