"""Finding the first problem: paths, and inputs that would break a recursive search."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

import pytest

from zaptools import _jsonpath
from zaptools._jsonpath import depth, find_in_text, find_in_value, has_nonfinite, to_plain


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
    problem = find_in_text(text, 3)
    assert problem is not None
    assert (problem.reason, problem.where) == (reason, where)


@pytest.mark.parametrize(
    "text", ["null", '{"a":[1,2.5,"x",true,{}],"b":{"a":1}}', '"a:,{}[]\\"\\\\"', "[1e5,-0]"]
)
def test_text_without_problems(text: str) -> None:
    assert find_in_text(text, 8) is None


def test_depth() -> None:
    assert [depth(value) for value in (1, "x", [], {}, [1], [[]], {"a": [{}]}, ((),))] == [
        *(0, 0, 1, 1, 1, 2, 3, 2),
    ]
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert depth(deep) == 100_001
    assert not has_nonfinite(deep)
    problem = find_in_value(deep, 500)
    assert problem is not None and problem.reason == "nesting"


def test_value_without_problems() -> None:
    assert find_in_value({"a": [1, 1.5, None, True, "x", {1: {2}}]}, 8) is None


def test_nonfinite() -> None:
    assert has_nonfinite([{"a": (1, {math.nan})}])
    assert not has_nonfinite([{"a": (1, {2.0})}, object()])


def test_to_plain() -> None:
    class Names(list[str]):
        pass

    assert type(to_plain(Names(["a"]))) is list
    assert type(to_plain(OrderedDict(a=1))) is dict
    with pytest.raises(TypeError, match="complex"):
        to_plain(1j)


def test_keys() -> None:
    assert _jsonpath._step("$", "a_1") == "$.a_1"
    assert _jsonpath._step("$", "1a") == '$["1a"]'
    assert _jsonpath._step("$", 3) == "$[3]"
    problem = find_in_value({True: 1}, 8)
    assert problem is not None and problem.detail == "a key of type bool"
