"""Where in a JSON text, or in a value to be written as one, the first problem is.

The codec calls most of this only after something went wrong, so that an error can say where;
`looks_flat`, `is_simple`, `is_within` and `has_nonfinite` also to find out that nothing did.
Nothing here recurses: the input may be nested without bound.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "Problem",
    "depth",
    "find_in_text",
    "find_in_value",
    "has_nonfinite",
    "is_simple",
    "is_within",
    "looks_flat",
    "to_plain",
]

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INTEGER = re.compile(r"-?[0-9]+\Z")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTAINERS = (dict, list, tuple, set, frozenset)
_EXACT = (str, int, float, bool, *_CONTAINERS)
_NESTING = frozenset(_CONTAINERS)
_SIMPLE = frozenset({str, int, bool, type(None)})
_KNOWN = _NESTING | _SIMPLE | {float}
_FINITE_KEYS = frozenset({str, int})


class Problem(NamedTuple):
    """What is wrong (a `CodecError.reason`), its path, and words for it."""

    reason: str
    where: str
    detail: str


def _step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    name = str(key)
    return f"{path}.{name}" if _PLAIN_KEY.match(name) else f"{path}[{json.dumps(name)}]"


class _Frame:
    """An object or array that the scan is inside of."""

    __slots__ = ("index", "is_object", "key", "keys")

    def __init__(self, is_object: bool) -> None:
        self.is_object = is_object
        self.keys: set[str] = set()
        self.key: str | None = None
        self.index = 0


def _path(stack: list[_Frame]) -> str:
    path = "$"
    for frame in stack:
        path = _step(path, frame.key if frame.is_object else frame.index)
    return path


def find_in_text(text: str, max_depth: int) -> Problem | None:
    """Return the first thing in `text` that JSON allows and an event does not, or None.

    Args:
        text: valid JSON, or Python's superset of it with NaN and Infinity.
        max_depth: how deep arrays and objects may lie in each other.
    """
    stack: list[_Frame] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        first = token[0]
        if first in "{[":
            if len(stack) == max_depth:
                return Problem("nesting", _path(stack), f"deeper than {max_depth} levels")
            stack.append(_Frame(first == "{"))
        elif first in "}]":
            stack.pop()
        elif first == ",":
            stack[-1].key = None
            stack[-1].index += 1
        elif first != ":" and (problem := _scalar(token, stack)) is not None:
            return problem
    return None


def _scalar(token: str, stack: list[_Frame]) -> Problem | None:
    if token[0] != '"':
        detail = _bad_number(token)
        return Problem("number", _path(stack), detail) if detail else None
    string: str = json.loads(token)
    frame = stack[-1] if stack else None
    if frame is not None and frame.is_object and frame.key is None:
        frame.key = string
        if string in frame.keys:
            return Problem("duplicate-key", _path(stack), f"the key {_show(string)} comes twice")
        frame.keys.add(string)
    if _SURROGATE.search(string):
        return Problem("surrogate", _path(stack), "a surrogate that is not one of a pair")
    return None


def _bad_number(token: str) -> str:
    if token in ("true", "false", "null"):
        return ""
    if token.lstrip("-") in ("NaN", "Infinity"):
        return f"{token} is not JSON"
    try:
        number = int(token) if _INTEGER.match(token) else float(token)
    except ValueError:
        return f"an integer of {len(token)} digits"
    return f"{token[:40]} is out of range" if number in (math.inf, -math.inf) else ""


def _show(string: str) -> str:
    return json.dumps(string if len(string) <= 40 else string[:40] + "…")


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def depth(value: Any) -> int:
    """Return how deep arrays and objects lie in each other: 0 for a scalar, 1 for ``[]``."""
    levels = 0
    level = [value] if isinstance(value, _CONTAINERS) else []
    while level:
        levels += 1
        level = [c for v in level for c in _children(v) if isinstance(c, _CONTAINERS)]
    return levels


def is_within(value: Any, limit: int, brackets: int) -> bool:
    """Tell whether arrays and objects surely lie no deeper than `limit` in each other.

    It is `depth` without looking at most of the value: nothing lies deeper than the levels seen
    and the opening brackets left, each of which can add one level at most.

    Args:
        value: a container.
        limit: levels, at least 1.
        brackets: how many there are in a JSON text that has all the containers of `value` but
            one (headers that were left out, for instance), and maybe more.

    Returns:
        True if `depth` is at most `limit`. False if it is more, or if it may be, because of
        values that are not JSON's own (dataclasses, for one).
    """
    if brackets < limit:
        return True
    level: list[Any] = [value]
    levels = 1
    strange = False
    while levels + brackets > limit:
        below = list(chain.from_iterable([v.values() if type(v) is dict else v for v in level]))
        kinds = set(map(type, below))
        strange = strange or not kinds <= _KNOWN
        if kinds.isdisjoint(_NESTING):
            return not strange
        level = below if kinds <= _NESTING else [c for c in below if type(c) in _NESTING]
        levels += 1
        brackets -= len(level)
        if levels > limit:
            return False
    return True


def looks_flat(value: Any) -> bool:
    """Tell whether `value` is a scalar, or an object that starts with some."""
    kind = type(value)
    if kind is dict:
        return _NESTING.isdisjoint(map(type, islice(value.values(), 8)))
    return kind not in _NESTING


def is_simple(values: list[Any], room: int) -> bool:
    """Tell whether `values` have at most `room` parts, all of which are JSON's own.

    Such values are nested at most one deeper than `room`. No part is a float, and no key either.
    """
    level = values
    while level:
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is dict or kind is list:
                room -= len(item)
                if room < 0:
                    return False
                if kind is dict:
                    if not _FINITE_KEYS.issuperset(map(type, item)):
                        return False
                    below.extend(item.values())
                else:
                    below.extend(item)
            elif kind not in _SIMPLE:
                return False
        level = below
    return True


def has_nonfinite(value: Any) -> bool:
    """Tell whether a NaN or an infinity is anywhere in `value`, its keys included."""
    level = [value]
    while level:  # as long as all is JSON's own, which the loop below would find too, later
        kinds = set(map(type, level))
        if float in kinds and not all(
            map(math.isfinite, [item for item in level if type(item) is float])
        ):
            return True
        if not kinds <= _KNOWN:
            return _has_nonfinite(value)
        if kinds.isdisjoint(_NESTING):
            return False
        dicts = [item for item in level if type(item) is dict]
        if not _FINITE_KEYS.issuperset(map(type, chain.from_iterable(dicts))):
            return _has_nonfinite(value)
        rest = [item for item in level if type(item) in _NESTING and type(item) is not dict]
        level = list(chain.from_iterable(map(dict.values, dicts)))
        level.extend(chain.from_iterable(rest))
    return False


def _has_nonfinite(value: Any) -> bool:
    stack = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is dict:
            if any(isinstance(key, float) and not math.isfinite(key) for key in item):
                return True
            stack.extend(item.values())
        elif kind is list:
            stack.extend(item)
        elif kind is float:
            if not math.isfinite(item):
                return True
        elif item is not None and kind is not str and kind is not int and kind is not bool:
            plain = _builtin(item)
            if isinstance(plain, (tuple, set, frozenset)):
                stack.extend(plain)
            elif type(plain) is not kind:
                stack.append(plain)
    return False


def to_plain(value: Any) -> Any:
    """Return a value whose type derives from one of JSON's as that type, and a model as a dict.

    This is msgspec's `enc_hook`: it refuses such types, numpy's float64 for one, itself. A
    pydantic model is written under its aliases, by which `model_validate` reads it; pydantic is
    not imported.

    Raises:
        TypeError: the type has nothing to do with JSON.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return list(value)
    dump = getattr(type(value), "model_dump", None)
    if callable(dump):
        return dump(value, mode="json", by_alias=True)
    raise TypeError(_no_json(value))


def _no_json(value: Any) -> str:
    kind = type(value)
    if hasattr(kind, "model_dump"):
        return f"the model_dump of {kind.__name__} failed"
    cure = "send its tolist()" if hasattr(kind, "tolist") else "convert it first"  # numpy
    return f"a value of type {kind.__name__} has no JSON form: {cure}"


def _builtin(value: Any) -> Any:
    """Return `value`, or at least what it consists of, as builtins; itself if nobody can."""
    if isinstance(value, (str, int, float, Mapping, *_CONTAINERS)):
        try:
            return value if type(value) in _EXACT else to_plain(value)
        except Exception:  # the value's own code may raise anything
            return value
    try:
        return msgspec.to_builtins(value, enc_hook=to_plain)
    except Exception:  # as above
        return value


def find_in_value(value: Any, max_depth: int) -> Problem | None:
    """Return the first part of `value` that cannot be written as JSON, or None."""
    stack: list[tuple[str, int, Any]] = [("$", 0, value)]
    while stack:
        path, level, item = stack.pop()
        item = _builtin(item)
        if isinstance(item, _CONTAINERS):
            if level == max_depth:
                return Problem("nesting", path, f"deeper than {max_depth} levels")
            if isinstance(item, dict) and (problem := _bad_key(path, item)) is not None:
                return problem
            below = [(_step(path, key), level + 1, child) for key, child in _items(item)]
            stack.extend(reversed(below))
        elif (problem := _bad_leaf(path, item)) is not None:
            return problem
    return None


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return ((str(key), child) for key, child in value.items())
    return iter(enumerate(value))


def _bad_key(path: str, value: dict[Any, Any]) -> Problem | None:
    for key in value:
        plain = _builtin(key)
        if not isinstance(plain, (str, int, float)) or isinstance(plain, bool):
            return Problem("type", path, f"a key of type {type(key).__name__}")
        if isinstance(plain, str):
            if _SURROGATE.search(plain):
                return Problem("surrogate", path, "a key with a lone surrogate")
        elif (problem := _bad_leaf(path, plain)) is not None:
            return problem._replace(detail=f"as a key, {problem.detail}")
    return None


def _bad_leaf(path: str, item: Any) -> Problem | None:
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, str):
        bad = _SURROGATE.search(item)
        return Problem("surrogate", path, f"at character {bad.start()}") if bad else None
    if isinstance(item, float):
        return None if math.isfinite(item) else Problem("number", path, f"{item!r} is not JSON")
    if isinstance(item, int):
        try:
            str(int(item))
        except ValueError:
            return Problem("number", path, f"an integer of {item.bit_length()} bits")
        return None
    return Problem("type", path, _no_json(item))
