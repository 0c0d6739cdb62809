"""Red cells, grouped by their cause."""

from __future__ import annotations

from typing import Any

import pytest

from interop.records import CellResult, Verdict
from interop.reports.causes import blames, causes, details, form, others, told

from ..cells import cell


def red(
    verdict: Verdict = "failed", side: str = "server", api: str = "", **more: Any
) -> CellResult:
    """A red cell with a culprit, by default the one of `cells.cell`."""
    basis = more.pop("basis", "row")
    own = {"server": "python/ZapServer", "client": "dart@0.5.0/ZapConsumer", "unknown": ""}
    why = more.pop("why", "it fails alone")
    culprit = {"side": side, "why": why, "basis": basis, "api": api or own[side]}
    if "at" in more:
        culprit["frame"] = more.pop("at")
    return cell(verdict, **{"culprit": culprit, "raised": "no event", **more})


def notes(server: list[Any] | None = None, client: list[Any] | None = None) -> dict[str, Any]:
    return {"server": server or [], "clients": [client or []]}


def error(message: str, t_ms: float = 1.0, on: str = "error") -> dict[str, Any]:
    return {"on": on, "message": message, "t_ms": t_ms}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no event 'echo' within 0.2 s", "no event 'tick' within 5 s"),
        ("closed with 1002", "closed with 1006"),
        ("expected a number -0.0, got a string '0'", "expected a number 0.1, got a string '0.1'"),
        ("id 1b4e28ba-2fa1-11d2-883f-0016d3cca427", "id 1b4e28ba-2fa1-11d2-883f-0016d3cca428"),
        ("missing (in '{\"a\": 1}')", 'missing (in \'{"b": {"c": ["x"]}}\')'),
        ("expected [1, 2], got [1]", "expected [1, 2, 3], got []"),
        ("python@0.5.2/A failed", "python@0.6.0.dev0/A failed"),
        ("no event\nwith more", "no event"),
    ],
)
def test_texts_of_one_form(one: str, other: str) -> None:
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"), [("no event", "no state"), ("a is missing", "b is missing"), ("x 1", "y 1")]
)
def test_texts_of_two_forms(one: str, other: str) -> None:
    assert form(one) != form(other)


def test_cells_with_the_same_culprit_and_form_are_one_cause() -> None:
    (found,) = blames(
        [
            red(defect="no event 'b'", scenario="echo.b", client="x/A"),
            red(defect="no event 'c'", scenario="echo.c"),
            red(defect="no event 'a'", scenario="order.a", api="python/AsgiApp"),
        ]
    )
    assert found.heading == "server python/AsgiApp, ZapServer: 3 cells, 3 scenarios, 2 pairs"
    (cause,) = found.causes
    assert others(cause, 8) == "also echo.b (1), order.a (1)"
    assert others(cause, 1) == "also echo.b (1), and 1 more topic"


def test_causes_of_one_culprit_are_together_and_told_apart_by_their_forms() -> None:
    cells = [
        red(defect="no event 'a' within 5 s", api="python/AsgiApp"),
        red(side="client", severity="should"),
        red(defect="x" * 120, scenario="b", severity="should", verdict="warned"),
    ]
    first, second = blames(cells)
    count = "2 cells, 2 scenarios, 1 pair; 2 kinds of failure, the most harmful first"
    assert first.heading == f"server python/AsgiApp, ZapServer: {count}"
    assert not first.is_should
    assert [(each.words, each.is_should) for each in first.causes] == [
        ("1 cell, 1 scenario, 1 pair: no event 'a' within 5 s", False),
        (f"1 cell, 1 scenario, 1 pair: {'x' * 67}… 20 characters …{'x' * 33}", True),
    ]
    assert second.heading == "client dart@0.5.0/ZapConsumer: 1 cell, 1 scenario, 1 pair"


def test_cells_with_the_testbed_itself_are_of_no_pair() -> None:
    judged = red(server="judge/Raw")
    (found,) = blames([judged])
    assert found.heading.endswith(": 1 cell, 1 scenario, alone")
    (found,) = blames([judged, red()])
    assert found.heading.endswith(": 2 cells, 1 scenario, 1 pair and alone")


def test_what_has_no_side_at_fault_is_apart_where_the_testbed_failed() -> None:
    cells = [cell("failed", scenario="a"), cell("error", scenario="b", reason="it broke")]
    found = blames(cells)
    assert [[each.form for each in blame.causes] for blame in found] == [
        ["it broke"],
        ["why it failed"],
    ]
    assert {blame.culprit for blame in found} == {"no side at fault"}


@pytest.mark.parametrize(
    "more",
    [
        {"side": "client"},
        {"api": "other/ZapServer"},
        {"defect": "no state 'a'"},
        {"side": "unknown", "basis": ""},
    ],
)
def test_another_culprit_or_form_is_another_cause(more: dict[str, Any]) -> None:
    assert len(causes([red(defect="no event 'a'"), red(**{"defect": "no event 'a'", **more})])) == 2


def test_the_judges_words_join_what_readers_say_in_their_own() -> None:
    why = "the server wrote no eventName in frame {}"
    one = red(basis="frame", why=why.format(1), notifications=notes(client=[error("missing")]))
    other = red(
        basis="frame", why=why.format(7), notifications=notes(client=[error("not a string")])
    )
    assert len(causes([one, other])) == 1


def test_the_most_telling_cause_is_first() -> None:
    def cause(name: str, *, pairs: int = 1, cells: int = 1, **more: Any) -> list[CellResult]:
        data = {"defect": name, "api": f"{name}/S", **more}
        return [
            red(**data, client=f"c{pair}/C", scenario=f"s{number}")
            for pair in range(pairs)
            for number in range(cells)
        ]

    found = causes(
        [
            *cause("should", pairs=9, severity="should", verdict="warned"),
            *cause("aaa", pairs=2),
            *cause("unknown", pairs=3, side="unknown", basis=""),
            *cause("matrix", pairs=3, cells=2),
            *cause("frame", pairs=3, basis="frame", why="frame"),
            *cause("many", pairs=3, cells=3),
            *cause("widest", pairs=4),
            *[each for each in cause("plain") for each.scenario in ["echo.null"]],
            *cause("testbed", verdict="error", raised=""),
        ]
    )
    assert [each.form for each in found] == [
        "testbed", "plain", "widest", "frame", "many", "matrix", "unknown", "aaa", "should",
    ]  # fmt: skip


def test_the_example_is_the_plainest_cell() -> None:
    cells = [
        red(scenario="b", frames_total=1),
        red(scenario="c", at=3, frames_total=9),
        red(scenario="d", at=1, frames_total=2),
    ]
    (found,) = causes(cells)
    assert found.example.scenario == "d"


def test_a_must_and_a_should_are_two_causes() -> None:
    cells = [red(scenario="a", severity="should"), red(scenario="b"), red(scenario="c")]
    must, should = causes(cells)
    assert [cell.scenario for cell in must.cells] == ["b", "c"]
    assert [cell.scenario for cell in should.cells] == ["a"]
    assert [len(blame.causes) for blame in blames(cells)] == [2]


def test_others_are_named_by_what_their_names_share() -> None:
    names = ["x.told.a", "x.told.b", "x.told.c", "x.told", "y.a", "y.b.c", "z.a", "v.told.a"]
    (found,) = causes([red(scenario=name, frames_total=n) for n, name in enumerate(names)])
    assert others(found, 9) == "also x.* (3), y.* (2), v.told.a (1), z.a (1)"
    (found,) = causes([red(scenario=name, frames_total=n) for n, name in enumerate(names[:3])])
    assert others(found, 9) == "also x.told.* (2)"


def test_the_other_sides_error_is_told() -> None:
    missing = "event-name at $.event_name: missing"
    client = [error("provoked", 1.0), error(missing, 2.0)]
    found = red(notifications=notes([error("own", 3.0)], client))
    assert str(told(found)) == f"client dart@0.5.0/ZapConsumer reported: {missing}"
    assert details(found)[0].endswith(missing)
    escaped = red(side="client", notifications=notes([error("X", on="uncaught")], client))
    assert str(told(escaped)) == "server python/ZapServer let escape: X"


def test_an_error_that_the_reason_has_is_not_told_twice() -> None:
    found = red(
        reason="no event: last error 'missing'", notifications=notes(client=[error("missing")])
    )
    assert details(found) == ["culprit: server python/ZapServer (it fails alone)"]


def test_a_side_that_told_nothing_leaves_the_culprits_own_error() -> None:
    found = red(notifications=notes([error("own")]))
    assert str(told(found)) == "server python/ZapServer reported: own"
    assert told(red(notifications=notes())) is None
    assert told(red()) is None


def test_the_rules_that_were_broken_are_quoted() -> None:
    lines = details(red(rules=["W-2", "W-3"]))
    assert [line.partition(" MUST ")[0] for line in lines[:2]] == [
        "rule W-2: The object",
        "rule W-3: The object's member `headers`, where there is one,",
    ]
    assert lines[2].startswith("culprit: ")


def test_what_is_wrong_on_the_wire_is_quoted_first() -> None:
    wrong = {"author": "server", "violation": "no eventName", "excused": False, "rule": "W-2"}
    provoked = {**wrong, "excused": True, "rule": "W-6"}
    found = red(rules=["W-3"], violations=[provoked, wrong, wrong])
    assert [line[:9] for line in details(found)] == ["rule W-2:", "rule W-3:", "culprit: "]


def test_cells_without_a_culprit_are_a_cause_too() -> None:
    (found,) = blames([cell("failed", reason="expected to fail, but passed")])
    assert found.heading == "no side at fault: 1 cell, 1 scenario, 1 pair"
    assert details(found.causes[0].example) == []


def test_what_is_not_controlled_has_its_own_name_and_no_cells() -> None:
    cells = [
        cell("failed", scenario=f"a.{n}", server="ws://h/a b", client="judge/Raw", reason="no 1")
        for n in "xy"
    ]
    (blame,) = blames(cells)
    assert blame.heading == "ws://h/a b: 2 scenarios"
    assert blame.causes[0].words == "2 scenarios: no 1"
    assert blames([cell("error", server="ws://h", client="judge/Raw")])[0].culprit == (
        "no side at fault"
    )
