"""Finding the first problem: paths, and inputs that would break a recursive search."""

from __future__ import annotations

import datetime
import gc
import json
import math
from collections import OrderedDict
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zaptools.protocol.jsonpath import (
    depth,
    find_in_text,
    find_in_value,
    find_reason,
    has_nonfinite,
    is_simple,
    is_within,
    looks_flat,
    to_plain,
)


@pytest.mark.parametrize(
    ("text", "reason", "where"),
    [
        ('{"a":[1,{"b c":NaN}]}', "number", '$.a[1]["b c"]'),
        ("[[1,2],[3,-Infinity]]", "number", "$[1][1]"),
        ('{"a":{"x":1},"b":{"x":1,"x":2}}', "duplicate-key", "$.b.x"),
        ('["\\ud800"]', "surrogate", "$[0]"),
        ('"\\udc00"', "surrogate", "$"),
        ("NaN", "number", "$"),
        ("[[[[]]]]", "nesting", "$[0][0][0]"),
    ],
)
def test_text(text: str, reason: str, where: str) -> None:
    assert find_reason(text, 3)[0] == reason
    problem = find_in_text(text, 3, reason)
    assert problem is not None
    assert (problem.reason, problem.where) == (reason, where)


@pytest.mark.parametrize(
    "text", ["null", '{"a":[1,2.5,"x",true,{}],"b":{"a":1}}', '"a:,{}[]\\"\\\\"', "[1e5,-0]"]
)
def test_text_without_problems(text: str) -> None:
    assert not find_reason(text, 8)[0]
    for reason in ("number", "surrogate", "duplicate-key", "nesting"):
        assert find_in_text(text, 8, reason) is None


def test_a_long_integer_is_told_from_short_ones() -> None:
    text = '{"a":1,"b":[2,-%s]}' % ("7" * 5000)
    assert find_reason(text, 3)[0] == "number"
    problem = find_in_text(text, 3, "number")
    assert problem is not None
    assert (problem.where, problem.detail) == ("$.b[1]", "an integer of 5001 digits")


def test_the_second_of_two_keys_is_named() -> None:
    problem = find_in_text('{"a":1,"b":2,"c":3,"b":4,"a":5}', 3, "duplicate-key")
    assert problem is not None and problem.where == "$.b"


def test_a_text_that_is_no_json_after_all() -> None:
    """What was too deep for the stack it was decoded on may be looked at from a shallow one."""
    assert find_in_text("[[", 3, "nesting") is None


@pytest.mark.parametrize("collects", [False, True])
def test_the_garbage_collector_is_left_as_it_was(collects: bool) -> None:
    had = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        assert find_in_text("[NaN]", 3, "number") is not None
        assert gc.isenabled() is collects
    finally:
        (gc.enable if had else gc.disable)()


def test_depth() -> None:
    values: list[Any] = [1, "x", [], {}, [1], [[]], {"a": [{}]}, ((),)]
    assert [depth(value) for value in values] == [
        *(0, 0, 1, 1, 1, 2, 3, 2),
    ]
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert depth(deep) == 100_001
    assert not has_nonfinite(deep)
    problem = find_in_value(deep, 500)
    assert problem is not None and problem.reason == "nesting"


nestings = st.recursive(
    st.sampled_from([None, 1, 1.5, "[{", datetime.date.min]),
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.tuples(inner)
        | st.dictionaries(st.sampled_from(["a", "]", 1]), inner)
    ),
    max_leaves=40,
)


@settings(max_examples=300)
@given(nestings, nestings, st.integers(1, 8))
def test_within(value: Any, beside: Any, limit: int) -> None:
    brackets = sum(map(msgspec.json.encode([value, beside]).count, (b"[", b"{")))
    deep = depth([value])
    assert not is_within([value], limit, brackets) or deep <= limit
    assert is_within([json.loads(msgspec.json.encode(value))], limit, brackets) == (deep <= limit)


def test_within_values_that_are_not_jsons_own() -> None:
    for value in ([datetime.date.min], [[datetime.date.min] * 40]):
        brackets = msgspec.json.encode(value).count(b"[")
        assert is_within(value, depth(value) + 1, brackets)
        assert not is_within(value, depth(value) + 1, brackets + 1)
        assert is_within(value, depth(value) + 2, brackets + 1)


@given(nestings, st.integers(0, 30))
def test_simple(value: Any, room: int) -> None:
    if is_simple([value], room):
        assert depth(value) <= room + 1
        assert not has_nonfinite(value)


def test_looks_flat() -> None:
    assert all(map(looks_flat, [None, "[", 1.5, {}, {"a": 1, "b": "[]"}]))
    assert not any(map(looks_flat, [[], [1], {"a": 1, "b": []}, {"a": {}}]))
    assert looks_flat({**dict.fromkeys("abcdefgh", 1), "i": []})


def test_simple_is_what_is_small_and_without_floats() -> None:
    assert is_simple([{"a": [1, None, "x", True, {2: []}]}, {}], 8)
    assert not is_simple([{"a": [1, None, "x", True, {2: []}]}, {}], 6)
    for value in (1.5, {1.5: 1}, (1,), datetime.date.min, [[[math.nan]]], {"a": {math.inf: 1}}):
        assert not is_simple([value], 8)


def test_value_without_problems() -> None:
    assert find_in_value({"a": [1, 1.5, None, True, "x", {1: {2}}]}, 8) is None


def test_nonfinite() -> None:
    assert has_nonfinite([{"a": (1, {math.nan})}])
    assert not has_nonfinite([{"a": (1, {2.0})}, object()])
    assert has_nonfinite([{"a": (1, {2.0})}, {2.0: 1}, {"b": {math.nan: 1}}])
    assert not has_nonfinite([{"a": (1, {2.0})}, {2.0: 1}, {"b": {1.5: 1}}])


def test_to_plain() -> None:
    class Names(list[str]):
        pass

    assert type(to_plain(Names(["a"]))) is list
    assert type(to_plain(OrderedDict(a=1))) is dict
    with pytest.raises(TypeError, match="complex"):
        to_plain(1j)


def test_keys() -> None:
    for key, where in (("a_1", "$.a_1"), ("1a", '$["1a"]')):
        found = find_in_value({key: object()}, 8)
        assert found is not None and found.where == where
    found = find_in_value([0, 0, 0, object()], 8)
    assert found is not None and found.where == "$[3]"
    problem = find_in_value({True: 1}, 8)
    assert problem is not None and problem.detail == "a key of type bool"
