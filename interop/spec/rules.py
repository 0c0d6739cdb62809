"""The rules by number, as ``interop/scenarios/rules.toml`` has them, and the wire versions.

A *rule* is one requirement with a number that it keeps. A *wire version* is a set of rules, frozen
in ``wire-versions.toml`` by a digest of each: a rule of a frozen version says what it said.
"""

from __future__ import annotations

import functools
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from ..places import PACKAGE
from ..records import Role

__all__ = [
    "NUMBER",
    "RULES",
    "VERSIONS",
    "Letter",
    "Rule",
    "RuleError",
    "Rules",
    "Versions",
    "in_order",
    "load",
    "load_versions",
    "quoted",
]

_SCENARIOS = PACKAGE / "scenarios"
RULES = _SCENARIOS / "rules.toml"
VERSIONS = _SCENARIOS / "wire-versions.toml"

NUMBER = re.compile(r"\b([A-Z])-([1-9][0-9]*)\b")
"""The number of a rule, in a text too."""

_DIGITS = 16
"""Hexadecimal digits of a digest that are kept: no two texts of a rule have the same by chance."""

Versions = Mapping[str, Mapping[str, str]]
"""The digests of each wire version's rules, by their numbers."""

T = TypeVar("T")


class RuleError(Exception):
    """A file of rules cannot be read."""


class Letter(Struct, frozen=True, forbid_unknown_fields=True):
    """A field of rules, which has a page of its own.

    Attributes:
        page: the page's name, without folder and suffix.
        last: the highest number that was ever given: none is given twice.
        intro: what the page says before its rules.
        wire: whether its rules belong to a wire version.
    """

    title: str
    page: str
    last: int
    intro: str
    wire: bool = True


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """One requirement; ``rules.toml`` says what each field is."""

    level: Literal["must", "should"]
    text: str
    source: list[str]
    of: Role | None = None
    where: list[str] = []
    example: str = ""
    everywhere: str = ""
    unseen: str = ""
    retired: str = ""

    @property
    def digest(self) -> str:
        """A digest of what the rule requires: of whom, where, at which level, in which words."""
        words = [self.level, self.of or "", ",".join(self.where), " ".join(self.text.split())]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:_DIGITS]


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file: the fields by letter, the rules by number."""

    letter: dict[str, Letter]
    rule: dict[str, Rule]

    def of_letter(self, letter: str) -> dict[str, Rule]:
        """Return a field's rules in the order of their numbers."""
        found = [(int(number[2:]), number) for number in self.rule if number[0] == letter]
        return {number: self.rule[number] for _, number in sorted(found)}

    def of_the_wire(self) -> dict[str, Rule]:
        """Return the rules that are in force and belong to a wire version."""
        return {
            number: rule
            for letter, field in self.letter.items()
            if field.wire
            for number, rule in self.of_letter(letter).items()
            if not rule.retired
        }


def load(path: Path = RULES) -> Rules:
    """Read the rules.

    Raises:
        RuleError: it is not TOML, which has no number twice, or a key is missing, unknown or of the
            wrong type.
    """
    return _read(path, Rules)


def load_versions(path: Path = VERSIONS) -> Versions:
    """Return the wire versions, the oldest first; none where the file is absent.

    Raises:
        RuleError: as for `load`.
    """
    return _read(path, dict[str, dict[str, str]]) if path.exists() else {}


def quoted(numbers: Iterable[str]) -> list[str]:
    """Return the rules of these numbers as a report quotes them: ``W-3: A sender MUST …``.

    A number that there is not, in results of another time, stands alone.
    """
    known = _known().rule
    return [f"{each}: {known[each].text}" if each in known else each for each in numbers]


def in_order(numbers: Iterable[str]) -> list[str]:
    """Return numbers in the order of the letters in the file, and of the numbers of each."""
    letters = [*_known().letter]

    def place(number: str) -> tuple[int, int, str]:
        match = NUMBER.fullmatch(number)
        if match is None or match[1] not in letters:
            return len(letters), 0, number
        return letters.index(match[1]), int(match[2]), number

    return sorted(numbers, key=place)


@functools.cache
def _known() -> Rules:
    return load()


def _read(path: Path, type: type[T]) -> T:
    try:
        data: Any = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(data, type)
    except (ValueError, msgspec.ValidationError) as exc:
        raise RuleError(f"{path}: {exc}") from exc
