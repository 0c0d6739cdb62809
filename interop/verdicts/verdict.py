"""The verdict on a cell, from its outcome and its evidence. Pure.

An excuse covers only what it describes: a known deviation excuses a failure with a text that its
`seen` matches, on the side that is at fault where that is known; an API may answer "unsupported"
only to what its ``peer.toml`` declares missing. Both are strict: an expected failure that does not
happen is a failure too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..catalog import Api
from ..records import Culprit, Excuse, Role, Verdict
from .deviations import Deviation
from .flaky import KnownFlaky

__all__ = ["Case", "Outcome", "Ruling", "decide"]

Outcome = Literal["passed", "failed", "unsupported", "error"]


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a verdict depends on.

    Attributes:
        outcome: how the scenario itself ended.
        text: what it raised, in words, for the reason and for the patterns of deviations; empty
            when it passed.
        unsupported_by: the side that answered "unsupported"; None where the engine cannot do it.
        features: the features of each role's API that were used, as `asked_of` names them.
        known: the deviations that expect this cell to fail; those that are races may.
        tolerated: deviations that may occur: they excuse a failure, and a pass is no failure.
        should: whether a failure is a warning.
        flaky: what says that the cell may fail or pass; None if it may not.
    """

    server: Api
    client: Api
    outcome: Outcome
    text: str = ""
    unsupported_by: Role | None = None
    features: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    known: Sequence[Deviation] = ()
    tolerated: Sequence[Deviation] = ()
    culprit: Culprit | None = None
    should: bool = False
    flaky: KnownFlaky | None = None

    def lacking(self, role: Role) -> list[str]:
        """Return the features that were used although that side's API is declared to lack them."""
        api = self.server if role == "server" else self.client
        return sorted(self.features.get(role, frozenset()) & set(api.lacks))


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict.

    Attributes:
        reason: the reason in words, for readers alone; empty for *passed*.
        excuses: the deviations that excuse the failure.
        undeclared: the side that answered "unsupported" although it is not declared to.
        unshown: the deviations that were expected, and did not show.
        better: the side that did what it is declared to lack, or expected to fail at.
    """

    verdict: Verdict
    reason: str = ""
    excuses: Sequence[Excuse] = ()
    undeclared: Role | None = None
    unshown: Sequence[Excuse] = ()
    better: Role | None = None


def decide(case: Case) -> Ruling:
    """Return the verdict on one run of a cell.

    ``error`` is never excused; ``unsupported`` must be declared; a known deviation must show,
    and show as described, unless it is a race: what only races excuse is ``tolerated``. Any other
    failure is ``failed``, or ``warned`` for a *should*; in a cell that may fail or pass, either
    and a deviation that does not show are ``tolerated``.
    """
    ruling = _decide(case)
    if case.flaky is None or case.outcome not in ("passed", "failed"):
        return ruling
    if ruling.verdict in ("passed", "deviating"):
        return ruling
    return Ruling("tolerated", f"{case.flaky} [seen: {ruling.reason}]")


def _decide(case: Case) -> Ruling:
    if case.outcome == "error":
        return Ruling("error", case.text)
    if case.outcome == "unsupported":
        return _unsupported(case)
    if case.outcome == "passed":
        return _passed(case)
    entries = (*case.known, *case.tolerated)
    if shown := [entry for entry in entries if not _objection(case, entry)]:
        excuses = [entry.excuse for entry in shown]
        verdict: Verdict = "tolerated" if all(entry.racy for entry in shown) else "deviating"
        return Ruling(verdict, f"{_joined(excuses)} [seen: {case.text}]", excuses)
    if case.known:
        objections = "; ".join(_objection(case, entry) for entry in case.known)
        return Ruling("failed", f"{case.text} [{objections}]")
    return Ruling("warned" if case.should else "failed", case.text)


def _unsupported(case: Case) -> Ruling:
    role = case.unsupported_by
    if role is None or case.lacking(role):
        return Ruling("unsupported", case.text)
    api = case.server if role == "server" else case.client
    features = ", ".join(sorted(case.features.get(role, ()))) or "nothing"
    reason = (
        f"unsupported, but not declared: {case.text} [{api.id} was asked for: {features}; "
        f"its peer.toml says that it lacks: {', '.join(api.lacks) or 'nothing'}]"
    )
    return Ruling("failed", reason, undeclared=role)


def _passed(case: Case) -> Ruling:
    if unshown := [entry.excuse for entry in case.known if not entry.racy]:
        reason = f"expected to fail, but passed; remove its entry: {_joined(unshown)}"
        return Ruling("failed", reason, unshown=unshown, better=unshown[0].role)
    roles: Iterable[tuple[Role, Api]] = (("server", case.server), ("client", case.client))
    for role, api in roles:
        if lacking := case.lacking(role):
            return Ruling(
                "failed",
                f"{role} {api.id} is declared to lack {', '.join(lacking)}, but it works; "
                f"remove that from {api.peer}/peer.toml",
                better=role,
            )
    return Ruling("passed")


def _joined(excuses: Iterable[Excuse]) -> str:
    return "; ".join(map(str, excuses))


def _objection(case: Case, entry: Deviation) -> str:
    """Return why an entry does not excuse this failure; empty if it does."""
    entry_name = f"the known deviation of {entry.peer} ({entry.role})"
    if not entry.describes(case.text):
        seen = " | ".join(re.sub(r"\\([^\w\s])", r"\1", each) for each in entry.seen)  # for people
        return f"{entry_name} describes another failure: {seen}"
    if case.culprit is not None and case.culprit.side not in (entry.role, "unknown"):
        return f"{entry_name} blames the {entry.role}, but {case.culprit.why}"
    return ""
