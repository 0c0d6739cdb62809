"""Compares two runs: broken, fixed and flaky cells, and changed texts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec import structs

from ..catalog import JUDGES, peer_of
from ..records import KEPT, ROLES, CellResult
from ..wire.diff import differences, masked, texts

__all__ = ["Change", "Comparison", "WireChange", "compare", "unequal"]

Key = tuple[str, str, str]

_BROKEN = ("failed", "error")
_NO_CELL = "no cell"
_JUDGE = JUDGES["server"].peer


@dataclass(frozen=True, slots=True)
class Change:
    """A cell whose verdict changed."""

    server: str
    client: str
    scenario: str
    old: str
    new: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WireChange:
    """One side's text of a scenario that changed, in `cells` cells of the same verdict."""

    scenario: str
    side: str
    api: str
    differences: tuple[str, ...]
    old: str
    new: str
    cells: int = 1


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between two runs.

    Attributes:
        repaired: cells that pass now, and are red only because a deviation or a lack is declared.
        other: other changes of verdicts.
        gone: cells that the new run does not have.
        unknown: errors of the testbed in cells that did not hold before: nothing is known of them.
    """

    broken: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)
    repaired: list[Change] = field(default_factory=list)
    flaky: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)
    gone: list[Change] = field(default_factory=list)
    unknown: list[Change] = field(default_factory=list)
    wire: list[WireChange] = field(default_factory=list)

    @property
    def worse(self) -> bool:
        """Whether a cell that held before is broken or flaky; a broken one may become flaky."""
        return bool(self.broken) or any(change.old not in _BROKEN for change in self.flaky)


def compare(old: Iterable[CellResult], new: Iterable[CellResult]) -> Comparison:
    """Compare the cells of two runs. A cell that only the new run has was not broken before."""
    before, after = _by_key(old), _by_key(new)
    if _is_gate(before) and _is_gate(after):
        before = _filled(before, after)
    found = Comparison()
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        change = Change(*key, _verdict(was), _verdict(now), now.reason if now else "")
        if now is None:
            found.gone.append(change)
        elif change.new == "error" and _is_broken(was):
            found.unknown.append(change)
        elif _is_broken(now) and not _is_broken(was):
            found.broken.append(change)
        elif _is_repaired(now) and not _is_repaired(was):
            found.repaired.append(change)
        elif change.new == "flaky" and change.old != "flaky":
            found.flaky.append(change)
        elif was is not None and change.new == "passed" != change.old != "tolerated":
            found.fixed.append(change)
        elif was is not None and change.new != change.old:
            found.other.append(change)
    found.wire.extend(_wire(before, after))
    return found


def _is_gate(cells: Mapping[Key, CellResult]) -> bool:
    return bool(cells) and all(key[2].startswith("gate.") for key in cells)


def _filled(
    before: Mapping[Key, CellResult], after: dict[Key, CellResult]
) -> dict[Key, CellResult]:
    """Make the cells of two gates comparable: fill up `after`, and return `before` so.

    A gate has a cell for each cause, or one for each kind of evidence without any, ``gate.reads``;
    and the server in production has another URL than the next. So the older cells become those of
    the newer server, and a cause that a version has no more is passed. What is not answered any
    more has failed.
    """
    servers = {client: server for server, client, _ in after}
    found: dict[Key, CellResult] = {}
    for (server, client, scenario), cell in before.items():
        key = servers.get(client, server), client, scenario
        found[key] = cell
        kind = _kind(scenario)
        now = after.get(key)
        if kind == "answers" and now is not None:
            if (cell.verdict, now.verdict) == ("passed", "unsupported"):
                after[key] = structs.replace(now, verdict="failed", raised=now.reason)
        if now is not None or client not in servers or kind == "answers":
            continue
        there = [each for each in after.values() if each.client == client]
        if any(_kind(each.scenario) == kind for each in there):
            after[key] = structs.replace(cell, verdict="passed", reason="", culprit=None)
    return found


def _kind(scenario: str) -> str:
    return scenario.split(".")[1]


def unequal(
    old: Iterable[CellResult],
    new: Iterable[CellResult],
    peers: Sequence[str],
    roles: Callable[[str], set[str]],
) -> list[str]:
    """Return in words where two runs disagree on the same cells.

    Args:
        peers: only cells between these, or between one of them and the judge; each of them, and
            each pair of them, must have some. Empty for all.
        roles: returns the roles that a peer has.
    """
    before, after = _by_key(old), _by_key(new)
    pairs = [
        (server, client)
        for server in peers
        for client in peers
        if "server" in roles(server) and "client" in roles(client)
    ]
    alone = [peer for peer in peers if not any(peer in pair for pair in pairs)]
    problems = []
    for which, cells in (("old", before), ("new", after)):
        there = {(peer_of(server), peer_of(client)) for server, client, _ in cells}
        problems += [
            f"{which}: no cell with server {server} and client {client}"
            for server, client in pairs
            if (server, client) not in there
        ]
        judged = {peer for pair in there if _JUDGE in pair for peer in pair}
        problems += [f"{which}: no cell with {peer} alone" for peer in alone if peer not in judged]
    for key in sorted({*before, *after}):
        old_verdict, new_verdict = _verdict(before.get(key)), _verdict(after.get(key))
        if {old_verdict, new_verdict} == {"passed", "tolerated"}:
            continue  # the cell may fail or pass
        sides = {peer_of(key[0]), peer_of(key[1])}
        if old_verdict != new_verdict and (not peers or sides <= {*peers, _JUDGE}):
            problems.append(f"{' / '.join(key)}: old {old_verdict}, new {new_verdict}")
    return problems


def _is_broken(cell: CellResult | None) -> bool:
    return cell is not None and cell.verdict in _BROKEN and not _is_repaired(cell)


def _is_repaired(cell: CellResult | None) -> bool:
    """Whether a cell is red only because it passed: a deviation or a lack is declared.

    Any other failed cell has raised something, or has a culprit that answered "unsupported". A
    deviation that vanished because something else stopped working is not repaired.
    """
    return (
        cell is not None
        and cell.verdict == "failed"
        and cell.raised == ""
        and (cell.culprit is None or cell.culprit.basis == "expectation")
        and not cell.vanished
    )


def _by_key(cells: Iterable[CellResult]) -> dict[Key, CellResult]:
    return {cell.key: cell for cell in cells}


def _verdict(cell: CellResult | None) -> str:
    return _NO_CELL if cell is None else cell.verdict


def _wire(before: Mapping[Key, CellResult], after: Mapping[Key, CellResult]) -> list[WireChange]:
    """Return the changed texts, one change for all the cells that show it.

    Only what both runs wrote is compared: how many texts there are, and in what order, is for
    verdicts to judge.
    """
    found: dict[tuple[str, str, str, tuple[str, ...]], WireChange] = {}
    for key in sorted(before.keys() & after.keys()):
        was, now = before[key], after[key]
        if was.verdict != now.verdict:
            continue
        for side in ROLES:
            cut = any(each.frames_total > len(each.frames) for each in (was, now))
            for old, new in _pairs(texts(was, side, KEPT), texts(now, side, KEPT), cut=cut):
                if not (words := tuple(differences(old, new))):
                    continue
                group = (key[2], side, now.api(side), words)
                seen = found.get(group)
                cells = seen.cells + 1 if seen else 1
                found[group] = WireChange(*group, old, new, cells)
                break
    return list(found.values())


def _pairs(
    old: Iterable[str], new: Iterable[str], *, cut: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield the texts in their order, without those that both have.

    Args:
        cut: whether not all texts were kept: those that only one record has may be in what the
            other lacks, unless the two have none in common.
    """
    left, right = ({text: masked(text) for text in side} for side in (old, new))
    common = set(left.values()) & set(right.values())
    if cut and common:
        return
    rest = ([text for text, key in side.items() if key not in common] for side in (left, right))
    yield from zip(*rest, strict=False)
