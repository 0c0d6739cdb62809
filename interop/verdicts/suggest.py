"""Writes the entries of ``deviations.toml`` that red cells call for. Pure; a person adds causes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

from ..catalog import Api, program_of
from ..records import ROLES, CellResult, Culprit, PeerRecord
from .deviations import Deviation

__all__ = ["pattern_for", "recorded_table", "suggestions"]

_RED = ("failed", "warned", "flaky")
_LONGEST = 90

_OURS = ("python", "zaptools")
"""The peer and the library of this repository: it changes with each commit."""


def suggestions(cells: Sequence[CellResult], *, one: bool = False) -> list[str]:
    """Return one TOML entry for each implementation and failure in red cells.

    Args:
        one: whether the cells are of one server or client: then an entry names none, as the file
            of ``--known`` wants it.

    The `cause` is empty, which the reader of the file refuses: a person looks it up. Where the
    culprit is unknown, the entry names the pair, and says so. A cell that is red because it
    passed is no deviation, and has none.
    """
    entries: dict[tuple[str, str, str, str], dict[str, None]] = {}
    notes: dict[tuple[str, str, str, str], str] = {}
    for cell in cells:
        if cell.verdict not in _RED or not cell.raised:
            continue
        key, note = (("", "", "", _seen(cell)), "") if one else _key(cell)
        entries.setdefault(key, {})[cell.scenario] = None
        if note:
            notes.setdefault(key, note)
    merged = {key: {*names} for key, names in entries.items()} if one else _merged(entries, cells)
    return [_toml(key, sorted(names), notes.get(key, "")) for key, names in sorted(merged.items())]


def pattern_for(defect: str) -> str:
    """Return a regular expression that a failure's text with this defect matches."""
    return re.sub(r"\\([ \"'`,:/=<>!@%&#~-])", r"\1", re.escape(defect[:_LONGEST].strip()))


def recorded_table(entries: Sequence[Deviation], peers: Mapping[str, PeerRecord]) -> str:
    """Return the TOML table ``recorded`` of the peers that have entries.

    Args:
        peers: what the peer of each row and column said of itself, by its id.
    """
    known = {
        program_of(api): peer
        for api, peer in sorted(peers.items())
        if any(Api.parse(api, entry.role).matches(entry.peer) for entry in entries)
    }
    return "\n".join(_recorded(name, peer) for name, peer in known.items())


def _recorded(name: str, peer: PeerRecord) -> str:
    lines = [
        f"[recorded.{json.dumps(name)}]",
        f"language = {json.dumps(peer.language)}",
        f"runtime = {json.dumps(peer.runtime)}",
    ]
    for key, table in (("libraries", peer.libraries), ("sources", peer.sources)):
        kept = [each for each in sorted(table.items()) if (name, each[0]) != _OURS]
        pairs = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in kept)
        lines.append(f"{key} = {{ {pairs} }}" if pairs else f"{key} = {{}}")
    return "\n".join([*lines, ""])


def _seen(cell: CellResult) -> str:
    return pattern_for(cell.defect or (cell.raised or "").partition("\n")[0])


def _key(cell: CellResult) -> tuple[tuple[str, str, str, str], str]:
    """Return (peer, role, other, seen), and a note on what a person must decide first."""
    seen = _seen(cell)
    culprit = cell.culprit or Culprit("unknown", "no culprit is recorded")
    if culprit.side == "unknown":
        note = f"the culprit is unknown: {culprit.why}; this blames the server"
        return (cell.server, "server", cell.client, seen), note
    return (cell.api(culprit.side), culprit.side, "", seen), ""


def _merged(
    entries: Mapping[tuple[str, str, str, str], Mapping[str, None]], cells: Iterable[CellResult]
) -> dict[tuple[str, str, str, str], set[str]]:
    """Name a peer instead of each of its APIs where all of them that ran have the entry."""
    ran: dict[tuple[str, str], set[str]] = {}
    for cell in cells:
        for role in ROLES:
            api = cell.api(role)
            ran.setdefault((role, program_of(api)), set()).add(api)
    merged: dict[tuple[str, str, str, str], set[str]] = {}
    for (api, at, other, seen), names in entries.items():
        peer = program_of(api)
        for name in names:
            all_have = not other and all(
                name in entries.get((each, at, other, seen), ()) for each in ran[at, peer]
            )
            merged.setdefault((peer if all_have else api, at, other, seen), set()).add(name)
    return merged


def _toml(key: tuple[str, str, str, str], scenarios: Sequence[str], note: str) -> str:
    peer, role, other, seen = key
    lines = [f"# {' '.join(note.split())}"] if note else []
    lines.append("[[deviation]]")
    if peer:
        lines += [f"peer = {json.dumps(peer)}", f"role = {json.dumps(role)}"]
    if other:
        lines.append(f"other = {json.dumps(other)}")
    names = ", ".join(json.dumps(name) for name in scenarios)
    lines.append(f"scenario = {names if len(scenarios) == 1 else f'[{names}]'}")
    # A literal string where there is one, so that a regular expression can be read.
    literal = "'" not in seen and seen.isprintable()
    lines.append(f"seen = '{seen}'" if literal else f"seen = {json.dumps(seen)}")
    return "\n".join([*lines, 'cause = ""'])
