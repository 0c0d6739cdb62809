"""``python -m interop compare`` and ``wire-diff``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..catalog import did_you_mean, load_peers, peer_of
from ..errors import TestbedError
from ..records import ROLES, CellResult
from ..reports.compare import Change, Comparison, WireChange, compare, unequal
from ..reports.provenance import replaced
from ..reports.results import Recorded, RunFacts, load, read
from ..wire.diff import MAX_TEXTS, groups
from .options import Commands, Stop, given_path, matching, results_argument

__all__ = ["add", "print_verdicts"]

_SHOWN = 40
_ALL = ": --all lists them"
_SHOWN_TEXTS = 3
_CLIP = 200


def add(commands: Commands) -> None:
    """Add the commands."""
    both = commands.add_parser("compare", help="compare two runs: exit 1 if something broke")
    both.set_defaults(command=_compare)
    for name in ("old", "new"):
        both.add_argument(name, type=given_path, metavar=name.upper(),
                          help="results.json, or its folder")  # fmt: skip
    both.add_argument("--equal", action="store_true",
                      help="exit 1 unless every cell has the same verdict in both")  # fmt: skip
    both.add_argument("--peer", action="append", default=[], metavar="PEER",
                      help="with --equal: only cells between such peers, "
                           "and some for each pair of them")  # fmt: skip

    both.add_argument("--common", action="store_true",
                      help="compare the cells that both runs have, "
                           "though NEW lacks some of OLD")  # fmt: skip
    both.add_argument("--all", action="store_true",
                      help=f"list all that changed, not {_SHOWN} of each kind")  # fmt: skip

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
    if arguments.common and arguments.equal:
        raise Stop("--common does not go with --equal, for which a missing cell is a difference")
    before, after = (_whole(name, getattr(arguments, name)) for name in ("old", "new"))
    old, new = before.cells, after.cells
    console.print(f"{len(old)} cells old, {len(new)} new", highlight=False)
    _section(console, "peers changed", _replaced(before.run, after.run), None)
    if arguments.equal:
        runs = (before.run, after.run)
        problems = unequal(old, new, arguments.peer, lambda peer: _roles(peer, runs))
        _lines(console, problems)
        return bool(problems)
    found = compare(old, new)
    shown = None if arguments.all else _SHOWN
    print_verdicts(found, console, shown, _ALL)
    wire = [_wire_change(change) for change in found.wire]
    _section(console, "wire text changed", wire, shown, _ALL)
    if found.gone and not arguments.common:
        raise Stop(
            f"NEW {arguments.new} is not whole: it lacks {len(found.gone)} of the {len(old)} "
            f"cells of OLD {arguments.old}; --common compares those that both have"
        )
    if len(found.gone) == len(old):
        raise Stop(f"OLD {arguments.old} and NEW {arguments.new} have no cell in common")
    if found.unknown:
        raise Stop(
            f"NEW {arguments.new} says nothing of {len(found.unknown)} cells that were broken: "
            "they are errors of the testbed"
        )
    return found.worse


def print_verdicts(found: Comparison, console: Console, shown: int | None, hint: str = "") -> bool:
    """Print which verdicts changed, and return whether any did.

    Args:
        shown: the changes of each kind that are listed; None for all.
        hint: what lists the others too, as the end of a line.
    """
    changed = False
    for title, changes in (
        ("newly broken", found.broken),
        ("newly flaky", found.flaky),
        ("newly fixed", found.fixed),
        ("repaired, though deviations.toml or peer.toml expects a failure", found.repaired),
        ("changed otherwise", found.other),
        ("errors of the testbed", found.unknown),
        ("not in the new run", found.gone),
    ):
        changed = changed or bool(changes)
        _section(console, title, [_change(change) for change in changes], shown, hint)
    return changed


def _replaced(old: RunFacts, new: RunFacts) -> list[str]:
    return [f"   {line}" for line in replaced(old.peers, new.peers)]


def _whole(name: str, path: Path) -> Recorded:
    try:
        return load(path, whole=True)
    except TestbedError as exc:
        raise Stop(f"{name.upper()} {exc}") from exc


def _roles(peer: str, runs: Iterable[RunFacts]) -> set[str]:
    apis = [(each.name, api.role) for each in load_peers().values() for api in each.apis]
    apis += [(peer_of(each.id), each.role) for run in runs for each in run.added]
    known = dict.fromkeys(name for name, _ in apis)
    if peer not in known:
        close = did_you_mean(peer, known)
        raise Stop(f"--peer {peer!r} is not among the peers{close}: {', '.join(known)}")
    return {role for name, role in apis if name == peer}


def _change(change: Change) -> str:
    reason = f": {_clipped(' '.join(change.reason.split()))}" if change.reason else ""
    pair = f"{change.server} <-> {change.client}"
    return f"   {change.scenario}, {pair}: {change.old} -> {change.new}{reason}"


def _wire_change(change: WireChange) -> str:
    what = f"{change.scenario}, {change.side} {change.api} ({change.cells} cells)"
    how = "; ".join(change.differences)
    return f"   {what}: {how}\n      old {_clipped(change.old)}\n      new {_clipped(change.new)}"


def _section(
    console: Console, title: str, entries: Sequence[str], shown: int | None, hint: str = ""
) -> None:
    if not entries:
        return
    console.print(f"[bold]{title}[/]: {len(entries)}", highlight=False)
    _lines(console, entries[:shown])
    if shown is not None and len(entries) > shown:
        _lines(console, [f"   and {len(entries) - shown} more{hint}"])


def _clipped(text: str) -> str:
    return text if len(text) <= _CLIP else f"{text[:_CLIP]}…"


def _wire_diff(arguments: argparse.Namespace, console: Console) -> int:
    scenarios: dict[str, list[CellResult]] = {}
    for cell in read(arguments.results):
        scenarios.setdefault(cell.scenario, []).append(cell)
    shown = same = 0
    for name in sorted(matching(scenarios, arguments.scenario, "--scenario")):
        for side in reversed(ROLES):
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
                _lines(console, [f"      {_clipped(text)}" for text in group.texts[:_SHOWN_TEXTS]])
                if (more := len(group.texts) - _SHOWN_TEXTS) > 0:
                    _lines(console, [f"      and {more} more"])
    counts = f"{same} alike, {shown - same if arguments.all else shown} not"
    console.print(f"{counts}; of each connection the first {MAX_TEXTS} texts", highlight=False)
    return 0


def _lines(console: Console, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
