"""From what happened in a cell to its verdict. Pure.

An excuse covers only what it describes: a known deviation excuses a failure with a text that its
`seen` matches, on the side that is at fault where that is known; an API may answer "unsupported"
only to what its ``peer.toml`` declares missing. Both are strict: an expected failure that does not
happen is a failure too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..catalog import Api, Role
from ..records import Culprit, Excuse, Verdict
from .deviations import Deviation

__all__ = ["Judgement", "Outcome", "Ruling", "judge"]

Outcome = Literal["passed", "failed", "unsupported", "error"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that a verdict depends on.

    Attributes:
        outcome: how the scenario itself ended.
        text: what it raised, in words, for the reason and for the patterns of deviations; empty
            when it passed.
        unsupported_by: the side that answered "unsupported"; None where the engine cannot do it.
        asked: the features of each role's API that were used, as `asked_of` names them.
        known: the deviations that expect this cell to fail.
        tolerated: those that excuse a failure of it, and need not show.
        should: whether a failure is a warning.
    """

    server: Api
    client: Api
    outcome: Outcome
    text: str = ""
    unsupported_by: Role | None = None
    asked: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    known: Sequence[Deviation] = ()
    tolerated: Sequence[Deviation] = ()
    culprit: Culprit | None = None
    should: bool = False

    def lacking(self, role: Role) -> list[str]:
        """Return the features that were used although that side's API is declared to lack them."""
        api = self.server if role == "server" else self.client
        return sorted(self.asked.get(role, frozenset()) & set(api.lacks))


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict.

    Attributes:
        reason: the reason in words, for readers alone; empty for *passed*.
        excuses: the deviations that excuse the failure.
        undeclared: the side that answered "unsupported" although it is not declared to.
    """

    verdict: Verdict
    reason: str = ""
    excuses: Sequence[Excuse] = ()
    undeclared: Role | None = None


def judge(cell: Judgement) -> Ruling:
    """Return the verdict on a cell.

    ``error`` is never excused; ``unsupported`` must be declared; a known deviation must show,
    and show as described. Any other failure is ``failed``, or ``warned`` for a *should*.
    """
    if cell.outcome == "error":
        return Ruling("error", cell.text)
    if cell.outcome == "unsupported":
        return _unsupported(cell)
    if cell.outcome == "passed":
        return _passed(cell)
    entries = (*cell.known, *cell.tolerated)
    if excuses := [entry.excuse for entry in entries if not _objection(cell, entry)]:
        return Ruling("deviating", f"{_joined(excuses)} [seen: {cell.text}]", excuses)
    if cell.known:
        objections = "; ".join(_objection(cell, entry) for entry in cell.known)
        return Ruling("failed", f"{cell.text} [{objections}]")
    return Ruling("warned" if cell.should else "failed", cell.text)


def _unsupported(cell: Judgement) -> Ruling:
    role = cell.unsupported_by
    if role is None or cell.lacking(role):
        return Ruling("unsupported", cell.text)
    api = cell.server if role == "server" else cell.client
    asked = ", ".join(sorted(cell.asked.get(role, ()))) or "nothing"
    reason = (
        f"unsupported, but not declared: {cell.text} [{api.id} was asked for: {asked}; "
        f"its peer.toml says that it lacks: {', '.join(api.lacks) or 'nothing'}]"
    )
    return Ruling("failed", reason, undeclared=role)


def _passed(cell: Judgement) -> Ruling:
    if cell.known:
        entries = _joined(entry.excuse for entry in cell.known)
        return Ruling("failed", f"expected to fail, but passed; remove its entry: {entries}")
    roles: Iterable[tuple[Role, Api]] = (("server", cell.server), ("client", cell.client))
    for role, api in roles:
        if lacking := cell.lacking(role):
            return Ruling(
                "failed",
                f"{role} {api.id} is declared to lack {', '.join(lacking)}, but it works; "
                f"remove that from {api.peer}/peer.toml",
            )
    return Ruling("passed")


def _joined(excuses: Iterable[Excuse]) -> str:
    return "; ".join(map(str, excuses))


def _objection(cell: Judgement, entry: Deviation) -> str:
    """Return why an entry does not excuse this failure; empty if it does."""
    entry_name = f"the known deviation of {entry.peer} ({entry.role})"
    if not entry.describes(cell.text):
        return f"{entry_name} describes another failure: {' | '.join(entry.seen)}"
    if cell.culprit is not None and cell.culprit.side not in (entry.role, "unknown"):
        return f"{entry_name} blames the {entry.role}, but {cell.culprit.why}"
    return ""
