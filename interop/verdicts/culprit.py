"""The culprit of a red cell: the side, the frame and the evidence for it. Pure.

Five kinds of evidence, each the `Culprit.basis` of its name, in this order:

``unsupported``
    one side answered "unsupported", and its ``peer.toml`` does not declare it;
``frame``
    one side alone wrote an invalid frame or message, or wrote one first;
``uncaught``
    one side alone let an exception escape its library;
``judge``
    the other side is the judge itself;
``row``, ``column``
    the scenario fails only with this side: the server fails with each client and this client
    passes with another server, or the other way round.

The first three show in the cell itself, the others in the matrix. Without any of
them the side is ``unknown``, and `Culprit.why` says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ..catalog import JUDGES
from ..records import OTHER, ROLES, CellResult, Culprit, Role
from ..wire.diff import canonical

__all__ = ["by_evidence", "by_matrix", "name_culprits", "undeclared"]

_JUDGES = {api.id for api in JUDGES.values()}
_BY_MATRIX = ("row", "column", "")
"""The kinds of evidence that further cells may change."""

_RED = ("failed", "warned", "deviating", "flaky")


def by_evidence(cell: CellResult) -> Culprit | None:
    """Return the side that the cell's own evidence convicts, or None where it convicts neither."""
    judged = [violation for violation in cell.violations if not violation.excused]
    if judged:
        first = min(judged, key=lambda each: -1 if each.frame is None else each.frame)
        where = "" if first.frame is None else f" in frame {first.frame}"
        why = f"the {first.author} wrote {first.violation}{where}"
        return Culprit(first.author, why, "frame", cell.api(first.author), first.frame)
    if cell.escapes:
        return None
    told = [(side, notes) for side in ROLES if (notes := _uncaught(cell, side))]
    if len(told) != 1:
        return None
    side, (note, *_) = told[0]
    why = f"the {side} alone let an exception escape: {note.get('message', '')}"
    when = note.get("t_ms", math.inf)
    return Culprit(side, why, "uncaught", cell.api(side), _last_frame_to(cell, side, when))


def by_matrix(cell: CellResult, same_scenario: Iterable[CellResult]) -> Culprit:
    """Return the side that the scenario's other cells convict, or say why they do not.

    Args:
        cell: a red cell.
        same_scenario: the cells of its scenario, itself included.
    """
    for side in ROLES:
        if cell.api(OTHER[side]) in _JUDGES:
            why = "the other side is the judge itself"
            return Culprit(side, why, "judge", cell.api(side))
    cells = list(same_scenario)
    passes = {
        side: [c for c in cells if c.api(side) == cell.api(side) and _holds(c)] for side in ROLES
    }
    if bool(passes["server"]) == bool(passes["client"]):
        if passes["server"]:
            why = "both sides pass with others: only this pair fails"
        elif any(_violated(c) and c is not cell for c in cells):
            why = "neither side passes with any other"
        else:
            why = "there is no other cell of this scenario to compare with"
        return Culprit("unknown", why)
    side = "client" if passes["server"] else "server"
    api, other = cell.api(side), cell.api(OTHER[side])
    good = passes[OTHER[side]]
    fails = sum(c.api(side) == api and _violated(c) for c in cells)
    why = f"{api} fails in all its cells ({fails}), {other} passes with other {side}s ({len(good)})"
    basis: Literal["row", "column"] = "row" if side == "server" else "column"
    return Culprit(side, why, basis, api, _odd_frame(cell, side, good[0]))


def name_culprits(cells: Sequence[CellResult]) -> None:
    """Name by the whole matrix the culprit of each red cell whose own evidence names none.

    A culprit that a narrower matrix named is named anew.
    """
    scenarios: dict[str, list[CellResult]] = {}
    for cell in cells:
        scenarios.setdefault(cell.scenario, []).append(cell)
    for cell in cells:
        if _violated(cell) and (cell.culprit is None or cell.culprit.basis in _BY_MATRIX):
            cell.culprit = by_matrix(cell, scenarios[cell.scenario])


def _violated(cell: CellResult) -> bool:
    """Whether the scenario failed (unexpected passes excluded)."""
    return cell.verdict in _RED and bool(cell.raised)


def _holds(cell: CellResult) -> bool:
    """Whether the scenario passed (unexpected passes included)."""
    ran = cell.verdict in ("passed", *_RED) and not _is_undeclared(cell)
    return ran and not _violated(cell)


def undeclared(cell: CellResult, side: Role) -> Culprit:
    """Return the side that answered "unsupported" although its ``peer.toml`` does not say so."""
    why = f"the {side} answered unsupported to what it is not declared to lack"
    return Culprit(side, why, "unsupported", cell.api(side))


def _is_undeclared(cell: CellResult) -> bool:
    return cell.culprit is not None and cell.culprit.basis == "unsupported"


def _uncaught(cell: CellResult, side: Role) -> list[Mapping[str, Any]]:
    notes = cell.notifications
    if notes is None:
        return []
    lists = [notes.server] if side == "server" else notes.clients
    return [note for each in lists for note in each if note["on"] == "uncaught"]


def _odd_frame(cell: CellResult, side: Role, good: CellResult) -> int | None:
    """Return the index of the frame that shows the fault, if frames show it.

    That is the first that the same side of a good cell writes otherwise, or, where it wrote
    less than there, the last that it had received and did not answer.
    """
    here, there = _texts(cell, side), _texts(good, side)
    if _is_cut(cell) or _is_cut(good):  # the rest of a long burst was not kept
        here, there = here[: len(there)], there[: len(here)]
    for number, (index, text) in enumerate(here):
        if number >= len(there) or canonical(text) != canonical(there[number][1]):
            return index
    return _last_frame_to(cell, side, math.inf) if len(here) < len(there) else None


def _is_cut(cell: CellResult) -> bool:
    return cell.frames_total > len(cell.frames)


def _texts(cell: CellResult, side: Role) -> list[tuple[int, str]]:
    return [
        (index, frame.text)
        for index, frame in enumerate(cell.frames)
        if frame.author == side and frame.kind == "text"
    ]


def _last_frame_to(cell: CellResult, side: Role, when: float) -> int | None:
    """Return the index of the last frame that `side` had received by then."""
    return max(
        (i for i, frame in enumerate(cell.frames) if frame.to == side and frame.t_ms <= when),
        default=None,
    )
