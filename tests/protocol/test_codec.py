"""The wire: what is written, what is accepted, what is refused and how that is said."""

from __future__ import annotations

import ast
import dataclasses
import datetime
import decimal
import enum
import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zaptools._text import clip
from zaptools.exceptions import CodecError
from zaptools.protocol import MAX_DEPTH, EventData, codec, decode_event, encode_event, jsonpath
from zaptools.protocol.codec import decode_by_rules, has_unique_keys, is_lossless


def same(a: Any, b: Any) -> bool:
    """Equality that tells 1 from 1.0 and True, and -0.0 from 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return bool(a == b)


text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**70), max_value=2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text
    | st.sampled_from(["null", '":', ":", "\\u003a", "{", '"eventName":'])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20
)
objects = st.dictionaries(text, values, max_size=3)
nestings = st.recursive(
    st.just(1) | st.just("]}[{"),
    lambda inner: st.lists(inner, max_size=2) | st.builds(lambda v: {"a": v}, inner),
    max_leaves=6,
)
inexact = st.recursive(
    st.floats() | st.sampled_from([None, "a", "nan", 1, datetime.date.min, decimal.Decimal("nan")]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(["nan", "a", 1, 1.5, math.nan]), inner, max_size=3)
        | st.builds(MappingProxyType, st.builds(lambda v: {"m": v}, inner))
    ),
    max_leaves=8,
)
surrogates = st.characters(categories=["Cs"]) | st.sampled_from('{}[]:,"\\ue')
mutations = st.tuples(
    st.floats(0, 1),
    st.integers(0, 3),
    st.text(surrogates | st.characters(), max_size=2)
    | st.sampled_from(['"', "\\u003a", "\\ud800", '"payload":', "NaN", "-", "1e999", "\x00"]),
)
"""Where a text is changed, how many characters go, and what comes in their place."""


def test_an_event_of_a_name_alone() -> None:
    event = EventData("greet")
    assert (event.event_name, event.payload, event.headers) == ("greet", None, {})
    assert EventData("greet").headers is not event.headers


class TestRoundTrip:
    @given(name=text, payload=values, headers=objects)
    def test_everything_json(self, name: str, payload: Any, headers: dict[str, Any]) -> None:
        event = decode_event(encode_event(name, payload, headers))
        assert event.event_name == name
        assert same(event.payload, payload)
        assert same(event.headers, headers)

    @given(name=text, payload=values, headers=objects)
    def test_omitting_headers(self, name: str, payload: Any, headers: dict[str, Any]) -> None:
        data = encode_event(name, payload, headers, omit_empty_headers=True)
        assert (b'"headers":' in data.replace(b'\\"headers', b"")) or not headers
        assert same(decode_event(data).to_dict(), EventData(name, payload, headers).to_dict())

    @given(name=text, payload=values, headers=objects, indent=st.none() | st.just(1))
    def test_texts_of_other_writers(
        self, name: str, payload: Any, headers: dict[str, Any], indent: int | None
    ) -> None:
        event = {"headers": headers, "eventName": name, "payload": payload, "extra": [payload]}
        for ascii_only in (True, False):
            written = json.dumps(event, indent=indent, ensure_ascii=ascii_only)
            decoded = decode_event(written)
            assert same(decoded.to_dict(), EventData(name, payload, headers).to_dict())

    @pytest.mark.parametrize(
        "value",
        [
            *(2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**20, 10**30, 10**4000),
            *(1, 1.0, True, -0.0, 5e-324, 1e20, 1e-5, 0.1, 1.7976931348623157e308),
            *("\x00\u2028", "👩\u200d🚀"),
        ],
    )
    def test_exactly(self, value: Any) -> None:
        for payload in (value, [value], {"a": {"b": value}}):
            assert same(decode_event(encode_event("x", payload)).payload, payload)

    def test_headers_may_be_any_mapping(self) -> None:
        headers = MappingProxyType({"a": 1})
        assert decode_event(encode_event("x", None, headers)).headers == {"a": 1}

    def test_what_msgspec_knows(self) -> None:
        class Colour(enum.Enum):
            RED = "red"

        @dataclasses.dataclass
        class Point:
            x: int
            when: datetime.date

        payload = {"point": Point(1, datetime.date(2024, 2, 29)), "colour": Colour.RED}
        decoded = decode_event(encode_event("x", payload)).payload
        assert decoded == {"point": {"x": 1, "when": "2024-02-29"}, "colour": "red"}


class Text(str):
    pass


class Number(float):
    pass


class Broken(Mapping[str, Any]):
    """A mapping whose items cannot be got."""

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class TestEncode:
    def test_subclasses_of_json_types(self) -> None:
        class Count(int):
            pass

        payload = {
            "t": Text("a"),
            "n": Number(0.5),
            "i": Count(7),
            "d": defaultdict(list, {"x": []}),
        }
        payload["m"] = MappingProxyType({"y": Text("b")})
        again = decode_event(encode_event(Text("x"), payload))
        assert same(again.event_name, "x")
        expected = {"t": "a", "n": 0.5, "i": 7, "d": {"x": []}, "m": {"y": "b"}}
        assert same(again.payload, expected)
        for bad in (Number("nan"), MappingProxyType({"a": math.inf}), [Number("inf")]):
            with pytest.raises(CodecError, match="number"):
                encode_event("x", bad)

    def test_text(self) -> None:
        data = encode_event("größe", {"a": [1, 2.5, None]}, {"h": "€"})
        assert (
            data.decode()
            == '{"eventName":"größe","payload":{"a":[1,2.5,null]},"headers":{"h":"€"}}'
        )

    def test_null_and_empty_are_written(self) -> None:
        assert encode_event("x") == b'{"eventName":"x","payload":null,"headers":{}}'

    def test_empty_headers_can_be_left_out(self) -> None:
        assert encode_event("x", omit_empty_headers=True) == b'{"eventName":"x","payload":null}'
        assert b"headers" in encode_event("x", 1, {"a": 1}, omit_empty_headers=True)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize(
        ("wrap", "where"),
        [
            (lambda v: v, "$.payload"),
            (lambda v: {"a": [1, 2, v]}, "$.payload.a[2]"),
            (lambda v: {"a b": v}, '$.payload["a b"]'),
            (lambda v: (None, {"x": v}), "$.payload[1].x"),
            (lambda v: {v}, "$.payload[0]"),
            (lambda v: {"long": "x" * 600, "v": v}, "$.payload.v"),
            (lambda v: {"long": "x" * 600, "v": ({"a": {v}},)}, "$.payload.v[0].a[0]"),
            (lambda v: [None] * 600 + [1.5, v], "$.payload[601]"),
            (lambda v: [decimal.Decimal(1)] * 600 + [v], "$.payload[600]"),
        ],
    )
    def test_not_finite(self, bad: float, wrap: Any, where: str) -> None:
        with pytest.raises(CodecError) as info:
            encode_event("x", wrap(bad))
        assert (info.value.reason, info.value.where) == ("number", where)

    def test_not_finite_in_headers_and_dataclasses(self) -> None:
        @dataclasses.dataclass
        class Point:
            x: float

        with pytest.raises(CodecError, match=r"\$\.headers\.h"):
            encode_event("x", None, {"h": math.nan})
        with pytest.raises(CodecError, match=r"\$\.payload\.x"):
            encode_event("x", Point(math.inf))

    def test_nulls_that_are_nulls(self) -> None:
        payload = {"a": None, "text": "null", "set": [1.5, True, 2], "enum": datetime.date.min}
        assert decode_event(encode_event("x", payload)).payload["a"] is None

    @pytest.mark.parametrize(
        ("payload", "reason", "where"),
        [
            ("\ud800", "surrogate", "$.payload"),
            ({"\udc00": 1}, "surrogate", "$.payload"),
            ({"a": ["\ud83d\ude00"]}, "surrogate", "$.payload.a[0]"),
            (object(), "type", "$.payload"),
            ({"a": {"b": object}}, "type", "$.payload.a.b"),
            ({None: 1}, "type", "$.payload"),
            ([1j], "type", "$.payload[0]"),
        ],
    )
    def test_refused(self, payload: Any, reason: str, where: str) -> None:
        with pytest.raises(CodecError) as info:
            encode_event("x", payload)
        assert (info.value.reason, info.value.where) == (reason, where)

    def test_more_digits_than_python_writes(self) -> None:
        with pytest.raises(CodecError, match=r"number at \$\.payload: an integer of 16610 bits"):
            encode_event("x", 10**5000)

    def test_a_key_with_more_digits_than_python_writes(self) -> None:
        for payload, where in (({10**5000: 1}, "$.payload"), ([{10**5000: 1}], "$.payload[0]")):
            with pytest.raises(CodecError) as info:
                encode_event("x", payload)
            assert (info.value.reason, info.value.where) == ("number", where)

    @pytest.mark.parametrize("key", [math.nan, math.inf, -math.inf, Number("nan")])
    @pytest.mark.parametrize(
        ("wrap", "where"),
        [
            (lambda v: v, ""),
            (lambda v: {"n": [1, v]}, ".n[1]"),
            (lambda v: {"a": {"b": ({2: "n"}, v)}}, ".a.b[1]"),
            (lambda v: MappingProxyType({"a": v}), ".a"),
            (lambda v: {"a": "x" * 600, "b": v}, ".b"),
            (lambda v: {"a": "n" * 600, "b": [v]}, ".b[0]"),
            (lambda v: {"a": [1.5] * 600, "b": {2: v}}, '.b["2"]'),
        ],
    )
    def test_keys_that_are_not_finite(self, key: float, wrap: Any, where: str) -> None:
        value = wrap({"first": 1, key: 1})
        for place, arguments in (("payload", (value,)), ("headers", (None, value))):
            with pytest.raises(CodecError) as info:
                encode_event("", *arguments)
            assert (info.value.reason, info.value.where) == ("number", f"$.{place}{where}")
            assert "as a key" in str(info.value)

    def test_a_key_that_is_none(self) -> None:
        """`json.dumps` writes it as the text ``"null"``, as which it would come back."""
        with pytest.raises(CodecError, match=r"type at \$\.payload\[0\]: a key of type NoneType"):
            encode_event("a", [{None: 1}])

    def test_keys_that_only_look_not_finite(self) -> None:
        payload = {"nan": 1, "inf": {2: 1, 1.5: 1}, "-inf": 'nan":', "banan": [{"nan": 1}]}
        expected = {**payload, "inf": {"2": 1, "1.5": 1}}
        assert decode_event(encode_event('nan":', payload, payload)).payload == expected
        # A decimal, as a value too, is a text in JSON.
        assert encode_event("x", {decimal.Decimal("nan"): decimal.Decimal("nan"), "n": None})

    def test_what_has_no_form_in_json(self) -> None:
        for payload, where in (
            (msgspec.UNSET, "$.payload"),
            ([msgspec.UNSET], "$.payload[0]"),
            ({"a": msgspec.UNSET}, "$.payload.a"),
        ):
            for omit in (True, False):
                with pytest.raises(CodecError) as info:
                    encode_event("x", payload, omit_empty_headers=omit)
                assert (info.value.reason, info.value.where) == ("type", where)

    def test_values_whose_own_code_fails(self) -> None:
        with pytest.raises(CodecError, match=r"headers at \$\.headers: .* KeyError\('a'\)"):
            encode_event("x", None, Broken())
        with pytest.raises(CodecError, match=r"type at \$\.payload\.a") as info:
            encode_event("x", {"a": Broken()})
        assert isinstance(info.value.__cause__, KeyError)

    def test_values_that_fail_once(self) -> None:
        """The search for the place finds nothing, and the error says what was raised."""

        class Flaky(Broken):
            reads = 0

            def __getitem__(self, key: str) -> Any:
                self.reads += 1
                return 1 if self.reads > 1 else super().__getitem__(key)

        with pytest.raises(CodecError, match=r"^type at \$: 'a'$") as info:
            encode_event("x", Flaky())
        assert isinstance(info.value.__cause__, KeyError)

    def test_many_brackets_that_are_no_json(self) -> None:
        """A `msgspec.Raw` is the caller's to vouch for; a bad one is no other error than this."""
        with pytest.raises(CodecError):
            encode_event("x", [msgspec.Raw(b"[" * 5000)])

    @pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
    def test_nesting_inside_of_what_msgspec_writes(self, levels: int) -> None:
        @dataclasses.dataclass
        class Box:
            content: Any

        class Names(list[Any]):
            pass

        for payload in (Box(nested(levels - 3)), [Box(nested(levels - 4)), *[[]] * 300]):
            if levels <= MAX_DEPTH:
                assert encode_event("x", payload)
            else:
                with pytest.raises(CodecError, match="nesting"):
                    encode_event("x", payload)
        few = [Names([Names([])])]
        assert encode_event("x", [*few, "x" * 600])

    @settings(max_examples=100, deadline=None)  # it writes a lot
    @given(values | inexact, objects, st.booleans())
    def test_long_events_are_refused_for_the_same_reasons(
        self, payload: Any, headers: dict[str, Any], omit: bool
    ) -> None:
        """Whatever the length, and as the search for the place of a problem finds it."""
        for filler in ("", "n" * 600, [1] * 600, [None] * 600):
            value = {"fill": filler, "payload": payload}
            event = {"eventName": "x", "payload": value, "headers": headers}
            problem = jsonpath.find_in_value(event, MAX_DEPTH)
            try:
                encode_event("x", value, headers, omit_empty_headers=omit)
            except CodecError as error:
                assert problem is not None
                assert (error.reason, error.where) == (problem.reason, problem.where)
            else:
                assert problem is None

    def test_names_and_headers(self) -> None:
        for name in (None, 1, b"x"):
            with pytest.raises(CodecError) as info:
                encode_event(name)  # type: ignore[arg-type]  # that is the point
            assert (info.value.reason, info.value.where) == ("event-name", "$.eventName")
        with pytest.raises(CodecError, match=r"surrogate at \$\.eventName"):
            encode_event("\ud800")
        wrong: list[Any] = [[], "x", 1]
        for headers in wrong:
            with pytest.raises(CodecError) as info:
                encode_event("x", None, headers)
            assert (info.value.reason, info.value.where) == ("headers", "$.headers")

    def test_nesting(self) -> None:
        fine: Any = 1
        for _ in range(MAX_DEPTH - 1):
            fine = [fine]
        assert same(decode_event(encode_event("x", fine)).payload, fine)
        for payload in ([fine], {"a": fine}, circle(), nested(100_000)):
            with pytest.raises(CodecError, match="nesting"):
                encode_event("x", payload)

    def test_what_no_walk_finds(self) -> None:
        class Odd(msgspec.Struct):
            value: object

        with pytest.raises(CodecError) as info:
            encode_event("x", Odd(object()))
        assert info.value.reason == "type"


def circle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


class TestDecode:
    @pytest.mark.parametrize(
        ("text", "payload", "headers"),
        [
            ('{"eventName":"x"}', None, {}),
            ('{"eventName":"x","payload":null}', None, {}),
            ('{"eventName":"x","payload":1,"headers":null}', 1, {}),
            ('{"eventName":"x","payload":0,"headers":{}}', 0, {}),
            (
                '{"headers":{"a":{"b":1}},"eventName":"x","payload":{"a":1}}',
                {"a": 1},
                {"a": {"b": 1}},
            ),
            ('{"id":[{"a":1}],"eventName":"x","payload":":"}', ":", {}),
            ('{"event\\u004eame":"x"}', None, {}),
            (' {\t"eventName"\n:\r"x" } ', None, {}),
            ('{"eventName":"x","payload":"\\ud83d\\ude00"}', "😀", {}),
            ('{"eventName":"x","payload":{"a:b":"c\\u003ad"}}', {"a:b": "c:d"}, {}),
        ],
    )
    def test_accepted(self, text: str, payload: Any, headers: dict[str, Any]) -> None:
        for data in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
            assert decode_event(data) == EventData("x", payload, headers)

    def test_only_escaped_colons_leave_it_in_doubt(self) -> None:
        assert has_unique_keys('{"a":"\\u003cb\\u003e"}')
        assert not has_unique_keys('{"a":"\\u003a"}')
        assert not has_unique_keys('{"a":"\\u003A"}')

    def test_headers_are_not_shared(self) -> None:
        first, second = (decode_event('{"eventName":"x"}') for _ in range(2))
        assert first.headers is not second.headers

    @pytest.mark.parametrize(
        ("text", "reason", "where"),
        [
            ("", "not-json", 0),
            ("9" * 5000 + "x", "not-json", 5000),
            ("nonsense", "not-json", 0),
            ('{"eventName":"x"', "not-json", 16),
            ('{"eventName":"ü"} x', "not-json", 19),
            ('\ufeff{"eventName":"x"}', "not-json", 0),
            ('{"eventName":"x","payload":01}', "not-json", 28),
            ('{"eventName":"x","payload":"\x01"}', "not-json", 28),
            ("{'eventName':'x'}", "not-json", 1),
            ('{"eventName":"x",}', "not-json", None),
            ("[]", "not-object", "$"),
            ("null", "not-object", "$"),
            ("1", "not-object", "$"),
            ("true", "not-object", "$"),
            ('"x"', "not-object", "$"),
            ("{}", "event-name", "$.eventName"),
            ('{"eventName":1}', "event-name", "$.eventName"),
            ('{"eventName":null}', "event-name", "$.eventName"),
            ('{"eventName":"x","headers":[]}', "headers", "$.headers"),
            ('{"eventName":"x","headers":"a"}', "headers", "$.headers"),
            ('{"eventName":"x","headers":0}', "headers", "$.headers"),
            ('{"eventName":"x","eventName":"y"}', "duplicate-key", "$.eventName"),
            ('{"eventName":"x","eventName":"y","payload":1}', "duplicate-key", "$.eventName"),
            ('{"eventName":"x","payload":1,"payload":1}', "duplicate-key", "$.payload"),
            (
                '{"eventName":"x","payload":1,"headers":{},"headers":{}}',
                "duplicate-key",
                "$.headers",
            ),
            (
                '{"eventName":"x","payload":1,"headers":null,"headers":{}}',
                "duplicate-key",
                "$.headers",
            ),
            ('{"eventName":"x","payload":{"a":1,"a":1}}', "duplicate-key", "$.payload.a"),
            ('{"eventName":"x","payload":{"a":1,"\\u0061":1}}', "duplicate-key", "$.payload.a"),
            (
                '{"eventName":"x","payload":[{"a":{"b":0,"b":0}}]}',
                "duplicate-key",
                "$.payload[0].a.b",
            ),
            ('{"eventName":"x","payload":{"a":1,"a":"\\u003a"}}', "duplicate-key", "$.payload.a"),
            ('{"eventName":"x","o":{"a":1,"a":1}}', "duplicate-key", "$.o.a"),
            (
                '{"eventName":"x","eventName":"y","payload":{"a,\\"headers":{}}}',
                "duplicate-key",
                "$.eventName",
            ),
            ('{"eventName":"x","payload":NaN}', "number", "$.payload"),
            ('{"eventName":"x","payload":[1,Infinity]}', "number", "$.payload[1]"),
            ('{"eventName":"x","payload":-Infinity}', "number", "$.payload"),
            ('{"eventName":"x","payload":1e400}', "number", "$.payload"),
            ('{"eventName":"x","payload":{"a":[1,2,-1e400]}}', "number", "$.payload.a[2]"),
            ('{"eventName":"x","o":1e400}', "number", "$.o"),
            ('{"eventName":"x","payload":%s}' % ("1" * 5000), "number", "$.payload"),
            ('{"eventName":"x","payload":"\\ud800"}', "surrogate", "$.payload"),
            ('{"eventName":"x","payload":"\\udc00\\ud800"}', "surrogate", "$.payload"),
            ('{"eventName":"x","payload":{"\\ud800":1}}', "surrogate", '$.payload["\\ud800"]'),
            ('{"eventName":"x","payload":"\ud800"}', "surrogate", "$.payload"),
            ('{"eventName":"\\ud800"}', "surrogate", "$.eventName"),
            ('{"eventName":"x","payload":%s}' % ("[" * 300 + "]" * 300), "nesting", None),
            (
                '{"eventName":"x","payload":1,"headers":{},"o":%s}' % ("[" * 300 + "]" * 300),
                "nesting",
                None,
            ),
            ('{"eventName":"x","payload":%s}' % ("[" * 90_000 + "]" * 90_000), "nesting", "$"),
        ],
    )
    def test_refused(self, text: str, reason: str, where: str | int | None) -> None:
        with pytest.raises(CodecError) as info:
            decode_event(text)
        assert info.value.reason == reason
        if where is not None:
            assert info.value.where == where
        assert info.value.text[:80] == text[:80]

    @pytest.mark.parametrize(
        "text",
        [
            '{"eventName":"x","eventName":"y"}',
            '{"eventName":"x","eventName":"y","o":1}',
            '{"eventName":"x","eventName":"y","headers":{}}',
            '{"eventName":"x","headers":{"a":1,"a":1}}',
            '{"eventName":"x","payload":1,"payload":1}',
            '{"eventName":"x","payload":1,"headers":null,"headers":{}}',
            '{"eventName":"x","payload":{"a":1,"a":"\\u003a"}}',
            '{"eventName":"x","payload":[{"a":1,"a":"\\u003A"}]}',
            '{"eventName":"x","payload":[{"a":1,"a":1}],"headers":{}}',
            '{"eventName":"x","payload":1,"o":{"a":1,"a":1}}',
        ],
    )
    def test_a_key_that_comes_twice_in_a_long_text(self, text: str) -> None:
        for long in (text + " " * 600, text.replace('"x"', f'"{"x" * 600}"')):
            with pytest.raises(CodecError) as info:
                decode_event(long)
            assert info.value.reason == "duplicate-key"

    def test_bytes_that_are_no_utf8(self) -> None:
        for data in (b'{"eventName":"\xff"}', b'{"eventName":"\xed\xa0\x80"}'):
            with pytest.raises(CodecError) as info:
                decode_event(data)
            assert (info.value.reason, info.value.where) == ("not-utf8", 14)

    def test_what_is_neither_text_nor_bytes(self) -> None:
        for data in (None, 1, {"eventName": "x"}):
            with pytest.raises(TypeError, match="a message must be str or bytes, not "):
                decode_event(data)  # type: ignore[arg-type]  # that is the point

    def test_an_event_that_cannot_be_encoded_again_is_in_doubt(self) -> None:
        event = EventData("x", nested(100_000))
        assert not is_lossless('{"eventName":"x","payload":[],"a":1}', event, MAX_DEPTH, 2)

    def test_nesting_is_a_parameter(self) -> None:
        text = '{"eventName":"x","payload":[[{"a":[]}]],"headers":{}}'
        assert decode_event(text, max_depth=5)
        with pytest.raises(CodecError, match=r"nesting at \$\.payload\[0\]\[0\]\.a"):
            decode_event(text, max_depth=4)
        ignored = '{"eventName":"x","payload":1,"o":%s}'
        assert decode_event(ignored % ("[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)))
        with pytest.raises(CodecError, match="nesting"):
            decode_event(ignored % ("[" * MAX_DEPTH + "]" * MAX_DEPTH))
        wide = encode_event("x", [[1]] * 1000)
        assert len(decode_event(wide).payload) == 1000

    @pytest.mark.parametrize(
        ("part", "reason", "where"),
        [
            ('"b":1,"b":1', "duplicate-key", ".b"),
            ('"b":NaN', "number", ".b"),
            ('"b":[{},-Infinity]', "number", ".b[1]"),
            ('"b":1e400', "number", ".b"),
            ('"b":[5,%s]' % ("9" * 5000), "number", ".b[1]"),
            ('"b":[{"d":1},{"c":"\\ud800"}]', "surrogate", ".b[1].c"),
            ('"b":{"\\udfff":1}', "surrogate", '.b["\\udfff"]'),
            ('"b":' + "[" * 255 + "]" * 255, "nesting", ".b" + "[0]" * 254),
        ],
    )
    @pytest.mark.parametrize(
        "filler", ['"' + "x" * (1 << 16) + '"', json.dumps(["é"] * 9000), json.dumps([1.5] * 9000)]
    )
    def test_where_the_problem_of_a_long_text_is(
        self, part: str, reason: str, where: str, filler: str
    ) -> None:
        for order in ((part, f'"a":{filler}'), (f'"a":{filler}', part)):
            text = f'{{"eventName":"x","payload":{{{",".join(order)}}}}}'
            with pytest.raises(CodecError) as info:
                decode_event(text)
            assert (info.value.reason, info.value.where) == (reason, clip("$.payload" + where))

    def test_an_outermost_of_several_problems_is_told(self) -> None:
        text = '{"eventName":"x","payload":[[{"a":1,"a":1}],{"b":1,"b":1}]}'
        with pytest.raises(CodecError, match=r"duplicate-key at \$\.payload\[1\]\.b"):
            decode_event(text)

    def test_floats_of_long_texts(self) -> None:
        """Read by msgspec if that is fast, else by Python; they are the same."""
        rare = ["1e290", "1.5E-310", "5e-324", "1.7976931348623157e308", "-1e23", "0.1", "1E5"]
        for tokens in (["1.5"] * 2000, rare, rare * 500, ["1.5"] * 2000 + rare):
            text = f'{{"eventName":"x","payload":[{",".join(tokens)}],"headers":{{}}}}'
            assert same(decode_event(text).payload, json.loads(text)["payload"])
            with pytest.raises(CodecError, match=r"number at \$\.payload\[0\]: out of"):
                decode_event(text.replace("[", "[1e309,"))

    def test_subclasses_of_str(self) -> None:
        assert decode_event(Text('{"eventName":"x"}')).event_name == "x"

    @given(st.text() | st.text(st.characters()) | st.text(surrogates) | st.binary())
    def test_nothing_but_codec_errors(self, data: str | bytes) -> None:
        decode_or_refuse(data)

    @settings(max_examples=300)
    @given(name=text, payload=values, headers=objects, changes=st.lists(mutations, max_size=4))
    def test_nothing_but_codec_errors_for_changed_events(
        self,
        name: str,
        payload: Any,
        headers: dict[str, Any],
        changes: list[tuple[float, int, str]],
    ) -> None:
        message = encode_event(name, payload, headers).decode()
        for place, removed, added in changes:
            at = int(place * len(message))
            message = message[:at] + added + message[at + removed :]
        decode_or_refuse(message)
        decode_or_refuse(message.encode(errors="surrogatepass"))

    @given(
        levels=st.integers(0, 2 * MAX_DEPTH) | st.sampled_from([5_000, 200_000]),
        kind=st.sampled_from([("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")]),
        cut=st.booleans(),
        key=st.sampled_from(["payload", "headers", "other"]),
    )
    def test_nothing_but_codec_errors_for_nesting(
        self, levels: int, kind: tuple[str, str], cut: bool, key: str
    ) -> None:
        opening, closing = kind
        message = f'{{"eventName":"x","{key}":' + opening * levels + "1"
        if not cut:
            message += closing * levels + "}"
        decode_or_refuse(message)

    @settings(max_examples=300)
    @given(
        st.lists(
            st.sampled_from(
                [
                    *('{"eventName":"x"', ',"payload":', ',"headers":', '"a"', '"\\ud800"'),
                    *("{", "}", "[", "]", ",", ":", " ", "[" * 400, '{"a":' * 400, "\ud800"),
                    *("1", "-0.0", "1e999", "NaN", "9" * 4500, "null", "\x00", "\ufeff"),
                ]
            ),
            max_size=12,
        )
    )
    def test_nothing_but_codec_errors_for_near_misses(self, parts: list[str]) -> None:
        decode_or_refuse("".join(parts))
        decode_or_refuse('{"eventName":"x","payload":' + "".join(parts) + "}")

    @settings(max_examples=200, deadline=None)  # it reads a lot
    @given(
        payload=values | nestings,
        headers=st.dictionaries(text, nestings, max_size=2),
        form=st.sampled_from(["own", "spaces", "ascii", "reversed", "extra", "no headers"]),
        changes=st.lists(mutations, max_size=2),
        max_depth=st.integers(1, 8) | st.just(MAX_DEPTH),
    )
    def test_both_ways_agree(
        self,
        payload: Any,
        headers: dict[str, Any],
        form: str,
        changes: list[tuple[float, int, str]],
        max_depth: int,
    ) -> None:
        """The definition and the fast way give the same event, or the same error.

        A text is long, and checked as such, when it has twice as many characters as levels may be.
        """
        event = EventData("x", payload, headers).to_dict()
        if form == "extra":
            event["extra"] = payload
        elif form == "no headers":
            del event["headers"]
        elif form == "reversed":
            event = dict(reversed(event.items()))
        separators = (",", ":") if form == "own" else None
        text = json.dumps(event, ensure_ascii=form == "ascii", separators=separators)
        for place, removed, added in changes:
            at = int(place * len(text))
            text = text[:at] + added + text[at + removed :]
        assert outcome(decode_event, text, max_depth) == outcome(
            decode_by_rules, text, max_depth=max_depth
        )

    @settings(max_examples=200, deadline=None)  # it reads a lot
    @given(
        payload=values | nestings,
        headers=st.dictionaries(text, nestings, max_size=2),
        twice=st.floats(0, 1),
        max_depth=st.integers(1, 8),
    )
    def test_a_key_that_comes_twice_is_found_in_long_texts(
        self, payload: Any, headers: dict[str, Any], twice: float, max_depth: int
    ) -> None:
        """A part of an object is written once more, wherever that leaves valid JSON."""
        text = encode_event("x", payload, headers).decode()
        starts = [at for at, mark in enumerate(text) if mark in "{,"]
        start = starts[int(twice * (len(starts) - 1))] + 1
        for end in (at for at, mark in enumerate(text) if mark in ",}" and at >= start):
            again = text[:end] + "," + text[start:end] + text[end:]
            assert outcome(decode_event, again, max_depth) == outcome(
                decode_by_rules, again, max_depth=max_depth
            )

    @pytest.mark.parametrize("pad", ["", "[{]}" * 300, "null:", "\\u003a"])
    @pytest.mark.parametrize("wide", [0, 400])
    @pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
    def test_the_limit_of_nesting_in_long_texts(self, levels: int, wide: int, pad: str) -> None:
        """To the level, however many other brackets there are, in strings and out of them."""
        pad += "x" * 600
        for headers in ({}, {"h": pad}):
            payload = [*([[]] * wide), pad, nested(levels - 3)]
            event = {"eventName": "x", "payload": payload, "headers": headers}
            texts = [json.dumps(event), json.dumps(event, separators=(",", ":"))]
            texts.append(json.dumps({"eventName": "x", "payload": payload}))
            texts.append(json.dumps({"extra": payload, "eventName": "x", "payload": payload}))
            for text in texts:
                if levels <= MAX_DEPTH:
                    assert decode_event(text).payload == payload
                else:
                    with pytest.raises(CodecError, match="nesting"):
                        decode_event(text)
            for omit in (False, True):
                if levels <= MAX_DEPTH:
                    assert encode_event("x", payload, headers, omit_empty_headers=omit)
                else:
                    with pytest.raises(CodecError, match="nesting"):
                        encode_event("x", payload, headers, omit_empty_headers=omit)


def outcome(decode: Any, text: str, max_depth: int) -> Any:
    """Return what came of decoding, so that it can be compared (1 is not 1.0 here)."""
    try:
        event = decode(text, max_depth=max_depth)
    except CodecError as error:
        return error.reason, error.where
    return repr(event.to_dict())


def decode_or_refuse(data: str | bytes) -> None:
    try:
        event = decode_event(data)
    except CodecError as error:
        assert str(error)
    else:
        assert isinstance(event.event_name, str)
        encode_event(event.event_name, event.payload, event.headers)


def test_sans_io() -> None:
    """The wire's module imports no way to do I/O, directly or through its own imports."""
    allowed = {"__future__", "array", "bisect", "collections.abc", "contextlib", "functools", "gc"}
    allowed |= {"itertools", "json", "math", "msgspec", "operator", "random", "re", "sys", "typing"}
    root = Path(codec.__file__).parents[1]
    seen: set[Path] = set()
    waiting = [Path(codec.__file__)]
    while waiting:
        path = waiting.pop()
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= allowed
            elif isinstance(node, ast.ImportFrom) and node.level:
                folder = path.parents[node.level - 1] / (node.module or "").replace(".", "/")
                names = [] if node.module else [alias.name for alias in node.names]
                found = {folder / f"{name}.py" for name in names} or {folder.with_suffix(".py")}
                waiting.extend(found - seen)
            elif isinstance(node, ast.ImportFrom):
                assert node.module in allowed
    files = {path.relative_to(root).as_posix() for path in seen}
    assert files == {"protocol/codec.py", "protocol/jsonpath.py", "_text.py", "exceptions.py"}


def test_digit_limit_is_the_interpreters() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(10_000)
    try:
        assert decode_event(encode_event("x", 10**5000)).payload == 10**5000
        assert decode_event(encode_event("x", [1.5, 10**5000])).payload == [1.5, 10**5000]
    finally:
        sys.set_int_max_str_digits(before)
