from __future__ import annotations

from typing import Any

import pytest

from interop.traffic.forms import Form, Place, compared


def form(samples: list[Any]) -> Form:
    found = Form()
    for number, sample in enumerate(samples, 1):
        found.add(sample, Place(number, 1))
    return found


def differences(old: list[Any], new: list[Any], level: str = "difference") -> list[str]:
    return [
        f"{each.path} {each.words}".strip()
        for each in compared("event", form(old), form(new))
        if each.level == level
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([{"a": 1}], [{"a": 2}]),
        ([{"a": 1}, {"a": None}], [{"a": None}]),
        ([{"a": 1}, {}], [{}]),
        ([{}, {"a": 1}], [{}]),
        ([{"a": []}], [{"a": [1]}]),
        ([{"a": [1, "x"]}], [{"a": ["y"]}]),
        ([{"1": 5, "22": 6}], [{"333": 7}]),  # a map, whose keys are data
        ([1], [2.5]),
        ([{"a": 1}], [{"a": 1, "b": 2}]),
    ],
)
def test_what_an_application_has_met_is_no_difference(old: list[Any], new: list[Any]) -> None:
    assert differences(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ([1, 2], ["x"], "was a number (in 2 samples), is a string now"),
        ([1, None], ["x"], "was a number or null (in 2 samples), is a string now"),
        ([{"a": 1}], [{"a": None}], "a was a number (in 1 sample), is null now"),
        ([{"a": 1}], [{}], "a was always there (in 1 sample), is absent now"),
        ([{"a": 1}], [{"a": 1}, {}], "a was always there (in 1 sample), is absent now"),
        ([{"a": 1}], [{}, {"a": 1}], "a was always there (in 1 sample), is absent now"),
        ([{"a": [{"b": 1}]}], [{"a": [{"b": 1}, {"b": True}]}],
         "a[].b was a number (in 1 sample), is a boolean now"),
        ([{"1": {"b": 1}}], [{"2": {"b": "x"}}], "*.b was a number (in 1 sample), is a string now"),
        ([{"a": 1}], [[{"a": 1}]], "was an object (in 1 sample), is an array now"),
    ],
)  # fmt: skip
def test_what_it_has_never_met_is_one(old: list[Any], new: list[Any], words: str) -> None:
    assert words in differences(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ([{}], [{"a": 1}], "a is new, a number"),
        ([None], [1], "was null (in 1 sample), is a number now"),
        ([1], [1.5], "was always whole (in 1 sample), has a fraction now"),
    ],
)
def test_what_applications_usually_ignore_is_a_note(
    old: list[Any], new: list[Any], words: str
) -> None:
    assert differences(old, new, "note") == [words]


def test_the_paths_of_all_members() -> None:
    found = list(form([{"a": {"b": [{"c": 1}]}}]).paths())
    assert found == ["a", "a.b", "a.b[]", "a.b[].c"]


def test_a_member_under_another_name() -> None:
    (found,) = differences([{"a": {"b": 1}}], [{"c": {"b": 2}}])
    assert found == (
        "a was always there (in 1 sample), is absent now; c is new and of the same form: renamed?"
    )
    assert differences([{"a": {"b": 1}}], [{"c": {"b": 2}}], "note") == []
