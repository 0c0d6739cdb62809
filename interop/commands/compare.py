"""``python -m interop compare`` and ``wire-diff``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from ..catalog import load_peers
from ..compare import Change, compare, unequal
from ..results import read
from ..wirediff import groups
from . import Commands, Stop, matching, results_argument

__all__ = ["add"]

_SHOWN = 40


def add(commands: Commands) -> None:
    """Add the commands."""
    both = commands.add_parser("compare", help="compare two runs: exit 1 if something broke")
    both.set_defaults(command=_compare)
    for name in ("old", "new"):
        both.add_argument(name, type=Path, metavar=name.upper(),
                          help="results.json, or its folder")  # fmt: skip
    both.add_argument("--equal", action="store_true",
                      help="exit 1 unless every cell has the same verdict in both")  # fmt: skip
    both.add_argument("--peer", action="append", default=[], metavar="PEER",
                      help="with --equal: only cells between such peers, "
                           "and some for each pair of them")  # fmt: skip

    wire = commands.add_parser("wire-diff", help="compare what implementations wrote for the same")
    wire.set_defaults(command=_wire_diff)
    results_argument(wire)
    wire.add_argument("--scenario", action="append", default=[], metavar="GLOB",
                      help="only these scenarios")  # fmt: skip
    wire.add_argument("--all", action="store_true",
                      help="also show where all write the same text")  # fmt: skip


def _compare(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.peer and not arguments.equal:
        raise Stop("--peer goes with --equal")
    old, new = read(arguments.old), read(arguments.new)
    console.print(f"{len(old)} cells old, {len(new)} new", highlight=False)
    if arguments.equal:
        problems = unequal(old, new, arguments.peer, _roles)
        _lines(console, problems)
        return bool(problems)
    found = compare(old, new)
    for title, changes in (
        ("newly broken", found.broken),
        ("newly flaky", found.flaky),
        ("newly fixed", found.fixed),
        ("changed otherwise", found.other),
        ("not in the new run", found.gone),
    ):
        _changes(console, title, changes)
    if found.wire:
        console.print(f"[bold]wire text changed[/]: {len(found.wire)}")
    for change in found.wire[:_SHOWN]:
        what = f"{change.scenario}, {change.side} {change.api} ({change.cells} cells)"
        how = "; ".join(change.differences)
        texts = (f"old {change.old[:200]}", f"new {change.new[:200]}")
        _lines(console, [f"   {what}: {how}", *(f"      {text}" for text in texts)])
    return bool(found.broken)


def _roles(peer: str) -> set[str]:
    known = load_peers()
    if peer not in known:
        raise Stop(f"--peer {peer!r} is not among the peers: {', '.join(known)}")
    return {api.role for api in known[peer].apis}


def _changes(console: Console, title: str, changes: Sequence[Change]) -> None:
    if not changes:
        return
    console.print(f"[bold]{title}[/]: {len(changes)}", highlight=False)
    for change in changes[:_SHOWN]:
        reason = f": {' '.join(change.reason.split())[:200]}" if change.reason else ""
        pair = f"{change.server} <-> {change.client}"
        _lines(console, [f"   {change.scenario}, {pair}: {change.old} -> {change.new}{reason}"])
    if len(changes) > _SHOWN:
        console.print(f"   and {len(changes) - _SHOWN} more")


def _wire_diff(arguments: argparse.Namespace, console: Console) -> int:
    scenarios: dict[str, list[dict[str, Any]]] = {}
    for cell in read(arguments.results):
        scenarios.setdefault(cell["scenario"], []).append(cell)
    shown = same = 0
    for name in sorted(matching(scenarios, arguments.scenario, "--scenario")):
        for side in ("client", "server"):
            found = groups(scenarios[name], side)
            if len(found) == 1:
                same += 1
            if not found or (len(found) == 1 and not arguments.all):
                continue
            shown += 1
            console.print(f"[bold]{escape(name)}[/], what {side}s write", highlight=False)
            for group in found:
                how = "; ".join(group.differences) or "reference" if len(found) > 1 else "all"
                _lines(console, [f"   {', '.join(group.apis)}: {how}"])
                _lines(console, [f"      {text[:200]}" for text in group.texts[:3]])
    console.print(f"{same} alike, {shown - same if arguments.all else shown} not", highlight=False)
    return 0


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
