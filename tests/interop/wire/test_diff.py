from __future__ import annotations

import pytest

from interop.records import KEPT_BYTES, CellResult
from interop.wire.diff import canonical, differences, groups, masked, texts

from ..cells import cell, frame

ID = "0b4e7a3c-9d1f-4c2b-8a6e-5f7d9c1b3a2e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f'{{"id":"{ID}"}}', '{"id":"<id>"}'),
        ('{"x":"0b4e7a3c9d1f4c2b8a6e5f7d9c1b3a2e"}', '{"x":"<id>"}'),
        ('{"eventName":"whoami","x":{"id":"7"}}', '{"eventName":"whoami","x":{"id":"<id>"}}'),
        ('{"x":{"id":"7"},"eventName":"whoami"}', '{"x":{"id":"<id>"},"eventName":"whoami"}'),
        ('{"headers":{"requestId":"9621c376-14"}}', '{"headers":{"requestId":"<id>"}}'),
        ('{"headers":{"replyTo": "a\\"b","x":1}}', '{"headers":{"replyTo": "<id>","x":1}}'),
        ('{"headers":{"replyTo":7}}', '{"headers":{"replyTo":7}}'),
        ('{"eventName":"x","payload":{"id":"7"}}', '{"eventName":"x","payload":{"id":"7"}}'),
    ],
)  # fmt: skip
def test_generated_ids_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        '{"eventName":"e","payload":null,"headers":{}}',
        '{"headers":null,"eventName":"e"}',
        '{ "eventName": "\\u0065" }',
    ],
)
def test_one_text_stands_for_all_of_a_meaning(text: str) -> None:
    assert canonical(text) == '{"eventName":"e","headers":{},"payload":null}'


def test_what_is_no_object_is_its_own_text() -> None:
    assert canonical("{no") == "{no"
    assert canonical("[1, 2]") == "[1,2]"


BASE = '{"eventName":"e","payload":{"a":1.0,"b":"é"},"headers":{}}'


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (BASE, []),
        ('{"eventName":"e","payload":{"b":"é","a":1.0},"headers":{}}', ["key order"]),
        ('{"eventName":"e","payload":{"a":1.0,"b":"é"}}', ["headers absent, not there"]),
        (BASE.replace("{}", "null"), ["headers null, not there"]),
        (BASE.replace("1.0", "10e-1"), ["number form: 10e-1, not 1.0"]),
        ('{"eventName":"e","payload":{"a":1.0,"b":"\\u00e9"},"headers":{}}',
         ['escapes: "\\u00e9", not "é"']),
        ('{"eventName":"e", "payload":{"a":1.0,"b":"é"},"headers":{}}', ["white space"]),
        ('{"payload": {"b":"\\u00e9","a":1.00},"eventName":"e"}',
         ["headers absent, not there", 'number form: 1.00, not 1.0',
          'escapes: "\\u00e9", not "é"', "white space"]),
        ('{"eventName":"e","payload":{"a":1,"b":"é"},"headers":{}}',
         ["another value at $.payload.a: expected a number 1.0, got a number 1"]),
        ("{", ["other text from character 1 (no JSON, or cut in the results)"]),
        ('{"eventName":"f', ["other text from character 14 (no JSON, or cut in the results)"]),
    ],
)  # fmt: skip
def test_texts_differ_in_form_or_in_meaning(other: str, found: list[str]) -> None:
    assert differences(BASE, other) == found


def test_ids_are_no_difference() -> None:
    one = f'{{"eventName":"e","payload":"{ID}"}}'
    assert differences(one, one.replace("0b4e", "ffff")) == []


def test_what_is_no_object_differs_by_its_form() -> None:
    assert differences("[1.0]", "[1.00]") == ["number form: 1.00, not 1.0"]


def test_a_sides_texts_connection_by_connection() -> None:
    frames = [frame("client", "b", 2), frame("client", "a"), frame("server", "s")]
    frames += [frame("client", "", kind="close"), *[frame("client", str(n)) for n in range(9)]]
    assert texts(cell(frames=frames), "client") == ["a", "0", "1", "2", "3", "b"]
    assert texts(cell(), "client") == []


def wrote(server: str, client: str, *said: str) -> CellResult:
    return cell(server=server, client=client, frames=[frame("server", text) for text in said])


def test_implementations_are_grouped_by_what_they_write() -> None:
    cells = [
        wrote("a", "x", '{"eventName":"e"}'),
        wrote("b", "x", '{"eventName":"e","payload":null}', '{"eventName":"f"}'),
        wrote("c", "x", '{"eventName":"e"}'),
        wrote("b", "y", '{"eventName":"e"}'),
        wrote("d", "x"),
    ]
    first, second = groups(cells, "server")
    assert (first.apis, first.texts, first.differences) == (("a", "c"), ('{"eventName":"e"}',), ())
    assert second.apis == ("b",)
    assert second.differences == ("payload null, not absent", "2 texts, not 1")
    assert groups(cells, "client") == []


def cut(id: str, fill: str = "x") -> str:
    """The part that results keep of a long text with an id in front."""
    return f'{{"headers":{{"requestId":"{id}"}},"payload":"{fill * KEPT_BYTES}"}}'[:KEPT_BYTES]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cut("0f0f0f0f-9"), cut("0f0f0f0f-10")),
        (cut("1")[:380] + "0b4e28ba-2fa1-11d2-8", cut("1")[:380] + "1b4e28ba-2fa1-11d2-8"),
        (cut("1", "é"), cut("222", "é")),
    ],
)
def test_an_id_that_is_cut_off_or_moves_the_end_is_no_difference(one: str, other: str) -> None:
    assert differences(one, other) == []
    (group,) = groups([cell(server=name, frames=[frame("server", text)])
                       for name, text in (("a/S", one), ("b/S", other))], "server")  # fmt: skip
    assert group.apis == ("a/S", "b/S")


def test_texts_that_are_cut_differ_before_their_end() -> None:
    assert differences(cut("1"), cut("1", "y")) == [
        "other text from character 43 (no JSON, or cut in the results)"
    ]


def test_a_text_that_is_no_json_differs_at_its_end_too() -> None:
    assert differences('{"eventName":"a', '{"eventName":"b') != []
