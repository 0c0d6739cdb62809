"""The judge's own rules for messages on the wire.

Written apart from `zaptools.protocol` on purpose: the judge never shares a
codec with the judged. The facts are those of ``docs/wire.md``: one text
message is one JSON object with ``eventName`` (string), ``payload`` (any JSON,
may be absent) and ``headers`` (object, may be absent or null).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..errors import Violation
from ..records import Author, Role

__all__ = [
    "OPCODES",
    "Breach",
    "Frame",
    "check_text",
    "differ",
    "event_text",
    "read_event",
]

OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

_MAX_VIOLATIONS = 8
"""Violations reported for one message."""

_SHOWN = 60
"""Characters of a key that are shown."""

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""Escapes that produce a surrogate: a text that decodes as UTF-8 can hold it in no other way."""


@dataclass(frozen=True, slots=True)
class Breach:
    """What a message breaks: in words, and the number of the rule, as ``docs/spec`` has it."""

    words: str
    rule: str

    def __str__(self) -> str:
        return self.words


@dataclass(slots=True)
class Frame:
    """One WebSocket frame as the judge saw it, or, for a message in fragments, the whole message.

    Attributes:
        time: seconds since the log began.
        connection: its number in the cell, from 1.
        author: the side that wrote it; ``judge`` for the judge's own.
        opcode: RFC 6455 section 5.2's number.
        data: the payload, unmasked and inflated; of a close frame the reason alone.
        close_code: a close frame's code; 1005 when it has none.
    """

    time: float
    connection: int
    author: Author
    to: Role
    opcode: int
    data: bytes
    close_code: int | None = None
    _violations: list[Breach] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def kind(self) -> str:
        return OPCODES.get(self.opcode, f"opcode {self.opcode}")

    def violations(self) -> list[Breach]:
        """Return the rules that this frame breaks; none for control frames."""
        if self._violations is None:
            self._violations = self._check()
        return self._violations

    def _check(self) -> list[Breach]:
        if self.opcode == 1:
            return check_text(self.data)
        if self.opcode == 2:
            return [Breach("a binary message: events are text messages", "W-1")]
        return []


def check_text(data: bytes) -> list[Breach]:
    """Return the rules that a text message breaks; none if it is valid."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        return [Breach(f"not UTF-8 at byte {exc.start}", "W-1")]
    found = _decoder.found = []
    try:
        message = _decoder.decode(text)
    except (ValueError, RecursionError) as exc:
        return [Breach(f"not JSON: {exc}", "W-1")]
    if not isinstance(message, dict):
        return [*found, Breach(f"not an object but {_kind(message)}", "W-1")]
    if "eventName" not in message:
        found.append(Breach("no eventName", "W-2"))
    elif not isinstance(message["eventName"], str):
        words = f"eventName is {_kind(message['eventName'])}, not a string"
        found.append(Breach(words, "W-2"))
    headers = message.get("headers")
    if headers is not None and not isinstance(headers, dict):
        found.append(Breach(f"headers is {_kind(headers)}, not an object", "W-3"))
    if _ESCAPED_SURROGATE.search(text) and _has_surrogate(message):
        found.append(Breach("a lone surrogate in a string", "W-7"))
    return found


def read_event(data: bytes, author: Author) -> dict[str, Any]:
    """Return the object of a text message, which has a name; its headers, if any, are an object.

    Raises:
        Violation: it is no event.
    """
    with contextlib.suppress(ValueError, RecursionError):
        message = json.loads(data.decode())  # bytes would be searched for their encoding
        if (
            isinstance(message, dict)
            and isinstance(message.get("eventName"), str)
            and isinstance(message.get("headers"), dict | None)
        ):
            return message
    raise Violation(f"the {author} wrote what is no event: {data[:120]!r}")


class _Decoder(json.JSONDecoder):
    """Notes in `found` what JSON forbids and Python's decoder allows."""

    def __init__(self) -> None:
        # Python converts no integer of more than 4,300 digits, which JSON does not forbid.
        super().__init__(
            object_pairs_hook=self._members, parse_constant=self._constant, parse_int=float
        )
        self.found: list[Breach] = []

    def _members(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        obj = dict(pairs)
        if len(obj) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            twice = next(key for key, count in counts.items() if count > 1)
            self._note(f"key {twice[:_SHOWN]!r} is there twice", "W-6")
        return obj

    def _constant(self, name: str) -> None:
        self._note(f"{name} is not JSON", "W-5")

    def _note(self, words: str, rule: str) -> None:
        if len(self.found) < _MAX_VIOLATIONS:  # a message can hold a million of them
            self.found.append(Breach(words, rule))


_decoder = _Decoder()


def differ(expected: object, actual: object, path: str = "$") -> str | None:
    """Return where and how two JSON values differ; None if they are the same.

    Stricter than ``==``: ``1``, ``1.0`` and ``true`` are three values, ``-0.0`` is not
    ``0.0``. The order of an object's keys does not count.
    """
    if type(expected) is not type(actual):
        return f"{path}: expected {_show(expected)}, got {_show(actual)}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        if expected.keys() != actual.keys():
            return f"{path}: expected keys {list(expected)}, got {list(actual)}"
        inner = ((f"{path}.{key}", expected[key], actual[key]) for key in expected)
    elif isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return f"{path}: expected {len(expected)} items, got {len(actual)}"
        pairs = enumerate(zip(expected, actual, strict=True))
        inner = ((f"{path}[{i}]", a, b) for i, (a, b) in pairs)
    elif repr(expected) != repr(actual):
        return f"{path}: expected {_show(expected)}, got {_show(actual)}"
    else:
        return None
    return next((found for where, a, b in inner if (found := differ(a, b, where))), None)


def event_text(**members: Any) -> str:
    """Return a message's text as the judge writes it: these members alone, compact."""
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _show(value: object) -> str:
    text = repr(value)
    return f"{_kind(value)} {text if len(text) <= 60 else text[:60] + '…'}"


def _has_surrogate(message: object) -> bool:
    todo = [message]
    while todo:  # no recursion: the decoder accepts deeper nesting than the stack does
        value = todo.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
                return True
        elif isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, list):
            todo += value
    return False
