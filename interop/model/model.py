"""The model of what there is to see: ``interop/scenarios/model.toml``, read and checked.

A *capability* is what an implementation can do, a *condition* one value of a dimension that may
break it. Every capability under every condition of its kind is a *place*: some scenario looks at
it, or a gap says why none does.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

import msgspec

from ..places import PACKAGE
from ..records import CellResult
from .contract import stands_for
from .uses import Sends, contract_items, uses

__all__ = [
    "MODEL",
    "Capability",
    "Gap",
    "Look",
    "Model",
    "ModelError",
    "Names",
    "Place",
    "contradicted",
    "load",
    "problems",
    "unnamed",
]

MODEL = PACKAGE / "scenarios" / "model.toml"

Place = tuple[str, str]
"""A capability and a condition."""


class ModelError(Exception):
    """The model's file cannot be read."""


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may break a capability: its values, each with what it means."""

    what: str
    values: dict[str, str]


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A kind of capability: the dimensions that can break it, and why the others cannot."""

    what: str
    dimensions: list[str]
    without: str = ""


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an implementation can do.

    Attributes:
        uses: the items of the contract that it is used by.
        sends, asked, header: how its events are recognized; see `interop.model.uses.Sends`.
    """

    kind: str
    what: str
    uses: list[str] = []
    sends: list[str] = []
    asked: list[str] = []
    header: str = ""


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """Scenarios that look at places.

    Attributes:
        unseen: why a run's records do not show that they do; empty where they show it.
    """

    of: list[str]
    at: list[str]
    scenarios: list[str]
    unseen: str = ""


class Gap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Places that no scenario looks at, and why."""

    of: list[str]
    at: list[str]
    because: str


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Public names of a library, and the capability that they are looked at with, or why not."""

    package: str
    names: list[str]
    of: list[str] = []
    because: str = ""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The whole file.

    Attributes:
        below: scenarios that look below events, at the wire, by the part of it.
        never: items of the contract that no run between sound libraries uses, each with the reason.
    """

    dimension: dict[str, Dimension]
    kind: dict[str, Kind]
    capability: dict[str, Capability]
    look: list[Look]
    gap: list[Gap]
    names: list[Names]
    below: dict[str, list[str]]
    never: dict[str, str]

    @cached_property
    def places(self) -> dict[Place, list[Look | Gap]]:
        """Every place, with the entries that name it."""
        found: dict[Place, list[Look | Gap]] = {
            (name, condition): []
            for name, capability in self.capability.items()
            for dimension in self.kind[capability.kind].dimensions
            for condition in self.conditions(dimension)
        }
        for entry in self.entries:
            for place in self.named(entry):
                found[place].append(entry)
        return found

    @property
    def entries(self) -> list[Look | Gap]:
        """The entries that name places."""
        return [*self.look, *self.gap]

    def conditions(self, dimension: str) -> list[str]:
        """Return the conditions of a dimension."""
        return [f"{dimension}.{value}" for value in self.dimension[dimension].values]

    def named(self, entry: Look | Gap) -> Iterator[Place]:
        """Yield the places that an entry names."""
        for name, capability in self.capability.items():
            if not _fits(name, entry.of):
                continue
            for dimension in self.kind[capability.kind].dimensions:
                for condition in self.conditions(dimension):
                    if _fits(condition, entry.at):
                        yield name, condition

    @cached_property
    def sends(self) -> dict[str, Sends]:
        """The capabilities that are ways to send an event, and how those are recognized."""
        return {
            name: Sends(
                "client" if name.startswith("client.") else "server",
                frozenset(each.sends),
                frozenset(each.asked),
                each.header,
            )
            for name, each in self.capability.items()
            if each.sends or each.asked or each.header
        }

    @cached_property
    def marks(self) -> dict[str, str]:
        """The capability that each item of the contract shows, but for events that are sent."""
        return {
            item: name
            for name, each in self.capability.items()
            if name not in self.sends
            for item in each.uses
        }


def load(path: Path = MODEL) -> Model:
    """Read the model.

    Raises:
        ModelError: it is not TOML, or a key is missing, unknown or of the wrong type.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Model)
    except (ValueError, msgspec.ValidationError) as exc:
        raise ModelError(f"{path}: {exc}") from exc


def problems(
    model: Model,
    *,
    scenarios: Sequence[str],
    items: Iterable[str],
) -> list[str]:
    """Return what is wrong with the model, each with what to write where.

    Args:
        scenarios: the ids of all scenarios.
        items: those of the contract.
    """
    return [
        *_holes(model),
        *_stale(model, scenarios),
        *_unnamed_scenarios(model, scenarios),
        *_unused_items(model, items),
        *_stale_names(model),
    ]


def _holes(model: Model) -> Iterator[str]:
    holes: dict[str, list[str]] = {}
    for (name, condition), entries in model.places.items():
        if not entries:
            holes.setdefault(name, []).append(condition)
    for name, conditions in holes.items():
        yield (
            f"no scenario looks at {name} with {', '.join(conditions)}, and no gap says why: "
            "add a [[look]] or a [[gap]] to model.toml"
        )


def _stale(model: Model, scenarios: Sequence[str]) -> Iterator[str]:
    for entry in model.entries:
        places = list(model.named(entry))
        for key, globs, index in (("of", entry.of, 0), ("at", entry.at, 1)):
            for glob in globs:
                if not any(fnmatchcase(place[index], glob) for place in places):
                    yield f"{key} {glob!r} names nothing in {_shown(entry)}"
    for look in model.look:
        for glob in look.scenarios:
            if not any(fnmatchcase(scenario, glob) for scenario in scenarios):
                yield f"{glob!r} names no scenario in {_shown(look)}"
    for gap in model.gap:
        if not gap.because:
            yield f"there is no reason in {_shown(gap)}"
        if not any(_is_gap(model.places[place]) for place in model.named(gap)):
            yield f"scenarios look at every place of it: remove {_shown(gap)}"


def _is_gap(entries: Iterable[Look | Gap]) -> bool:
    return all(isinstance(entry, Gap) for entry in entries)


def _unnamed_scenarios(model: Model, scenarios: Sequence[str]) -> Iterator[str]:
    named = [glob for look in model.look for glob in look.scenarios]
    named += [glob for globs in model.below.values() for glob in globs]
    for topic, globs in model.below.items():
        for glob in globs:
            if not any(fnmatchcase(scenario, glob) for scenario in scenarios):
                yield f"{glob!r} names no scenario in [below] {topic!r} of model.toml"
    for scenario in scenarios:
        if not _fits(scenario, named):
            yield (
                f"the model says of no place that {scenario} looks at it: name it in a [[look]] "
                "of model.toml, or in [below] if it looks at the wire alone"
            )


def _unused_items(model: Model, items: Iterable[str]) -> Iterator[str]:
    used = {item for each in model.capability.values() for item in each.uses}
    # What a notification tells differs between the sides, and events between the ways to get them.
    used |= {
        f"on {item.split()[2]}" for item in used if item.startswith(("on server", "on client"))
    }
    for item in dict.fromkeys(map(stands_for, items)):
        if item not in used:
            yield (
                f"no capability uses the contract's {item!r}: add it to the `uses` of one "
                "in model.toml"
            )
    known = {*items, *map(stands_for, items)}
    for item in used:
        if item not in known and not item.startswith(("on server", "on client")):
            yield f"the contract has no {item!r}, which a capability uses in model.toml"


def unnamed(model: Model, package: str, public: Sequence[str]) -> list[str]:
    """Return what is wrong with a library's ``[[names]]``, each with what to write where.

    Args:
        public: the library's public names.
    """
    entries = [entry for entry in model.names if entry.package == package]
    globs = [glob for entry in entries for glob in entry.names]
    missing = [name for name in public if not _fits(name, globs)]
    return [
        *(
            f"{package} has no public name {glob!r}"
            for glob in globs
            if not _fits_any(public, glob)
        ),
        *(f"no [[names]] of {package!r} in model.toml has {name!r}: add it" for name in missing),
    ]


def _stale_names(model: Model) -> Iterator[str]:
    for entry in model.names:
        if bool(entry.of) == bool(entry.because):
            yield f"either `of` or `because` is needed in {_shown(entry)}"
        for name in entry.of:
            if name not in model.capability:
                yield f"there is no capability {name!r}, in {_shown(entry)}"
    counts = Counter((entry.package, name) for entry in model.names for name in entry.names)
    for (package, name), count in counts.items():
        if count > 1:
            yield f"{name!r} of {package!r} is in [[names]] of model.toml {count} times"


def contradicted(model: Model, cells: Sequence[CellResult], items: Iterable[str]) -> list[str]:
    """Return what the model claims and no record of a run shows, each with what to do.

    Args:
        cells: those of a whole run between APIs that lack nothing.
        items: those of the contract.
    """
    seen: dict[Place, set[str]] = {}
    used: set[str] = set()
    for cell in cells:
        used |= contract_items(cell)
        for place in uses(cell, model.sends, model.marks):
            seen.setdefault(place, set()).add(cell.scenario)
    unused = [item for item in items if item not in used and item not in model.never]
    return [
        *(
            problem
            for look in model.look
            if not look.unseen
            for problem in _idle(model, look, seen)
        ),
        *(f"no scenario uses the contract's {item!r}: write one" for item in unused),
        *(
            f"scenarios use {item!r}: remove it from [never]"
            for item in model.never
            if item in used
        ),
    ]


def _idle(model: Model, look: Look, seen: Mapping[Place, set[str]]) -> Iterator[str]:
    """Yield the places and the scenarios of an entry that no record joins."""
    places = list(model.named(look))
    for place in places:
        if not any(_fits(scenario, look.scenarios) for scenario in seen.get(place, ())):
            yield f"no record shows {place[0]} with {place[1]}, as claimed by {_shown(look)}"
    for glob in look.scenarios:
        if not any(_fits_any(seen.get(place, ()), glob) for place in places):
            yield f"no record shows any of it in {glob!r}, as claimed by {_shown(look)}"


def _shown(entry: Look | Gap | Names) -> str:
    kind = type(entry).__name__.lower()
    first = (
        f"names = {entry.names}"
        if isinstance(entry, Names)
        else f"of = {entry.of}, at = {entry.at}"
    )
    return f"the [[{kind}]] of model.toml with {first}"


def _fits(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _fits_any(names: Iterable[str], glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in names)
