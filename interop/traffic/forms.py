"""The form of what was said: types and names, over all samples of an event. Pure.

A recorded form knows what an application has met: a member that was sometimes null may be null, one
that was not always there may be absent. What an application has never met is a difference. What it
ignores if it is as applications usually are, such as a new member, is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Difference", "Form", "Place", "compared"]

_IDS = re.compile(r"\d+|[0-9a-fA-F]{8,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|<.*>")
"""Keys that are data and no names: an object whose keys all are such is a map, of one form."""

_ENTRY = "*"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample was: a line of the recording, and the connection's number."""

    line: int
    connection: int

    def __str__(self) -> str:
        return f"line {self.line}, connection {self.connection}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference in form.

    Attributes:
        event: what it is of.
        path: the member; empty for the event as a whole.
        words: a sentence without the event.
        place: the first sample of the new server's.
        level: a note is a difference to ``--strict`` alone.
    """

    event: str
    path: str
    words: str
    place: Place | None = None
    level: Literal["difference", "note"] = "difference"

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        subject = f"{self.event}: " if self.event else ""
        return f"{subject}{self.path + ' ' if self.path else ''}{self.words}{where}"


@dataclass(slots=True)
class Form:
    """What the samples of one place in an event were.

    Attributes:
        kinds: how many samples were of each type, and the first of each.
        members: of objects, by name.
        items: of arrays, all of them.
        fraction: the first number that was not whole.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    first: dict[str, Place] = field(default_factory=dict)
    members: dict[str, Form] = field(default_factory=dict)
    items: Form | None = None
    fraction: Place | None = None
    # Where each member was absent first, and the names before the first sample of an object.
    absent: dict[str, Place] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many samples there were."""
        return sum(self.kinds.values())

    def add(self, value: Any, place: Place) -> None:
        """Add a sample."""
        kind = _kind(value)
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.first.setdefault(kind, place)
        if isinstance(value, float) and not self.fraction:
            self.fraction = place
        elif isinstance(value, dict):
            self._add_members(value, place)
        elif isinstance(value, list):
            self.items = self.items or Form()
            for item in value:
                self.items.add(item, place)

    def _add_members(self, value: dict[str, Any], place: Place) -> None:
        is_map = bool(value) and all(_IDS.fullmatch(key) for key in value)
        for key, item in value.items():
            self.members.setdefault(_ENTRY if is_map else key, Form()).add(item, place)
        if not is_map:
            for key in self.members.keys() - value.keys():
                self.absent.setdefault(key, place)

    def always(self, name: str) -> bool:
        """Whether each object had this member."""
        return name != _ENTRY and self.members[name].count >= self.kinds.get("an object", 0)

    def paths(self, path: str = "") -> Iterator[str]:
        """Yield the path of each member, at any depth."""
        for name, form in self.members.items():
            inner = f"{path}.{name}" if path else name
            yield inner
            yield from form.paths(inner)
        if self.items is not None:
            yield f"{path}[]"
            yield from self.items.paths(f"{path}[]")

    def same(self, other: Form) -> bool:
        """Whether it has the same types, in itself and in its members."""
        return (
            self.kinds.keys() == other.kinds.keys() and self.members.keys() == other.members.keys()
        )


def compared(event: str, recorded: Form, live: Form) -> Iterator[Difference]:
    """Yield what an application that knows the recorded form has never met."""
    yield from _compared(event, recorded, live, "")


def _compared(event: str, old: Form, new: Form, path: str) -> Iterator[Difference]:
    for kind, place in new.first.items():
        if kind not in old.kinds and old.kinds:
            was = " or ".join(sorted(old.kinds, key=lambda each: (each == "null", each)))
            level: Literal["difference", "note"] = (
                "note" if old.kinds.keys() == {"null"} else "difference"
            )
            words = f"was {was} ({_times(old.count)}), is {kind} now"
            yield Difference(event, path, words, place, level)
    if new.fraction and not old.fraction and "a number" in old.kinds:
        words = f"was always whole ({_times(old.kinds['a number'])}), has a fraction now"
        yield Difference(event, path, words, new.fraction, "note")
    if "an object" in old.kinds and "an object" in new.kinds:
        yield from _members(event, old, new, path)
    if old.items is not None and new.items is not None:
        yield from _compared(event, old.items, new.items, f"{path}[]")


def _members(event: str, old: Form, new: Form, path: str) -> Iterator[Difference]:
    added = [name for name in new.members if name not in old.members]
    for name, form in old.members.items():
        inner = f"{path}.{name}" if path else name
        place = new.absent.get(name) or new.first.get("an object")
        if name in new.members:
            if old.always(name) and not new.always(name):
                words = f"was always there ({_times(form.count)}), is absent now"
                yield Difference(event, inner, words, place)
            yield from _compared(event, form, new.members[name], inner)
        elif old.always(name):
            other = next((each for each in added if new.members[each].same(form)), None)
            words = f"was always there ({_times(form.count)}), is absent now"
            if other is not None:
                added.remove(other)
                beside = f"{path}.{other}" if path else other
                words += f"; {beside} is new and of the same form: renamed?"
            yield Difference(event, inner, words, place)
    for name in added:
        form = new.members[name]
        kind, place = next(iter(form.first.items()))
        yield Difference(
            event, f"{path}.{name}" if path else name, f"is new, {kind}", place, "note"
        )


def _times(count: int) -> str:
    return "in 1 sample" if count == 1 else f"in {count} samples"


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "a number")
