from __future__ import annotations

import pytest

from interop.verdicts.forms import Forms, recorded_forms
from interop.wire.vectors import Vectors

EMPTY = '{"eventName":"a","payload":1,"headers":{}}'
ABSENT = '{"eventName":"a","payload":1}'


def vectors(api: str, *texts: str, scenario: str = "echo.null") -> Vectors:
    return Vectors(api, "server", {scenario: list(texts)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EMPTY, ""),
        ('{"eventName":"b","payload":[2],"headers":{"c":"d"}}', ""),
        (ABSENT, "empty headers absent, where it wrote {} before"),
        ('{"eventName":"a","payload":1,"headers":null}', "empty headers null"),
        ('{"headers":{},"eventName":"a","payload":1}', "the order of 3 keys as headers, eventName"),
        ('{"eventName": "a", "payload": 1, "headers": {}}', "white space: some"),
        ('{"eventName":"a","payload":1,"headers":{},"id":3}', "more members: id"),
        ("[]", ""),
        ("{not json", ""),
    ],
)
def test_a_form_is_odd_that_an_implementation_never_wrote(text: str, words: str) -> None:
    forms = Forms([vectors("a/X", EMPTY), vectors("b/Y", ABSENT)])
    found = forms.odd("server", "a/X", "any", text)
    assert found.startswith(words) and bool(found) == bool(words)


def test_text_beyond_ascii_is_written_as_it_is_or_escaped() -> None:
    raw, escaped = EMPTY.replace("1", '"é"'), EMPTY.replace("1", r'"\u00e9"')
    forms = Forms([vectors("a/X", raw), vectors("b/Y", escaped)])
    assert (
        forms.odd("server", "a/X", "any", raw) == forms.odd("server", "b/Y", "any", escaped) == ""
    )
    assert "escaped" in forms.odd("server", "a/X", "any", escaped)
    assert "as it is" in forms.odd("server", "b/Y", "any", raw)


def test_an_unknown_implementation_is_compared_with_most_of_the_others() -> None:
    known = [vectors("a@1/X", EMPTY), vectors("a@2/X", ABSENT), vectors("b/Y", EMPTY)]
    forms = Forms([*known, vectors("c/Z", EMPTY)])
    assert forms.odd("server", "new/X", "any", EMPTY) == ""
    assert "absent, where others write {}" in forms.odd("server", "new/X", "any", ABSENT)
    assert forms.odd("client", "new/X", "any", ABSENT) == ""  # no client is known


def test_the_same_scenario_says_more_than_the_others() -> None:
    known = vectors("a/X", ABSENT), vectors("a/X", EMPTY)
    forms = Forms([Vectors("a/X", "server", {"echo.null": [EMPTY], "headers.none": [ABSENT]})])
    assert forms.odd("server", "a/X", "headers.none", ABSENT) == ""
    assert forms.odd("server", "a/X", "echo.null", ABSENT)
    assert forms.odd("server", "a/X", "another", ABSENT) == ""
    assert [Forms([each]).odd("server", "a/X", "x", EMPTY) != "" for each in known] == [True, False]


def test_each_recorded_implementation_writes_as_it_always_did() -> None:
    forms = recorded_forms()
    assert forms.has("client", "node/Client", "echo.booleans", EMPTY.replace("1", "true")) is False
    text = '{"eventName":"echo","payload":true,"headers":{}}'
    assert forms.has("client", "node/Client", "echo.booleans", text)
    assert forms.odd("client", "node/Client", "echo.booleans", text) == ""
