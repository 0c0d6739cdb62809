"""Known deviations: the cells that are expected to fail, and why. Pure, but for reading the file.

Each entry of ``deviations.toml`` names an implementation (`peer`, a glob as for
``--server``, or several: it is then one entry for each), its `role`, the `scenario` ids
(globs), the `cause`, and what is `seen`: a regular expression, or several, one of which
the failure's text must match. An optional `other` narrows it to certain implementations
on the other side, and `upstream` links the report or the source. `framework` names the
server software at fault, so that the entry also holds for any server of that framework
that ``check`` looks at. `means` says in one plain sentence what an application sees of
it. `racy = true` says that the cause is a race, so that a cell may fail or pass.

A table ``recorded`` says what the peers were when their entries were recorded: versions, and
digests of sources. An expected failure that passes is judged by them.

Strict: a failure of another text is not excused, an expected failure that
passes is a failure (the entry is stale), an entry that can match no cell is an
error of the file, and an error of the testbed is never excused.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from ..catalog import Api, did_you_mean, peer_of
from ..places import PACKAGE, command
from ..records import Excuse, PeerRecord, Role

__all__ = [
    "DEVIATIONS_FILE",
    "Deviation",
    "DeviationError",
    "check",
    "check_added",
    "find",
    "known_to_check",
    "load",
    "load_recorded",
    "of_framework",
    "parse",
]

DEVIATIONS_FILE = PACKAGE / "deviations.toml"

_TEXTS = ("means", "other", "upstream", "framework")
_KEYS = {"peer", "role", "scenario", "seen", "cause", "racy", *_TEXTS}

_UNLIKELY = "\x00 a failure that no entry describes \x00"
"""A pattern that matches this text matches every failure."""


class DeviationError(Exception):
    """An entry that is malformed or can match nothing; says which."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One entry: the implementation at fault, the cells it affects, and the cause."""

    peer: str
    role: Role
    scenarios: tuple[str, ...]
    cause: str
    seen: tuple[str, ...]
    other: str = "*"
    upstream: str = ""
    framework: str = ""
    means: str = ""
    racy: bool = False

    def concerns(self, server: Api, client: Api) -> bool:
        """Whether it can match a cell of that pair."""
        one, other = (server, client) if self.role == "server" else (client, server)
        return one.matches(self.peer) and (self.other == "*" or other.matches(self.other))

    def matches(self, server: Api, client: Api, scenario: str) -> bool:
        return self.concerns(server, client) and self.names(scenario)

    def names(self, scenario: str) -> bool:
        return any(fnmatchcase(scenario, pattern) for pattern in self.scenarios)

    def describes(self, failure: str) -> bool:
        """Whether a failure's text is one that the entry expects."""
        return any(re.search(pattern, failure) for pattern in self.seen)

    @property
    def excuse(self) -> Excuse:
        """The part of the entry that a result keeps."""
        return Excuse(self.peer, self.role, self.cause, self.means)


def load(
    path: Path = DEVIATIONS_FILE, *, server: str = "", role: Role = "server"
) -> list[Deviation]:
    """Read a deviations file; `server` and `role` as for `parse`.

    Raises:
        DeviationError: it cannot be read, is not TOML, or an entry is malformed.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as exc:
        raise DeviationError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DeviationError(f"{path}: not UTF-8: {exc}") from exc
    try:
        return parse(text, server=server, role=role)
    except DeviationError as exc:
        raise DeviationError(f"{path}: {exc}") from exc


def parse(text: str, *, server: str = "", role: Role = "server") -> list[Deviation]:
    """Parse the text of a deviations file.

    Args:
        server: the name of the one server that the file is about, where it is about one; or of the
            one client, where that is its `role`.

    Raises:
        DeviationError: not TOML, or an entry lacks a key, has an unknown one, an empty cause or
            a `seen` that is no regular expression or fits every failure.
    """
    try:
        data = tomllib.loads(text)
    except ValueError as exc:
        raise DeviationError(str(exc)) from exc
    if unknown := set(data) - {"deviation", *([] if server else ["recorded"])}:
        raise DeviationError(f"unknown table {sorted(unknown)[0]!r}; entries are [[deviation]]")
    _recorded(data)
    found = data.get("deviation", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise DeviationError("'deviation' must be tables: each begins with [[deviation]]")
    return [
        one
        for number, entry in enumerate(found, 1)
        for one in _entries(number, entry, server, role)
    ]


def load_recorded(*paths: Path) -> dict[str, PeerRecord]:
    """Return what the peers were when their deviations were recorded, by program: ``dart@0.3.0``.

    Raises:
        DeviationError: as for `load`.
    """
    found: dict[str, PeerRecord] = {}
    for path in paths:
        load(path)
        found |= _recorded(tomllib.loads(path.read_text("utf-8")))
    return found


def _recorded(data: dict[str, Any]) -> dict[str, PeerRecord]:
    try:
        return msgspec.convert(data.get("recorded", {}), dict[str, PeerRecord], strict=True)
    except msgspec.ValidationError as exc:
        raise DeviationError(f"'recorded': {exc}") from exc


def check(entries: Iterable[Deviation], apis: Sequence[Api], scenarios: Sequence[str]) -> None:
    """Check that every entry can match a cell of the whole catalogue.

    Raises:
        DeviationError: an entry, or one of its scenario patterns, matches nothing.
    """
    for entry in entries:
        if not any(api.role == entry.role and api.matches(entry.peer) for api in apis):
            close = did_you_mean(entry.peer, (api.peer for api in apis if api.role == entry.role))
            raise DeviationError(f"{entry.peer!r} names no {entry.role}{close} ({entry.cause})")
        if entry.other != "*" and not any(
            api.role != entry.role and api.matches(entry.other) for api in apis
        ):
            raise DeviationError(f"other = {entry.other!r} names nothing ({entry.cause})")
        for pattern in entry.scenarios:
            if not any(fnmatchcase(scenario, pattern) for scenario in scenarios):
                close = did_you_mean(pattern, scenarios)
                raise DeviationError(f"{entry.peer}: {pattern!r} names no scenario{close}")


def check_added(
    path: Path, apis: Sequence[Api], added: Sequence[Api], scenarios: Sequence[str]
) -> None:
    """Check a file of the known deviations of added peers: it speaks of no other.

    Args:
        apis: all rows and columns that there are.
        added: those of added peers.

    Raises:
        DeviationError: as for `load` and `check`; or an entry, or a table of `recorded`, is of a
            peer that was not added.
    """
    names = ", ".join(dict.fromkeys(api.peer for api in added)) or "none"
    for number, entry in enumerate(load(path), 1):
        of_role = [api for api in apis if api.role == entry.role and api.matches(entry.peer)]
        if not of_role or any(api not in added for api in of_role):
            what = f"is of {of_role[0].peer!r} too, which is" if of_role else "names"
            what = f"{entry.peer!r} {what} no added {entry.role}"
            raise DeviationError(f"{path}: deviation {number}: {what}; added peers: {names}")
        try:
            check([entry], apis, scenarios)
        except DeviationError as exc:
            raise DeviationError(f"{path}: deviation {number}: {exc}") from exc
    for program in load_recorded(path):
        if peer_of(program) not in {api.peer for api in added}:
            where = f"{path}: recorded.{program!r}"
            raise DeviationError(f"{where} is no added peer; added peers: {names}")


def find(entries: Iterable[Deviation], server: Api, client: Api, scenario: str) -> list[Deviation]:
    """Return the entries that expect this cell to fail."""
    return [entry for entry in entries if entry.matches(server, client, scenario)]


def of_framework(entries: Iterable[Deviation], name: str) -> list[Deviation]:
    """Return the entries of the framework of that name, each under that name and once."""
    found = {
        (entry.scenarios, entry.seen, entry.cause): replace(entry, peer=name)
        for entry in entries
        if entry.framework == name
    }
    return list(found.values())


def known_to_check(path: Path, scenarios: Sequence[str], role: Role = "server") -> list[Deviation]:
    """Read a file of deviations of one server, for ``check``, or one client, for ``check-client``.

    An entry has `scenario`, `seen` and `cause`, and may have `means` and `upstream`: there is one
    side alone.

    Raises:
        DeviationError: as for `load`; or an entry names none of the `scenarios`.
    """
    entries = load(path, server=path.name, role=role)
    for entry in entries:
        for pattern in entry.scenarios:
            if not any(fnmatchcase(scenario, pattern) for scenario in scenarios):
                close = did_you_mean(pattern, scenarios)
                raise DeviationError(f"{path}: {pattern!r} names no scenario{close}")
    return entries


def _entries(number: int, entry: dict[str, Any], server: str, role: Role) -> list[Deviation]:
    """Return an entry as one for each of its peers."""
    peers = entry.get("peer")
    if not _strings(peers):
        return [_entry(number, entry, server, role)]
    return [_entry(number, {**entry, "peer": peer}, server, role) for peer in peers]


def _entry(number: int, entry: dict[str, Any], server: str, one: Role) -> Deviation:
    if server:
        if unknown := set(entry) & {"peer", "role", "other", "framework"}:
            raise DeviationError(
                f"deviation {number}: {sorted(unknown)[0]!r} is for the matrix; here is one {one}"
            )
        entry = {**entry, "peer": server, "role": one}
    where = f"deviation {number} ({entry.get('peer', 'no peer')})"
    if unknown := set(entry) - _KEYS:
        raise DeviationError(f"{where}: unknown key {sorted(unknown)[0]!r}")
    scenarios = entry.get("scenario")
    scenarios = [scenarios] if isinstance(scenarios, str) else scenarios
    if not _strings(scenarios):
        raise DeviationError(f"{where}: 'scenario' must be an id or a list of ids")
    for key in ("peer", "cause"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise DeviationError(f"{where}: {key!r} must be a non-empty string")
    if not isinstance(entry.get("racy", False), bool):
        raise DeviationError(f"{where}: 'racy' must be true or false")
    for key in _TEXTS:
        if not isinstance(entry.get(key, ""), str):
            raise DeviationError(f"{where}: {key!r} must be a string")
    role = entry.get("role")
    if role != "server" and role != "client":
        raise DeviationError(f'{where}: \'role\' must be "server" or "client"')
    return Deviation(
        peer=entry["peer"],
        role=role,
        scenarios=tuple(scenarios),
        cause=" ".join(entry["cause"].split()),
        seen=_patterns(where, entry.get("seen")),
        other=entry.get("other", "*"),
        upstream=entry.get("upstream", ""),
        framework=entry.get("framework", ""),
        means=" ".join(entry.get("means", "").split()),
        racy=entry.get("racy", False),
    )


def _strings(value: object) -> TypeGuard[list[str]]:
    return bool(isinstance(value, list) and value and all(isinstance(v, str) for v in value))


def _patterns(where: str, seen: object) -> tuple[str, ...]:
    patterns = [seen] if isinstance(seen, str) else seen
    if not _strings(patterns):
        raise DeviationError(
            f"{where}: 'seen' must be a regular expression, or a list of them, that the failure's "
            f"text matches; see: {command('deviations', '--suggest')}"
        )
    for pattern in patterns:
        try:
            everything = re.search(pattern, _UNLIKELY) is not None
        except re.error as exc:
            raise DeviationError(f"{where}: 'seen' {pattern!r}: {exc}") from exc
        if everything:
            raise DeviationError(f"{where}: 'seen' {pattern!r} fits every failure")
    return tuple(patterns)
