"""From what happened in a cell to its result: the one place where a `CellResult` is made. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from ..catalog import Api
from ..descriptors import CURE, tells_shortage
from ..errors import TestbedError, Unsupported
from ..records import CellResult
from ..scenarios.scenario import Scenario
from ..verdicts.culprit import by_evidence
from ..verdicts.deviations import Deviation
from ..verdicts.verdict import Judgement, Outcome, judge
from . import evidence
from .cell import Ran

__all__ = ["record"]


def record(
    facts: Scenario,
    scenario: str,
    pair: tuple[Api, Api],
    ran: Ran,
    *,
    known: Sequence[Deviation] = (),
    tolerated: Sequence[Deviation] = (),
    strict: bool = False,
) -> CellResult:
    """Return the result of one run of a cell.

    Args:
        scenario: the scenario's id with its parameters.
        known: the deviations that expect this cell to fail; one that does not show is a failure.
        tolerated: those that excuse a failure, and need not show.
        strict: whether a failed *should* is a failure.
    """
    server, client = pair
    outcome, text = _outcome(ran)
    if outcome == "failed":
        text += "".join(
            f"; uncaught in the {side}: {message}"
            for side, message in ran.escaped
            if message not in text
        )
    cell = CellResult(
        verdict="passed",
        reason="",
        server=server.id,
        client=client.id,
        scenario=scenario,
        rule=facts.rule,
        severity=facts.severity,
        raised=text if outcome == "failed" else "",
        setup_ms=ran.setup_ms,
        duration_ms=ran.duration_ms,
        teardown_ms=ran.teardown_ms,
        **structs.asdict(ran.seen),
    )
    judgement = Judgement(
        server,
        client,
        outcome,
        text,
        asked=ran.asked,
        known=known,
        tolerated=tolerated,
        culprit=by_evidence(cell),
        should=facts.severity == "should" and not strict,
    )
    cell.verdict, cell.reason = judge(judgement)
    return cell


def _outcome(ran: Ran) -> tuple[Outcome, str]:
    kind = type(ran.error).__name__
    silent = "it does not hold" if isinstance(ran.error, AssertionError) else kind
    raised = (evidence.words(ran.error) if ran.error is not None else "") or silent
    if ran.failed and not isinstance(ran.error, TestbedError):
        # A peer's end is no fault of the other side, whatever that made of it.
        died = "; ".join(f"{type(exc).__name__}: {exc}" for exc in ran.failed.values())
        return "error", died if ran.error is None else f"{died}; the scenario ended with: {raised}"
    if ran.error is None:
        return "passed", ""
    told = [raised, *(message for _, message in ran.escaped)]
    if ran.short or any(map(tells_shortage, told)):
        return "error", f"a process had no file descriptor left; {CURE}: {'; '.join(told)}"
    if isinstance(ran.error, Unsupported):
        return "unsupported", raised
    if ran.begun and isinstance(ran.error, AssertionError):
        return "failed", raised
    return "error", f"{kind}: {raised}"
