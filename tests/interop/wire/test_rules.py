from __future__ import annotations

import json
from typing import Any

import pytest

from interop.errors import Violation
from interop.spec.rules import load
from interop.wire.rules import Breach, Frame, check_text, differ, event_text, read_event


@pytest.mark.parametrize(
    "text",
    [
        '{"eventName":"a","payload":1,"headers":{}}',
        '{"eventName":"a"}',
        '{"headers":null,"payload":null,"eventName":"","more":[]}',
        ' { "eventName" : "é🙂" } ',
    ],
)
def test_a_legal_message_has_no_violation(text: str) -> None:
    assert check_text(text.encode()) == []


@pytest.mark.parametrize(
    ("data", "says", "rule"),
    [
        (b"{", "not JSON", "W-1"),
        (b"", "not JSON", "W-1"),
        (b"\xff", "not UTF-8 at byte 0", "W-1"),
        (b"[1]", "not an object but an array", "W-1"),
        (b'"x"', "not an object but a string", "W-1"),
        (b"null", "not an object but null", "W-1"),
        (b"{}", "no eventName", "W-2"),
        (b'{"event_name":"a"}', "no eventName", "W-2"),
        (b'{"eventName":5}', "eventName is a number", "W-2"),
        (b'{"eventName":true}', "eventName is a boolean", "W-2"),
        (b'{"eventName":"a","headers":[]}', "headers is an array", "W-3"),
        (b'{"eventName":"a","payload":NaN}', "NaN is not JSON", "W-5"),
        (b'{"eventName":"a","payload":-Infinity}', "-Infinity is not JSON", "W-5"),
        (b'{"eventName":"a","eventName":"b"}', "'eventName' is there twice", "W-6"),
        (b'{"eventName":"a","payload":{"x":1,"x":2}}', "'x' is there twice", "W-6"),
        (b'{"eventName":"a","payload":["\\ud800"]}', "lone surrogate", "W-7"),
        (b'{"eventName":"a","payload":{"\\udfff":1}}', "lone surrogate", "W-7"),
        (b'{"eventName":"a","payload":' + b"[" * 100_000, "not JSON", "W-1"),
    ],
)
def test_a_violation_is_named(data: bytes, says: str, rule: str) -> None:
    assert any(says in breach.words and breach.rule == rule for breach in check_text(data))
    assert load().rule[rule].everywhere


def test_a_message_full_of_faults_has_some_of_them_told() -> None:
    twice = b'{"a":1,"a":1},' * 1000
    data = b'{"eventName":"a","payload":[' + twice + b"NaN," * 1000 + b"1]}"
    assert list(map(str, check_text(data))) == ["key 'a' is there twice"] * 8


def test_a_key_that_is_there_twice_is_found_among_many_and_shown_in_part() -> None:
    """In time that grows with the number of keys, not with its square: that would take hours."""
    keys = b",".join(b'"%d":1' % number for number in range(200_000))
    (found,) = check_text(b'{"eventName":"a",' + keys + b',"%s":1,"%s":1}' % ((b"x" * 500,) * 2))
    assert str(found) == f"key {'x' * 60!r} is there twice"


def test_a_surrogate_is_found_however_deep() -> None:
    deep = b'{"a":' * 800 + b'"\\ud800"' + b"}" * 800
    found = check_text(b'{"eventName":"a","payload":' + deep + b"}")
    assert found == [Breach("a lone surrogate in a string", "W-7")]


def test_a_frame_is_judged_by_its_kind() -> None:
    assert Frame(0, 1, "client", "server", 2, b"{}").violations()
    assert Frame(0, 1, "client", "server", 1, b"{}").violations()
    assert not Frame(0, 1, "client", "server", 9, b"ping").violations()


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.0, -0.0, "x", [], {}, {"a": [1, {"b": None}]}, 2**70]
)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert differ(value, json.loads(json.dumps(value))) is None


def test_the_order_of_keys_is_no_difference() -> None:
    assert differ({"a": 1, "b": 2}, {"b": 2, "a": 1}) is None


@pytest.mark.parametrize(
    ("expected", "actual", "where"),
    [
        (1, 1.0, "$: expected a number 1, got a number 1.0"),
        (1, True, "$: expected a number 1, got a boolean True"),
        (0.0, -0.0, "$: expected a number 0.0, got a number -0.0"),
        (None, "nothing", "$: expected null None, got a string 'nothing'"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "$.a[1]: expected a number 2, got a number 3"),
        ({"a": 1}, {}, "$: expected keys ['a'], got []"),
        ([1], [1, 2], "$: expected 1 items, got 2"),
        (2**63, float(2**63), "$: expected a number 9223372036854775808, got"),
    ],
)
def test_a_difference_says_where_and_how(expected: Any, actual: Any, where: str) -> None:
    found = differ(expected, actual)
    assert found is not None
    assert found.startswith(where)


def test_the_judges_own_message() -> None:
    assert event_text(eventName="é") == '{"eventName":"é"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{}",
        '{"eventName":1}',
        '{"eventName":"a","headers":[]}',
        '{"eventName":"a","headers":"x"}',
        "[" * 100_000,
    ],
)
def test_what_is_read_as_an_event_has_a_name_and_headers_or_none(text: str) -> None:
    with pytest.raises(Violation, match="the client wrote what is no event"):
        read_event(text.encode(), "client")


def test_an_event_is_read_as_it_is() -> None:
    for event in ({"eventName": "a"}, {"eventName": "", "headers": None, "payload": [1]}):
        assert read_event(json.dumps(event).encode(), "server") == event
