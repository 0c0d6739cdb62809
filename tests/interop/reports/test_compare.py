from __future__ import annotations

import pytest

from interop.records import CellResult, Culprit, Verdict
from interop.reports.compare import compare, unequal

from ..cells import cell, frame


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("passed", "failed", "broken"),
        ("deviating", "error", "broken"),
        ("flaky", "failed", "broken"),
        (None, "failed", "broken"),
        ("failed", "passed", "fixed"),
        ("flaky", "passed", "fixed"),
        ("warned", "passed", "fixed"),
        ("passed", "flaky", "flaky"),
        ("failed", "flaky", "flaky"),
        ("passed", "warned", "other"),
        ("passed", "unsupported", "other"),
        ("failed", "deviating", "other"),
        ("passed", "tolerated", "other"),
        ("tolerated", "passed", "other"),
        ("failed", "tolerated", "other"),
        ("tolerated", "failed", "broken"),
        ("tolerated", "flaky", "flaky"),
        ("passed", None, "gone"),
        ("failed", None, "gone"),
        ("failed", "error", "unknown"),
        ("error", "error", "unknown"),
        ("failed", "failed", None),
        ("flaky", "flaky", None),
        (None, "passed", None),
    ],
)
def test_a_cell_changes_in_one_way(
    old: Verdict | None, new: Verdict | None, kind: str | None
) -> None:
    found = compare([cell(old)] if old else [], [cell(new)] if new else [])
    kinds = ("broken", "fixed", "flaky", "other", "unknown", "gone")
    assert [k for k in kinds if getattr(found, k)] == ([kind] if kind else [])
    for change in getattr(found, kind or "wire"):
        assert (change.old, change.new) == (old or "no cell", new or "no cell")
        assert change.scenario == "echo.null"


def test_changed_text_is_named_once_for_all_its_cells() -> None:
    def run(text: str, verdict: Verdict = "passed") -> list[CellResult]:
        clients = ("x", "y")
        return [cell(verdict, client=c, frames=[frame("server", text)]) for c in clients]

    (change,) = compare(run('{"eventName":"e"}'), run('{"eventName":"e","payload":null}')).wire
    assert (change.side, change.api, change.cells) == ("server", "python/ZapServer", 2)
    assert change.differences == ("payload null, not absent",)
    assert compare(run("{}"), run("{}")).wire == []
    assert compare(run("{}"), run("[]", "failed")).wire == []


STALE = {"raised": "", "reason": "expected to fail, but passed; remove its entry: x"}
BETTER = Culprit("server", "", "expectation")
UNDECLARED = {"raised": "", "culprit": Culprit("server", "", "unsupported")}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (cell("deviating"), cell("failed", **STALE), "repaired"),
        (cell("passed"), cell("failed", **STALE), "repaired"),
        (cell("failed", raised="no"), cell("failed", **STALE), "repaired"),
        (None, cell("failed", **STALE), "repaired"),
        (cell("failed", **STALE), cell("failed", **STALE), None),
        (cell("failed", **STALE), cell("failed", raised="no"), "broken"),
        (cell("failed", **STALE), cell("error"), "broken"),
        (cell("failed", **STALE), cell("passed"), "fixed"),
        (cell("failed", **STALE), cell("deviating"), "other"),
        (cell("deviating"), cell("failed", **STALE, culprit=BETTER), "repaired"),
        (cell("deviating"), cell("failed", **STALE, vanished="no event"), "broken"),
        (cell("unsupported"), cell("failed", **UNDECLARED), "broken"),
    ],
)
def test_what_failed_since_it_passed_is_not_broken(
    old: CellResult | None, new: CellResult, kind: str | None
) -> None:
    found = compare([old] if old else [], [new])
    kinds = ("broken", "fixed", "repaired", "flaky", "other", "gone")
    assert [k for k in kinds if getattr(found, k)] == ([kind] if kind else [])


def test_the_same_texts_in_another_order_are_no_change() -> None:
    one, two, three = (frame("server", f'{{"eventName":"{name}"}}') for name in "abc")
    old, new = cell(frames=[one, two, three]), cell(frames=[two, three, one])
    assert compare([old], [new]).wire == []
    other = frame("server", '{"eventName":"c","headers":{}}')
    (change,) = compare([old], [cell(frames=[other, two, one])]).wire
    assert (change.old, change.new) == (three.text, other.text)


def test_only_what_both_runs_wrote_is_compared() -> None:
    one, two = frame("client", "{}"), frame("client", "[]")
    assert compare([cell(frames=[one])], [cell(frames=[one, two])]).wire == []


def roles(peer: str) -> set[str]:
    return {"server", "client"} if peer != "c" else {"client"}


def at(server: str, client: str, verdict: Verdict = "passed") -> CellResult:
    return cell(verdict, server=f"{server}@1/S", client=f"{client}/C")


def test_equal_runs_have_no_problems() -> None:
    cells = [at("a", "a"), at("a", "c", "failed")]
    assert unequal(cells, cells, ["a", "c"], roles) == []


def test_cells_with_the_judge_on_one_side_count_too() -> None:
    judged = [("a@1/S", "judge/Raw"), ("judge/Raw", "c/C"), ("z/S", "judge/Raw")]
    both = at("a", "a")
    old = [both, *(cell("passed", server=s, client=c) for s, c in judged)]
    new = [both, *(cell("flaky", server=s, client=c) for s, c in judged)]
    of_a = ["a@1/S / judge/Raw / echo.null: old passed, new flaky"]
    of_c = ["judge/Raw / c/C / echo.null: old passed, new flaky"]
    assert unequal(old, new, ["a"], roles) == of_a
    assert [each for each in unequal(old, new, ["a", "c"], roles) if "judge" in each] == of_a + of_c
    assert len(unequal(old, new, [], roles)) == 3


def test_what_is_not_equal_is_named() -> None:
    old = [at("a", "a"), at("a", "b"), at("z", "a")]
    new = [at("a", "a", "failed"), at("z", "a", "failed")]
    assert unequal(old, new, ["a"], roles) == ["a@1/S / a/C / echo.null: old passed, new failed"]
    assert len(unequal(old, new, [], roles)) == 3
    assert unequal(old, new, ["a", "b"], roles) == [
        "old: no cell with server b and client a",
        "old: no cell with server b and client b",
        "new: no cell with server a and client b",
        "new: no cell with server b and client a",
        "new: no cell with server b and client b",
        "a@1/S / a/C / echo.null: old passed, new failed",
        "a@1/S / b/C / echo.null: old passed, new no cell",
    ]


def kept(*payloads: int, space: str = "", total: int = 100) -> CellResult:
    """A cell of which these texts were kept."""
    texts = [f'{{"eventName":"tick",{space}"payload":{payload}}}' for payload in payloads]
    return cell(frames=[frame("server", text) for text in texts], frames_total=total)


def test_what_a_cut_record_does_not_hold_is_no_change() -> None:
    assert compare([kept(1, 2, 3)], [kept(1, 2, 4)]).wire == []
    assert len(compare([kept(1, 2, 3, total=3)], [kept(1, 2, 4, total=3)]).wire) == 1


def test_another_form_shows_in_a_cut_record() -> None:
    (change,) = compare([kept(1, 2, 3)], [kept(1, 2, 4, space=" ")]).wire
    assert change.differences == ("white space",)


def test_a_cell_that_may_fail_or_pass_is_equal_in_both() -> None:
    passed, tolerated, failed = (
        [at("a/S", "b/C", verdict)] for verdict in ("passed", "tolerated", "failed")
    )
    assert unequal(passed, tolerated, [], roles) == []
    assert unequal(tolerated, passed, [], roles) == []
    assert unequal(tolerated, failed, [], roles) != []
