from __future__ import annotations

from interop.reports.kept import Kept, by_rule

from ..cells import cell

SERVER, CLIENT = "python/ZapServer", "dart@0.5.0/ZapConsumer"


def test_rules_are_in_the_order_of_the_specification() -> None:
    found = by_rule([cell(rules=["E-1", "W-10", "W-9"]), cell(rules=["Z-1", "W-9"])])
    assert found == [Kept("W-9", 2), Kept("W-10", 1), Kept("E-1", 1), Kept("Z-1", 1)]
    assert found[0].text.startswith("W-9: A receiver MUST")


def test_a_failure_is_the_culprits_and_both_sides_where_that_is_unknown() -> None:
    culprit = {"side": "client", "why": "it fails alone", "basis": "column", "api": CLIENT}
    unknown = {"side": "unknown", "why": "nothing tells"}
    (one,) = by_rule([cell("failed", rules=["W-9"], culprit=culprit)])
    assert one.broken == {CLIENT: "failed"}
    (both,) = by_rule([cell("warned", rules=["W-4"], culprit=unknown)])
    assert both.broken == {SERVER: "warned", CLIENT: "warned"}


def test_a_known_deviation_is_the_side_s_that_its_entry_names() -> None:
    excuse = {"peer": "python", "role": "server", "cause": "it does"}
    (found,) = by_rule([cell("deviating", rules=["W-9"], excuses=[excuse, excuse])])
    assert found.broken == {SERVER: "deviating"}


def test_the_worst_verdict_counts_and_an_error_is_no_side_s() -> None:
    excuse = {"peer": "python", "role": "server", "cause": "it does"}
    culprit = {"side": "server", "why": "it fails alone", "basis": "row", "api": SERVER}
    red = cell("failed", rules=["W-9"], culprit=culprit)
    deviating = cell("deviating", rules=["W-9"], excuses=[excuse])
    for cells in ([red, deviating], [deviating, red]):
        assert by_rule(cells) == [Kept("W-9", 2, {SERVER: "failed"})]
    assert by_rule([cell("error", rules=["W-9"]), cell("unsupported", rules=["W-9"])]) == [
        Kept("W-9", 2)
    ]


def test_what_is_wrong_on_the_wire_is_a_rule_too() -> None:
    wrong = {"author": "server", "violation": "no eventName", "excused": False, "rule": "W-2"}
    culprit = {"side": "server", "why": "it wrote it", "basis": "frame", "api": SERVER}
    found = by_rule([cell("failed", rules=["W-19"], violations=[wrong], culprit=culprit)])
    assert [each.number for each in found] == ["W-2", "W-19"]
