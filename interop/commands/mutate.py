"""``python -m interop mutate``: change the library by machine, and see what the matrix catches."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ..mutate.cells import Red
from ..mutate.operators import OPERATORS, Change
from ..mutate.population import load, named, population, sample
from ..mutate.run import Found, Runner
from ..mutate.stages import CHANGED, all_stages
from ..run.runner import load_catalogue
from ..signals import held, interruptible
from .mutate_peers import mutate_peers
from .mutation_report import (
    cell_lines,
    culprit_line,
    found_as_json,
    percentage,
    seed_of_week,
    write_report,
)
from .options import Commands, Stop, at_least, given_path, matching, seconds

__all__ = ["add"]

_SAMPLE = 60

_WORDS = {
    "red": "by a red cell",
    "start": "when the peer starts",
    "died": "by an exception that ends the peer",
    "time": "by a time limit",
    "broken": "by the testbed's own checks",
    "survived": "no cell is red",
    "unreached": "no cell runs it",
}


_KINDS = "".join(f"  {name:12}{what}\n" for name, what in OPERATORS.items())

_EPILOG = f"""\
kinds of change:
{_KINDS}
exit status: 0 done, and at least PERCENT caught; 1 less than that; 2 nothing was chosen, a
cell is red with nothing changed, or the tool failed.
"""


def add(commands: Commands) -> None:
    """Add the command."""
    mutate = commands.add_parser(
        "mutate", help="change the library by machine, and see what the matrix catches",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    mutate.set_defaults(command=_mutate)
    which = mutate.add_mutually_exclusive_group()
    which.add_argument("--sample", type=at_least(1), default=_SAMPLE, metavar="N",
                       help="how many, drawn by the seed (default: %(default)s)")  # fmt: skip
    which.add_argument("--all", action="store_true", help="all changes, which takes hours")
    which.add_argument("--list", action="store_true",
                       help="run nothing: list the changes of the chosen modules")  # fmt: skip
    option = mutate.add_argument
    option("--seed", type=at_least(0), metavar="S",
           help="draws the sample (default: year and ISO week, as 202648)")  # fmt: skip
    option("--module", action="append", default=[], metavar="GLOB",
           help="only changes of these modules: transport.reader, 'client.*'")  # fmt: skip
    option("--peer", action="append", default=[], metavar="GLOB",
           help="change these peers instead, as peers.toml says: node, 'dart*', '*'")  # fmt: skip
    option("--scenario", action="append", default=[], metavar="GLOB",
           help="only these scenarios")  # fmt: skip
    option("--at-least", type=_percent, metavar="PERCENT",
           help="exit status 1 if less is caught (default: no limit)")  # fmt: skip
    option("--tests", action="store_true",
           help="run the unit tests of a change's folder where no cell catches it")  # fmt: skip
    option("--patience", type=seconds, default=1.0, metavar="SECONDS",
           help="how long a scenario waits for what must come (default: %(default)s)")  # fmt: skip
    option("-n", "--workers", type=at_least(1), default=os.cpu_count() or 1, metavar="N",
           help="changes that run at the same time (default: one a core: %(default)s)")  # fmt: skip
    option("--json", type=given_path, metavar="FILE",
           help="also write all changes that ran, and what became of them")  # fmt: skip


def _percent(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value


@dataclass
class _Report:
    """What ran.

    Attributes:
        possible: how many changes the chosen modules have.
        excluded: how many of them ``equivalent.toml`` names.
        drawn: how many are to run.
        cells: how many cells were as expected with nothing changed.
    """

    seed: int
    possible: int
    excluded: int
    drawn: int
    found: list[Found] = field(default_factory=list)
    cells: int = 0
    duration_s: float = 0.0
    interrupted: bool = False

    @property
    def share(self) -> float:
        """How many per cent are caught."""
        return percentage(sum(each.caught for each in self.found), len(self.found))


def _mutate(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.peer:
        return mutate_peers(arguments, console)
    every = population()
    excluded = named(load(), every)  # an entry that names nothing is an error whatever is chosen
    chosen = population(arguments.module) if arguments.module else every
    drawn = [change for change in chosen if change not in excluded]
    if arguments.list:
        for change in chosen:
            note = f"  [{excluded[change].kind}]" if change in excluded else ""
            _line(console, f"{change.id}{note}")
        _line(
            console,
            f"{len(chosen)} changes, {len(chosen) - len(drawn)} of them equivalent or invisible",
        )
        return 0
    whole = load_catalogue()
    scenarios = matching(whole, arguments.scenario, "--scenario")
    stages = all_stages({name: whole[name] for name in scenarios})
    seed = seed_of_week() if arguments.seed is None else arguments.seed
    if not arguments.all:
        drawn = sample(drawn, arguments.sample, seed)
    if not drawn:
        raise Stop("the chosen modules have no change that equivalent.toml does not name")
    report = _Report(seed, len(chosen), len(excluded.keys() & set(chosen)), len(drawn))
    _line(console, f"{report.possible} possible changes, {report.excluded} of them equivalent or "
                   f"invisible; {len(drawn)} run, seed {seed}")  # fmt: skip
    with (
        held(),  # until all is shown; the run itself is interrupted
        tempfile.TemporaryDirectory(prefix="interop-mutate-") as folder,
        Runner(
            Path(folder), stages, patience=arguments.patience, at_once=arguments.workers
        ) as runner,
    ):
        try:
            with interruptible():
                _run(runner, drawn, report, console, tests=arguments.tests)
        except KeyboardInterrupt:
            report.interrupted = True
    report.found.sort(key=lambda found: drawn.index(found.change))
    _print(report, console)
    if arguments.json is not None:
        _write(report, arguments.json)
    if report.interrupted:
        raise KeyboardInterrupt
    return int(arguments.at_least is not None and report.share < arguments.at_least)


def _run(
    runner: Runner, drawn: Sequence[Change], report: _Report, console: Console, *, tests: bool
) -> None:
    began = time.monotonic()
    try:
        for found in runner.run(drawn, tests=tests):
            report.found.append(found)
            if not found.caught:
                count = f"{len(report.found)} of {len(drawn)}"
                _line(console, f"{count}: survived: {_place(found.change)}")
    finally:
        report.cells = runner.cells
        report.duration_s = time.monotonic() - began


def _print(report: _Report, console: Console) -> None:
    for found in report.found:
        if not found.caught:
            _print_survivor(found, console)
    for found in report.found:
        if found.blame in ("wrong", "unknown"):
            _print_blame(found, console)
    _line(console, "")
    if report.interrupted:
        _line(console, f"interrupted: {len(report.found)} of {report.drawn} changes ran")
    _print_figures(report, console)
    _line(console, f"{report.cells} cells as expected with nothing changed; "
                   f"seed {report.seed}, {report.duration_s:.0f} s")  # fmt: skip


def _print_survivor(found: Found, console: Console) -> None:
    change = found.change
    note = {"caught": "; the unit tests catch it", "survived": "; nor do the unit tests"}
    _line(console, "")
    _line(console, f"{_place(change)} [{change.operator}] "
                   f"{_WORDS[found.outcome]}{note.get(found.tests, '')}")  # fmt: skip
    _line(console, f"  - {change.before}")
    _line(console, f"  + {change.after}")
    for each in found.unconfirmed:
        _line(console, f"  red once, and not again: {each}")


def _print_blame(found: Found, console: Console) -> None:
    change = found.change
    _line(console, "")
    _line(console, f"culprit {found.blame}: {_place(change)}, in {found.stages[-1]}")
    _line(console, f"  - {change.before}")
    _line(console, f"  + {change.after}")
    for line in cell_lines(_misnamed(found)):
        _line(console, line)


def _misnamed(found: Found) -> list[Red]:
    """Return the failed cells that do not name the changed side."""
    return [
        red
        for red in found.confirmed
        if red.verdict == "failed"
        and (red.culprit is None or f"@{CHANGED}/" not in red.culprit.api)
    ]


def _print_figures(report: _Report, console: Console) -> None:
    all_found, count = report.found, len(report.found)
    outcomes = Counter(found.outcome for found in all_found)
    caught = count - outcomes["survived"] - outcomes["unreached"]
    kinds = ", ".join(
        f"{outcomes[each]} {_WORDS[each]}"
        for each in ("red", "start", "died", "time", "broken")
        if outcomes[each]
    )
    _line(console, f"caught {caught} of {count} ({report.share:.1f} %)"
                   + (f": {kinds}" if kinds else ""))  # fmt: skip
    if survivors := count - caught:
        ran = count - outcomes["unreached"]
        _line(
            console,
            f"survived {survivors}; no cell runs {outcomes['unreached']} of these"
            + (f", and of the others {percentage(caught, ran):.1f} % are caught" if ran else ""),
        )
    if tested := [found for found in all_found if found.tests]:
        alone = sum(found.tests == "caught" for found in tested)
        both = sum(found.caught or found.tests == "caught" for found in tested)
        _line(
            console,
            f"the unit tests alone catch {alone} of {len(tested)} "
            f"({percentage(alone, len(tested)):.1f} %); "
            f"with the matrix {both} ({percentage(both, len(tested)):.1f} %)",
        )
    _print_culprits(all_found, console)
    if once := sum(len(found.unconfirmed) for found in all_found):
        _line(console, f"red once, and not again: {once}")


def _print_culprits(all_found: Sequence[Found], console: Console) -> None:
    if errors := sum(found.outcome == "red" and found.blame is None for found in all_found):
        _line(console, f"no cell failed, and so none names a culprit: {errors} red by errors alone")
    if line := culprit_line(all_found):
        _line(console, line)


def _place(change: Change) -> str:
    path = f"{change.module.replace('.', '/')}.py:{change.line}"
    return f"{path} {change.function}".rstrip()


def _write(report: _Report, path: Path) -> None:
    changes = [
        {
            "module": found.change.module,
            "function": found.change.function,
            "line": found.change.line,
            "operator": found.change.operator,
            "before": found.change.before,
            "after": found.change.after,
            **found_as_json(found),
            "stages": list(found.stages),
            "tests": found.tests,
        }
        for found in report.found
    ]
    data = {
        "seed": report.seed,
        "possible": report.possible,
        "excluded": report.excluded,
        "caught_percent": round(report.share, 2),
        "cells": report.cells,
        "duration_s": round(report.duration_s, 1),
        "interrupted": report.interrupted,
        "changes": changes,
    }
    write_report(data, path)


def _line(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
