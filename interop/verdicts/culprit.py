"""The culprit of a red cell: the side, the frame and the evidence for it. Pure.

The kinds of evidence, each the `Culprit.basis` of its name, in this order:

``unsupported``
    one side answered "unsupported", and its ``peer.toml`` does not declare it;
``frame``
    one side alone wrote an invalid frame or message, or wrote one first;
``form``
    what one side failed to read has a legal form that its writer never used before, or that no
    other implementation uses: the writer;
``uncaught``
    one side alone let an exception escape its library;
``judge``
    the other side is the judge itself;
``row``, ``column``
    the scenario fails only with this side: the server fails with each client and this client
    passes with another server, or the other way round;
``trace``
    an event got lost or changed in this side's library, as `trace` follows it;
``judged``
    this side fails with the judge where the other does not, in scenarios of the same family, or
    else in any;
``reported``
    it is the side that did not report what it had to;
``expectation``
    nothing failed, and this side did what it is declared to lack, or expected to fail at.

The first four show in the cell itself, the others in the matrix and in the records of the peers.
Without any of them the side is ``unknown``, and `Culprit.why` says what is missing.

A frame is named where one shows the fault: the one that this side wrote or read wrongly or left
unanswered; by the matrix, the first that it writes otherwise than what passes in its place; with
the judge, else, the last that it wrote or received.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ..catalog import JUDGE_IDS, peer_of
from ..records import OTHER, ROLES, CellResult, Culprit, FrameRecord, Role
from ..wire.diff import canonical
from .forms import recorded_forms
from .trace import Fault, faults

__all__ = ["better", "by_evidence", "by_matrix", "name_culprits", "undeclared"]

_CERTAIN = ("frame", "unsupported", "uncaught")
"""The kinds of evidence in the cell itself that no other cell changes, but that an exception may be
one which always escapes there."""

_RED = ("failed", "warned", "deviating", "tolerated", "flaky")

Counts = Mapping[str, int]
"""By the first part of a scenario's id, or ``""`` for all of them, a number of cells."""


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
    when = note.get("t_ms", math.inf)
    last = _last_frame(cell, when, to=side)
    if last is not None and (writer := _odd_writer(cell, side, last)):
        return writer
    for fault in faults(cell):
        if (
            fault.side != side
            and fault.wrote
            and fault.frame in range(0 if last is None else last + 1)
        ):
            return _by_trace(cell, fault)
    why = f"the {side} alone let an exception escape: {note.get('message', '')}"
    return Culprit(side, why, "uncaught", cell.api(side), last)


def by_matrix(
    cell: CellResult,
    same_scenario: Iterable[CellResult],
    judged: Mapping[str, Counts] | None = None,
) -> Culprit:
    """Return the side that other cells and the peers' records convict, or say why they do not.

    Args:
        cell: a red cell.
        same_scenario: the cells of its scenario, itself included.
        judged: of each API, how many of its cells with the judge are red, by the first part of
            the scenario's id; the total is at the key ``""``.
    """
    cells = list(same_scenario)
    for side in ROLES:
        if cell.api(OTHER[side]) in JUDGE_IDS:
            why = "the other side is the judge itself"
            frame = _frame_at_fault(cell, side, _others_that_pass(cells, cell, side))
            if frame is None and not _is_cut(cell):
                frame = _last_frame(cell, math.inf, of=side)
            return Culprit(side, why, "judge", cell.api(side), frame)
    found = faults(cell)
    found = [fault for fault in found if not _is_known(cell, fault)] or found
    if found and found[0].frame is not None and not found[0].wrote:
        if writer := _odd_writer(cell, found[0].side, found[0].frame):
            return writer
    named = _row_or_column(cell, cells)
    if named.side != "unknown":
        return named
    if found:
        return _by_trace(cell, found[0])
    return _first_odd(cell) or _by_judge(cell, judged or {}) or _reported(cell) or named


def _row_or_column(cell: CellResult, cells: Sequence[CellResult]) -> Culprit:
    """Return the side that fails with all while the other passes with another."""
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
    side: Role = "client" if passes["server"] else "server"
    api, other = cell.api(side), cell.api(OTHER[side])
    good = passes[OTHER[side]]
    fails = sum(c.api(side) == api and _violated(c) for c in cells)
    why = f"{api} fails in all its cells ({fails}), {other} passes with other {side}s ({len(good)})"
    if sum(c.api(side) == api for c in cells) == 1 and _fails_with_most(cells, good, cell, side):
        why = f"{other} fails with most {side}s, and {api} has no other {OTHER[side]} here"
        side, api = OTHER[side], other
        good = _others_that_pass(cells, cell, side)
    basis: Literal["row", "column"] = "row" if side == "server" else "column"
    return Culprit(side, why, basis, api, _frame_at_fault(cell, side, good))


def _fails_with_most(
    cells: Sequence[CellResult], good: Sequence[CellResult], cell: CellResult, side: Role
) -> bool:
    """Return whether the other side fails with more peers on this side than it passes with.

    The APIs of one peer, which share their defects, count as one.
    """
    other = cell.api(OTHER[side])
    bad = [c for c in cells if c.api(OTHER[side]) == other and _violated(c)]
    failing, passing = ({peer_of(c.api(side)) for c in each} for each in (bad, good))
    return len(failing) > len(passing)


def _is_known(cell: CellResult, fault: Fault) -> bool:
    """Whether a side wrote what it has always written there, so that this is no news."""
    if not fault.wrote or fault.frame is None:
        return False
    frame, api = cell.frames[fault.frame], cell.api(fault.side)
    return recorded_forms().has(fault.side, api, cell.scenario, frame.text)


def _by_trace(cell: CellResult, fault: Fault) -> Culprit:
    where = "" if fault.frame is None else f" in frame {fault.frame}"
    why = f"the {fault.side} {fault.why}{where}"
    return Culprit(fault.side, why, "trace", cell.api(fault.side), fault.frame)


def _by_judge(cell: CellResult, judged: Mapping[str, Counts]) -> Culprit | None:
    """Return the side that fails with the judge where the other does not."""
    family = cell.scenario.partition(".")[0]
    for scope, words in ((family, f"scenarios {family}.*"), ("", "scenarios")):
        red = {side: judged.get(cell.api(side), {}).get(scope, 0) for side in ROLES}
        if bool(red["server"]) != bool(red["client"]):
            side: Role = "server" if red["server"] else "client"
            why = f"{cell.api(side)} fails {red[side]} {words} with the judge, the other side none"
            return Culprit(side, why, "judged", cell.api(side))
    return None


def _reported(cell: CellResult) -> Culprit | None:
    """Return the side whose peer did not report what it had to."""
    if (side := cell.reporter) is None:
        return None
    return Culprit(side, f"the {side} did not report what it had to", "reported", cell.api(side))


def _odd_writer(cell: CellResult, reader: Role, last: int) -> Culprit | None:
    """Return the other side if `reader` failed at a frame, up to `last`, of an odd form of its."""
    for index in range(last, -1, -1):
        if cell.frames[index].to == reader and (words := _odd(cell, cell.frames[index])):
            return _of_form(cell, OTHER[reader], index, words)
    return None


def _first_odd(cell: CellResult) -> Culprit | None:
    """Return the side that first wrote a frame of an odd form: the other may have echoed it."""
    for index, frame in enumerate(cell.frames):
        if frame.author != "judge" and (words := _odd(cell, frame)):
            return _of_form(cell, frame.author, index, words)
    return None


def _odd(cell: CellResult, frame: FrameRecord) -> str:
    """Say what is odd in the form of a side's text frame; empty where nothing is."""
    if frame.author == "judge" or frame.kind != "text":
        return ""
    api = cell.api(frame.author)
    return recorded_forms().odd(frame.author, api, cell.scenario, frame.text)


def _of_form(cell: CellResult, side: Role, index: int, words: str) -> Culprit:
    return Culprit(
        side, f"the {side} wrote {words}, in frame {index}", "form", cell.api(side), index
    )


def name_culprits(cells: Sequence[CellResult]) -> None:
    """Name the culprit of each red cell, by the whole matrix where its own evidence names none.

    A culprit that a narrower matrix named is named anew.
    """
    scenarios: dict[str, list[CellResult]] = {}
    for cell in cells:
        scenarios.setdefault(cell.scenario, []).append(cell)
    judged = _judged(cells)
    red = [cell for cell in cells if _violated(cell)]
    for cell in red:
        if cell.culprit is None or cell.culprit.basis not in _CERTAIN:
            cell.culprit = by_evidence(cell) or by_matrix(cell, scenarios[cell.scenario], judged)
    known = set(_known_escapes(red))
    for cell in red:
        if cell.verdict == "deviating" or cell.culprit is None or _escape(cell) not in known:
            continue
        if cell.reporter == OTHER[_side(cell.culprit)]:
            named = by_matrix(cell, scenarios[cell.scenario], judged)
            cell.culprit = cell.culprit if named.side == "unknown" else named
    _name_alike(cells)


def _known_escapes(cells: Iterable[CellResult]) -> Iterator[tuple[str, str]]:
    """Yield the API and the message of each exception that a known deviation is about.

    It escapes in other cells too, and need not be what is wrong there.
    """
    for cell in cells:
        if cell.verdict == "deviating" and (escape := _escape(cell)):
            yield escape


def _escape(cell: CellResult) -> tuple[str, str] | None:
    """Return the API and the message of the exception that convicts a side, if one does."""
    if cell.culprit is None or cell.culprit.basis != "uncaught":
        return None
    notes = _uncaught(cell, _side(cell.culprit))
    return (cell.culprit.api, notes[0].get("message", "")) if notes else None


def _side(culprit: Culprit) -> Role:
    return "client" if culprit.side == "client" else "server"


def _name_alike(cells: Iterable[CellResult]) -> None:
    """Convict the writer too where the same exception escaped at a text that was cut off.

    The form of such a text is not known. Of another cell of the same pair it is.
    """
    cells = [cell for cell in cells if _violated(cell)]
    known = {
        (cell.server, cell.client, note.get("message", "")): cell
        for cell in cells
        if cell.culprit is not None and cell.culprit.basis == "form"
        for side in ROLES
        for note in _uncaught(cell, side)
    }
    for cell in cells:
        blamed = cell.culprit
        escape = _escape(cell)
        if blamed is None or blamed.frame is None or escape is None:
            continue
        alike = known.get((cell.server, cell.client, escape[1]))
        if alike is None or not _length(cell.frames[blamed.frame]):
            continue
        other = OTHER[_side(blamed)]
        why = f"the same exception as in {alike.scenario}, where the {other} wrote an odd form"
        cell.culprit = Culprit(other, why, "form", cell.api(other), blamed.frame)


def _judged(cells: Iterable[CellResult]) -> dict[str, dict[str, int]]:
    """Count the unexpected red cells with the judge, by API and family."""
    found: dict[str, dict[str, int]] = {}
    for cell in cells:
        if cell.verdict in ("failed", "warned", "flaky") and _violated(cell):
            for side in ROLES:
                if cell.api(OTHER[side]) in JUDGE_IDS:
                    counts = found.setdefault(cell.api(side), {})
                    for key in ("", cell.scenario.partition(".")[0]):
                        counts[key] = counts.get(key, 0) + 1
    return found


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


def better(cell: CellResult, side: Role) -> Culprit:
    """Return the side that did what it is declared to lack, or expected to fail at."""
    why = f"the {side} did what it is declared to lack, or expected to fail at"
    return Culprit(side, why, "expectation", cell.api(side))


def _is_undeclared(cell: CellResult) -> bool:
    return cell.culprit is not None and cell.culprit.basis == "unsupported"


def _uncaught(cell: CellResult, side: Role) -> list[Mapping[str, Any]]:
    notes = cell.notifications
    if notes is None:
        return []
    lists = [notes.server] if side == "server" else notes.clients
    return [note for each in lists for note in each if note["on"] == "uncaught"]


# --- Frames -------------------------------------------------------------------------------------


def _others_that_pass(
    cells: Iterable[CellResult], cell: CellResult, side: Role
) -> list[CellResult]:
    other = cell.api(OTHER[side])
    return [c for c in cells if c.api(OTHER[side]) == other and _holds(c)]


def _frame_at_fault(cell: CellResult, side: Role, good: Sequence[CellResult]) -> int | None:
    """Return the index of the frame that shows the side's fault, if frames show it.

    That is the one that `trace` finds; else the first that the same side of a good cell writes
    otherwise; or, where it wrote less than there, the last that it had received and did not answer.
    """
    for fault in faults(cell):
        if fault.side == side and fault.frame is not None:
            return fault.frame
    for number, frame in enumerate(cell.frames):
        if frame.author == side and _odd(cell, frame):
            return number
    for kinds in (("text",), ("close", "ping", "pong")):
        if good and (index := _odd_frame(cell, side, good[0], kinds)) is not None:
            return index
    return None


def _odd_frame(cell: CellResult, side: Role, good: CellResult, kinds: Sequence[str]) -> int | None:
    here, there = _written(cell, side, kinds), _written(good, side, kinds)
    if _is_cut(cell) or _is_cut(good):  # the rest of a long burst was not kept
        here, there = here[: len(there)], there[: len(here)]
    for number, (index, said) in enumerate(here):
        if number >= len(there) or said != there[number][1]:
            return index
    return _last_frame(cell, math.inf, to=side) if len(here) < len(there) else None


def _is_cut(cell: CellResult) -> bool:
    return cell.frames_total > len(cell.frames)


def _written(
    cell: CellResult, side: Role, kinds: Sequence[str]
) -> list[tuple[int, tuple[object, ...]]]:
    """Return what a side wrote: each frame's index, and what is compared of it."""
    return [
        (index, (frame.kind, frame.code, _length(frame), canonical(frame.text)))
        for index, frame in enumerate(cell.frames)
        if frame.author == side and frame.kind in kinds
    ]


def _length(frame: FrameRecord) -> int:
    """Return the length of a frame whose text is cut; 0 of any other."""
    return 0 if len(frame.text.encode("utf-8", "surrogatepass")) == frame.length else frame.length


def _last_frame(
    cell: CellResult, when: float, *, to: Role | None = None, of: Role | None = None
) -> int | None:
    """Return the index of the last frame by then that a side had received, or, for `of`, that it
    had received or written."""
    return max(
        (
            index
            for index, frame in enumerate(cell.frames)
            if frame.t_ms <= when and (frame.to == to or of in (frame.to, frame.author))
        ),
        default=None,
    )
