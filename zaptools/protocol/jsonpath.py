"""Finds what is wrong with a JSON text, or with a value to be encoded as one, and where.

The codec calls most of this only for a text or a value that it refuses, so that the error can say
where; `looks_flat`, `is_simple`, `is_within` and `has_nonfinite` also for valid ones. Nothing here
recurses: the input may be nested without bound.
"""

from __future__ import annotations

import gc
import json
import math
import re
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from itertools import accumulate, chain, compress, count, islice, repeat
from operator import is_, itemgetter, ne, not_
from typing import Any, NamedTuple

import msgspec

__all__ = [
    "Problem",
    "depth",
    "find_in_pairs",
    "find_in_text",
    "find_in_value",
    "find_reason",
    "has_nonfinite",
    "is_simple",
    "is_text_within",
    "is_within",
    "looks_flat",
    "no_collections",
    "parse",
    "to_plain",
]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_DEPTH_CHANGES = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""An opening bracket becomes the byte of +1, a closing one that of -1, in an array of bytes."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTAINERS = (dict, list, tuple, set, frozenset)
_BUILTINS = (str, int, float, bool, *_CONTAINERS)
_NESTING = frozenset(_CONTAINERS)
_SIMPLE_SCALARS = frozenset({str, int, bool, type(None)})
_JSON_TYPES = _NESTING | _SIMPLE_SCALARS | {float}
_FINITE_KEYS = frozenset({str, int})
_PARSED = frozenset({tuple, list})
_CONSTANTS = {"NaN": math.nan, "Infinity": float("inf"), "-Infinity": -math.inf}
_FIRST, _SECOND = itemgetter(0), itemgetter(1)
_LONE = "a surrogate without its pair"


class Problem(NamedTuple):
    """A `CodecError.reason`, the path of the value, and an explanation."""

    reason: str
    where: str
    detail: str


def _add_step(path: str, key: object) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    name = str(key)
    return f"{path}.{name}" if _PLAIN_KEY.match(name) else f"{path}[{json.dumps(name)}]"


def parse(text: str, *, parse_int: Callable[[str], int] | None = None) -> Any:
    """Return the value of a JSON text in the form of `find_in_pairs`, which loses nothing of it.

    An object is a tuple of its pairs, an array a list.

    Args:
        text: JSON, or Python's superset of it with NaN and Infinity.
        parse_int: converts an integer's digits. Default None: `int`.

    Raises:
        json.JSONDecodeError: the text is not JSON.
        ValueError: an integer has more digits than Python converts.
        RecursionError: the text is nested deeper than the interpreter recurses.
    """
    constant = _CONSTANTS.__getitem__
    return json.loads(text, object_pairs_hook=tuple, parse_int=parse_int, parse_constant=constant)


def find_reason(
    text: str, max_depth: int, *, read: Set[str] = frozenset()
) -> tuple[str, dict[str, Any] | None]:
    """Return why a JSON text is not an event, as a `CodecError.reason`; empty if JSON allows it.

    Per value only the parser runs, and per object and float only code in C.

    Args:
        text: JSON, or a text that is not.
        max_depth: how deep arrays and objects may lie in each other.
        read: the names of members that msgspec has decoded; their numbers and strings are valid.
            Default none.

    Returns:
        The reason, and the members of the text's object; None if the text is not an object. Of
        the members' values, strings are kept; objects and floats are None.

    Raises:
        json.JSONDecodeError: the text is not JSON.
        RecursionError: the text is nested deeper than the interpreter recurses.
    """
    objects: list[list[tuple[str, Any]]] = []
    floats: list[str] = []
    constants: list[str] = []
    try:
        value = json.loads(
            text,
            object_pairs_hook=objects.append,
            parse_float=floats.append,
            parse_constant=constants.append,
        )
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer has more digits than Python converts; is the rest JSON?
        json.loads(text, object_pairs_hook=len, parse_float=len, parse_int=len)
        return "number", None
    members = dict(objects[-1]) if value is None and objects else None
    is_read = bool(read) and members is not None and members.keys() <= read
    if constants:
        return "number", None
    if not is_read:
        if _has_surrogate(text, (value, objects)):
            return "surrogate", None
        if not all(map(math.isfinite, map(float, floats))):
            return "number", None
    several = list(compress(objects, map((1).__lt__, map(len, objects))))
    if any(map(ne, map(len, several), map(len, map(dict, several)))):
        return "duplicate-key", None
    if not is_text_within(text, max_depth):
        return "nesting", None
    return "", members


def _has_surrogate(text: str, values: object) -> bool:
    try:
        text.encode()
        if _SURROGATE_ESCAPE.search(text):
            msgspec.json.encode(values)
    except UnicodeEncodeError:
        return True
    return False


def is_text_within(text: str, limit: int) -> bool:
    """Return whether arrays and objects of a JSON text lie at most `limit` deep in each other."""
    steps = _depth_changes(text)
    if len(steps) <= 2 * limit:
        return True
    # First as if no string had a bracket in it, where that is the faster way.
    if len(steps) * 16 < len(text) and max(accumulate(steps)) <= limit:
        return True
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return max(accumulate(_depth_changes("".join(text.split('"')[::2])))) <= limit


def _depth_changes(text: str) -> array[int]:
    """Return the change of depth at each bracket, brackets in strings included."""
    return array("b", text.encode(errors="replace").translate(_DEPTH_CHANGES, _NO_BRACKETS))


@contextmanager
def no_collections() -> Iterator[None]:
    """Pause the garbage collector: all containers that are made in this block stay alive.

    Every 700 new containers start a collection, which took more than half of the time of decoding
    a text of many containers (measured).
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def find_in_text(text: str, max_depth: int, reason: str) -> Problem | None:
    """Return a problem of `text` that JSON allows and an event does not; None without one.

    Args:
        text: valid JSON, or Python's superset of it with NaN and Infinity.
        max_depth: how deep arrays and objects may lie in each other.
        reason: the kind of problem to look for.
    """
    with no_collections():
        try:
            return find_in_pairs(parse(text), max_depth, reason)
        except RecursionError:
            return Problem("nesting", "$", f"deeper than {max_depth} levels")
        except json.JSONDecodeError:
            return None
        except ValueError:
            # Each integer is replaced by its length. The sign counts too: a negative integer that
            # has just as many digits as Python converts may be reported in place of a longer one.
            return find_in_pairs(parse(text, parse_int=len), max_depth, reason, lengths=True)


def find_in_pairs(
    value: Any, max_depth: int, reason: str, *, lengths: bool = False
) -> Problem | None:
    """Return a problem of `value` that JSON allows and an event does not; None without one.

    Of several problems it is one of the outermost. The search goes level by level, so that per
    value only code in C runs.

    Args:
        value: the result of `parse`.
        max_depth: how deep arrays and objects may lie in each other.
        reason: the kind of problem to look for.
        lengths: whether the integers in `value` are the lengths of those in the text. Default
            False.
    """
    search = _SEARCHES.get(reason)
    levels: list[_Level] = []
    level = _Level([[value]])  # in an array of its own, which is left out of paths
    while True:
        problem = search(level, levels, lengths) if search is not None else None
        if problem is not None:
            return problem
        containers = level.containers()
        if not containers:
            return None
        levels.append(level)
        if len(levels) > max_depth:
            where = _path(levels, containers[0])
            return Problem("nesting", where, f"deeper than {max_depth} levels")
        level = _Level(containers)


class _Level:
    """The objects and arrays of one depth in a result of `parse`, and the values in them.

    Args:
        containers: the objects and arrays.

    Attributes:
        objects: the objects.
        owners: the objects, then the arrays.
        kinds: the types of `values`.
    """

    __slots__ = ("kinds", "objects", "owners")

    def __init__(self, containers: list[Any]) -> None:
        self.objects: list[tuple[tuple[str, Any], ...]] = _of_type(containers, tuple)
        self.owners: list[Any] = [*self.objects, *_of_type(containers, list)]
        self.kinds = set(map(type, self.values()))

    def values(self) -> Iterator[Any]:
        """Return the values in the objects, then those in the arrays."""
        members = map(_SECOND, chain.from_iterable(self.objects))
        return chain(members, chain.from_iterable(self.owners[len(self.objects) :]))

    def values_of(self, kind: type) -> list[Any]:
        """Return the `values` of the type `kind`."""
        return _of_type(list(self.values()), kind) if kind in self.kinds else []

    def containers(self) -> list[Any]:
        """Return the `values` that are objects or arrays."""
        if self.kinds.isdisjoint(_PARSED):
            return []
        values = list(self.values())
        return list(compress(values, map(_PARSED.__contains__, map(type, values))))


def _of_type(values: list[Any], kind: type) -> list[Any]:
    return list(compress(values, map(is_, map(type, values), repeat(kind))))


def _path(levels: list[_Level], value: object, key: str | None = None) -> str:
    """Return the path of a value in the last of `levels`, or of a key of that value."""
    steps: list[str | int] = [] if key is None else [key]
    for level in reversed(levels):
        index = _first(map(is_, level.values(), repeat(value)))
        ends = list(accumulate(map(len, level.owners)))
        number = bisect_right(ends, index)
        value = level.owners[number]
        within = index - (ends[number - 1] if number else 0)
        steps.append(value[within][0] if type(value) is tuple else within)
    path = "$"
    for step in reversed(steps[:-1]):  # the last is the step into the array around it all
        path = _add_step(path, step)
    return path


def _first(truths: Iterable[object]) -> int:
    """Return the index of the first true value; -1 if there is none."""
    return next(compress(count(), truths), -1)


def _find_duplicate(level: _Level, levels: list[_Level], lengths: bool) -> Problem | None:
    several = list(compress(level.objects, map((1).__lt__, map(len, level.objects))))
    found = _first(map(ne, map(len, several), map(len, map(dict, several))))
    if found < 0:
        return None
    seen: set[str] = set()
    keys = map(_FIRST, several[found])
    while (key := next(keys)) not in seen:  # ends: a dict of the keys has fewer
        seen.add(key)
    where = _path(levels, several[found], key)
    return Problem("duplicate-key", where, f"the key {_show(key)} is there twice")


def _find_surrogate(level: _Level, levels: list[_Level], lengths: bool) -> Problem | None:
    keys = list(map(_FIRST, chain.from_iterable(level.objects)))
    found = _first_surrogate(keys)
    if found >= 0:
        number = bisect_right(list(accumulate(map(len, level.objects))), found)
        where = _path(levels, level.objects[number], keys[found])
        return Problem("surrogate", where, _LONE)
    texts = level.values_of(str)
    found = _first_surrogate(texts)
    if found >= 0:
        return Problem("surrogate", _path([*levels, level], texts[found]), _LONE)
    return None


def _find_number(level: _Level, levels: list[_Level], lengths: bool) -> Problem | None:
    numbers = level.values_of(float)
    found = _first(map(not_, map(math.isfinite, numbers)))
    if found >= 0:
        number = numbers[found]
        name = next((name for name, each in _CONSTANTS.items() if each is number), None)
        detail = f"{name} is not JSON" if name else "out of a double's range"
        return Problem("number", _path([*levels, level], number), detail)
    if lengths and int in level.kinds:
        longest = max(level.values_of(int))
        if longest > sys.get_int_max_str_digits():
            where = _path([*levels, level], longest)
            return Problem("number", where, f"an integer of {longest} digits")
    return None


_SEARCHES = {
    "duplicate-key": _find_duplicate,
    "surrogate": _find_surrogate,
    "number": _find_number,
}


def _first_surrogate(texts: list[str]) -> int:
    """Return the index of the first text with a lone surrogate; -1 if there is none."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as exc:
        return bisect_right(list(accumulate(map(len, texts))), exc.start)
    return -1


def _show(string: str) -> str:
    return json.dumps(string if len(string) <= 40 else string[:40] + "…")


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def depth(value: Any) -> int:
    """Return the levels of arrays and objects in each other: 0 for a scalar, 1 for ``[]``."""
    levels = 0
    level = [value] if isinstance(value, _CONTAINERS) else []
    while level:
        levels += 1
        level = [c for v in level for c in _children(v) if isinstance(c, _CONTAINERS)]
    return levels


def is_within(value: Any, limit: int, brackets: int) -> bool:
    """Return whether arrays and objects certainly lie at most `limit` deep in each other.

    Like `depth`, without inspecting most of the value: nothing is deeper than the levels inspected
    so far plus the remaining opening brackets, each of which adds one level at most.

    Args:
        value: a container.
        limit: levels, at least 1.
        brackets: the opening brackets of a JSON text that has all the containers of `value` but
            one (headers that were left out, for instance), and maybe others.

    Returns:
        True if `depth` is at most `limit`. False if it is more, or may be more because of values
        that are not JSON's own, such as dataclasses.
    """
    if brackets < limit:
        return True
    level: list[Any] = [value]
    levels = 1
    has_other_types = False
    while levels + brackets > limit:
        below = list(chain.from_iterable([v.values() if type(v) is dict else v for v in level]))
        kinds = set(map(type, below))
        has_other_types = has_other_types or not kinds <= _JSON_TYPES
        if kinds.isdisjoint(_NESTING):
            return not has_other_types
        level = below if kinds <= _NESTING else [c for c in below if type(c) in _NESTING]
        levels += 1
        brackets -= len(level)
        if levels > limit:
            return False
    return True


def looks_flat(value: Any) -> bool:
    """Return whether `value` is a scalar, or an object whose first 8 values are."""
    kind = type(value)
    if kind is dict:
        return _NESTING.isdisjoint(map(type, islice(value.values(), 8)))
    return kind not in _NESTING


def is_simple(values: list[Any], room: int) -> bool:
    """Return whether `values` have at most `room` parts, all of JSON's own types but floats.

    Such values are nested at most one level deeper than `room`, and no key is a float either.
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
            elif kind not in _SIMPLE_SCALARS:
                return False
        level = below
    return True


def has_nonfinite(value: Any) -> bool:
    """Return whether `value` has a NaN or an infinity anywhere, keys included."""
    level = [value]
    while level:  # the fast way, for levels of JSON's own types
        kinds = set(map(type, level))
        if float in kinds and not all(
            map(math.isfinite, [item for item in level if type(item) is float])
        ):
            return True
        if not kinds <= _JSON_TYPES:
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
    """Return a value of a subclass of JSON's types as that type, and a model as a dict.

    This is msgspec's `enc_hook`, for types that msgspec refuses, numpy's float64 for one. A
    pydantic model is written with its aliases, which `model_validate` reads; pydantic is not
    imported.

    Raises:
        TypeError: the type has no JSON form.
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
    """Return `value`, or at least its parts, as builtins; unchanged where that is impossible."""
    if isinstance(value, (str, int, float, Mapping, *_CONTAINERS)):
        try:
            return value if type(value) in _BUILTINS else to_plain(value)
        except Exception:  # the value's own code may raise anything
            return value
    try:
        return msgspec.to_builtins(value, enc_hook=to_plain)
    except Exception:  # as above
        return value


def find_in_value(value: Any, max_depth: int) -> Problem | None:
    """Return a problem of the first part of `value` that has no JSON form; None without one."""
    stack: list[tuple[str, int, Any]] = [("$", 0, value)]
    while stack:
        path, level, item = stack.pop()
        item = _builtin(item)
        if isinstance(item, _CONTAINERS):
            if level == max_depth:
                return Problem("nesting", path, f"deeper than {max_depth} levels")
            if isinstance(item, dict) and (problem := _bad_key(path, item)) is not None:
                return problem
            below = [(_add_step(path, key), level + 1, child) for key, child in _items(item)]
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
