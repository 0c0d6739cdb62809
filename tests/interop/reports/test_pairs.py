from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from interop.catalog import Api
from interop.records import CellResult, Excuse, Verdict
from interop.reports.compatibility import is_plain
from interop.reports.pairs import CORE, Pair, pairs
from interop.run.runner import load_catalogue

from .. import cells

S, C = "a/S", "b/C"
NULL = Excuse("a", "server", "drops null")
CLOSE = Excuse("b", "client", "never says goodbye")


def cell(scenario: str, verdict: Verdict = "passed", **more: Any) -> CellResult:
    return cells.cell(verdict, **{"server": S, "client": C, "scenario": scenario, **more})


def core() -> list[CellResult]:
    """Return the cells without which a pair is not judged, all passed."""
    return [cell(pattern.replace("*", "bmp")) for pattern in CORE]


def verdict(*found: CellResult, **not_run: str) -> Pair:
    (pair,) = pairs(found, [S], [C], not_run)
    return pair


def test_a_pair_that_passes_all_works() -> None:
    assert verdict(*core(), cell("rooms.once", "unsupported"), cell("x.y", "warned")).words == (
        "works"
    )


def test_named_deviations_are_counted_by_their_cause_with_those_of_plain_use_first() -> None:
    found = verdict(
        *core(),
        cell("closing.a", "deviating", excuses=[CLOSE]),
        cell("closing.b", "deviating", excuses=[CLOSE]),
        cell("echo.null", "deviating", excuses=[NULL]),
        cell("closing.c", "passed", unshown=[NULL]),
    )
    assert found.words == "works, with 2 named deviations"
    assert [(known.excuse, known.plain) for known in found.deviations] == [
        (NULL, True),
        (CLOSE, False),
    ]
    assert found.deviations[1].scenarios == ("closing.a", "closing.b")


def test_deviations_of_earlier_results_count_though_they_are_told_in_words_alone() -> None:
    old = [cell(name, "deviating", reason="b: loses it") for name in ("closing.a", "closing.b")]
    found = verdict(*core(), *old, cell("closing.c", "deviating", reason="a: too late"))
    assert found.words == "works, with 2 named deviations"


def test_a_red_cell_breaks_a_pair_and_plain_use_is_named_first() -> None:
    for red in ("failed", "flaky", "error"):
        found = verdict(
            *core(),
            cell("a.first", red, defect="no close frame"),
            cell("echo.null", red, defect="no event 'echo'\nand more"),
            cell("z.last", red),
        )
        assert found.words == "broken: echo.null: no event 'echo'"
        assert found.cell is not None
        assert found.cell.scenario == "echo.null"


def test_what_no_application_can_do_without_breaks_a_pair_though_a_deviation_names_it() -> None:
    cells_ = [each for each in core() if each.scenario != "order.pushed"]
    known = cell("order.pushed", "deviating", excuses=[NULL], defect="2 before 1")
    assert verdict(*cells_, known).words == "broken: order.pushed: 2 before 1"
    assert verdict(*cells_, cell("order.pushed", "unsupported")).verdict == "broken"


def test_a_pair_that_cannot_run_says_what_to_do() -> None:
    assert verdict(**{C: "install b"}).words == "not run: b/C: install b"


def test_a_pair_of_which_plain_use_did_not_run_is_not_said_to_work() -> None:
    again = "python -m interop run --server a/S --client b/C"
    assert verdict().words == f"not run: it has no cell in this run: {again}"
    some = f"not run: not all scenarios of plain use ran: {again}"
    assert verdict(*core()[1:]).words == some
    assert verdict(cell("rooms.once", "failed")).verdict == "broken"


def test_the_command_for_a_pair_has_the_options_of_its_run() -> None:
    (pair,) = pairs(core()[1:], [S], [C], {}, (), ["--peers", "our peers", "--strict"])
    assert pair.words.endswith("run --server a/S --client b/C --peers 'our peers' --strict")


def test_cells_with_the_judge_are_no_part_of_it() -> None:
    judged = [
        cell("frames.x", "failed", client="judge/Raw"),
        cell("frames.x", "failed", server="judge/Raw"),
    ]
    (pair,) = pairs([*core(), *judged], [S, "judge/Raw"], [C, "judge/Raw"], {})
    assert pair.words == "works"


def test_pairs_are_in_the_order_of_rows_and_columns_with_what_did_not_run_last() -> None:
    apis = [Api("n", "server", "S"), Api("n", "client", "C"), Api("m", "client", "C")]
    found = pairs(core(), [S], [C], {"n/S": "no n", "n/C": "no n"}, apis)
    assert [(pair.server, pair.client, pair.verdict) for pair in found] == [
        (S, C, "works"),
        (S, "n/C", "not run"),
        ("n/S", C, "not run"),
        ("n/S", "n/C", "not run"),
    ]


def test_the_core_is_plain_use_and_in_the_catalogue() -> None:
    catalogue = load_catalogue()
    for pattern in CORE:
        names = [name for name in catalogue if fnmatchcase(name, pattern)]
        assert names, pattern
        assert all(map(is_plain, names))
        assert all(catalogue[name].side == "pair" for name in names)
