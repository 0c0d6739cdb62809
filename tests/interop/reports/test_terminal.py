from __future__ import annotations

import re
from io import StringIO
from typing import Any

from rich.console import Console

from interop.records import CellResult, Excuse
from interop.reports.compatibility import PLAIN
from interop.reports.pairs import CORE
from interop.reports.results import Results
from interop.reports.terminal import print_plan, print_report

from ..cells import cell, flaky, results


def shown(run: Results, width: int = 120) -> str:
    out = StringIO()
    print_report(run, Console(file=out, width=width))
    return out.getvalue()


def working(*more: CellResult, **run: Any) -> Results:
    """Return a run in which one pair passed what each application needs."""
    return results(*(cell(scenario=name.replace("*", "bmp")) for name in CORE), *more, **run)


def test_the_answer_is_a_verdict_for_each_pair_with_its_exceptions() -> None:
    null = Excuse("python", "server", "codec.py:3 drops it", "Null is not read.")
    text = shown(working(cell("deviating", excuses=[null]), cell("deviating", scenario="x.y")), 66)
    assert text.startswith("A pair works if events with text and objects get there")
    assert re.search(r"\npython/ZapServer +- +~2a +-\n", text)
    assert "exceptions in plain use:\n a python/ZapServer (server): Null is not read.\n" in text
    explain = "python -m interop explain python/ZapServer dart@0.5.0/ZapConsumer"
    assert f"each deviation of a pair: {explain}\n" in text
    assert text.splitlines()[-2] == "The pair works, with named deviations."
    assert "6 cells in 0 s: 4 passed, 2 deviating - exit status 0" in text


def test_broken_pairs_are_named_below_the_grid() -> None:
    red = [
        cell("failed", server=f"s{n}/S", defect=f"why {'x' * n}", scenario="a.b") for n in range(20)
    ]
    run = working(*red)
    run.servers += [f"s{n}/S" for n in range(20)]
    lines = [line for line in shown(run).splitlines() if line.startswith("broken: ")]
    assert lines[0] == "broken: s0/S <-> dart@0.5.0/ZapConsumer: a.b: why"
    assert lines[8:] == ["broken: 12 more pairs"]


def test_the_grid_is_written_in_ascii_without_colour() -> None:
    text = shown(working(cell("deviating"), cell("failed", server="dart@0.3.0/ZapServer")), 80)
    assert text.isascii()
    assert "\x1b" not in text


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
    assert text.count("unexpected ") == 1
    assert "25 cells, 25 scenarios, 1 pair; 25 kinds of failure, the most harmful first\n" in text
    assert text.count("   again: ") == 1
    assert text.count("   show: ") == 12
    assert "and 13 more causes of 13 cells: see summary.md" in text


def test_what_one_culprit_is_at_fault_for_is_together() -> None:
    culprit = {"side": "server", "why": "no", "basis": "row", "api": "python/ZapServer"}
    cells = [
        cell("failed", culprit=culprit, scenario="echo.null", reason="no event 'a'"),
        cell("failed", culprit={**culprit, "api": "x/Y", "side": "client"}, scenario="b"),
        cell("failed", culprit=culprit, scenario="order.many", reason="z" * 400),
        cell("warned", culprit=culprit, scenario="d", severity="should", reason="late"),
    ]
    text = shown(results(*cells))
    first, second = (
        text.index(f"unexpected {each}: ") for each in ("server python/ZapServer", "client x/Y")
    )
    assert first < text.index("\nand 1 cell, 1 scenario, 1 pair (a should)\n   d, ") < second
    assert "order.many, python/ZapServer <-> dart@0.5.0/ZapConsumer: zzz" in text[first:second]
    assert "z" * 200 not in text[first:second]


def test_a_long_reason_wraps_on_a_terminal_and_nowhere_else() -> None:
    run = results(cell("failed", reason="word " * 40))
    out = StringIO()
    print_report(run, Console(file=out, width=60, force_terminal=True, color_system=None))
    (broken,) = [line for line in out.getvalue().splitlines() if line.startswith("broken: ")]
    assert len(broken) <= 60
    reason = [line for line in out.getvalue().splitlines() if "word word" in line]
    assert len(reason) > 2
    assert all(line.startswith("   ") and len(line) <= 60 for line in reason)
    assert "word " * 39 + "word\n" in shown(run, 60)


def test_what_did_not_run_and_what_broke_are_said() -> None:
    text = shown(results(broken="a worker [crashed]"))
    assert "not run: pypi@0.5.2: no network" in text
    assert "the testbed failed: a worker [crashed]" in text
    assert "exit status 2" in text


def test_what_will_not_run_is_said_first() -> None:
    out = StringIO()
    why = "Dart: get it\nPATH has no dart"
    missing = {"pypi@0.5.2/ZapClient": "no [network]", "dart/A": why, "dart/B": why}
    print_plan(missing, 9000, 2, Console(file=out, width=120))
    assert out.getvalue().splitlines() == [
        "not run: pypi@0.5.2: no [network]",
        "not run: dart: Dart: get it",
        "   PATH has no dart",
        "9000 cells, about 51 s",
    ]
    print_plan({}, 90_000, 0, Console(file=out, width=120))
    assert out.getvalue().endswith("90000 cells, about 17 min\n")


def test_a_should_is_amber() -> None:
    text = shown(results(cell(), cell("warned", severity="should")))
    assert "should no side at fault: 1 cell" in text
    assert "unexpected" not in text


def test_versions_that_go_together_are_said() -> None:
    newer, older = (
        [cell(server=f"pypi@{version}/S", scenario=name) for name in PLAIN]
        for version in ("0.5.2", "0.3.0")
    )
    line = "pypi/S 0.3.0 to 0.5.2 with dart/ZapConsumer 0.5.0: compatible"
    assert line in shown(results(*newer, *older))
    assert "compatible" not in shown(results(*newer))
    out = StringIO()
    print_report(results(*newer), Console(file=out, width=120), versions=True)
    assert "pypi/S 0.5.2 with dart/ZapConsumer 0.5.0: compatible" in out.getvalue()


def test_known_flaky_cells_are_counted_and_listed() -> None:
    failed = [("a/S", "b/C", f"echo.{n}") for n in range(12)]
    text = shown(results(cell("tolerated"), known_flaky=[flaky(cells=20, failed=failed)]), 200)
    words = (
        "echo.* (* <-> dart): 12 of 20 cells failed, which is tolerated until 2026-12-31: a race"
    )
    assert f"known flaky: {words}\n   echo.0: a/S <-> b/C\n" in text
    assert "   echo.9: a/S <-> b/C\n   and 2 more cells: see summary.md\n" in text
    assert "1 tolerated - exit status 0" in text
