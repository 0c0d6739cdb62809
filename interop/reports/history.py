"""The history of a matrix: a small record of each run, in one folder, and what changed when.

Of a cell it keeps the verdict and a digest of what both sides wrote, generated ids left out. A full
run of 15,000 cells is 22 kB.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ..errors import TestbedError
from ..records import ROLES, CellResult, Commit, Verdict, decode, encode
from ..wire.diff import masked, texts
from .badges import badges
from .pairs import Pair, PairVerdict
from .results import Results, write_files

__all__ = [
    "CellChange",
    "Change",
    "History",
    "Record",
    "Run",
    "history",
    "keep",
    "read_history",
    "record",
]

_KEPT = 60
"""The runs that are read: the last ones."""

_DIGITS = 8

Where = str
"""A pair: ``server client``, neither of which has a space."""


class Run(Struct, frozen=True):
    """When a run was, and of what."""

    started: str
    commit: Commit | None


class State(Struct, frozen=True, array_like=True):
    """A cell of one run: its scenario's number, its verdict, and the digest of the wire's texts."""

    scenario: Annotated[int, Meta(ge=0)]
    verdict: Verdict
    wire: str = ""


class Record(Struct, frozen=True):
    """A run, in small."""

    format: Literal[1]
    run: Run
    scenarios: list[str]
    pairs: dict[Where, PairVerdict]
    cells: dict[Where, list[State]]


@dataclass(frozen=True, slots=True)
class Change:
    """A pair's verdict from a run on; `run` is that run's number."""

    run: int
    verdict: PairVerdict


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell's verdict from a run on, and whether other texts were on the wire than before."""

    run: int
    verdict: Verdict
    wire: bool


@dataclass(frozen=True, slots=True)
class History:
    """What changed, and in which run.

    Attributes:
        runs: those that are known, the oldest first; the last one is the one that is shown.
        pairs, cells: all states of what changed at least once.
    """

    runs: Sequence[Run] = ()
    pairs: dict[Where, list[Change]] = field(default_factory=dict)
    cells: dict[Where, dict[str, list[CellChange]]] = field(default_factory=dict)


def record(results: Results, pairs: Iterable[Pair]) -> Record:
    """Return the record of a run."""
    numbers: dict[str, int] = {}
    cells: dict[Where, list[State]] = {}
    for cell in results.cells:
        number = numbers.setdefault(cell.scenario, len(numbers))
        state = State(number, cell.verdict, _digest(cell))
        cells.setdefault(f"{cell.server} {cell.client}", []).append(state)
    found = {f"{pair.server} {pair.client}": pair.verdict for pair in pairs}
    return Record(1, Run(results.started, results.commit), list(numbers), found, cells)


def history(records: Iterable[Record]) -> History:
    """Return what changed in these runs, in the order of their time."""
    ordered = sorted(records, key=lambda each: each.run.started)
    pairs: dict[Where, list[Change]] = {}
    cells: dict[Where, dict[str, list[CellChange]]] = {}
    wires: dict[tuple[Where, str], str] = {}
    for number, each in enumerate(ordered):
        for where, verdict in each.pairs.items():
            before = pairs.setdefault(where, [])
            if not before or before[-1].verdict != verdict:
                before.append(Change(number, verdict))
        for where, states in each.cells.items():
            of_pair = cells.setdefault(where, {})
            for state in states:
                name = each.scenarios[state.scenario]
                known = of_pair.setdefault(name, [])
                wire = bool(known) and wires[where, name] != state.wire
                if wire or not known or known[-1].verdict != state.verdict:
                    known.append(CellChange(number, state.verdict, wire))
                wires[where, name] = state.wire
    return History(
        [each.run for each in ordered],
        {where: found for where, found in pairs.items() if len(found) > 1},
        {
            where: changed
            for where, found in cells.items()
            if (changed := {name: states for name, states in found.items() if len(states) > 1})
        },
    )


def read_history(directory: Path) -> list[Record]:
    """Return the records of a folder, those of the last runs; none if there is no such folder.

    Raises:
        TestbedError: one of them cannot be read.
    """
    found = []
    for path in sorted((directory / "runs").glob("*.json.gz"))[-_KEPT:]:
        try:
            found.append(decode(gzip.decompress(path.read_bytes()), Record))
        except (OSError, EOFError, ValueError) as exc:
            raise TestbedError(f"--history {path}: not the record of a run: {exc}") from exc
    return found


def keep(directory: Path, results: Results, pairs: Sequence[Pair]) -> None:
    """Write a run's record into a folder, and the badges if the run was whole.

    Raises:
        TestbedError: they cannot be written.
    """
    name = re.sub(r"\D", "", results.started.partition("+")[0])
    data = gzip.compress(encode(record(results, pairs)), mtime=0)
    write_files(directory / "runs", {f"{name}.json.gz": data})
    if results.broken or results.stopped:
        return
    for folder, files in badges(pairs).items():
        made = {name: msgspec.json.encode(badge) for name, badge in files.items()}
        write_files(directory / folder, made)


def _digest(cell: CellResult) -> str:
    """Return a digest of the first texts of both sides, in no order; empty where there are none."""
    wrote = [{masked(text) for text in texts(cell, side)} for side in ROLES]
    if not any(wrote):
        return ""
    joined = "\0\0".join("\0".join(sorted(side)) for side in wrote)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
