"""``python -m interop mutate --peer``: change peers in other languages, and adapters."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from ..catalog import did_you_mean
from ..errors import CannotRun
from ..mutate.peers import PeerFound, PeerRunner
from ..mutate.population import sample
from ..mutate.run import Outcome
from ..mutate.texts import Text, load_texts
from ..places import CACHE_DIR
from ..run.runner import load_catalogue
from ..runtimes.prepare import Preparer
from ..signals import held, interruptible
from .mutation_report import (
    cell_lines,
    culprit_line,
    found_as_json,
    percentage,
    seed_of_week,
    write_report,
)
from .options import Stop, matching

__all__ = ["mutate_peers"]

Tell = Callable[[str], None]

_WORDS: Mapping[Outcome, str] = {
    "red": "by a red cell",
    "time": "by a time limit",
    "broken": "by the testbed's own checks",
}


@dataclass
class _Report:
    """What ran.

    Attributes:
        possible: how many changes the chosen peers have.
        unseen: how many of them the table names as not to be seen.
        missing: why peers cannot run here, by name.
        drawn: how many changes are to run.
    """

    seed: int
    possible: int
    unseen: int
    missing: Mapping[str, str]
    drawn: int
    found: list[PeerFound] = field(default_factory=list)
    cells: int = 0
    duration_s: float = 0.0
    interrupted: bool = False

    @property
    def share(self) -> float:
        """How many per cent are caught."""
        return percentage(sum(each.caught for each in self.found), len(self.found))


def mutate_peers(arguments: argparse.Namespace, console: Console) -> int:
    """Run the command, and return its exit status."""

    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if arguments.module or arguments.tests:
        raise Stop("--module and --tests concern changes of the library, which --peer leaves alone")
    chosen = _chosen(load_texts(), arguments.peer)
    drawn = [change for change in chosen if not change.unseen]
    if arguments.list:
        for change in chosen:
            tell(change.id + (f"  [{change.unseen}]" if change.unseen else ""))
        tell(f"{len(chosen)} changes, {len(chosen) - len(drawn)} of them not to be seen")
        return 0
    whole = load_catalogue()
    scenarios = {id: whole[id] for id in matching(whole, arguments.scenario, "--scenario")}
    missing = _missing(drawn, tell)
    drawn = [change for change in drawn if change.peer.name not in missing]
    if not drawn:
        raise Stop("none of the chosen peers can run here")
    seed = seed_of_week() if arguments.seed is None else arguments.seed
    if not arguments.all:
        drawn = sample(drawn, arguments.sample, seed)
    unseen = sum(bool(each.unseen) for each in chosen)
    report = _Report(seed, len(chosen), unseen, missing, len(drawn))
    tell(f"{report.possible} changes, {report.unseen} of them not to be seen; "
         f"{len(drawn)} run, seed {seed}")  # fmt: skip
    with (
        held(),  # until all is shown; the run itself is interrupted
        tempfile.TemporaryDirectory(prefix="interop-mutate-") as folder,
        PeerRunner(
            Path(folder), scenarios, lambda cache: Preparer(cache=cache),
            patience=arguments.patience, at_once=arguments.workers,
        ) as runner,
    ):  # fmt: skip
        try:
            with interruptible():
                _run(runner, drawn, report, tell)
        except KeyboardInterrupt:
            report.interrupted = True
    _print(report, tell)
    if arguments.json is not None:
        _write(report, arguments.json)
    if report.interrupted:
        raise KeyboardInterrupt
    asked = [name for name in arguments.peer if name in missing]
    if asked:
        raise Stop(f"{', '.join(asked)} cannot run here")
    return int(arguments.at_least is not None and report.share < arguments.at_least)


def _chosen(every: Sequence[Text], patterns: Sequence[str]) -> list[Text]:
    names = dict.fromkeys(change.peer.name for change in every)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = did_you_mean(pattern, names)
            raise Stop(f"--peer {pattern!r} names none of: {', '.join(names)}{close}")
    return [each for each in every if any(fnmatchcase(each.peer.name, p) for p in patterns)]


def _missing(drawn: Sequence[Text], tell: Tell) -> dict[str, str]:
    """Return why peers cannot run here, and say so."""
    missing: dict[str, str] = {}
    for peer in {change.peer.name: change.peer for change in drawn}.values():
        try:
            Preparer(cache=CACHE_DIR).command(peer)
        except CannotRun as exc:
            missing[peer.name] = str(exc)
            tell(f"not run: {peer.name}: {exc}")
    return missing


def _run(runner: PeerRunner, drawn: Sequence[Text], report: _Report, tell: Tell) -> None:
    began = time.monotonic()
    try:
        for found in runner.run(drawn):
            report.found.append(found)
            if not found.caught or found.blame in ("wrong", "unknown"):
                what = f"culprit {found.blame}" if found.caught else "survived"
                tell(f"{len(report.found)} of {len(drawn)}: {what}: {found.change.id}")
    finally:
        report.cells = runner.cells
        report.duration_s = time.monotonic() - began


def _print(report: _Report, tell: Tell) -> None:
    for found in report.found:
        if not found.caught or found.blame in ("wrong", "unknown"):
            _print_one(found, tell)
    tell("")
    if report.interrupted:
        tell(f"interrupted: {len(report.found)} of {report.drawn} changes ran")
    for name in sorted({found.change.peer.name for found in report.found}):
        of_peer = [found for found in report.found if found.change.peer.name == name]
        tell(f"{name}: caught {sum(found.caught for found in of_peer)} of {len(of_peer)}")
    if report.found:
        _print_figures(report, tell)
    tell(f"{report.cells} cells as expected with nothing changed; "
         f"seed {report.seed}, {report.duration_s:.0f} s")  # fmt: skip


def _print_one(found: PeerFound, tell: Tell) -> None:
    change = found.change
    tell("")
    tell(f"interop/peers/{change.file}:{change.line} ({change.peer.name}) "
         + (f"culprit {found.blame}" if found.caught else "no cell is red"))  # fmt: skip
    for sign, text in (("-", change.before), ("+", change.after)):
        for line in text.splitlines() or [""]:
            tell(f"  {sign} {line}")
    for line in cell_lines(found.confirmed):
        tell(line)
    for name in found.unconfirmed:
        tell(f"  red once, and not again: {name}")


def _print_figures(report: _Report, tell: Tell) -> None:
    outcomes = Counter(found.outcome for found in report.found)
    ways = ", ".join(
        f"{outcomes[each]} {words}" for each, words in _WORDS.items() if outcomes[each]
    )
    caught = sum(found.caught for found in report.found)
    tell(f"caught {caught} of {len(report.found)} ({report.share:.1f} %): {ways}")
    if line := culprit_line(report.found):
        tell(line)


def _write(report: _Report, path: Path) -> None:
    changes = [
        {
            "file": found.change.file,
            "line": found.change.line,
            "peer": found.change.peer.name,
            "before": found.change.before,
            "after": found.change.after,
            **found_as_json(found),
        }
        for found in report.found
    ]
    data = {
        "seed": report.seed,
        "possible": report.possible,
        "unseen": report.unseen,
        "not_run": report.missing,
        "caught_percent": round(report.share, 2),
        "interrupted": report.interrupted,
        "cells": report.cells,
        "duration_s": round(report.duration_s, 1),
        "changes": changes,
    }
    write_report(data, path)
