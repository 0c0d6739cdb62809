"""The red cells of a run, grouped by their cause, and causes by their culprit. Pure.

One defect turns many cells red. They have the same culprit, and failures of the same form: texts
that are equal once ids, numbers and times are left out. It may show in several forms, so what one
culprit is at fault for stays together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from ..catalog import JUDGE_IDS, is_id, program_of
from ..records import OTHER, ROLES, CellResult, CulpritSide, Role
from ..spec.rules import quoted
from ..wire.diff import masked
from .compatibility import is_plain
from .results import culprit_line, shortened

__all__ = [
    "DIRECT",
    "Blame",
    "Cause",
    "Told",
    "blames",
    "causes",
    "counted",
    "details",
    "form",
    "others",
    "told",
]

_NUMBER = re.compile(r"(?:(?<![\w.-])-)?\d+(?:[.,]\d+)*")
_QUOTED = re.compile(r"""(["']).*\1""")
_NESTED = re.compile(r"\{.*\}|\[.*\]")
_VERSION = re.compile(r"(?<=@)[\w.]+(?=/)")
DIRECT = ("frame", "form", "unsupported", "uncaught", "expectation")
"""The evidence whose words are the judge's own, alike whatever the other side makes of it."""

_BASES = (
    "frame", "form", "unsupported", "uncaught", "trace", "judge", "row", "column", "judged",
    "reported",
)  # fmt: skip
"""What names a culprit, the most direct evidence first; others come last."""


_MOST_OF_WORDS = 100
"""The characters that are shown of what an example failed with."""


@dataclass(frozen=True, slots=True)
class Told:
    """An error that a side's library reported to its application, or let escape.

    Attributes:
        what: ``error`` for its error callback, ``uncaught`` for an exception that escaped.
    """

    side: Role
    api: str
    what: Literal["error", "uncaught"]
    message: str

    @property
    def verb(self) -> str:
        return "reported" if self.what == "error" else "let escape"

    def __str__(self) -> str:
        return f"{self.side} {self.api} {self.verb}: {self.message}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Red cells with the same cause.

    Attributes:
        side, apis: the culprit's side, and its rows or columns; both empty for cells without one.
        cells: the cells, all of one severity, the plainest first: that is the example.
        form: the failure's text, with ids, numbers and times left out.
    """

    side: CulpritSide | Literal[""]
    apis: tuple[str, ...]
    form: str
    cells: tuple[CellResult, ...]

    @property
    def example(self) -> CellResult:
        return self.cells[0]

    @property
    def is_should(self) -> bool:
        """Whether all of it breaks what is a *should*."""
        return all(cell.verdict == "warned" for cell in self.cells)

    @property
    def size(self) -> str:
        """How much of the run it concerns."""
        return _size(self.cells)

    @property
    def words(self) -> str:
        """How much of the run it concerns, and what the example failed with."""
        said = self.example.defect or self.example.reason
        return f"{self.size}: {shortened(said, _MOST_OF_WORDS)}"


@dataclass(frozen=True, slots=True)
class Blame:
    """What one culprit is at fault for: its causes, the most harmful first."""

    causes: tuple[Cause, ...]

    @property
    def culprit(self) -> str:
        """The culprit in words: its side, and its rows or columns."""
        apis = sorted({api for cause in self.causes for api in cause.apis})
        example = self.causes[0].example
        if (name := _outside(example)) and example.verdict != "error":
            return name
        if not apis:
            return "culprit unknown" if self.causes[0].side else "no side at fault"
        names = ", ".join(api.partition("/")[2] for api in apis)
        return f"{self.causes[0].side} {program_of(apis[0])}/{names}"

    @property
    def size(self) -> str:
        """How many cells, scenarios and pairs it has."""
        return _size([cell for cause in self.causes for cell in cause.cells])

    @property
    def heading(self) -> str:
        """The culprit, how much of the run it concerns, and how many causes that has."""
        count = len(self.causes)
        kinds = f"; {count} kinds of failure, the most harmful first" if count > 1 else ""
        return f"{self.culprit}: {self.size}{kinds}"

    @property
    def is_should(self) -> bool:
        """Whether all of it breaks what is a *should*."""
        return all(cause.is_should for cause in self.causes)


def blames(cells: Iterable[CellResult]) -> list[Blame]:
    """Group the causes of red cells by their culprit: in the order of each one's first cause."""
    found: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes(cells):
        # Without a side at fault, an error of the testbed and a failure have nothing in common.
        key = _blamed(cause.example) if cause.side else ("", cause.example.verdict)
        found.setdefault(key, []).append(cause)
    return [Blame(tuple(group)) for group in found.values()]


def causes(cells: Iterable[CellResult]) -> list[Cause]:
    """Group cells by their cause, the most harmful first.

    What breaks a *must* is never of one cause with what breaks a *should*, and comes before it;
    then one that shows in plain use, then one that concerns more pairs, then one with more direct
    evidence. Errors of the testbed come before all others, since they leave open what holds.
    """
    groups: dict[tuple[str, str, str, str], list[CellResult]] = {}
    for cell in cells:
        groups.setdefault(_key(cell), []).append(cell)
    return sorted((_cause(form, group) for (*_, form), group in groups.items()), key=_rank)


def told(cell: CellResult) -> Told | None:
    """Return the error of a side that explains a red cell best, or None where none was reported.

    The side that is not at fault is the one that tells what it could not read. Its last error is
    meant: one that a scenario provokes on its way comes before the failure.
    """
    culprit = cell.culprit.side if cell.culprit is not None else "unknown"
    first = OTHER[culprit] if culprit in ROLES else None
    sides = [first, OTHER[first]] if first is not None else [*reversed(ROLES)]
    for side in sides:
        for note in reversed(_errors(cell, side)):
            message = " ".join(str(note.get("message", "")).split())
            if message:
                return Told(side, cell.api(side), note["on"], message)
    return None


def form(text: str) -> str:
    """Return a failure's text without what differs between failures of one kind.

    That is what it quotes, too: the message that could not be read, the event that did not come.
    """
    line = " ".join(_VERSION.sub("N", masked(text)).partition("\n")[0].split())
    return _NUMBER.sub("N", _NESTED.sub("…", _QUOTED.sub("…", line)))


def details(cell: CellResult) -> list[str]:
    """Return what is known of a red cell beside its reason.

    That is the rules that it broke, the other side's error, and the culprit.
    """
    error = told(cell)
    new = error is not None and error.message not in " ".join(cell.reason.split())
    lines = [f"rule {rule}" for rule in quoted(cell.broken)]
    return [*lines, *([shortened(str(error))] if new else []), *filter(None, [culprit_line(cell)])]


def others(cause: Cause, most: int) -> str:
    """Return the topics of a cause's other cells with their numbers; empty if there are none.

    Args:
        most: how many are named; the others are counted.
    """
    topics: dict[str, list[str]] = {}
    for cell in cause.cells[1:]:
        topics.setdefault(cell.scenario.partition(".")[0], []).append(cell.scenario)
    ordered = sorted(topics.items(), key=lambda each: (-len(each[1]), each[0]))
    named = [
        f"{names[0] if len(set(names)) == 1 else _glob(names)} ({len(names)})"
        for _, names in ordered
    ]
    more = [f"and {counted(len(named) - most, 'more topic')}"] if len(named) > most else []
    return "also " + ", ".join([*named[:most], *more]) if named else ""


def _glob(names: Sequence[str]) -> str:
    """Return the narrowest pattern for scenarios of one topic."""
    columns = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = [parts[0] for parts in takewhile(lambda parts: len({*parts}) == 1, columns)]
    return ".".join([*shared, "*"])


def _outside(cell: CellResult) -> str:
    """Return the name of what was judged, if the testbed does not control it; else nothing.

    It is no id of the catalogue, as that of every other row or column is.
    """
    names = {cell.server, cell.client} - JUDGE_IDS
    return next((name for name in names if len(names) == 1 and not is_id(name)), "")


def _size(cells: Sequence[CellResult]) -> str:
    scenarios = {cell.scenario for cell in cells}
    pairs = {(cell.server, cell.client) for cell in cells}
    if all(map(_outside, cells)):
        return counted(len(cells), "scenario")
    two = {pair for pair in pairs if JUDGE_IDS.isdisjoint(pair)}
    counts = (len(cells), "cell"), (len(scenarios), "scenario"), (len(two), "pair")
    words = ", ".join(counted(count, noun) for count, noun in counts if count)
    alone = "" if two == pairs else " and alone" if two else ", alone"
    return words + alone


def counted(count: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{count} {noun}" + "s" * (count != 1)


def _errors(cell: CellResult, side: Role) -> list[dict[str, Any]]:
    notes = cell.notifications
    if notes is None:
        return []
    lists = [notes.server] if side == "server" else notes.clients
    found = [note for each in lists for note in each if note["on"] in ("error", "uncaught")]
    return sorted(found, key=lambda note: note.get("t_ms", 0.0))


def _key(cell: CellResult) -> tuple[str, str, str, str]:
    """Return what the cells of one cause have in common; the last is the failure's form."""
    level = "" if cell.verdict == "error" else cell.severity
    return level, *_alike(cell)


def _alike(cell: CellResult) -> tuple[str, str, str]:
    side, peer = _blamed(cell)
    if cell.culprit is not None and cell.culprit.basis in DIRECT:
        return side, peer, form(cell.culprit.why)
    if (other := told(cell)) is not None:
        return side, peer, form(other.message)
    if cell.culprit is not None and cell.culprit.basis == "trace":
        return side, peer, form(cell.culprit.why)
    return side, peer, form(cell.defect or cell.raised or cell.reason)


def _blamed(cell: CellResult) -> tuple[str, str]:
    """Return the culprit's side and its peer: one library's APIs share its defects."""
    if cell.culprit is None:
        return "", ""
    return cell.culprit.side, program_of(cell.culprit.api)


def _cause(form: str, cells: Sequence[CellResult]) -> Cause:
    ordered = sorted(cells, key=_plainness)
    culprits = [cell.culprit for cell in ordered if cell.culprit is not None]
    apis = sorted({culprit.api for culprit in culprits if culprit.api})
    return Cause(culprits[0].side if culprits else "", tuple(apis), form, tuple(ordered))


def _plainness(cell: CellResult) -> tuple[bool, bool, int, tuple[str, str, str]]:
    """Order the cells of one cause: the first is to show it with the least around it."""
    frame = cell.culprit is not None and cell.culprit.frame is not None
    return cell.severity != "must", not frame, cell.frames_total, cell.key


def _rank(cause: Cause) -> tuple[bool, bool, bool, int, int, int, str]:
    error = any(cell.verdict == "error" for cell in cause.cells)
    must = any(cell.severity == "must" for cell in cause.cells)
    plain = any(is_plain(cell.scenario) for cell in cause.cells)
    pairs = len({(cell.server, cell.client) for cell in cause.cells})
    bases = {cell.culprit.basis for cell in cause.cells if cell.culprit is not None}
    evidence = min((_BASES.index(basis) for basis in bases if basis in _BASES), default=len(_BASES))
    return not error, not must, not plain, -pairs, evidence, -len(cause.cells), cause.form
