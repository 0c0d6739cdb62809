"""A cell's evidence as the report's page takes it: plain data, with secrets left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..records import OTHER, ROLES, CellResult, Role
from ..wire.diff import differences, masked, texts
from .causes import told
from .hints import Hints
from .timeline import frame_words, rows

__all__ = ["breaches", "evidence"]

_SHOWN_FRAMES = 5
"""The frames that are named of those with the same breach."""

Data = dict[str, Any]


def evidence(cell: CellResult, beside: Sequence[CellResult], hints: Hints) -> Data:
    """Return what is shown of a cell; what it does not have is absent.

    Args:
        beside: the cells of its scenario, among which one that passes is looked for.
    """
    found: Data = {
        "rows": _rows(cell),
        "excuses": [str(excuse) for excuse in cell.excuses],
        "unshown": [str(excuse) for excuse in cell.unshown],
        "acts": cell.acts,
        "violations": breaches(cell),
        "runs": [
            {"run": run.run, "verdict": run.verdict, "reason": run.reason} for run in cell.runs
        ],
        "show": hints.show(cell),
        "again": hints.again(cell),
    }
    if cell.verdict != "passed":
        found["raised"] = cell.raised or ""
        found["vanished"] = cell.vanished
        if cell.culprit is not None:
            found["culprit"] = _culprit(cell)
        if (error := told(cell)) is not None:
            found["told"] = {"side": error.side, "verb": error.verb, "message": error.message}
        if (other := _difference(cell, beside)) is not None:
            found["difference"] = other
    return _present(found)


def breaches(cell: CellResult) -> list[tuple[str, str]]:
    """Return the breaches of the wire's rules in words, each kind once, with its frames."""
    kinds: dict[tuple[bool, str], list[int]] = {}
    for each in cell.violations:
        rule = f" ({each.rule})" if each.rule else ""
        key = each.excused, f"the {each.author} wrote {each.violation}{rule}"
        found = kinds.setdefault(key, [])
        if each.frame is not None:
            found.append(each.frame)
    return [
        (f"Breach of the wire's rules{', provoked' if excused else ''}", f"{words}{_in(found)}")
        for (excused, words), found in kinds.items()
    ]


def _in(frames: Sequence[int]) -> str:
    if not frames:
        return ""
    shown = ", ".join(map(str, frames[:_SHOWN_FRAMES]))
    more = f" and {len(frames) - _SHOWN_FRAMES} more" if len(frames) > _SHOWN_FRAMES else ""
    return f" in frame{'s' if len(frames) > 1 else ''} {shown}{more}"


def _present(data: Data) -> Data:
    """Return data without what is empty; a 0 stays."""
    return {
        key: value
        for key, value in data.items()
        if value is not None and value is not False and value not in ("", [])
    }


def _culprit(cell: CellResult) -> Data:
    culprit = cell.culprit
    assert culprit is not None
    return _present(
        {"side": culprit.side, "api": culprit.api, "why": culprit.why, "frame": culprit.frame}
    )


def _rows(cell: CellResult) -> list[Data]:
    breaches: dict[int, list[str]] = {}
    for each in cell.violations:
        if each.frame is not None:
            words = f"{each.violation} (provoked)" if each.excused else each.violation
            breaches.setdefault(each.frame, []).append(words)
    several = any(frame.connection > 1 for frame in cell.frames)
    found = []
    for row in rows(cell):
        data: Data = {"t": round(row.t_ms, 1), "at": row.column, "text": row.text, "tail": row.tail}
        if row.frame is not None:
            frame = cell.frames[row.frame]
            text, tail = frame_words(frame)
            data |= {"text": text, "tail": tail, "frame": row.frame}
            data |= {"by": frame.author, "to": frame.to, "breach": breaches.get(row.frame, [])}
            if several:
                data["connection"] = frame.connection
        data["bad"] = row.bad
        if row.gap:
            data["gap"] = row.gap
            data["text"] = row.text.removeprefix("-> ").removeprefix("<- ")
        found.append(_present(data))
    return found


def _difference(cell: CellResult, beside: Sequence[CellResult]) -> Data | None:
    """Return in what the texts of the side at fault differ from those of one that passes there."""
    side = _side(cell)
    if side is None:
        return None
    wrote = texts(cell, side)
    for each in beside:
        same = each.api(OTHER[side]) == cell.api(OTHER[side])
        if not (same and each.verdict == "passed" and (others := texts(each, side))):
            continue
        found = [
            {"words": words, "mine": masked(mine), "other": masked(other)}
            for mine, other in zip(wrote, others, strict=False)
            if (words := differences(other, mine))
        ]
        return {
            "side": side,
            "api": each.api(side),
            "texts": found,
            "counts": [len(wrote), len(others)],
        }
    return None


def _side(cell: CellResult) -> Role | None:
    if cell.culprit is not None and cell.culprit.side in ROLES:
        return "server" if cell.culprit.side == "server" else "client"
    return cell.excuses[0].role if cell.excuses else None
