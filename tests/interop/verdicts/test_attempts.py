from __future__ import annotations

import pytest

from interop.records import Finished, Verdict
from interop.verdicts.attempts import merge

from ..cells import cell


def runs(*verdicts: Verdict) -> list[Finished]:
    return [Finished(n, cell(v, frames_total=n)) for n, v in enumerate(verdicts, 1)]


def test_a_cell_that_ran_once_is_as_it_was() -> None:
    assert merge([Finished(1, cell()), Finished(1, cell(scenario="b"))]) == [
        cell(),
        cell(scenario="b"),
    ]


@pytest.mark.parametrize(
    ("verdicts", "verdict", "rate"),
    [
        (["passed", "passed"], "passed", 1.0),
        (["failed", "failed", "failed"], "failed", 0.0),
        (["passed", "failed", "passed"], "flaky", 0.667),
        (["deviating", "failed"], "flaky", 0.0),
        (["passed", "warned"], "flaky", 0.5),
        (["passed", "tolerated", "deviating"], "tolerated", 0.333),
        (["passed", "deviating"], "flaky", 0.5),
        (["tolerated", "failed"], "flaky", 0.0),
        (["tolerated", "error"], "error", 0.0),
        (["passed", "error"], "error", 0.5),
    ],
)
def test_mixed_runs_are_flaky(verdicts: list[Verdict], verdict: Verdict, rate: float) -> None:
    (merged,) = merge(reversed(runs(*verdicts)))
    assert (merged.verdict, merged.pass_rate) == (verdict, rate)
    assert [(run.run, run.verdict, run.frames_total) for run in merged.runs] == [
        (n, v, n) for n, v in enumerate(verdicts, 1)
    ]


def test_the_evidence_is_the_worst_runs() -> None:
    (merged,) = merge(runs("passed", "failed", "passed"))
    assert merged.frames_total == 2
    assert merged.reason == "2 passed, 1 failed of 3 runs; run 2: why it failed"
