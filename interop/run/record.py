"""Makes a cell's result from its outcome: the only place where a `CellResult` is made. Pure."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from msgspec import structs

from ..catalog import Api
from ..descriptors import CURE, tells_shortage
from ..errors import Escaped, TestbedError, Unsupported, Violation
from ..records import CellResult, Missing, Role
from ..scenarios import scenario as scenarios
from ..scenarios.scenario import Scenario
from ..verdicts.culprit import better, by_evidence, undeclared
from ..verdicts.deviations import Deviation
from ..verdicts.flaky import KnownFlaky
from ..verdicts.trace import missing
from ..verdicts.verdict import Case, Outcome, decide
from . import evidence
from .cell import Ran

__all__ = ["record"]

_SCENARIOS = Path(scenarios.__file__).parent


def record(
    facts: Scenario,
    scenario: str,
    pair: tuple[Api, Api],
    ran: Ran,
    *,
    known: Sequence[Deviation] = (),
    tolerated: Sequence[Deviation] = (),
    strict: bool = False,
    flaky: KnownFlaky | None = None,
) -> CellResult:
    """Return the result of one run of a cell.

    Args:
        scenario: the scenario's id with its parameters.
        known: the deviations that expect this cell to fail; one that does not show is a failure.
        tolerated: deviations that may occur: they excuse a failure, and a pass is no failure.
        strict: whether a failed *should* is a failure.
        flaky: what says that the cell may fail or pass; None if it may not.
    """
    server, client = pair
    outcome, text = _outcome(ran)
    failed = outcome == "failed"
    if failed:
        text += "".join(f"; uncaught in the {side}: {what}" for side, what in _other_escapes(ran))
    cell = CellResult(
        verdict="passed",
        reason="",
        server=server.id,
        client=client.id,
        scenario=scenario,
        rule=facts.rule,
        severity=facts.severity,
        rules=[*facts.rules],
        raised=text if failed else "",
        defect=_defect(ran, text) if failed else "",
        reporter=_reporter(ran) if failed else None,
        setup_ms=ran.setup_ms,
        duration_ms=ran.duration_ms,
        teardown_ms=ran.teardown_ms,
        **structs.asdict(ran.seen),
    )
    if failed:
        cell.missing = _missing(cell, ran)
    convicted = by_evidence(cell)
    ruling = decide(
        Case(
            server,
            client,
            outcome,
            text,
            unsupported_by=_unsupported_by(ran),
            features=ran.features,
            known=known,
            tolerated=tolerated,
            culprit=convicted,
            should=facts.severity == "should" and not strict,
            flaky=flaky,
        )
    )
    cell.verdict, cell.reason = ruling.verdict, ruling.reason
    cell.excuses, cell.unshown = [*ruling.excuses], [*ruling.unshown]
    if ruling.undeclared is not None:
        cell.culprit = undeclared(cell, ruling.undeclared)
    elif ruling.better is not None:
        cell.culprit = better(cell, ruling.better)
    elif failed:
        cell.culprit = convicted
    return cell


def _unsupported_by(ran: Ran) -> Role | None:
    if isinstance(ran.error, Unsupported) and ran.error.api is not None:
        return ran.error.api.role
    return None


def _reporter(ran: Ran) -> Role | None:
    error = ran.error
    return error.api.role if isinstance(error, Violation) and error.api is not None else None


def _missing(cell: CellResult, ran: Ran) -> list[Missing]:
    """Return what did not come: as the records tell, and what the scenario waited for in vain."""
    found, error = missing(cell), ran.error
    if isinstance(error, Violation) and error.missing:
        at: Literal["server", "wire", "client"] | None = (
            "wire" if error.author is not None else _reporter(ran)
        )
        if at is not None:
            waited = (
                f"{error.missing}, waited for {error.within}" if error.within else error.missing
            )
            found.append(Missing(at, waited, cell.duration_ms, error.author))
    return found


def _other_escapes(ran: Ran) -> list[tuple[Role, str]]:
    """Return the exceptions that escaped, without the one that made the cell fail."""
    error = ran.error
    if isinstance(error, Escaped) and error.api is not None:
        return [each for each in ran.escaped if each != (error.api.role, error.message)]
    return ran.escaped


def _defect(ran: Ran, text: str) -> str:
    """Return the defect, in one line: an escaped exception is the most specific."""
    if isinstance(ran.error, Escaped):
        found = ran.error.message
    elif ran.escaped:
        _, found = ran.escaped[0]
    elif isinstance(ran.error, Violation):
        found = ran.error.what
    else:
        found = text
    return found.partition("\n")[0]


def _outcome(ran: Ran) -> tuple[Outcome, str]:
    kind = type(ran.error).__name__
    silent = "it does not hold" if isinstance(ran.error, AssertionError) else kind
    raised = (evidence.words(ran.error) if ran.error is not None else "") or silent
    if ran.failed and not isinstance(ran.error, TestbedError):
        # A peer's end is not the other side's fault, however that side reacted.
        died = "; ".join(f"{type(exc).__name__}: {exc}" for exc in ran.failed.values())
        return "error", died if ran.error is None else f"{died}; the scenario ended with: {raised}"
    if ran.error is None:
        return "passed", ""
    texts = [raised, *(message for _, message in ran.escaped)]
    if ran.short or any(map(tells_shortage, texts)):
        return "error", f"a process had no file descriptor left; {CURE}: {'; '.join(texts)}"
    if isinstance(ran.error, Unsupported):
        return "unsupported", raised
    if ran.begun and isinstance(ran.error, AssertionError):
        return "failed", raised
    if ran.begun and _is_of_data(ran.error):
        return "failed", f"what was got has another shape: {kind}: {raised}"
    return "error", f"{kind}: {raised}"


def _is_of_data(error: BaseException) -> bool:
    """Return whether a scenario failed to read what a peer said, as a key that is not there."""
    last = None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        last = frame.f_code.co_filename
    data = isinstance(error, (LookupError, TypeError, AttributeError))
    return data and last is not None and Path(last).parent == _SCENARIOS
