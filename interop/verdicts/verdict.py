"""From what happened in a cell to its verdict. Pure: facts in, verdict and words out.

An excuse covers only what it describes: a known deviation excuses a failure whose text its
`seen` matches, in the side that is at fault where that is known; an API may answer
"unsupported" only to what its ``peer.toml`` says that it lacks. Both are strict: what was
expected and did not happen is a failure too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..catalog import Api, Role
from ..records import Culprit, Verdict
from .deviations import Deviation

__all__ = ["Judgement", "Outcome", "judge"]

Outcome = Literal["passed", "failed", "unsupported", "error"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that a verdict depends on.

    Attributes:
        outcome: how the scenario itself ended.
        text: what it raised, in words; empty when it passed.
        asked: what was asked of each role's API, as `interop.control.operations.asked_of` names it.
        known: the deviations that expect this cell to fail.
        tolerated: those that excuse a failure of it, and need not show.
        should: whether a failure is a warning.
    """

    server: Api
    client: Api
    outcome: Outcome
    text: str = ""
    asked: Mapping[Role, frozenset[str]] = field(default_factory=dict)
    known: Sequence[Deviation] = ()
    tolerated: Sequence[Deviation] = ()
    culprit: Culprit | None = None
    should: bool = False

    def lacking(self, role: Role) -> list[str]:
        """Return what was asked of that side although its API is declared to lack it."""
        api = self.server if role == "server" else self.client
        return sorted(self.asked.get(role, frozenset()) & set(api.lacks))


def judge(cell: Judgement) -> tuple[Verdict, str]:
    """Return a cell's verdict and the reason for it.

    ``error`` is never excused; ``unsupported`` must be declared; a known deviation must show,
    and show as described. What fails otherwise is ``failed``, or ``warned`` for a *should*.
    """
    if cell.outcome == "error":
        return "error", cell.text
    if cell.outcome == "unsupported":
        return _unsupported(cell)
    if cell.outcome == "passed":
        return _passed(cell)
    excuses, objections = _excuses(cell)
    if excuses:
        return "deviating", f"{'; '.join(excuses)} [seen: {cell.text}]"
    if cell.known:
        return "failed", f"{cell.text} [{'; '.join(objections)}]"
    return ("warned" if cell.should else "failed"), cell.text


def _unsupported(cell: Judgement) -> tuple[Verdict, str]:
    if cell.text.startswith("engine "):  # what starts the peers cannot: no matter of theirs
        return "unsupported", cell.text
    role: Role = "server" if cell.text.startswith("server ") else "client"
    if cell.lacking(role):
        return "unsupported", cell.text
    api = cell.server if role == "server" else cell.client
    asked = ", ".join(sorted(cell.asked.get(role, ()))) or "nothing"
    return "failed", (
        f"unsupported, but not declared: {cell.text} [{api.id} was asked for: {asked}; "
        f"its peer.toml says that it lacks: {', '.join(api.lacks) or 'nothing'}]"
    )


def _passed(cell: Judgement) -> tuple[Verdict, str]:
    if cell.known:
        entries = "; ".join(entry.reason for entry in cell.known)
        return "failed", f"expected to fail, but passed; remove its entry: {entries}"
    roles: Iterable[tuple[Role, Api]] = (("server", cell.server), ("client", cell.client))
    for role, api in roles:
        if lacking := cell.lacking(role):
            return "failed", (
                f"{role} {api.id} is declared to lack {', '.join(lacking)}, but it works; "
                f"remove that from {api.peer}/peer.toml"
            )
    return "passed", ""


def _excuses(cell: Judgement) -> tuple[list[str], list[str]]:
    """Return the reasons of the entries that describe this failure, and why the others do not."""
    excuses, objections = [], []
    for entry in (*cell.known, *cell.tolerated):
        whose = f"the known deviation of {entry.peer} ({entry.role})"
        if not entry.describes(cell.text):
            patterns = " | ".join(entry.seen)
            objections.append(f"{whose} describes another failure: {patterns}")
        elif cell.culprit is not None and cell.culprit.side not in (entry.role, "unknown"):
            objections.append(f"{whose} blames the {entry.role}, but {cell.culprit.why}")
        else:
            excuses.append(entry.reason)
    return excuses, objections
