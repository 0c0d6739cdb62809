from __future__ import annotations

from typing import Any

import pytest

from interop.verdicts.attempts import merge

from ..reports.test_results import cell


def runs(*verdicts: str) -> list[dict[str, Any]]:
    return [cell(v, run=n, frames=[n]) for n, v in enumerate(verdicts, 1)]


def test_a_cell_that_ran_once_is_as_it_was() -> None:
    assert merge([cell(run=1), cell(run=1, scenario="b")]) == [cell(), cell(scenario="b")]


@pytest.mark.parametrize(
    ("verdicts", "verdict", "rate"),
    [
        (["passed", "passed"], "passed", 1.0),
        (["failed", "failed", "failed"], "failed", 0.0),
        (["passed", "failed", "passed"], "flaky", 0.667),
        (["deviating", "failed"], "flaky", 0.0),
        (["passed", "warned"], "flaky", 0.5),
        (["passed", "error"], "error", 0.5),
    ],
)
def test_mixed_runs_are_flaky(verdicts: list[str], verdict: str, rate: float) -> None:
    (merged,) = merge(reversed(runs(*verdicts)))
    assert (merged["verdict"], merged["pass_rate"]) == (verdict, rate)
    assert [(run["run"], run["verdict"], run["frames"]) for run in merged["runs"]] == [
        (n, v, [n]) for n, v in enumerate(verdicts, 1)
    ]


def test_the_evidence_is_the_worst_runs() -> None:
    (merged,) = merge(runs("passed", "failed", "passed"))
    assert merged["frames"] == [2]
    assert merged["reason"] == "2 passed, 1 failed of 3 runs; run 2: why it failed"
    assert "run" not in merged
