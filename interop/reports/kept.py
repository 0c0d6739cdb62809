"""Which rules of the specification a run looked at, and which rows and columns broke one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..records import VERDICTS, CellResult, Verdict
from ..spec.rules import in_order, quoted

__all__ = ["Kept", "by_rule"]


@dataclass(slots=True)
class Kept:
    """What a run shows of one rule.

    Attributes:
        number: that of the rule.
        cells: how many looked at it, or broke it.
        broken: the rows and columns that broke it, each with its worst verdict.
    """

    number: str
    cells: int = 0
    broken: dict[str, Verdict] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The rule as reports quote it."""
        return quoted([self.number])[0]


def by_rule(cells: Iterable[CellResult]) -> list[Kept]:
    """Return what cells show of each rule that they are about, in the order of the rules.

    A known deviation is held against the side that its entry names, a failure against the culprit,
    or against both sides where that is unknown. An error of the testbed is neither's.
    """
    found: dict[str, Kept] = {}
    for cell in cells:
        for number in cell.broken:
            kept = found.setdefault(number, Kept(number))
            kept.cells += 1
            for api in _broke(cell):
                before = kept.broken.get(api, cell.verdict)
                kept.broken[api] = max(before, cell.verdict, key=VERDICTS.index)
    return [found[number] for number in in_order(found)]


def _broke(cell: CellResult) -> Iterator[str]:
    if cell.verdict == "deviating":
        yield from dict.fromkeys(cell.api(excuse.role) for excuse in cell.excuses)
    elif cell.verdict in ("warned", "failed", "flaky"):
        culprit = cell.culprit
        known = culprit is not None and culprit.side != "unknown"
        yield from [culprit.api] if known and culprit is not None else [cell.server, cell.client]
