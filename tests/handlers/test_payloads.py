"""Payloads of a declared type: what they become, and what is said of those that do not fit."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import logging
import math
import re
import subprocess
import sys
from collections import OrderedDict, deque
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from zaptools import CodecError, PayloadError, decode_event, encode_event
from zaptools.handlers.payloads import converter, is_payload_type


class Address(msgspec.Struct):
    zip: int
    tags: list[int] = []


class Crowded(pydantic.BaseModel):
    scores: dict[int, int]


class User(msgspec.Struct):
    name: str
    address: Address | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is below zero")


class Movie(TypedDict):
    title: str


class Pair(NamedTuple):
    left: int
    right: str


class Model(pydantic.BaseModel):
    zip: int
    parts: list[Part] = []


class Part(pydantic.BaseModel):
    size: int


class Holder(msgspec.Struct):
    models: list[Model]


@pytest.mark.parametrize(
    ("kind", "payload", "value"),
    [
        (User, {"name": "Ada", "extra": 1}, User("Ada")),
        (User, {"name": "Ada", "address": {"zip": 1}}, User("Ada", Address(1))),
        (Point, {"x": 1}, Point(1)),
        (Movie, {"title": "M"}, {"title": "M"}),
        (Pair, [1, "a"], Pair(1, "a")),
        (Model, {"zip": "7", "parts": [{"size": 1}]}, Model(zip=7, parts=[Part(size=1)])),
        (Model | None, None, None),
        (Holder, {"models": [{"zip": 1}]}, Holder([Model(zip=1)])),
        (list[int], [1], [1]),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (int | None, None, None),
        (Literal["a"], "a", "a"),
        (Annotated[int, msgspec.Meta(ge=1)], 1, 1),
        (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    ],
)
def test_what_fits(kind: Any, payload: Any, value: Any) -> None:
    assert is_payload_type(kind)
    assert converter(kind)(payload, "a") == value


@pytest.mark.parametrize(
    ("kind", "payload", "path", "reason"),
    [
        (int, "1", "$", "Expected `int`, got `str`"),
        (User, {}, "$", "Object missing required field `name`"),
        (User, {"name": 1}, "$.name", "Expected `str`, got `int`"),
        (User, {"name": "", "address": {"zip": "x"}}, "$.address.zip", "Expected `int`, got `str`"),
        (Address, {"zip": 1, "tags": [1, None]}, "$.tags[1]", "Expected `int`, got `null`"),
        (Point, {"x": -1}, "$", "x is below zero"),
        (list[Point], [{"x": 1}, {"x": -1}], "$[1]", "x is below zero"),
        (Movie, {"title": 1}, "$.title", "Expected `str`, got `int`"),
        (Pair, [1], "$", "Expected `array` of length 2, got 1"),
        (
            dict[str, dict[int, str]],
            {"a": {"b": ""}},
            "$[...]",
            "Expected `int`, got `str` in a key",
        ),
        (Annotated[int, msgspec.Meta(ge=1)], 0, "$", "Expected `int` >= 1"),
        (Model, {}, "$.zip", "Field required"),
        (Model, 5, "$", "Input should be a valid dictionary or instance of Model"),
        (
            Model,
            {"zip": "secret", "parts": [{"size": 1}, {"size": "secret"}]},
            "$.zip",
            "Input should be a valid integer, unable to parse string as an integer (and 1 more)",
        ),
        (
            Holder,
            {"models": [{"zip": 1, "parts": [{"size": 1}, {"size": "secret"}]}]},
            "$.models[0].parts[1].size",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
    ],
)
def test_what_does_not(kind: Any, payload: Any, path: str, reason: str) -> None:
    with pytest.raises(PayloadError) as info:
        converter(kind)(payload, "greet")
    error = info.value
    assert (error.event_name, error.path, error.reason) == ("greet", path, reason)
    assert error.__cause__ is None and error.__context__ is None  # whose text is the payload's
    assert "secret" not in str(error)


@pytest.mark.parametrize("kind", [logging.Logger, object])
def test_what_no_payload_can_be(kind: Any) -> None:
    assert not is_payload_type(kind)


@pytest.mark.parametrize("kind", [3, list["Nowhere"], User | Point])  # type: ignore[name-defined]  # noqa: F821  # on purpose
def test_what_msgspec_refuses(kind: Any) -> None:
    with pytest.raises(TypeError):
        is_payload_type(kind)


def test_pydantic_is_not_imported() -> None:
    program = (
        "import sys, zaptools\n"
        "register = zaptools.EventRegister()\n"
        "def handler(ctx, payload: list[int]): ...\n"
        "register.on_event('a', handler)\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Values that JSON has not


class Color(enum.Enum):
    RED = "red"


class Size(NamedTuple):
    width: int
    height: int


@attrs.define
class Pet:
    name: str


class Order(pydantic.BaseModel):
    item: str
    at: datetime.date


WIRE = Path(__file__).parents[2] / "docs" / "wire.md"
ROW = re.compile(r"^\| `([^`]+)`[^|]* \| `([^`]+)`[^|]* \| `([^`]+)` \|$", re.M)
NAMES = {
    **{name: getattr(datetime, name) for name in ("datetime", "date", "time", "timedelta", "UTC")},
    **{each.__name__: each for each in (Color, Size, Pet, Order, Point, User)},
    **{each.__name__: each for each in (Decimal, OrderedDict, UUID)},
}


def conversions() -> list[tuple[str, str, str]]:
    """Return the rows of the table in docs/wire.md."""
    section = WIRE.read_text("utf-8").split("## What becomes of Python's values")[1]
    return ROW.findall(section.split("\n## ")[0])


def test_the_table_of_conversions_is_read_whole() -> None:
    section = WIRE.read_text("utf-8").split("## What becomes of Python's values")[1]
    lines = section.split("\n## ")[0].count("\n|")
    assert len(conversions()) == lines - 2  # its head


@pytest.mark.parametrize(("value", "text", "kind"), conversions())
def test_a_conversion_is_as_documented(value: str, text: str, kind: str) -> None:
    namespace = {**NAMES, "User": Named} if value.startswith("User") else NAMES
    sent, wanted = eval(value, namespace), eval(kind, namespace)
    event = decode_event(encode_event("x", {"a": [sent]}, {"h": sent}))
    payload = event.payload["a"][0]
    assert event.headers == {"h": payload}
    assert json.dumps(payload, separators=(",", ":")) == text
    assert decode_event(encode_event("x", sent)).payload == payload
    assert converter(wanted)(payload, "x") == sent


class Named(msgspec.Struct):
    name: str


class Temperature(pydantic.BaseModel):
    degrees: float


class Aliased(pydantic.BaseModel):
    user_name: str = pydantic.Field(alias="userName")


class Bag(pydantic.BaseModel):
    anything: Any


def test_a_model_is_written_by_its_aliases() -> None:
    sent = Aliased(userName="Ada")
    payload = decode_event(encode_event("x", sent)).payload
    assert payload == {"userName": "Ada"}
    assert converter(Aliased)(payload, "x") == sent


def test_a_model_hides_nothing_that_is_refused() -> None:
    with pytest.raises(CodecError, match=r"number at \$\.payload\.a\[0\]\.degrees: nan"):
        encode_event("x", {"a": [Temperature(degrees=math.nan)]})
    deep: Any = []
    for _ in range(250):
        deep = [deep]
    with pytest.raises(CodecError, match="nesting"):
        encode_event("x", [[[[[Bag(anything=deep)]]]]])
    with pytest.raises(CodecError, match=r"type at \$\.payload\.a: the model_dump of Bag failed"):
        encode_event("x", {"a": Bag(anything=object())})


class Array:
    def tolist(self) -> list[int]:
        raise AssertionError("nothing is converted unasked")


@pytest.mark.parametrize(
    "value",
    [deque([1]), range(3), Path("a"), 1j, object(), ValueError("x"), iter([1]), re.compile("a"),
     {}.keys(), lambda: None, int],
)  # fmt: skip
def test_what_has_no_documented_conversion_is_refused(value: Any) -> None:
    said = f"a value of type {type(value).__name__} has no JSON form: convert it first"
    with pytest.raises(CodecError) as caught:
        encode_event("x", {"a": [value]})
    assert (caught.value.reason, caught.value.where) == ("type", "$.payload.a[0]")
    assert caught.value.detail == said


def test_the_cure_for_arrays() -> None:
    with pytest.raises(CodecError, match=r"send its tolist\(\)"):
        encode_event("x", Array())


PRIME = 2**61 - 1
"""Of this the hash of an integer is the remainder."""

CROWD = [PRIME * number for number in range(1, 400)]


@pytest.mark.parametrize(
    ("kind", "payload", "path"),
    [
        (dict[int, int], {str(key): 1 for key in CROWD}, "$"),
        (dict[int, int], {str(-key): 1 for key in CROWD}, "$"),
        (dict[Decimal, int], {f"{key}.0": 1 for key in CROWD}, "$"),
        (dict[UUID, int], {str(UUID(int=key)): 1 for key in CROWD}, "$"),
        (dict[UUID, int], {UUID(int=key).hex: 1 for key in CROWD}, "$"),
        (set[int], CROWD, "$"),
        (frozenset[tuple[int, str]], [[key, "a"] for key in CROWD], "$"),
        (list[dict[str, set[int]]], [{}, {"a": CROWD}], "$[1].a"),
        (Crowded, {"scores": {str(key): 1 for key in CROWD}}, "$.scores"),
    ],
)
def test_keys_that_have_the_same_hash_by_design(kind: Any, payload: Any, path: str) -> None:
    """They would take a time that grows with the square of their number."""
    with pytest.raises(PayloadError, match="with the same hash") as info:
        converter(kind)(payload, "x")
    assert info.value.path == path


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (dict[int, int], {str(key): 1 for key in range(1000)}),
        (dict[int, int], {str(key): 1 for key in CROWD[:90]}),
        (dict[UUID, int], {str(UUID(int=key)): 1 for key in range(1000)}),
        (set[int], [PRIME, 1, 2] * 400),
        (set[Any], ["a", 1.5, None, True] * 100),
        (dict[str, int], {str(key): 1 for key in CROWD}),
        (list[int], CROWD),
    ],
)
def test_many_other_keys(kind: Any, payload: Any) -> None:
    assert len(converter(kind)(payload, "x")) > 0
