"""``python -m interop check``: whether a running server keeps the rules, seen from outside."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from fnmatch import fnmatchcase

from rich.console import Console
from rich.markup import escape

from ..catalog import did_you_mean
from ..check.check import WHY_NOT, Check, Checked, why_not
from ..check.endpoint import Endpoint, parse_endpoint
from ..places import CHECKOUT, command
from ..records import CellResult, Verdict
from ..reports.files import write_reports
from ..reports.results import claimed, shortened
from ..run.runner import Bound, load_functions
from ..runtimes.git import current_commit
from ..signals import held, interruptible
from ..spec.rules import quoted
from ..verdicts import deviations
from .options import Commands, Stop, given_path, matching, seconds

__all__ = ["add"]

_SHOWN_FRAMES = 8

_PATIENCE = 5.0

_CONNECTIONS = 10
"""More connections than any scenario without control makes."""

_VERDICTS: Sequence[Verdict] = ("passed", "deviating", "warned", "failed", "error")
_TITLES = {
    "failed": ("must", "bold red"),
    "error": ("testbed failed", "bold magenta"),
    "warned": ("should", "yellow"),
}


def add(commands: Commands) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check", help="check any running server, from outside",
        epilog="exit status: 0 every must holds; 1 one does not; 2 the server could not be checked",
    )  # fmt: skip
    check.set_defaults(command=_check)
    option = check.add_argument
    option("url", metavar="URL", help="ws:// or wss://, with path and query")
    option("--echo", metavar="EVENT",
           help="an event that the server answers with the same payload")  # fmt: skip
    option("--header", action="append", default=[], metavar="'NAME: VALUE'",
           help="a header of every handshake; its value is never shown")  # fmt: skip
    option("--subprotocol", action="append", default=[], metavar="NAME",
           help="a subprotocol that every handshake offers")  # fmt: skip
    option("--ca", type=given_path, metavar="FILE", help="trust these certificates alone (PEM)")
    option("--insecure", action="store_true", help="take any certificate")
    option("--scenario", action="append", default=[], metavar="GLOB", help="only these scenarios")
    option("--patience", type=seconds, default=_PATIENCE, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    option("--timeout", type=seconds, metavar="SECONDS",
           help="how long a scenario may take at all "
                "(default: 6 times the patience, 30 at least)")  # fmt: skip
    option("--within", type=seconds, default=300.0, metavar="SECONDS",
           help="how long all of it may take, but for what --rate makes it wait "
                "(default: 300)")  # fmt: skip
    option("--rate", type=_rate, metavar="N",
           help="make at most N connections a second, for a server that limits them")  # fmt: skip
    option("--known", type=given_path, metavar="FILE",
           help="expect what this file says of the server, in the form of "
                "deviations.toml")  # fmt: skip
    option("--framework", metavar="NAME",
           help="expect what is known of this framework, or of 'none' "
                "(default: the one that the server's answers name)")  # fmt: skip
    option(
        "--results",
        type=given_path,
        metavar="DIR",
        help="also write results.json and reports there",
    )


def _check(arguments: argparse.Namespace, console: Console) -> int:
    endpoint = parse_endpoint(
        arguments.url,
        headers=arguments.header,
        subprotocols=arguments.subprotocol,
        ca=arguments.ca,
        insecure=arguments.insecure,
    )
    # What a scenario waits for has its own limits; a server that keeps it going has this one.
    pause = _CONNECTIONS / arguments.rate if arguments.rate else 0.0
    whole = load_functions((arguments.timeout or max(30.0, 6 * arguments.patience)) + pause)
    chosen = {name: whole[name] for name in matching(whole, arguments.scenario, "--scenario")}
    _check_patterns(arguments, chosen)
    frameworks = [entry for entry in deviations.load() if entry.framework]
    check = Check(
        endpoint,
        patience=arguments.patience,
        echo=arguments.echo,
        within=arguments.within,
        rate=arguments.rate,
        known=deviations.known_to_check(arguments.known, list(whole)) if arguments.known else (),
        frameworks=frameworks,
        framework=_framework(arguments.framework, frameworks),
        again=_again(arguments, endpoint),
    )
    with claimed(arguments.results) if arguments.results else nullcontext(), held():
        with console.status(f"checking {endpoint.shown}") as status:
            checked = _interruptible(
                check, chosen, lambda name: status.update(f"checking {endpoint.shown}: {name}")
            )
        _report(checked, endpoint.shown, console)
        if arguments.results:
            checked.results.commit = current_commit(CHECKOUT)
            write_reports(checked.results, arguments.results)
    return checked.results.exit_status


def _check_patterns(arguments: argparse.Namespace, chosen: Mapping[str, Bound]) -> None:
    """Check that each pattern names a scenario that can run: those of the others do not count.

    Raises:
        Stop: one does not; says why.
    """
    for pattern in arguments.scenario or ["*"]:
        why = Counter(
            why_not(bound.facts, arguments.echo)
            for name, bound in chosen.items()
            if fnmatchcase(name, pattern)
        )
        if "" not in why:
            reasons = "; ".join(f"{count} {WHY_NOT[reason]}" for reason, count in why.items())
            raise Stop(f"--scenario {pattern!r}: none of these can be run: {reasons}")


def _interruptible(
    check: Check, chosen: Mapping[str, Bound], progress: Callable[[str], None]
) -> Checked:
    """Return the findings, those so far if it was interrupted.

    Raises:
        KeyboardInterrupt: it came before there were any.
    """
    try:
        with interruptible() as interrupts, asyncio.Runner() as runner:
            return interrupts.run(runner, check.run(chosen, progress))
    except KeyboardInterrupt:
        if check.checked is None:
            raise
        return check.checked


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of connections") from None
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0 and at most 1000")
    return value


def _framework(given: str | None, entries: Iterable[deviations.Deviation]) -> str | None:
    """Return the framework that was named: None for the server's own word, ``""`` for none.

    Raises:
        Stop: it has no known deviations.
    """
    names = sorted({entry.framework for entry in entries})
    if given is not None and given not in (*names, "none"):
        close = did_you_mean(given, names)
        raise Stop(f"--framework {given!r}: what is known is of {', '.join(names)}, or none{close}")
    return "" if given == "none" else given


def _again(arguments: argparse.Namespace, endpoint: Endpoint) -> str:
    """Return the given command without its scenarios; ``…`` stands for secrets."""
    query = "?…" if "?" in endpoint.target else ""
    words = ["check", endpoint.shown + query]
    for name, _ in endpoint.headers:
        words += ["--header", f"{name}: …"]
    for name in arguments.subprotocol:
        words += ["--subprotocol", name]
    for option in ("echo", "ca", "rate", "known", "framework", "timeout"):
        if (value := getattr(arguments, option)) is not None:
            words += [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
    if arguments.insecure:
        words.append("--insecure")
    if arguments.patience != _PATIENCE:
        words += ["--patience", f"{arguments.patience:g}"]
    return command(*words)


def _report(checked: Checked, shown: str, console: Console) -> None:
    results = checked.results
    _line(console, f"[bold]{escape(shown)}[/]")
    topics: dict[str, list[CellResult]] = {}
    for cell in results.cells:
        topics.setdefault(cell.scenario.partition(".")[0], []).append(cell)
    for topic, cells in topics.items():
        _line(console, f"  {topic}: {_counted(cells)}")
    for verdict, (title, style) in _TITLES.items():
        for cell in results.cells:
            if cell.verdict == verdict:
                _failure(console, cell, f"[{style}]{title}[/]")
    for cell in results.cells:
        if cell.verdict == "deviating":
            reason = escape(shortened(cell.reason))
            _line(console, f"[dim]known {escape(cell.scenario)}: {reason}[/]")
    for why, count in sorted(checked.not_run.items()):
        _line(console, f"[dim]not run: {count} that {WHY_NOT[why]}[/]")
    if results.broken:
        _line(console, f"[bold magenta]not finished:[/] {escape(results.broken)}")
    words = {0: "every must holds", 1: "not every must holds", 2: "could not be checked"}
    _line(console, f"{len(results.cells)} scenarios in {results.duration_s:.1f} s: "
                   f"{_counted(results.cells)} - {words[results.exit_status]}")  # fmt: skip


def _failure(console: Console, cell: CellResult, title: str) -> None:
    _line(console, f"{title} {escape(cell.scenario)}: {escape(cell.rule)}")
    _line(console, f"   {escape(shortened(cell.reason))}")
    for rule in quoted(cell.broken):
        _line(console, f"   rule {escape(rule)}")
    frames = cell.frames
    for frame in frames[:_SHOWN_FRAMES]:
        code = f" {frame.code}" if frame.code else ""
        text = frame.text
        said = f" {text[:120]!r}{'…' if len(text) > 120 else ''}" if text else ""
        _line(console, f"      {escape(frame.author)} -> {frame.kind}{code}{escape(said)}")
    if cell.frames_total > _SHOWN_FRAMES:
        _line(console, f"      and {cell.frames_total - _SHOWN_FRAMES} more frames")
    _line(console, f"   again: {escape(cell.again)}")


def _counted(cells: Iterable[CellResult]) -> str:
    verdicts = [cell.verdict for cell in cells]
    counts = ((verdicts.count(verdict), verdict) for verdict in _VERDICTS)
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)


def _line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
