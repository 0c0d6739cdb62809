"""Which changes there are, which of them are named as not to be found, and a sample of the rest."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..catalog import did_you_mean
from ..errors import TestbedError
from ..places import ROOT
from .operators import Change, changes

__all__ = [
    "EQUIVALENT_FILE",
    "FOLDERS",
    "PACKAGE",
    "Named",
    "load",
    "named",
    "parse",
    "population",
    "sample",
    "source_of",
]


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_WithId)


EQUIVALENT_FILE = Path(__file__).with_name("equivalent.toml")

PACKAGE = "zaptools"

FOLDERS = (
    "client",
    "connection",
    "connectors",
    "dispatch",
    "handlers",
    "protocol",
    "rooms",
    "server",
    "transport",
)
"""What the matrix can see of the library. The rest hands names on (`core`, `adapters`), is for the
tests of applications (`testing`), or checks arguments and words errors (`limits`, `exceptions`)."""

_KINDS = ("equivalent", "invisible")

_LISTS = ("function", "change")
"""What may be a list of texts in ``equivalent.toml``, for as many entries."""


@dataclass(frozen=True, slots=True)
class Named:
    """An entry of ``equivalent.toml``: changes that the matrix is not to find, and why.

    Attributes:
        module: a glob of modules below the package: ``transport.reader``.
        function: a glob of qualified names; empty for what is in no function or class.
        change: ``before -> after``, as the report has it; ``before -> *`` for all of the line's,
            ``*`` for all of the function's.
        kind: ``equivalent`` if nothing that the library does is another; ``invisible`` if it is,
            and no peer can see it.
    """

    module: str
    function: str
    change: str
    kind: str
    reason: str

    def matches(self, change: Change) -> bool:
        return (
            self.change in ("*", f"{change.before} -> *", f"{change.before} -> {change.after}")
            and fnmatchcase(change.module, f"{PACKAGE}.{self.module}")
            and fnmatchcase(change.function, self.function)
        )

    def __str__(self) -> str:
        return f"{self.module}, {self.function!r}: {self.change}"


def source_of(module: str) -> Path:
    """Return the file of a module of this repository."""
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def population(modules: Sequence[str] = ()) -> list[Change]:
    """Return all changes, in order of modules and places.

    Args:
        modules: globs of names, with or without ``zaptools.``; all modules without any.

    Raises:
        TestbedError: a glob names no module.
    """
    names = [
        f"{PACKAGE}.{folder}.{path.stem}"
        for folder in FOLDERS
        for path in sorted((ROOT / PACKAGE / folder).glob("*.py"))
        if path.stem != "__init__"
    ]
    chosen: set[str] = set()
    for pattern in modules:
        found = [n for n in names if fnmatchcase(n.removeprefix(f"{PACKAGE}."), pattern)
                 or fnmatchcase(n, pattern)]  # fmt: skip
        if not found:
            close = did_you_mean(pattern, [name.removeprefix(f"{PACKAGE}.") for name in names])
            raise TestbedError(
                f"--module {pattern!r} names none of the modules{close}: {', '.join(names)}"
            )
        chosen.update(found)
    return [
        change
        for name in names
        if not modules or name in chosen
        for change in changes(name, source_of(name).read_text("utf-8"))
    ]


def load(path: Path = EQUIVALENT_FILE) -> list[Named]:
    """Read the entries of a file.

    Raises:
        TestbedError: it is malformed; says where.
    """
    try:
        return parse(path.read_text("utf-8"))
    except (OSError, ValueError, TestbedError) as exc:
        raise TestbedError(f"{path}: {exc}") from exc


def parse(text: str) -> list[Named]:
    """Return the entries that a text holds.

    Raises:
        TestbedError, ValueError: it is malformed.
    """
    data = tomllib.loads(text)
    tables = data.pop("change", [])
    if data or not isinstance(tables, list):
        raise TestbedError("holds something else than [[change]] tables")
    return [
        entry for number, table in enumerate(tables, start=1) for entry in _entries(number, table)
    ]


def _entries(number: int, table: dict[str, Any]) -> list[Named]:
    """Return a table's entries: one for each of its functions and changes, if these are lists."""
    lists = {key: table.pop(key) for key in _LISTS if isinstance(table.get(key), list)}
    found = [
        {**table, **dict(zip(lists, values, strict=True))} for values in product(*lists.values())
    ]
    if not found or not all(map(_is_entry, found)):
        raise TestbedError(f"change {number}: needs just the texts {', '.join(Named.__slots__)}")
    if table["kind"] not in _KINDS:
        raise TestbedError(f"change {number}: kind is {' or '.join(_KINDS)}")
    return [Named(**each) for each in found]


def _is_entry(table: dict[str, Any]) -> bool:
    return sorted(table) == sorted(Named.__slots__) and all(
        isinstance(each, str) and (each or key == "function") for key, each in table.items()
    )


def named(entries: Sequence[Named], every: Sequence[Change]) -> dict[Change, Named]:
    """Return the changes that an entry names, with the entry.

    Raises:
        TestbedError: an entry names none: the code has changed since.
    """
    found: dict[Change, Named] = {}
    for entry in entries:
        matched = [change for change in every if entry.matches(change)]
        if not matched:
            raise TestbedError(f"{EQUIVALENT_FILE.name}: no change is {entry}")
        found.update(dict.fromkeys(matched, entry))
    return found


def sample(every: Sequence[T], count: int, seed: int) -> list[T]:
    """Return `count` of the changes, in their order.

    Which ones depends on the seed and on each change's id alone: a change of the library elsewhere
    leaves the others in the sample.
    """

    def rank(change: T) -> bytes:
        return hashlib.sha256(f"{seed} {change.id}".encode()).digest()

    chosen = set(sorted(every, key=rank)[:count])
    return [change for change in every if change in chosen]
