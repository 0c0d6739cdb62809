"""How the texts that implementations write for the same event differ. Pure.

Two texts with the same meaning may differ in form: the order of keys, the spelling of numbers and
strings, a member that is absent or null, white space. Any other difference is one of meaning. Ids
that a library generates are not compared. Of a text that the results keep in part, the end is not
compared either: an id may be cut off there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..records import KEPT_BYTES, OTHER, CellResult, Role
from .rules import differ

__all__ = ["IDS", "MAX_TEXTS", "Group", "canonical", "differences", "groups", "masked", "texts"]

MAX_TEXTS = 5
"""The number of text frames of one author on one connection that are compared."""

IDS = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|\b[0-9a-f]{32}\b"
)
_WHOAMI = re.compile(r'("eventName"\s*:\s*"whoami".*"id"\s*:\s*|"id"\s*:\s*)"[^"]*"')
_REQUESTS = re.compile(r'("(?:requestId|replyTo)"\s*:\s*)"(?:[^"\\]|\\.)*"')
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\s+|[^\s"]')
_MISSING = object()

_END = 48
"""The characters at the end of a text that is cut which are not compared: a UUID has 36, and ids of
various lengths before it move it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Implementations that write the same texts.

    Attributes:
        texts: what they write, ids masked.
        differences: how it differs from the first group's; empty for the first.
    """

    apis: tuple[str, ...]
    texts: tuple[str, ...]
    differences: tuple[str, ...] = ()


def masked(text: str) -> str:
    """Return `text` with generated ids replaced by ``<id>``, those of requests among them."""
    text = _REQUESTS.sub(r'\1"<id>"', IDS.sub("<id>", text))
    return _WHOAMI.sub(r'\1"<id>"', text) if '"whoami"' in text else text


def canonical(text: str) -> str:
    """Return one text for all that mean the same event; `text` itself if it is not JSON."""
    message = _parse(masked(text))
    if message is _MISSING:
        return masked(text)
    return json.dumps(_filled(message), sort_keys=True, separators=(",", ":"))


def differences(one: str, other: str) -> list[str]:
    """Return how the text `other` differs from `one`, in words; empty if only in ids."""
    are_cut = all(len(text.encode("utf-8", "surrogatepass")) >= KEPT_BYTES for text in (one, other))
    one, other = masked(one), masked(other)
    if one == other:
        return []
    left, right = _parse(one), _parse(other)
    if left is _MISSING or right is _MISSING:
        pairs = enumerate(zip(one, other, strict=False))
        shorter = min(len(one), len(other))
        first = next((i for i, (a, b) in pairs if a != b), shorter)
        if are_cut and first >= shorter - _END:
            return []
        return [f"other text from character {first} (no JSON, or cut in the results)"]
    if found := differ(_filled(left), _filled(right)):
        return [f"another value at {found}"]
    return [*_members(left, right), *_forms(one, other)]


def texts(cell: CellResult, side: Role, most: int = MAX_TEXTS) -> list[str]:
    """Return the first texts that `side` wrote in a cell, connection by connection.

    Args:
        most: of each connection.
    """
    taken: Counter[int] = Counter()
    found = []
    for frame in sorted(cell.frames, key=lambda frame: frame.connection):
        if frame.author != side or frame.kind != "text":
            continue
        taken[frame.connection] += 1
        if taken[frame.connection] <= most:
            found.append(frame.text)
    return found


def groups(cells: Iterable[CellResult], side: Role) -> list[Group]:
    """Group the implementations of `side` by what they wrote in the cells of one scenario.

    All are compared in cells with the same API on the other side, the one with the most cells,
    since a side also echoes what it was sent.
    """
    cells = list(cells)
    partners = Counter(cell.api(OTHER[side]) for cell in cells if texts(cell, side))
    if not partners:
        return []
    partner = max(sorted(partners), key=lambda name: partners[name])
    wrote: dict[tuple[str, ...], list[str]] = {}
    for cell in cells:
        if cell.api(OTHER[side]) == partner and (found := texts(cell, side)):
            alike = (each for each in wrote if not _all(each, found))
            wrote.setdefault(next(alike, tuple(found)), []).append(cell.api(side))
    ordered = sorted(wrote.items(), key=lambda item: (-len(item[1]), item[1]))
    first = ordered[0][0]
    return [
        Group(tuple(apis), tuple(map(masked, found)), tuple(_all(first, found)))
        for found, apis in ordered
    ]


def _all(one: Sequence[str], other: Sequence[str]) -> list[str]:
    """Return the differences of two lists of texts, the first of each kind."""
    found = [d for a, b in zip(one, other, strict=False) for d in differences(a, b)]
    if len(one) != len(other):
        found.append(f"{len(other)} texts, not {len(one)}")
    by_kind: dict[str, str] = {}
    for difference in found:
        by_kind.setdefault(difference.partition(":")[0], difference)
    return list(by_kind.values())


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _MISSING


def _filled(message: Any) -> Any:
    """Return a message with its optional members filled in."""
    if not isinstance(message, dict):
        return message
    return {**message, "payload": message.get("payload"), "headers": message.get("headers") or {}}


def _members(left: Any, right: Any) -> list[str]:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return []
    forms = ((key, _presence(left, key), _presence(right, key)) for key in ("payload", "headers"))
    return [f"{key} {there}, not {here}" for key, here, there in forms if here != there]


def _presence(message: dict[str, Any], key: str) -> str:
    if key not in message:
        return "absent"
    return "null" if message[key] is None else "there"


def _forms(one: str, other: str) -> list[str]:
    """Return the differences in form of two texts of the same meaning."""
    left, right = _TOKEN.findall(one), _TOKEN.findall(other)
    found: list[str] = []
    if _keys(one) != _keys(other) and sorted(_keys(one)) == sorted(_keys(other)):
        found.append("key order")
    for what, start in (("number form", "-0123456789"), ("escapes", '"')):
        here, there = (_spellings(t for t in side if t[0] in start) for side in (left, right))
        for value in sorted(here.keys() & there.keys()):
            if here[value] != there[value]:
                found.append(f"{what}: {there[value][:40]}, not {here[value][:40]}")
                break
    if any(t.isspace() for t in left) != any(t.isspace() for t in right):
        found.append("white space")
    return found


def _spellings(tokens: Iterable[str]) -> dict[str, str]:
    """Return the first spelling of each value."""
    found: dict[str, str] = {}
    for token in tokens:
        found.setdefault(repr(json.loads(token)), token)
    return found


def _keys(text: str) -> list[str]:
    keys: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys.extend(key for key, _ in pairs)
        return dict(pairs)

    json.loads(text, object_pairs_hook=members)
    return keys
