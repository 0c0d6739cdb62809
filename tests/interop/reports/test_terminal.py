from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from interop.records import Verdict
from interop.reports.results import Results
from interop.reports.terminal import print_plan, print_report

from ..cells import cell, results


def shown(run: Results, width: int = 120) -> str:
    out = StringIO()
    print_report(run, Console(file=out, width=width))
    return out.getvalue()


def test_the_matrix_counts_each_pair() -> None:
    text = shown(results(*[cell(scenario=str(n)) for n in range(12)], cell("deviating")))
    assert "dart@0.5.0/" in text
    assert "12 passed" in text
    assert "1 deviating" in text
    assert "13 cells in 0 s: 12 passed, 1 deviating - exit status 0" in text


def test_a_failure_shows_its_rule_reason_and_command() -> None:
    text = shown(results(cell("failed", reason="got [1]\n  not [2]")))
    assert "unexpected no side at fault: 1 cell, 1 scenario, 1 pair\n" in text
    assert "   echo.null: A payload comes back.\n" in text
    assert "got [1] not [2]" in text
    assert (
        "   show: python -m interop show python/ZapServer dart@0.5.0/ZapConsumer echo.null" in text
    )
    assert "   again: python -m interop run --server python/ZapServer" in text


def test_a_failure_shows_its_culprit() -> None:
    culprit = {"side": "client", "why": "it wrote []", "basis": "frame", "api": "x/Y", "frame": 4}
    text = shown(results(cell("failed", culprit=culprit)))
    assert "culprit: client x/Y (it wrote []); frame 4" in text


def test_one_cause_of_many_cells_is_shown_once() -> None:
    pairs = [cell("failed", server=s, client=c) for s in ("a", "b", "c") for c in ("x", "y", "z")]
    text = shown(results(*pairs))
    assert text.count("unexpected ") == 1
    assert "9 cells, 1 scenario, 9 pairs\n" in text
    assert "   also echo.null (8)\n" in text


def test_many_causes_are_cut_and_said() -> None:
    found = [cell("failed", scenario=f"s{n:02}", reason="why " + "y" * n) for n in range(25)]
    text = shown(results(*found))
    assert text.count("unexpected ") == 12
    assert "and 13 more causes of 13 cells: see summary.md" in text


def test_a_long_reason_wraps_on_a_terminal_and_nowhere_else() -> None:
    run = results(cell("failed", reason="word " * 40))
    out = StringIO()
    print_report(run, Console(file=out, width=60, force_terminal=True, color_system=None))
    reason = [line for line in out.getvalue().splitlines() if "word word" in line]
    assert len(reason) > 2
    assert all(line.startswith("   ") and len(line) <= 60 for line in reason)
    assert "word " * 39 + "word\n" in shown(run, 60)


def test_what_did_not_run_and_what_broke_are_said() -> None:
    text = shown(results(broken="a worker [crashed]"))
    assert "not run: 1 rows and columns, as said above" in text
    assert "the testbed failed: a worker [crashed]" in text
    assert "exit status 2" in text


def test_what_will_not_run_is_said_first() -> None:
    out = StringIO()
    missing = {"pypi@0.5.2/ZapClient": "no [network]", "dart/A": "no Dart", "dart/B": "no Dart"}
    print_plan(missing, 9000, 2, Console(file=out, width=120))
    assert out.getvalue().splitlines() == [
        "not run: pypi@0.5.2/ZapClient: no [network]",
        "not run: dart/A, dart/B: no Dart",
        "9000 cells, about 51 s",
    ]
    print_plan({}, 90_000, 0, Console(file=out, width=120))
    assert out.getvalue().endswith("90000 cells, about 17 min\n")


def test_a_should_is_amber() -> None:
    text = shown(results(cell(), cell("warned", severity="should")))
    assert "should no side at fault: 1 cell" in text
    assert "unexpected" not in text


def test_versions_that_go_together_are_said() -> None:
    text = shown(results(cell(server="pypi@0.5.2/S"), cell(server="pypi@0.3.0/S")))
    assert "pypi/S 0.3.0 to 0.5.2 with dart/ZapConsumer 0.5.0: compatible" in text


def many() -> Results:
    clients = [f"dart-0.3@0.3.0/Client{n}" for n in range(12)]
    often: dict[Verdict, int] = {"passed": 12, "deviating": 3, "failed": 1}
    found = [
        cell(verdict, client=client, scenario=f"s{n}")
        for client in clients
        for n, verdict in enumerate(Counter(often).elements())
    ]
    run = results(*found)
    run.clients = clients
    return run


@pytest.mark.parametrize("width", [30, 66, 80])
def test_a_matrix_of_many_fits_a_narrow_terminal(width: int) -> None:
    lines = shown(many(), width).splitlines()
    end = next(n for n, line in enumerate(lines) if line.startswith("unexpected"))
    assert max(len(line) for line in lines[:end] if "not run" not in line) <= width
    table = "\n".join(lines[:end])
    assert table.count("12 dart-0.3@0.3.0/Client11") == 1
    for short, count in (("12", 12), ("3d", 12), ("1F", 12)):
        columns = [word for line in lines[:end] for word in line.split() if word == short]
        assert len(columns) >= count, f"a column has no {short}"
    assert "d deviating, F failed" in table


def test_a_matrix_that_fits_is_shown_in_words() -> None:
    assert "12 passed" in shown(many(), 400)
