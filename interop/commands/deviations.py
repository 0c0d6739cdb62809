"""``python -m interop deviations``: the known ones with the cells they matched, or new ones."""

from __future__ import annotations

import argparse
import itertools
import sys

from rich.console import Console
from rich.markup import escape

from ..catalog import Api
from ..records import CellResult
from ..reports.results import load, read
from ..verdicts import deviations
from ..verdicts.suggest import recorded_table, suggestions
from .options import (
    RESULTS,
    Commands,
    catalogue,
    deviations_option,
    known_peers,
    peers_option,
    results_argument,
)

__all__ = ["add"]


def add(commands: Commands) -> None:
    """Add the command."""
    known = commands.add_parser(
        "deviations", help="list the known deviations, or suggest entries for what is red"
    )
    known.set_defaults(command=_deviations)
    known.add_argument("--suggest", action="store_true",
                       help="write the entries that the red cells call for")  # fmt: skip
    known.add_argument("--recorded", action="store_true",
                       help="write what the peers of these results are, for the entries' "
                            "table 'recorded'")  # fmt: skip
    peers_option(known)
    deviations_option(known)
    results_argument(known)


def _deviations(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.suggest:
        recorded = load(arguments.results)
        entries = suggestions(recorded.cells, one=recorded.run.engine == "check")
        sys.stdout.write("\n\n".join(entries) + "\n" if entries else "# nothing is red\n")
        return 0
    if arguments.recorded:
        peers = load(arguments.results).run.peers
        sys.stdout.write(recorded_table(_entries(arguments), peers))
        return 0
    return _list(arguments, console)


def _list(arguments: argparse.Namespace, console: Console) -> int:
    catalogue([], known_peers(arguments), added=arguments.deviations)
    ran = arguments.results != RESULTS or (RESULTS / "results.json").exists()
    cells = read(arguments.results) if ran else []
    entries = _entries(arguments)
    for entry in entries:
        matched = [cell for cell in cells if _matches(entry, cell)]
        excused = sum(
            cell.verdict == "deviating" and entry.describes(cell.raised or "") for cell in matched
        )
        if not ran:
            count = "no results yet"
        elif matched:
            count = f"{excused} of {len(matched)} cells"
        else:
            count = "no such cell in these results"
        names = ", ".join(entry.scenarios)
        other = f" with {entry.other}" if entry.other != "*" else ""
        console.print(
            f"[bold]{escape(entry.peer)}[/] {entry.role}{escape(other)}: {escape(names)}: {count}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        console.print(f"   {escape(entry.cause)}", highlight=False, soft_wrap=True)
        for pattern in entry.seen:
            console.print(f"   seen: {escape(pattern)}", style="dim", soft_wrap=True)
    excusing = sum(cell.verdict == "deviating" for cell in cells)
    console.print(f"{len(entries)} entries, {excusing} cells deviating", highlight=False)
    return 0


def _entries(arguments: argparse.Namespace) -> list[deviations.Deviation]:
    added = (deviations.load(path) for path in arguments.deviations)
    return [*deviations.load(), *itertools.chain.from_iterable(added)]


def _matches(entry: deviations.Deviation, cell: CellResult) -> bool:
    server, client = Api.parse(cell.server, "server"), Api.parse(cell.client, "client")
    return entry.matches(server, client, cell.scenario)
