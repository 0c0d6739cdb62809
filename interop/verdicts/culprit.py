"""Whose fault a red cell is: the side, the frame and how that is known. Pure.

Five things tell, in this order:

``frame``
    one side alone wrote what may not be on the wire, or wrote it first;
``unsupported``
    one side answered that, and its ``peer.toml`` does not say so;
``uncaught``
    one side alone let an exception escape its library;
``judge``
    the other side is the judge itself;
``row``, ``column``
    the same scenario passes with every part of this cell but one: its server fails with each
    client and this client passes with another server, or the other way round.

Where none of them tells, the side is ``unknown``, and `Culprit.why` says what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..wire.diff import canonical

__all__ = ["Culprit", "by_evidence", "by_matrix", "name_culprits"]

Cell = Mapping[str, Any]
Side = Literal["server", "client", "unknown"]

_RED = ("failed", "warned", "deviating", "flaky")
_SIDES: tuple[Literal["server", "client"], ...] = ("server", "client")


@dataclass(frozen=True, slots=True)
class Culprit:
    """One side of a cell, or ``unknown``.

    Attributes:
        api: the row or column, empty where unknown.
        basis: which of them told, empty where unknown.
        why: that in words.
        frame: index into the cell's frames of the one at fault, or of the one that the side had
            received when it failed. None where no frame shows the fault.
    """

    side: Side
    why: str
    basis: str = ""
    api: str = ""
    frame: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if self.side == "unknown":
            return f"unknown: {self.why}"
        frame = "" if self.frame is None else f", frame {self.frame}"
        return f"{self.side} {self.api}{frame}: {self.why}"


def by_evidence(cell: Cell) -> Culprit | None:
    """Return the side that the cell's own evidence convicts, or None where it convicts nobody."""
    if match := _undeclared(cell):
        side = _side(match[1])
        why = f"the {side} answered unsupported to what it is not declared to lack"
        return Culprit(side, why, "unsupported", cell[side])
    judged = [v for v in cell.get("violations", ()) if not v.get("excused")]
    if judged:
        first = min(judged, key=lambda v: v.get("frame", -1))
        side, what, frame = first["author"], first["violation"], first.get("frame")
        where = "" if frame is None else f" in frame {frame}"
        return Culprit(side, f"the {side} wrote {what}{where}", "frame", cell[side], frame)
    if cell.get("escapes"):
        return None
    told = [(side, notes) for side in _SIDES if (notes := _uncaught(cell, side))]
    if len(told) != 1:
        return None
    side, (note, *_) = told[0]
    why = f"the {side} alone let an exception escape: {note.get('message', '')}"
    return Culprit(side, why, "uncaught", cell[side], _last_frame_to(cell, side, note))


def by_matrix(cell: Cell, same_scenario: Iterable[Cell]) -> Culprit:
    """Return the side that the scenario's other cells convict, or say why they do not.

    Args:
        cell: a red cell.
        same_scenario: the cells of its scenario, itself included.
    """
    for side, other in (("server", "client"), ("client", "server")):
        if cell[other].startswith("judge/"):
            why = "the other side is the judge itself"
            return Culprit(_side(side), why, "judge", cell[side])
    cells = list(same_scenario)
    passes = {
        side: sum(c[side] == cell[side] and not _failed(c) and _ran(c) for c in cells)
        for side in ("server", "client")
    }
    server_passes, client_passes = passes["server"] > 0, passes["client"] > 0
    if server_passes == client_passes:
        if server_passes:
            why = "both sides pass with others: only this pair fails"
        elif any(_failed(c) and c is not cell for c in cells):
            why = "neither side passes with any other"
        else:
            why = "there is no other cell of this scenario to compare with"
        return Culprit("unknown", why)
    side, other = ("client", "server") if server_passes else ("server", "client")
    fails = sum(c[side] == cell[side] and _failed(c) for c in cells)
    why = (
        f"{cell[side]} fails in all its cells ({fails}), "
        f"{cell[other]} passes with other {side}s ({passes[other]})"
    )
    basis = "row" if side == "server" else "column"
    good = next(c for c in cells if c[other] == cell[other] and not _failed(c) and _ran(c))
    return Culprit(_side(side), why, basis, cell[side], _odd_frame(cell, side, good))


def name_culprits(cells: Sequence[dict[str, Any]]) -> None:
    """Give each red cell its ``culprit``, by its own evidence or else by the whole matrix."""
    scenarios: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        scenarios.setdefault(cell["scenario"], []).append(cell)
    for cell in cells:
        if _failed(cell) or _undeclared(cell):
            found = by_evidence(cell) or by_matrix(cell, scenarios[cell["scenario"]])
            cell["culprit"] = found.to_json()


def _failed(cell: Cell) -> bool:
    """Whether a rule did not hold: not so in a cell that is red because it passed."""
    return cell["verdict"] in _RED and bool(cell.get("raised"))


def _ran(cell: Cell) -> bool:
    return cell["verdict"] in ("passed", *_RED) and not _undeclared(cell)


def _undeclared(cell: Cell) -> re.Match[str] | None:
    return re.match("unsupported, but not declared: (server|client) ", cell.get("reason", ""))


def _side(name: str) -> Side:
    return "server" if name == "server" else "client"


def _uncaught(cell: Cell, side: str) -> list[Mapping[str, Any]]:
    notes = cell.get("notifications", {})
    lists = [notes.get("server", [])] if side == "server" else notes.get("clients", [])
    return [note for each in lists for note in each if note["on"] == "uncaught"]


def _odd_frame(cell: Cell, side: str, good: Cell) -> int | None:
    """Return the index of the frame that shows the fault, if frames show it.

    That is the first that the same side of a good cell writes otherwise, or, where it wrote
    less than there, the last that it had received and did not answer.
    """
    here, there = _texts(cell, side), _texts(good, side)
    if _is_cut(cell) or _is_cut(good):  # of a long burst the rest is not known
        here, there = here[: len(there)], there[: len(here)]
    for number, (index, text) in enumerate(here):
        if number >= len(there) or canonical(text) != canonical(there[number][1]):
            return index
    return _last_frame_to(cell, side, {}) if len(here) < len(there) else None


def _is_cut(cell: Cell) -> bool:
    frames = len(cell.get("frames", ()))
    return bool(cell.get("frames_total", frames) > frames)


def _texts(cell: Cell, side: str) -> list[tuple[int, str]]:
    return [
        (index, frame.get("text", ""))
        for index, frame in enumerate(cell.get("frames", ()))
        if frame["author"] == side and frame.get("kind") == "text"
    ]


def _last_frame_to(cell: Cell, side: str, note: Mapping[str, Any]) -> int | None:
    """Return the index of the last frame that `side` had received when it gave that note."""
    when = note.get("t_ms", float("inf"))
    return max(
        (i for i, f in enumerate(cell.get("frames", ())) if f["to"] == side and f["t_ms"] <= when),
        default=None,
    )
