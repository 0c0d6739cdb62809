"""In what a server's messages differ from the plainest: each some client fails at. Pure.

The plainest message is text, with the three members, in their order, compact, its headers empty.
Each trait names the scenario in which the judge wrote the same to every version of every client, so
that `interop/vectors` knows what becomes of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..wire.frames import BINARY

__all__ = ["TRAITS", "Message", "Trait", "parse"]

_TWO_63 = 2**63
_EXACT = 2**53
"""The integer from which on a double does not hold all."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\u")
_SURROGATES = re.compile("[\ud800-\udfff]")
_MEMBERS = ("eventName", "payload", "headers")


@dataclass(frozen=True, slots=True)
class Message:
    """A message, as far as it can be read.

    Attributes:
        text: its text; bytes that are no UTF-8 are escaped.
        value: its JSON; None where it is none, or no object.
        values: every value in its payload and headers.
        wrong: the name of the scenario's parameter for what makes it no event; empty for an event.
    """

    text: str
    binary: bool
    value: Mapping[str, Any] | None
    values: tuple[Any, ...]
    wrong: str

    @property
    def event(self) -> str:
        """The event's name; empty where there is none."""
        name = self.value.get("eventName") if self.value is not None else None
        return name if isinstance(name, str) else ""


def parse(opcode: int, data: bytes) -> Message:
    """Read a message that a server wrote."""
    text = data.decode("utf-8", "backslashreplace")
    value, wrong = _read(text)
    values = () if value is None else tuple(_values([value.get("payload"), value.get("headers")]))
    return Message(text, opcode == BINARY, value, values, wrong)


@dataclass(frozen=True, slots=True)
class Trait:
    """A way to write a message.

    Attributes:
        words: what it is, as in "it sends `price` …".
        scenario: where what becomes of it was recorded.
        has: whether a message has it.
        advice: what to change on the server.
        content: whether it lies in the payload or the headers, which an echo has to give back.
        event: whether such a message names an event: if it does not, a client may ignore it.
        malformed: whether such a message is no event; its other traits do not matter then.
    """

    name: str
    words: str
    scenario: str
    has: Callable[[Message], bool]
    advice: str
    content: bool = False
    event: bool = True
    malformed: bool = False


_HEADERS = 'write "headers":{} with every event, also where there are none'
_NULL = "write an object, a text or a number; a null payload is not read by every version"
_PAYLOAD = 'write "payload":null instead, which more versions read'
_EVENT = "write events alone: one JSON object a text message, with eventName a string"
_NUMBER = "send such numbers as text"


def _lacks(key: str) -> Callable[[Message], bool]:
    return lambda m: m.value is not None and key not in m.value


def _is_null(key: str) -> Callable[[Message], bool]:
    return lambda m: m.value is not None and key in m.value and m.value[key] is None


def _wrong(name: str) -> Callable[[Message], bool]:
    return lambda m: m.wrong == name


def _any(test: Callable[[Any], bool]) -> Callable[[Message], bool]:
    return lambda m: any(test(value) for value in m.values)


def _out_of_order(message: Message) -> bool:
    keys = [key for key in message.value or () if key in _MEMBERS]
    return keys != sorted(keys, key=_MEMBERS.index)


def _is_spaced(message: Message) -> bool:
    return message.value is not None and bool(re.search(r"\s", _STRING.sub("", message.text)))


def _is_escaped(message: Message) -> bool:
    return message.value is not None and bool(_ESCAPE.search(message.text))


def _has_exponent(message: Message) -> bool:
    numbers = _STRING.sub("", message.text)
    return message.value is not None and bool(re.search(r"\d[eE][-+]?\d", numbers))


def _is_surrogate(value: Any) -> bool:
    return isinstance(value, str) and bool(_SURROGATES.search(value))


def _is_infinite(message: Message) -> bool:
    # Not the word, which is no JSON: a number beyond the range of doubles.
    return "Infinity" not in _STRING.sub("", message.text) and any(
        isinstance(value, float) and abs(value) == float("inf") for value in message.values
    )


def _int(test: Callable[[int], bool]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and test(v)


_LEGAL = [
    Trait("headers-absent", "without headers", "form.client.headers-absent",
          _lacks("headers"), _HEADERS),
    Trait("headers-null", "with headers that are null", "form.client.headers-null",
          _is_null("headers"), _HEADERS),
    Trait("headers-full", "with headers", "headers.read.text",
          lambda m: m.value is not None and bool(m.value.get("headers")) and not m.wrong,
          "leave the headers empty", content=True),
    Trait("payload-absent", "without a payload", "form.client.payload-absent",
          _lacks("payload"), _PAYLOAD),
    Trait("payload-null", "with a payload that is null", "form.client.payload-null",
          _is_null("payload"), _NULL, content=True),
    Trait("unknown-keys", "with members beside eventName, payload and headers",
          "form.client.unknown-keys",
          lambda m: m.value is not None and not m.value.keys() <= set(_MEMBERS),
          "put them into the payload or the headers"),
    Trait("other-key-order", "with its members in another order", "form.client.other-key-order",
          _out_of_order, "write eventName, payload, headers"),
    Trait("white-space", "with white space between its tokens", "form.white-space",
          _is_spaced, "write compact JSON"),
    Trait("escapes", "with escaped characters", "form.escapes",
          _is_escaped, "write the characters themselves, in UTF-8"),
    Trait("exponents", "with a number that has an exponent", "form.number.exponents",
          _has_exponent, "write its digits", content=True),
    Trait("integers-beyond-53-bits", "with an integer of more than 53 bits",
          "form.number.big-integers",
          _any(_int(lambda n: _EXACT < abs(n) and -_TWO_63 <= n < _TWO_63)), _NUMBER, content=True),
    Trait("integers-beyond-63-bits", "with an integer of more than 64 bits",
          "form.number.bigger-integers",
          _any(_int(lambda n: not -_TWO_63 <= n < _TWO_63)), _NUMBER, content=True),
    Trait("negative-zero", "with a negative zero", "form.number.negative-zero",
          _any(lambda v: isinstance(v, float) and str(v) == "-0.0"), "write 0.0", content=True),
]  # fmt: skip
_ILLEGAL = [
    Trait("binary", "in a binary message", "malformed.to-client.binary",
          lambda m: m.binary, "send events as text messages: send a str, and no bytes",
          malformed=True),
    Trait("nan", "with NaN or Infinity, which are not JSON", "malformed.to-client.nan",
          lambda m: bool(re.search(r"\b(NaN|Infinity)\b", _STRING.sub("", m.text)))
          and m.value is not None,
          "write null instead, or a text", content=True),
    Trait("beyond-a-double", "with a number beyond the range of doubles",
          "malformed.to-client.infinity", _is_infinite, _NUMBER, content=True),
    Trait("lone-surrogate", "with a lone surrogate in a text", "malformed.to-client.lone-surrogate",
          _any(_is_surrogate), "write whole characters", content=True),
]  # fmt: skip
_NO_EVENTS = [
    Trait(
        name,
        words,
        f"malformed.to-client.{name}",
        _wrong(name),
        _EVENT,
        event=name.startswith("headers-"),
        malformed=True,
    )
    for name, words in (
        ("not-json", "which is no JSON"),
        ("empty", "which is empty"),
        ("two-objects", "which is more than one JSON value"),
        ("array", "which is an array, and no event"),
        ("string", "which is a string, and no event"),
        ("number", "which is a number, and no event"),
        ("null", "which is null, and no event"),
        ("no-name", "which has no eventName"),
        ("name-number", "whose eventName is a number"),
        ("name-null", "whose eventName is null"),
        ("name-true", "whose eventName is a boolean"),
        ("name-object", "whose eventName is an object"),
        ("name-array", "whose eventName is an array"),
        ("headers-array", "whose headers are an array"),
        ("headers-string", "whose headers are a string"),
        ("headers-number", "whose headers are a number"),
    )
]

TRAITS = (*_LEGAL, *_ILLEGAL, *_NO_EVENTS)
"""All traits, those that most clients fail at first."""


_KINDS: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "true",
    type(None): "null",
}


def _read(text: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return a message's object, and in one word why it is no event."""
    try:
        value = json.loads(text)
    except RecursionError:
        return None, "not-json"
    except ValueError as exc:
        if not text.strip():
            return None, "empty"
        return None, "two-objects" if "Extra data" in str(exc) else "not-json"
    kind = _KINDS[type(value)]
    if kind != "object":
        return None, "number" if kind == "true" else kind
    if "eventName" not in value:
        return value, "no-name"
    if (kind := _KINDS[type(value["eventName"])]) != "string":
        return value, f"name-{kind}"
    kind = _KINDS[type(value.get("headers"))]
    if kind not in ("object", "null"):
        return value, f"headers-{'number' if kind == 'true' else kind}"
    return value, ""


def _values(todo: list[Any]) -> list[Any]:
    found = []
    while todo:  # no recursion: the decoder accepts deeper nesting than the stack does
        found.append(value := todo.pop())
        if isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, list):
            todo += value
    return found
