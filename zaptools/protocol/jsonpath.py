"""Where in a JSON text, or in a value to be written as one, the first problem is.

The codec calls most of this only after something went wrong, so that an error can say where;
`looks_flat`, `is_simple`, `is_within` and `has_nonfinite` also to find out that nothing did.
Nothing here recurses: the input may be nested without bound.
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
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""The one byte stands for 1, the other for -1."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTAINERS = (dict, list, tuple, set, frozenset)
_EXACT = (str, int, float, bool, *_CONTAINERS)
_NESTING = frozenset(_CONTAINERS)
_SIMPLE = frozenset({str, int, bool, type(None)})
_KNOWN = _NESTING | _SIMPLE | {float}
_FINITE_KEYS = frozenset({str, int})
_PARSED = frozenset({tuple, list})
_CONSTANTS = {"NaN": math.nan, "Infinity": float("inf"), "-Infinity": -math.inf}
_FIRST, _SECOND = itemgetter(0), itemgetter(1)
_LONE = "a surrogate that is not one of a pair"


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


def parse(text: str, *, parse_int: Callable[[str], int] | None = None) -> Any:
    """Return the value of a JSON text as `find_in_pairs` takes it: nothing of the text is lost.

    An object comes as a tuple of its pairs, an array as a list.

    Args:
        text: JSON, or Python's superset of it with NaN and Infinity.
        parse_int: what makes a value of an integer's digits. Default None: `int`.

    Raises:
        json.JSONDecodeError: it is none.
        ValueError: an integer has more digits than Python converts.
        RecursionError: it is nested deeper than the interpreter goes.
    """
    constant = _CONSTANTS.__getitem__
    return json.loads(text, object_pairs_hook=tuple, parse_int=parse_int, parse_constant=constant)


def find_reason(
    text: str, max_depth: int, *, read: Set[str] = frozenset()
) -> tuple[str, dict[str, Any] | None]:
    """Return why a JSON text is no event, as a `CodecError.reason`; empty if JSON allows it all.

    Nothing here is done for each value but by the parser, and for each object and float in C.

    Args:
        text: what may be JSON.
        max_depth: how deep arrays and objects may lie in each other.
        read: the members that msgspec has read, in which no number and no string is bad then.

    Returns:
        The reason, and the members of the object that the text is. None if it is none. Of these,
        strings are as they are; objects and floats are None.

    Raises:
        json.JSONDecodeError: it is no JSON.
        RecursionError: it is nested deeper than the interpreter goes.
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
    except ValueError:  # an integer has more digits than Python converts; the rest may be no JSON
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
    """Tell whether arrays and objects lie no deeper than `limit` in each other in a JSON text."""
    steps = _steps(text)
    if len(steps) <= 2 * limit:
        return True
    # As if strings had no brackets in them, unless that would be the longer way.
    if len(steps) * 16 < len(text) and max(accumulate(steps)) <= limit:
        return True
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return max(accumulate(_steps("".join(text.split('"')[::2])))) <= limit


def _steps(text: str) -> array[int]:
    """Return what each bracket adds to the depth, those in strings too."""
    return array("b", text.encode(errors="replace").translate(_STEPS, _NO_BRACKETS))


@contextmanager
def no_collections() -> Iterator[None]:
    """Keep Python's garbage collector from running for what is made here, all of which stays.

    Each 700 containers that are made set it off, which took more than half of the time that a
    text of many containers takes to be read (measured).
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
    """Return where in `text` something is that JSON allows and an event does not, or None.

    Args:
        text: valid JSON, or Python's superset of it with NaN and Infinity.
        max_depth: how deep arrays and objects may lie in each other.
        reason: what kind of problem to look for.
    """
    with no_collections():
        try:
            return find_in_pairs(parse(text), max_depth, reason)
        except RecursionError:
            return Problem("nesting", "$", f"deeper than {max_depth} levels")
        except json.JSONDecodeError:
            return None
        except ValueError:
            # A length takes the place of each integer. Its sign is counted too, which is of no
            # account but to one that is a digit too long: it may be found in another's place.
            return find_in_pairs(parse(text, parse_int=len), max_depth, reason, lengths=True)


def find_in_pairs(
    value: Any, max_depth: int, reason: str, *, lengths: bool = False
) -> Problem | None:
    """Return where in `value` something is that JSON allows and an event does not, or None.

    Of several problems it is one of the outermost. The search goes level by level, so that what is
    done for each value is done in C.

    Args:
        value: what `parse` returned.
        max_depth: how deep arrays and objects may lie in each other.
        reason: what kind of problem to look for.
        lengths: whether the integers in `value` are the lengths of those in the text.
    """
    search = _SEARCHES.get(reason)
    levels: list[_Level] = []
    level = _Level([[value]])  # as if it lay in an array, whose step no path has
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
    """The containers that lie equally deep in a value that `parse` returned, and what they hold.

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
        """Return what is in the objects, then what is in the arrays."""
        members = map(_SECOND, chain.from_iterable(self.objects))
        return chain(members, chain.from_iterable(self.owners[len(self.objects) :]))

    def values_of(self, kind: type) -> list[Any]:
        """Return those of `values` that have the type `kind`."""
        return _of_type(list(self.values()), kind) if kind in self.kinds else []

    def containers(self) -> list[Any]:
        """Return those of `values` that hold values themselves."""
        if self.kinds.isdisjoint(_PARSED):
            return []
        values = list(self.values())
        return list(compress(values, map(_PARSED.__contains__, map(type, values))))


def _of_type(values: list[Any], kind: type) -> list[Any]:
    return list(compress(values, map(is_, map(type, values), repeat(kind))))


def _path(levels: list[_Level], value: object, key: str | None = None) -> str:
    """Return the path of a value in the last of `levels`, or that of a key in it."""
    steps: list[str | int] = [] if key is None else [key]
    for level in reversed(levels):
        index = _first(map(is_, level.values(), repeat(value)))
        ends = list(accumulate(map(len, level.owners)))
        number = bisect_right(ends, index)
        value = level.owners[number]
        within = index - (ends[number - 1] if number else 0)
        steps.append(value[within][0] if type(value) is tuple else within)
    path = "$"
    for step in reversed(steps[:-1]):  # the last is the step into what holds the whole
        path = _step(path, step)
    return path


def _first(truths: Iterable[object]) -> int:
    """Return the index of the first true one; -1 if there is none."""
    return next(compress(count(), truths), -1)


def _find_duplicate(level: _Level, levels: list[_Level], lengths: bool) -> Problem | None:
    several = list(compress(level.objects, map((1).__lt__, map(len, level.objects))))
    found = _first(map(ne, map(len, several), map(len, map(dict, several))))
    if found < 0:
        return None
    seen: set[str] = set()
    keys = map(_FIRST, several[found])
    while (key := next(keys)) not in seen:  # one comes twice: a dict of them is shorter
        seen.add(key)
    where = _path(levels, several[found], key)
    return Problem("duplicate-key", where, f"the key {_show(key)} comes twice")


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
    """Return the index of the first text that has a surrogate; -1 if none has."""
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
