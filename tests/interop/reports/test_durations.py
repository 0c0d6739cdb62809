from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from interop.reports.durations import print_durations
from interop.reports.results import Results

from ..cells import cell, results


def shown(run: Results) -> str:
    out = StringIO()
    print_durations(run, Console(file=out, width=140))
    return out.getvalue()


TIMES: dict[str, Any] = {
    "duration_ms": 2000.0,
    "setup_ms": 400.0,
    "teardown_ms": 100.0,
    "waited_ms": 1500.0,
}


def test_the_longest_come_first_with_what_was_waiting() -> None:
    quick = cell(scenario="quick", duration_ms=10.0)
    text = shown(results(quick, cell(scenario="long", **TIMES), cell("error", scenario="none")))
    lines = [line.split() for line in text.splitlines()]
    assert ["long", "2.5", "1.5", "0.5", "1"] in lines
    assert text.index("long") < text.index("quick")
    assert (
        "3 runs of cells: 1.5 s waiting for peers, 0.5 s else in scenarios, 0.5 s in set-up" in text
    )
    assert "(0.0 ms a run in the median, 166.7 in the mean" in text


def test_only_the_longest_are_shown() -> None:
    text = shown(results(*[cell(scenario=f"s{n:02}", duration_ms=100.0 * n) for n in range(20)]))
    assert "s10" in text
    assert "s09" not in text


def test_each_run_of_a_repeated_cell_counts() -> None:
    run = {"run": 1, "verdict": "passed", "reason": "", **TIMES}
    text = shown(results(cell(runs=[run, run])))
    assert ["echo.null", "5.0", "3.0", "1.0", "2"] in [line.split() for line in text.splitlines()]


def test_nothing_ran() -> None:
    assert shown(results()) == ""
