from __future__ import annotations

import pytest

from interop.errors import TestbedError
from interop.mutate.operators import changes
from interop.mutate.population import load, named, parse, population, sample

SOURCE = "class A:\n    def f(self):\n        a(1)\n\n    def g(self):\n        a(2)\n"
EVERY = changes("zaptools.rooms.rooms", SOURCE)

ENTRY = """
[[change]]
module = "rooms.*"
function = "A.f"
change = "a(1) -> pass"
kind = "invisible"
reason = "made up"
"""


def test_the_entries_name_changes_that_there_are() -> None:
    every = population()
    found = named(load(), every)
    assert len(every) - len(found) >= 500
    assert all(entry.reason for entry in found.values())


def test_an_entry_names_one_change_or_all_of_a_line_or_function() -> None:
    assert [change.id for change in named(parse(ENTRY), EVERY)] == [
        "zaptools.rooms.rooms A.f: a(1) -> pass"
    ]
    line = parse(ENTRY.replace("-> pass", "-> *"))
    assert {change.before for change in named(line, EVERY)} == {"a(1)"}
    assert len(named(line, EVERY)) == 3
    whole = parse(ENTRY.replace("a(1) -> pass", "*"))
    assert set(named(whole, EVERY)) == {c for c in EVERY if c.function == "A.f"}
    both = parse(ENTRY.replace("a(1) -> pass", "*").replace("A.f", "A.*"))
    assert set(named(both, EVERY)) == set(EVERY)


def test_a_list_stands_for_an_entry_of_each() -> None:
    changes = ENTRY.replace('"a(1) -> pass"', '["a(1) -> pass", "a(9) -> pass"]')
    assert [entry.change for entry in parse(changes)] == ["a(1) -> pass", "a(9) -> pass"]
    with pytest.raises(TestbedError, match=r"no change is .*a\(9\) -> pass"):
        named(parse(changes), EVERY)
    both = parse(changes.replace('"A.f"', '["A.f", "A.g"]'))
    assert [entry.function for entry in both] == ["A.f", "A.f", "A.g", "A.g"]


def test_an_entry_that_names_nothing_is_an_error() -> None:
    with pytest.raises(TestbedError, match=r"no change is rooms\.\*, 'A\.f': a\(9\) -> pass"):
        named(parse(ENTRY.replace("a(1)", "a(9)")), EVERY)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "invisible"\n', "", "needs just the texts"),
        ('kind = "invisible"', "kind = 1", "needs just the texts"),
        ('reason = "made up"', 'reason = ""', "needs just the texts"),
        ('"a(1) -> pass"', "[]", "needs just the texts"),
        ('"a(1) -> pass"', '["a(1) -> pass", ""]', "needs just the texts"),
        ("invisible", "unimportant", "kind is equivalent or invisible"),
        ("[[change]]", "[[changes]]", "something else than"),
    ],
)
def test_a_malformed_entry_is_an_error(old: str, new: str, words: str) -> None:
    with pytest.raises(TestbedError, match=words):
        parse(ENTRY.replace(old, new))


def test_a_module_is_named_with_or_without_its_package() -> None:
    for pattern in ("rooms.router", "zaptools.rooms.router"):
        assert {change.module for change in population([pattern])} == {"zaptools.rooms.router"}
    assert {c.module.split(".")[1] for c in population(["client.*", "rooms.*"])} == {
        "client",
        "rooms",
    }
    with pytest.raises(TestbedError, match="'romos' names none of"):
        population(["romos"])


def test_a_sample_depends_on_its_seed_and_on_each_change_alone() -> None:
    every = population(["client.*"])
    chosen = sample(every, 20, 1)
    assert len(chosen) == 20
    assert chosen == sample(every, 20, 1) == sorted(chosen, key=every.index)
    assert chosen != sample(every, 20, 2)
    without = [change for change in every if change != chosen[0]]
    assert set(chosen[1:]) < set(sample(without, 20, 1))
    assert sample(every[:3], 20, 1) == every[:3]
