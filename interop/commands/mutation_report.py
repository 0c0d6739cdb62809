"""What ``python -m interop mutate`` reports in the same way of the library and of other peers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from ..errors import TestbedError
from ..mutate.cells import Red
from ..mutate.peers import PeerFound
from ..mutate.run import Found

__all__ = [
    "cell_lines",
    "culprit_line",
    "found_as_json",
    "percentage",
    "seed_of_week",
    "write_report",
]


def seed_of_week() -> int:
    """Return the seed of this week: year and ISO week."""
    year, week, _ = datetime.now(UTC).isocalendar()
    return year * 100 + week


def percentage(part: int, whole: int) -> float:
    """Return how many per cent `part` is of `whole`; 0 of nothing."""
    return 100 * part / whole if whole else 0.0


def cell_lines(cells: Iterable[Red]) -> Iterator[str]:
    """Yield two lines for each cell: why it is red, and the culprit that it names."""
    for red in cells:
        named = "none" if red.culprit is None else f"{red.culprit.side}: {red.culprit.why}"
        yield f"  {red.name}: {red.reason.splitlines()[0][:200]}"
        yield f"    named {named[:200]}"


def culprit_line(all_found: Sequence[Found | PeerFound]) -> str:
    """Return how often the culprit was right; empty if no cell that failed could name one."""
    blames = Counter(found.blame for found in all_found if found.blame is not None)
    if not blames:
        return ""
    framed = sum(
        found.blame == "right" and any(r.culprit and r.culprit.frame is not None
                                       for r in found.confirmed)
        for found in all_found
    )  # fmt: skip
    total = blames.total()
    return (
        f"culprit: right {blames['right']} of {total} ({percentage(blames['right'], total):.1f} %),"
        f" wrong {blames['wrong']}, unknown {blames['unknown']}; a frame named in {framed}"
    )


def found_as_json(found: Found | PeerFound) -> dict[str, Any]:
    """Return what became of a change, for a file."""
    return {
        "outcome": found.outcome,
        "by": found.by,
        "reason": found.reason,
        "red": [to_builtins(red) for red in found.confirmed],
        "red_once": list(found.unconfirmed),
        "culprit": found.blame,
        "seconds": round(found.seconds, 2),
    }


def write_report(report: Mapping[str, Any], path: Path) -> None:
    """Write a report as JSON.

    Raises:
        TestbedError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    except OSError as exc:
        raise TestbedError(f"cannot write {path}: {exc.strerror}") from exc
