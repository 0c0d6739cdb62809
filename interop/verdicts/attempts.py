"""``--repeat``: the runs of one cell become one cell, with each run's evidence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import structs

from ..records import Attempt, CellResult, Finished, Verdict

__all__ = ["merge"]

_WORST_FIRST: Sequence[Verdict] = (
    "error",
    "failed",
    "warned",
    "tolerated",
    "deviating",
    "unsupported",
    "passed",
)


def merge(finished: Iterable[Finished]) -> list[CellResult]:
    """Return one cell for each (server, client, scenario), in the order of their first runs.

    A cell that ran once is as it was. One that ran more often has the evidence of its worst
    run, all of them in ``runs``, and the share that passed in ``pass_rate``. Its verdict
    is theirs if they agree, ``error`` if one was an error, ``tolerated`` if no other failed than
    in one of these, else ``flaky``.
    """
    groups: dict[tuple[str, str, str], list[Finished]] = {}
    for each in finished:
        groups.setdefault(each.cell.key, []).append(each)
    return [_cell(sorted(group, key=lambda each: each.run)) for group in groups.values()]


def _cell(runs: Sequence[Finished]) -> CellResult:
    worst = min(runs, key=lambda each: _WORST_FIRST.index(each.cell.verdict))
    if len(runs) == 1:
        return worst.cell
    counts = Counter(each.cell.verdict for each in runs)
    verdict, reason = worst.cell.verdict, worst.cell.reason
    if len(counts) > 1:
        tally = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
        reason = f"{tally} of {len(runs)} runs; run {worst.run}: {reason}"
        may_differ = counts.keys() <= {"passed", "deviating", "tolerated"} and counts["tolerated"]
        verdict = "error" if counts["error"] else "tolerated" if may_differ else "flaky"
    return structs.replace(
        worst.cell,
        verdict=verdict,
        reason=reason,
        pass_rate=round(counts["passed"] / len(runs), 3),
        runs=[_attempt(each) for each in runs],
    )


def _attempt(finished: Finished) -> Attempt:
    kept = {name: getattr(finished.cell, name) for name in _OF_RUN}
    return Attempt(run=finished.run, **kept)


_OF_RUN = [name for name in Attempt.__struct_fields__ if name != "run"]
