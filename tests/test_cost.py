"""What a text costs, against `json.loads` of the same text: nothing that a peer can make dear.

CPU times are compared within one process, the least of several, and the bound asserted is twice
the one that holds on an idle machine: what it is to find costs ten times as much and more.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zaptools.exceptions import CodecError
from zaptools.protocol import decode_event

_SIZE = 1 << 15
_BOUND = 8.0
_SPARE = 100e-6
"""Seconds that any text may take, however short."""

TOKENS = (
    *("1", "-7", "0.5", "1e290", "1.5E-310", "5e-324", "1.7976931348623157e308", "1e23"),
    *("12345678901234567890", "9" * 300, "9" * 4300, "1." + "0" * 300 + "1", "1e999", "NaN"),
    *('""', '"a"', '"é"', '"日"', '"\\n"', '"\\u003a"', '"\\ud83d\\ude00"', '"\\ud800"', '":"'),
    *('"' + "n" * 20 + '"', '"' + "[" * 300 + '"', '"' + "e" * 2000 + '"', "null", "true"),
    *("[]", "{}", '{"a":1}', '{"a":1,"a":1}', '{"a":{"b":{"c":1}}}', "[[[[]]]]"),
    *("[" * 240 + "]" * 240, "[" * 300 + "]" * 300, "}", "]", "x", ","),
)


def cost(work: Callable[[str], object], text: str) -> float:
    """Return the CPU seconds that `work` takes; a refusal is no failure."""
    start = time.thread_time()
    with contextlib.suppress(ValueError, RecursionError):
        work(text)
    return time.thread_time() - start


def check(text: str) -> None:
    theirs = ours = math.inf
    for _ in range(30):  # whatever else runs on the machine can only add to either
        theirs, ours = min(theirs, cost(json.loads, text)), min(ours, cost(decode_event, text))
        if ours <= _BOUND * theirs + _SPARE:
            return
    pytest.fail(f"{ours / theirs:.1f} times json.loads: {text[:300]!r}")


@pytest.mark.parametrize("ending", ["", ',{"a":{"b":1}}', ',{"a":1,"a":1}', ',"\\ud800"', ",1e999"])
@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:24])
def test_texts_of_one_kind_of_value(token: str, ending: str) -> None:
    values = ",".join([token] * (_SIZE // (len(token) + 1)))
    check(f'{{"eventName":"x","payload":[{values}{ending}],"headers":{{}}}}')


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4),
    st.lists(st.sampled_from(TOKENS), max_size=2),
    st.sampled_from(["[%s]", '{"a":[%s]}', '{"a":[%s],"b":{"c":{}}}', "[[%s]"]),
    st.sampled_from(
        ['{"eventName":"x","payload":%s}', '{"o":%s,"eventName":"x"}', '{"o":%s}', "%s"]
    ),
)
def test_texts_of_several(most: list[str], last: list[str], inner: str, outer: str) -> None:
    """A search for what is dear."""
    repeated = most * (_SIZE // sum(map(len, most)))
    check(outer % (inner % ",".join([*repeated, *last])))


def test_the_place_of_a_problem_is_looked_for_when_it_is_asked_for() -> None:
    text = '{"eventName":"x","payload":[%s{"a":1,"a":1}]}' % ("null," * 1000)
    with pytest.raises(CodecError) as info:
        decode_event(text)
    assert info.value._search is not None
    assert info.value.where == "$.payload[1000].a"
    assert info.value._search is None
