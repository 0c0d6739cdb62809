from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interop.run.runner import load_catalogue
from interop.spec.check import problems
from interop.spec.rules import load, load_versions

from .small import SCENARIOS, TEXT, rules

FROZEN = {"1": {"A-1": rules().rule["A-1"].digest, "A-4": rules().rule["A-4"].digest}}


def test_the_rules_and_what_the_scenarios_cite_agree() -> None:
    assert problems(load(), load_versions(), load_catalogue()) == []


def test_nothing_is_wrong_with_the_small_ones() -> None:
    assert problems(rules(), FROZEN, SCENARIOS) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("last = 4", "last = 5", "A-5 is gone: write it again"),
        ("last = 4", "last = 3", "A-4 is above the last number of A: raise `last` to 4"),
        ("[rule.A-3]", "[rule.A-9]", "A-3 is gone"),
        ("[rule.A-3]", "[rule.A-03]", "A-03: a rule's number is a letter"),
        ("[rule.A-3]", "[rule.B-3]", "B-3: a rule's number is a letter"),
        ("[rule.A-1]", "[rule.A-7]", "A-1 is of wire version 1, and is gone"),
        ("MUST answer", "MUST always answer", "put its words back, and write another rule"),
        ("MUST be JSON", "is JSON", "A-3 is a must: its text has to say MUST, and not SHOULD"),
        ("SHOULD ask", "MUST ask", "A-2 is a should: its text has to say SHOULD, and not MUST"),
        ('["RFC 8259, section 2"]', "[]", "A-3 has no source"),
        ("RFC 8259, section 2", "RFC 8259", "'RFC 8259' is no source"),
        ("core/events.py:7", "core/events.py", "events.py' is no source"),
        ("decision: time", "decision:", "'decision:' is no source"),
        ('"rooms", "request"', '"doors"', "'doors' in `where` is nothing that a peer can lack"),
        ("as A-2 says", "as A-8 says", "A-1 refers to A-8, which is no rule"),
        ("What A-1 is", "What A-8 is", "the introduction of A refers to A-8, which is no rule"),
        ('unseen = "no clock"\n', "", "no scenario cites A-4: write one, or say why not"),
    ],
)
def test_what_is_wrong_with_rules_is_said(old: str, new: str, says: str) -> None:
    assert old in TEXT
    found = problems(rules(TEXT.replace(old, new, 1)), FROZEN, SCENARIOS)
    assert any(says in problem for problem in found), found


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("a.one", {"rules": []}, "a.one cites no rule"),
        ("a.one", {"rules": ["A-1", "A-8"]}, "a.one cites A-8, which is no rule"),
        ("a.one", {"severity": "should"}, "a.one is a should, and A-1, which it cites, a must"),
        ("b.x", {"severity": "must"}, "b.x is a must, and A-2, which it cites, a should"),
        ("a.one", {"side": "client"}, "a.one looks at the client, and A-1 binds the server alone"),
        ("a.one", {"rules": ["A-1", "A-4"]}, "a.one cites A-4: remove its `unseen`"),
        ("b.x", {"rules_of": {"z*": ["A-2"]}}, "b: 'z*' of rules_of names no parameter"),
    ],
)
def test_what_is_wrong_with_scenarios_is_said(name: str, change: Any, says: str) -> None:
    scenarios = {**SCENARIOS, name: replace(SCENARIOS[name], **change)}
    found = problems(rules(), FROZEN, scenarios)
    assert any(says in problem for problem in found), found


def test_a_retired_rule_keeps_its_place_and_is_not_cited() -> None:
    text = TEXT.replace('of = "server"\n', 'of = "server"\nretired = "replaced by A-3"\n')
    (problem,) = problems(rules(text), FROZEN, SCENARIOS)
    assert problem == "a.one cites A-1, which is retired: replaced by A-3"
    without = {name: facts for name, facts in SCENARIOS.items() if name != "a.one"}
    assert problems(rules(text), FROZEN, without) == []
