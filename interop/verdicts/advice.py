"""What to do about a known deviation that did not show. Pure.

That is good news only if the peer has changed and the cell did what its scenario needs. Otherwise
something else stopped working, and hides the deviation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..catalog import Api, peer_of, program_of
from ..records import CellResult, Culprit, Excuse, Note, PeerRecord, Role

__all__ = ["advise"]


def advise(
    cells: Sequence[CellResult],
    peers: Mapping[str, PeerRecord],
    recorded: Mapping[str, PeerRecord],
    apis: Iterable[Api],
) -> None:
    """Say in each cell that was expected to fail, and passed, what that means and what to do.

    Args:
        peers: what the peer of each row and column said of itself, by its id.
        recorded: what the peers were when their deviations were recorded, as ``dart@0.3.0``.
        apis: all rows and columns that there are.
    """
    found = _Advice(cells, peers, recorded, tuple(apis))
    for cell in cells:
        if cell.unshown and cell.verdict == "failed" and not cell.raised:
            found.give(cell)


class _Advice:
    """A run's facts, and the advice that follows from them. The arguments are those of `advise`."""

    def __init__(
        self,
        cells: Sequence[CellResult],
        peers: Mapping[str, PeerRecord],
        recorded: Mapping[str, PeerRecord],
        apis: Sequence[Api],
    ) -> None:
        self._cells = cells
        self._peers = peers
        self._recorded = recorded
        self._apis = apis

    def give(self, cell: CellResult) -> None:
        """Fill `vanished`, the reason and the culprit of a cell, anew where a shard's run has."""
        cell.vanished = ""
        excuse = cell.unshown[0]
        role, api = excuse.role, cell.api(excuse.role)
        if missing := self._missing(cell, role):
            advice = f"this is no repair: the {role} reported no {missing}, as every other does"
            cell.vanished = advice
        elif same := self._same(api):
            advice = (
                f"{same}, so they repaired nothing: before the entry is removed, see what else "
                "changed, the adapter, the other side or the scenario"
            )
            cell.vanished = advice
        else:
            first = self._first(role, api)
            advice = f"{self._change(api)}{self._remedy(excuse, api)}{first}"
            if first:  # whether it is one is not known yet
                cell.vanished = advice
        entries = "; ".join(map(str, cell.unshown))
        cell.reason = f"expected to fail, but passed; {advice}: {entries}"
        cell.culprit = Culprit(role, advice, "expectation", api)

    # --- Whether the cell did what it needs -----------------------------------------------------

    def _missing(self, cell: CellResult, role: Role) -> str:
        """Return what every other that passes the scenario reported there, and this one did not."""
        api = cell.api(role)
        others = [
            set(_kinds(other, role))
            for other in self._cells
            if other.scenario == cell.scenario
            and other.verdict == "passed"
            and program_of(other.api(role)) != program_of(api)
        ]
        if not others or cell.notifications is None:
            return ""
        needed = set.intersection(*others) - set(_kinds(cell, role))
        known = {
            kind
            for other in self._cells
            if other.api(role) == api and other is not cell
            for kind in _kinds(other, role)
        }
        # A library may have no such callback at all; every one delivers events.
        found = sorted(kind for kind in needed if kind.startswith("event") or kind in known)
        return found[0] if found else ""

    # --- Whether the peer changed ---------------------------------------------------------------

    def _same(self, api: str) -> str:
        """Say that the peer's libraries are what they were; empty if not, or if not known."""
        now, before = self._peers.get(api), self._recorded.get(program_of(api))
        if now is None or before is None or _differences(before, now):
            return ""
        was = f"as they were when this was recorded ({_words(now)})"
        return f"the libraries of {program_of(api)} are {was}"

    def _change(self, api: str) -> str:
        now, before = self._peers.get(api), self._recorded.get(program_of(api))
        if now is None:
            return ""
        if before is None and any(each.older and each.id == api for each in self._apis):
            return ""  # an older version, which was not recorded
        if before is None:
            others = sorted(name for name in self._recorded if peer_of(name) == peer_of(api))
            was = f", and this was recorded with {', '.join(others)}" if others else ""
            return f"the peer is {program_of(api)}{was}: " if others else ""
        return f"{program_of(api)} changed: {'; '.join(_differences(before, now))}: "

    def _remedy(self, excuse: Excuse, api: str) -> str:
        """Say whether to remove the entry, or to narrow it to what it still covers."""
        covered = {
            program_of(each.id)
            for each in self._apis
            if each.role == excuse.role and each.matches(excuse.peer)
        } - {program_of(api)}
        if not covered:
            return "remove its entry"
        shown = {
            program_of(cell.api(excuse.role))
            for cell in self._cells
            if cell.verdict == "deviating" and excuse in cell.excuses
        }
        still = f"; it still shows at {', '.join(sorted(shown))}" if shown else ""
        return f"narrow its peer {excuse.peer!r} to {', '.join(sorted(covered))}{still}"

    def _first(self, role: Role, api: str) -> str:
        """Say that the side's other failures come first: a peer that broke is no peer repaired."""
        count = sum(
            cell.verdict in ("failed", "flaky")
            and bool(cell.raised)
            and cell.culprit is not None
            and (cell.culprit.side, cell.culprit.api) == (role, api)
            for cell in self._cells
        )
        if not count:
            return ""
        others = "other failure in this run is" if count == 1 else "other failures in this run are"
        return f", once its {count} {others} explained"


def _kinds(cell: CellResult, role: Role) -> Iterator[str]:
    notes = cell.notifications
    if notes is None:
        return
    lists: list[list[Note]] = [notes.server] if role == "server" else notes.clients
    for note in (note for each in lists for note in each):
        if note["on"] == "event":
            yield f"event {note['name']!r}"
        elif note["on"] in ("connected", "disconnected"):
            yield f"{note['on']} callback"


def _differences(before: PeerRecord, now: PeerRecord) -> list[str]:
    """Say in what two records of a peer differ; only what both tell is compared."""
    found = []
    for name in sorted(before.libraries.keys() & now.libraries.keys()):
        old, new = before.libraries[name], now.libraries[name]
        if old != new:
            found.append(f"{name} was {old} and is {new}")
    for name in now.other_sources(before):
        calls_itself = f"{name} calls itself {now.libraries[name]}"
        found.append(f"{calls_itself} as before, and its sources are others")
    if before.runtime and now.runtime and before.runtime != now.runtime:
        found.append(f"{now.language} was {before.runtime} and is {now.runtime}")
    return found


def _words(peer: PeerRecord) -> str:
    versions = [f"{name} {version}" for name, version in sorted(peer.libraries.items())]
    return ", ".join([*versions, f"{peer.language} {peer.runtime}".strip()])
