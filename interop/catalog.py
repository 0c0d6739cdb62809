"""The known peers, and how rows and columns of the matrix are named and selected.

A row or column of the matrix is one API of one peer. Its name is
``peer[@version]/Api``: ``python/ZapServer``, ``dart@0.5.0/ZapConsumer``.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .control.operations import FEATURES, is_lack
from .places import PACKAGE, command
from .records import ROLES, Role

__all__ = [
    "JUDGES",
    "JUDGE_IDS",
    "PEERS_DIR",
    "RUNTIMES",
    "Api",
    "CatalogError",
    "Peer",
    "check_added_name",
    "did_you_mean",
    "is_id",
    "load_peers",
    "peer_of",
    "program_of",
    "select",
]

PEERS_DIR = PACKAGE / "peers"


RUNTIMES: Mapping[str, Sequence[str]] = {
    "here": (),
    "venv": ("requirements.txt",),
    "dart": ("pubspec.yaml", "*.dart"),
    "node": (),
    "go": ("go.mod", "go.sum", "*.go"),
    "chromium": (),
    "python": (),
    "program": (),
}
"""The runtimes of peers, each with the files (globs) that an older version of the peer is made of,
the first of which names its packages. A runtime without files cannot have ``versions``."""

_ID = re.compile(r"[\w.-]+(@[^/\s]+)?/\w+")
_ADDED_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
"""The name of an added peer: it must do as a part of a row's name, a glob and a file's name."""

_KEYS = ("language", "runtime", "module", "script", "control", "api")
_API_KEYS = ("role", "name", "version", "versions", "package", "superseded", "lacks")

_LACKS = "a table of reasons, by operations, 'operation argument' or 'rooms'"


def is_id(text: str) -> bool:
    """Whether a text is an API's id, and no URL or command of what is not in the catalogue."""
    return _ID.fullmatch(text) is not None


def program_of(api: str) -> str:
    """Return the program in an API's id: ``dart@0.3.0/ZapServer`` → ``dart@0.3.0``."""
    return api.partition("/")[0]


def peer_of(api: str) -> str:
    """Return the peer in an API's or a program's id: ``dart@0.3.0/ZapServer`` → ``dart``."""
    return program_of(api).partition("@")[0]


class CatalogError(Exception):
    """A ``peer.toml`` is invalid, or a selection chooses nothing."""


@dataclass(frozen=True, slots=True)
class Api:
    """One row (role ``server``) or column (role ``client``) of the matrix.

    Attributes:
        lacks: features that its library lacks, as `interop.control.operations.asked_of` names
            them, each with the reason: the only ones to which the API may answer ``unsupported``.
        older: whether there is a newer version of it; it then runs as a program of its own.
        control: whether it is a negative control, broken on purpose to test the testbed.
    """

    peer: str
    role: Role
    name: str
    version: str | None = None
    lacks: Mapping[str, str] = field(default_factory=dict, hash=False)
    older: bool = False
    control: bool = False

    @classmethod
    def parse(cls, id: str, role: Role) -> Api:
        """Return the API that `id` names, without `lacks` and `older`, which are not in a name."""
        peer, _, name = id.partition("/")
        peer, _, version = peer.partition("@")
        return cls(peer, role, name, version or None)

    @property
    def id(self) -> str:
        version = f"@{self.version}" if self.version else ""
        return f"{self.peer}{version}/{self.name}"

    def __str__(self) -> str:
        """Return role and name, as messages show them: ``server python/ZapServer``."""
        return f"{self.role} {self.id}"

    @property
    def program(self) -> str:
        """The program that an engine starts for it: the peer, with the version if it is older."""
        return f"{self.peer}@{self.version}" if self.older else self.peer

    def matches(self, pattern: str) -> bool:
        """Whether a glob names this API: its peer, with or without version and API.

        A control is named only by globs that begin with its peer's name.
        """
        if self.control and not pattern.startswith(self.peer):
            return False
        return _is_named(self.peer, self.version, self.name, pattern)


@functools.cache
def _is_named(peer: str, version: str | None, name: str, pattern: str) -> bool:
    peers = [peer] + ([f"{peer}@{version}"] if version else [])
    names = peers + [f"{each}/{name}" for each in peers]
    return any(fnmatchcase(each, pattern) for each in names)


JUDGES: dict[Role, Api] = {role: Api("judge", role, "Raw") for role in ROLES}
"""The testbed itself, as the other side in a scenario that concerns one side alone."""

JUDGE_IDS = frozenset(api.id for api in JUDGES.values())


@dataclass(frozen=True, slots=True)
class Peer:
    """One program under control: a folder with a ``peer.toml``.

    Attributes:
        runtime: how it runs: ``here`` (this interpreter, `entry_point` is a module), ``venv``
            (an environment made from the folder's ``requirements.txt``), ``dart``, ``node``,
            ``go``, ``chromium`` (this interpreter, a script that drives it), ``python`` (this
            interpreter, a script) or ``program`` (an executable file).
        entry_point: the module, or the script's path below `folder`.
        pins: for each older version, the packages that have another version in it.
        added: whether it is of another repository: only the local engine can run it.
    """

    name: str
    language: str
    runtime: str
    entry_point: str
    folder: Path
    apis: tuple[Api, ...]
    pins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    added: bool = False


def load_peers(directory: Path = PEERS_DIR, added: Iterable[Path] = ()) -> dict[str, Peer]:
    """Read every ``peer.toml`` one level below `directory`; the folder's name is the peer's.

    Folders whose names begin with ``_`` are not peers: they hold modules that peers share.

    Args:
        added: folders of further peers, each as `directory`, or with a ``peer.toml`` of its own.

    Raises:
        CatalogError: a file is not TOML, or a key is missing, unknown or invalid; or an added
            folder holds no peer, or one without its program or with another peer's name.
    """
    peers = {path.parent.name: _peer(path) for path in _peer_files(directory)}
    for folder in added:
        for path in _added_files(folder):
            peer = _added(path)
            if peer.name in peers:
                raise CatalogError(
                    f"{path}: there is a peer {peer.name!r} already, in "
                    f"{peers[peer.name].folder}; a peer is named after its folder"
                )
            peers[peer.name] = peer
    return peers


def select(
    apis: Iterable[Api],
    role: Role,
    patterns: Sequence[str],
    *,
    what: str = "",
    older: bool = False,
) -> list[Api]:
    """Return the APIs of `role` that at least one of `patterns` names; without patterns, all.

    Args:
        what: the option that the patterns come from, for errors; by default ``--ROLE``.
        older: whether to include older versions. A pattern with an ``@`` always does.

    Raises:
        CatalogError: a pattern names no API: a mistyped name must not pass as success.
    """
    of_role = [api for api in apis if api.role == role]
    for pattern in patterns:
        if not any(api.matches(pattern) for api in of_role):
            peer = re.split("[@/]", pattern)[0]
            near = [api.id for api in of_role if api.peer == peer]
            known = ", ".join(near or dict.fromkeys(api.peer for api in of_role))
            option = what or f"--{role}"
            close = ""
            if not any(api.matches(pattern) for api in apis):  # of the other role, then
                names = {api.peer for api in of_role} | {api.id for api in of_role}
                close = did_you_mean(pattern, sorted(names))
            raise CatalogError(
                f"{option} {pattern!r} names no {role}{close}; "
                f"there are: {known} ({command('list')})"
            )
    return [
        api
        for api in of_role
        if any(
            api.matches(pattern) and (older or not api.older or "@" in pattern)
            for pattern in patterns or ["*"]
        )
    ]


def did_you_mean(name: str, names: Iterable[str], short: Mapping[str, str] | None = None) -> str:
    """Return the end of a message about a name that is none of `names`; empty if none is close.

    Args:
        short: names that are no names themselves, and what is meant by each.
    """
    meant = {**(short or {}), **{each: each for each in names}}
    close = difflib.get_close_matches(name, meant, n=1, cutoff=0.7)
    return f" (did you mean {meant[close[0]]!r}?)" if close else ""


def _peer_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("[!_.]*/peer.toml"), key=lambda path: path.parent.name)


def _added_files(folder: Path) -> list[Path]:
    """Return the ``peer.toml`` of each peer in a folder that ``--peers`` names."""
    if not folder.is_dir():
        raise CatalogError(f"--peers {folder}: there is no such folder")
    own = folder.resolve() / "peer.toml"
    files = [own] if own.is_file() else _peer_files(folder.resolve())
    if not files:
        raise CatalogError(f"--peers {folder}: no peer.toml in it, nor one level below")
    return files


def check_added_name(path: Path) -> None:
    """Check that the name of a ``peer.toml``'s folder can be that of an added peer.

    Raises:
        CatalogError: it cannot.
    """
    name = path.parent.name
    if not _ADDED_NAME.fullmatch(name) or name in {judge.peer for judge in JUDGES.values()}:
        raise CatalogError(
            f"{path}: its folder {name!r} cannot be a peer's name: letters, digits, '.', '_' and "
            "'-' make one, and 'judge' is the testbed itself"
        )


def _added(path: Path) -> Peer:
    """Read the ``peer.toml`` of a peer of another repository."""
    check_added_name(path)
    peer = _peer(path)
    if peer.runtime == "here":
        there = importlib.util.find_spec(peer.entry_point.partition(".")[0]) is not None
        key, where = "module", "for the interpreter that runs the testbed"
    else:
        there = (peer.folder / peer.entry_point).is_file()
        key, where = "script", f"in {peer.folder}"
    if not there:
        raise CatalogError(f"{path}: {key!r}: there is no {peer.entry_point!r} {where}")
    return replace(peer, added=True)


def _peer(path: Path) -> Peer:
    name = path.parent.name
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise CatalogError(f"{path}: {exc}") from exc
    _check_keys(path, data, _KEYS)
    runtime = data.pop("runtime", None)
    if runtime not in RUNTIMES:
        raise CatalogError(f"{path}: runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}")
    entry_key = "module" if runtime == "here" else "script"
    tables = data.pop("api", None)
    if not isinstance(tables, list) or not tables:
        raise CatalogError(f"{path}: needs at least one [[api]] table")
    control = data.pop("control", False)
    if not isinstance(control, bool):
        raise CatalogError(f"{path}: 'control' must be true or false, not {control!r}")
    apis: list[Api] = []
    pins: dict[str, dict[str, str]] = {}
    for number, table in enumerate(tables, 1):
        if not isinstance(table, dict):
            raise CatalogError(f"{path}: 'api' must be tables: each begins with [[api]]")
        _read_api(path, number, table, runtime, apis, pins)
    peer = Peer(
        name=name,
        language=_string(path, data, "language"),
        runtime=runtime,
        entry_point=_string(path, data, entry_key),
        folder=path.parent,
        apis=tuple(replace(api, control=control) for api in apis),
        pins=pins,
    )
    if data:
        raise CatalogError(f"{path}: unknown key {sorted(data)[0]!r}")
    return peer


def _read_api(
    path: Path,
    number: int,
    data: dict[str, Any],
    runtime: str,
    apis: list[Api],
    pins: dict[str, dict[str, str]],
) -> None:
    """Add one table's APIs, one for each version, and the pins of the older ones."""
    _check_keys(path, data, _API_KEYS, f" in [[api]] {number}")
    role = data.pop("role", None)
    if role not in ROLES:
        raise CatalogError(
            f"{path}: [[api]] {number}: its role must be server or client, not {role!r}"
        )
    name = _string(path, data, "name", f"[[api]] {number}: ")
    lacks = _lacks(path, data.pop("lacks", {}))
    versions = data.pop("versions", None)
    if versions is None:
        newest, older = data.pop("version", None), []
    else:
        if not RUNTIMES[runtime]:
            raise CatalogError(f"{path}: runtime {runtime!r} has no 'versions' of {name!r}")
        if not (isinstance(versions, list) and versions and all(map(_is_text, versions))):
            raise CatalogError(f"{path}: 'versions' of {name!r} must be a list, the newest first")
        package = _string(path, data, "package")
        newest, older = (
            (None, versions) if data.pop("superseded", False) else (versions[0], versions[1:])
        )
    if newest is not None or not older:
        apis.append(Api(path.parent.name, role, name, newest, lacks))
    for version in older:
        apis.append(Api(path.parent.name, role, name, version, lacks, older=True))
        pins.setdefault(version, {})[package] = version
    if data:
        raise CatalogError(f"{path}: unknown key {sorted(data)[0]!r} in api {name!r}")


def _lacks(path: Path, table: object) -> dict[str, str]:
    """Return the features that an API lacks, each with the reason."""
    if not isinstance(table, dict) or not all(map(_is_text, table.values())):
        raise CatalogError(f"{path}: 'lacks' must be {_LACKS}, not {table!r}")
    found: dict[str, str] = {}
    for names, reason in table.items():
        for name in names.split(", "):
            if not is_lack(name) or name in found:
                how = " twice" if name in found else did_you_mean(name, sorted(FEATURES))
                raise CatalogError(f"{path}: 'lacks' must be {_LACKS}, not {name!r}{how}")
            found[name] = reason
    return found


def _check_keys(path: Path, data: Mapping[str, Any], known: Sequence[str], where: str = "") -> None:
    """Check that no key is mistyped, before one is missed whose place it takes."""
    for key in data:
        if key not in known and (close := did_you_mean(key, known)):
            raise CatalogError(f"{path}: unknown key {key!r}{where}{close}")


def _string(path: Path, data: dict[str, Any], key: str, where: str = "") -> str:
    value = data.pop(key, None)
    if not isinstance(value, str) or not value:
        raise CatalogError(f"{path}: {where}{key!r} must be a non-empty string")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""
