"""``python -m interop check``: how a running server holds the rules, seen from outside."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..check import WHY_NOT, Check, Checked
from ..endpoint import parse_endpoint
from ..reports.files import write_reports
from ..results import Cell, claimed
from ..runner import load_functions
from . import Commands, Stop, matching, seconds

__all__ = ["add"]

_SHOWN_FRAMES = 8
_VERDICTS = ("passed", "warned", "failed", "error")
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
    option("--ca", type=Path, metavar="FILE", help="trust these certificates alone (PEM)")
    option("--insecure", action="store_true", help="take any certificate")
    option("--scenario", action="append", default=[], metavar="GLOB", help="only these scenarios")
    option("--patience", type=seconds, default=5.0, metavar="SECONDS",
           help="how long to wait for what must come (default: 5)")  # fmt: skip
    option("--timeout", type=seconds, metavar="SECONDS",
           help="how long a scenario may take at all (default: each one's own)")  # fmt: skip
    option("--results", type=Path, metavar="DIR", help="also write results.json and reports there")


def _check(arguments: argparse.Namespace, console: Console) -> int:
    endpoint = parse_endpoint(
        arguments.url,
        headers=arguments.header,
        subprotocols=arguments.subprotocol,
        ca=arguments.ca,
        insecure=arguments.insecure,
    )
    whole = load_functions(arguments.timeout)
    chosen = {name: whole[name] for name in matching(whole, arguments.scenario, "--scenario")}
    check = Check(endpoint, patience=arguments.patience, echo=arguments.echo)
    with claimed(arguments.results) if arguments.results else nullcontext():
        with console.status(f"checking {endpoint.shown}") as status:
            checked = asyncio.run(
                check.run(chosen, lambda name: status.update(f"checking {endpoint.shown}: {name}"))
            )
        if not (checked.results.cells or checked.results.broken):
            reasons = "; ".join(f"{n} {WHY_NOT[why]}" for why, n in checked.left.items())
            raise Stop(f"none of the chosen scenarios can be run: {reasons}")
        if arguments.results:
            write_reports(checked.results, arguments.results)
    _report(checked, endpoint.shown, console)
    return checked.results.exit_status


def _report(checked: Checked, shown: str, console: Console) -> None:
    results = checked.results
    _line(console, f"[bold]{escape(shown)}[/]")
    topics: dict[str, list[Cell]] = {}
    for cell in results.cells:
        topics.setdefault(cell["scenario"].partition(".")[0], []).append(cell)
    for topic, cells in topics.items():
        _line(console, f"  {topic}: {_counted(cells)}")
    for verdict, (title, style) in _TITLES.items():
        for cell in results.cells:
            if cell["verdict"] == verdict:
                _failure(console, cell, f"[{style}]{title}[/]")
    for why, count in sorted(checked.left.items()):
        _line(console, f"[dim]not run: {count} that {WHY_NOT[why]}[/]")
    if results.broken:
        _line(console, f"[bold magenta]not finished:[/] {escape(results.broken)}")
    words = {0: "every must holds", 1: "not every must holds", 2: "could not be checked"}
    _line(console, f"{len(results.cells)} scenarios in {results.duration_s:.1f} s: "
                   f"{_counted(results.cells)} - {words[results.exit_status]}")  # fmt: skip


def _failure(console: Console, cell: Cell, title: str) -> None:
    _line(console, f"{title} {escape(cell['scenario'])}: {escape(cell['rule'])}")
    _line(console, f"   {escape(' '.join(cell['reason'].split())[:300])}")
    frames = cell["frames"]
    for frame in frames[:_SHOWN_FRAMES]:
        code = f" {frame['code']}" if frame.get("code") else ""
        text = frame.get("text", "")
        said = f" {text[:120]!r}{'…' if len(text) > 120 else ''}" if text else ""
        _line(console, f"      {escape(frame['author'])} -> {frame['kind']}{code}{escape(said)}")
    if cell["frames_total"] > _SHOWN_FRAMES:
        _line(console, f"      and {cell['frames_total'] - _SHOWN_FRAMES} more frames")


def _counted(cells: Iterable[Cell]) -> str:
    verdicts = [cell["verdict"] for cell in cells]
    counts = ((verdicts.count(verdict), verdict) for verdict in _VERDICTS)
    return ", ".join(f"{count} {verdict}" for count, verdict in counts if count)


def _line(console: Console, line: str) -> None:
    console.print(line, highlight=False, soft_wrap=True)
