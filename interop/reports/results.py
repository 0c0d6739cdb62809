"""A run's results: collected cell by cell, judged as a whole, written once.

``results.json`` is the truth; its schema is ``results.schema.json``. The
terminal's matrix, ``summary.md`` and ``junit.xml`` are made from it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import TestbedError
from ..locks import locked
from ..places import CHECKOUT, PACKAGE, version
from ..records import (
    ROLES,
    VERDICTS,
    AddedApi,
    CellResult,
    Commit,
    EngineName,
    FlakyRecord,
    PeerRecord,
    RunRecord,
    Shard,
    Verdict,
    decode,
    encode,
)

__all__ = [
    "SCHEMA_FILE",
    "Recorded",
    "Results",
    "RunFacts",
    "claimed",
    "culprit_line",
    "gates",
    "is_red",
    "known_flaky",
    "load",
    "read",
    "shortened",
    "without_middle",
    "write_files",
]

SCHEMA_FILE = PACKAGE / "results.schema.json"


@dataclass
class Results:
    """The results of one run, while they are collected and when they are written.

    Attributes:
        cells: one record a cell, in the order of rows, columns and scenarios.
        not_run: rows and columns that could not run, with the reason.
        broken: why the run is incomplete; empty if it is not.
        repeat: how often every cell was run.
        strict: whether a failed *should* was a failure.
        stopped, peers, commit, testbed, options, shard, known_flaky, added, unjudged, answer: as
            in `RunRecord`.
        folder: where they are written, as a command for one of the cells names it; None
            if no such command can read them.
    """

    started: str
    engine: EngineName
    servers: list[str]
    clients: list[str]
    not_run: dict[str, str]
    duration_s: float = 0.0
    cells: list[CellResult] = field(default_factory=list)
    broken: str = ""
    repeat: int = 1
    strict: bool = False
    stopped: str = ""
    peers: dict[str, PeerRecord] = field(default_factory=dict)
    commit: Commit | None = None
    testbed: str = "" if CHECKOUT else version()
    options: list[str] = field(default_factory=list)
    shard: Shard | None = None
    known_flaky: list[FlakyRecord] = field(default_factory=list)
    added: list[AddedApi] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    answer: str = ""
    folder: Path | None = Path("results")

    def sort(self) -> None:
        """Put the cells into the order of the matrix, and what is flaky into that of its dates."""
        rows = {name: index for index, name in enumerate(self.servers)}
        columns = {name: index for index, name in enumerate(self.clients)}
        self.cells.sort(key=lambda c: (rows[c.server], columns[c.client], c.scenario, c.verdict))
        self.known_flaky.sort(key=lambda e: (e.until, e.scenarios, e.server, e.client, e.cause))

    @property
    def counts(self) -> dict[Verdict, int]:
        return _counts(self.cells)

    @property
    def exit_status(self) -> Literal[0, 1, 2]:
        """0: as expected; 1: an unexpected result; 2: the testbed failed, or nothing was run."""
        if self.broken or not self.cells or any(cell.verdict == "error" for cell in self.cells):
            return 2
        return 1 if self.over or any(gates(cell) for cell in self.cells) else 0

    @property
    def over(self) -> list[FlakyRecord]:
        """What may not fail any more, and is still declared to: each makes the exit status 1."""
        return [each for each in self.known_flaky if each.over]

    def summary(self) -> RunRecord:
        """Return the run's own record."""
        return RunRecord(
            started=self.started,
            duration_s=round(self.duration_s, 1),
            engine=self.engine,
            servers=self.servers,
            clients=self.clients,
            not_run=self.not_run,
            repeat=self.repeat,
            strict=self.strict,
            broken=self.broken,
            stopped=self.stopped,
            exit_status=self.exit_status,
            counts=self.counts,
            peers=self.peers,
            commit=self.commit,
            testbed=self.testbed,
            options=self.options,
            shard=self.shard,
            known_flaky=self.known_flaky,
            added=self.added,
            unjudged=self.unjudged,
            answer=self.answer,
        )

    def dump(self) -> bytes:
        """Return it as ``results.json``; a cell is one line, so that lines can be searched."""
        run = msgspec.json.format(encode(self.summary()), indent=1).replace(b"\n", b"\n ")
        cells = b",\n".join(encode(cell) for cell in self.cells)
        return b'{\n "format": 1,\n "run": %s,\n "cells": [\n%s\n ]\n}\n' % (run, cells)

    def write(self, directory: Path) -> None:
        """Write ``results.json`` alone below `directory`; raises what `write_files` raises."""
        write_files(directory, {"results.json": self.dump()})


def write_files(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write files below `directory`, which is made when it is missing: all of them, or none.

    Each is written beside the file of its name and replaces it once all are written, so that an
    earlier run's files stay complete if this one is cut off.

    Raises:
        TestbedError: they cannot be written; says why.
    """
    beside = {name: directory / f".{name}.{os.getpid()}" for name in files}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            beside[name].write_bytes(data)
        for name, path in beside.items():
            path.replace(directory / name)
    except OSError as exc:
        raise TestbedError(
            f"{directory}: {exc.strerror}: nothing was written, and what was there before stays"
        ) from exc
    finally:
        with suppress(OSError):
            for path in beside.values():
                path.unlink(missing_ok=True)


class RunFacts(msgspec.Struct):
    """A run's record as it is read: earlier runs' may lack any of it. As `RunRecord`."""

    started: str = ""
    duration_s: float = 0.0
    engine: EngineName = "local"
    servers: list[str] = []
    clients: list[str] = []
    not_run: dict[str, str] = {}
    repeat: int = 1
    strict: bool = False
    broken: str = ""
    stopped: str = ""
    peers: dict[str, PeerRecord] = {}
    commit: Commit | None = None
    testbed: str = ""
    options: list[str] = []
    shard: Shard | None = None
    known_flaky: list[FlakyRecord] = []
    added: list[AddedApi] = []
    unjudged: list[str] = []
    answer: str = ""


class Recorded(msgspec.Struct):
    """A ``results.json`` as it is read."""

    format: Literal[1]
    cells: list[CellResult]
    run: RunFacts = msgspec.field(default_factory=RunFacts)

    def results(self, folder: Path) -> Results:
        """Return them as those of a run that writes below `folder`."""
        facts = msgspec.structs.asdict(self.run)
        for role in ROLES:
            present = (cell.api(role) for cell in self.cells)
            facts[f"{role}s"] = list(dict.fromkeys([*facts[f"{role}s"], *present]))
        return Results(**facts, cells=self.cells, folder=folder)


def read(path: Path, *, whole: bool = False) -> list[CellResult]:
    """Return the cells of a ``results.json``; as `load`."""
    return load(path, whole=whole).cells


def load(path: Path, *, whole: bool = False) -> Recorded:
    """Read a ``results.json``, given as the file or the folder that holds it.

    Args:
        whole: whether to require all the run's cells, each once.

    Raises:
        TestbedError: it is not there, is no results file, or is not whole; says what is wrong.
    """
    path = path / "results.json" if path.is_dir() else path
    try:
        found = decode(path.read_bytes(), Recorded)
    except OSError as exc:
        subset = path.parent / "subset" / path.name
        hint = f"; those of a run of chosen cells are in {subset.parent}" if subset.exists() else ""
        raise TestbedError(f"{path}: {exc.strerror}{hint}") from exc
    except msgspec.ValidationError as exc:
        raise TestbedError(f"{path}: not the results of a run (format 1): {exc}") from exc
    except (ValueError, RecursionError) as exc:
        raise TestbedError(f"{path}: not JSON: {exc}") from exc
    cells = found.cells
    lacks = found.run.broken or found.run.stopped or ("" if cells else "no cell ran")
    if whole and lacks:
        raise TestbedError(f"{path}: not a whole run, but {len(cells)} cells of one: {lacks}")
    counts = Counter(cell.key for cell in cells)
    if whole and (twice := [" / ".join(key) for key, count in counts.items() if count > 1]):
        raise TestbedError(f"{path}: a cell is there more than once: {twice[0]}")
    return found


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Make `directory` and hold it for one run's results, until that run has written them.

    Raises:
        TestbedError: it cannot be written, or another run holds it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(0, "not writable")
    except (FileExistsError, NotADirectoryError) as exc:
        file = next(each for each in (directory, *directory.parents) if each.exists())
        what = "that" if file == directory else file
        raise TestbedError(f"--results {directory}: {what} is not a folder") from exc
    except OSError as exc:
        raise TestbedError(f"--results {directory}: {exc.strerror}") from exc
    with ExitStack() as stack:
        try:
            # The folder itself is locked: a lock file would be one more thing among the reports.
            stack.enter_context(locked(directory, wait=False))
        except BlockingIOError as exc:
            raise TestbedError(
                f"--results {directory}: another run writes there; give each run its own folder"
            ) from exc
        yield


def gates(cell: CellResult) -> bool:
    """Whether a cell's verdict makes the exit status 1."""
    return cell.verdict in ("failed", "flaky")


def is_red(cell: CellResult) -> bool:
    """Whether a cell's verdict is not expected; that of a *should* is so too."""
    return gates(cell) or cell.verdict in ("error", "warned")


def known_flaky(entry: FlakyRecord) -> str:
    """Return in words what came of the cells that may fail or pass."""
    named = f"{', '.join(entry.scenarios)} ({entry.server} <-> {entry.client})"
    if entry.over:
        return f"{named}: may not fail any more after {entry.until}: repair it or give it more time"
    cells = f"{entry.cells} cell" + "s" * (entry.cells != 1)
    failed = f"{len(entry.failed)} of {cells} failed"
    return f"{named}: {failed}, which is tolerated until {entry.until}: {entry.cause}"


def shortened(text: str, most: int = 300) -> str:
    """Return a text in one line, without its middle if it is longer than `most` characters."""
    return without_middle(" ".join(text.split()), most)


def without_middle(text: str, most: int) -> str:
    """Return a text; of one longer than `most` characters, the beginning and the end.

    A reason may quote a message of any length, and say only behind it what became of it.
    """
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end]}… {len(text) - most:,} characters …{text[-end:]}"


def culprit_line(cell: CellResult) -> str:
    """Return the culprit of a red cell in one line; empty for a cell that has none."""
    culprit = cell.culprit
    if culprit is None:
        return ""
    why = shortened(culprit.why)
    if culprit.side == "unknown":
        return f"culprit unknown: {why}"
    return f"culprit: {culprit.side} {culprit.api} ({why}){_frame(cell, culprit.frame)}"


def _frame(cell: CellResult, index: int | None) -> str:
    """Return a frame's index and, if it was kept, its content; empty without an index."""
    if index is None:
        return ""
    kept = cell.frames[index : index + 1]
    said = [
        f": {each.author} -> {each.to} {each.kind} {shortened(each.text, 160)}" for each in kept
    ]
    return f"; frame {index}" + "".join(said)


def _counts(cells: Iterable[CellResult]) -> dict[Verdict, int]:
    counter = Counter(cell.verdict for cell in cells)
    return {verdict: counter[verdict] for verdict in VERDICTS}
