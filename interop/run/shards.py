"""Parts of a run for several machines: which scenarios each one runs, and one result of all. Pure.

All cells of a scenario are in one shard: rows and columns that pass or fail there tell the culprit,
so that the results of each shard name the same one as a whole run in most cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import structs

from ..catalog import Api
from ..errors import TestbedError
from ..records import CellResult, FlakyRecord, PeerRecord, Shard, encode
from ..reports.results import Recorded, Results, RunFacts
from .order import LONG

__all__ = ["dealt_scenarios", "digest", "joined"]

_LONG_WEIGHT = 10
"""How many others a cell of a long scenario counts for."""


def dealt_scenarios(cells: Mapping[str, int], of: int) -> list[list[str]]:
    """Return the scenarios of each shard, which take about equally long.

    Args:
        cells: the number of each scenario's cells, as chosen: what cannot run on this machine is
            counted, since each machine must find the same shards.
    """
    weights = {
        name: count * (_LONG_WEIGHT if name.startswith(LONG) else 1)
        for name, count in cells.items()
    }
    shards: list[list[str]] = [[] for _ in range(of)]
    loads = [0] * of
    for name in sorted(weights, key=lambda each: (-weights[each], each)):
        least = loads.index(min(loads))
        shards[least].append(name)
        loads[least] += weights[name]
    return [sorted(each) for each in shards]


def digest(
    servers: Sequence[Api], clients: Sequence[Api], scenarios: Sequence[str], options: Sequence[str]
) -> str:
    """Return what is the same in all shards of one run, and in no other's.

    Args:
        servers, clients, scenarios: what was chosen.
        options: those that change how a cell runs.
    """
    whole = {
        "servers": [api.id for api in servers],
        "clients": [api.id for api in clients],
        "scenarios": list(scenarios),
        "options": list(options),
    }
    return hashlib.sha256(encode(whole)).hexdigest()[:16]


def joined(parts: Mapping[Path, Recorded], folder: Path) -> Results:
    """Return the results of a run whose shards these are, before its culprits are named.

    Args:
        parts: the shards' results, by their files.
        folder: where the results are to be written.

    Raises:
        TestbedError: they are not the shards of one run, each once.
    """
    shards = {path: _shard(path, part.run) for path, part in parts.items()}
    _check_same(parts, shards)
    _check_each_once(shards)
    files = sorted(parts, key=lambda path: shards[path].number)
    runs = [parts[path].run for path in files]
    cells = _cells(parts, files)
    peers, problems = _peers(runs)
    problems += [f"shard {n}: {run.broken}" for n, run in enumerate(runs, 1) if run.broken]
    stopped = [f"shard {n}: {run.stopped}" for n, run in enumerate(runs, 1) if run.stopped]
    first = runs[0]
    results = Results(
        started=min(run.started for run in runs),
        duration_s=max(run.duration_s for run in runs),
        engine=first.engine,
        servers=first.servers,
        clients=first.clients,
        not_run=first.not_run,
        cells=cells,
        broken="; ".join(problems),
        stopped="; ".join(stopped),
        repeat=first.repeat,
        strict=first.strict,
        peers=peers,
        commit=next((run.commit for run in runs if run.commit and run.commit.dirty), first.commit),
        testbed=first.testbed,
        options=first.options,
        known_flaky=_known_flaky(runs),
        added=first.added,
        folder=folder,
    )
    results.sort()
    return results


def _shard(path: Path, run: RunFacts) -> Shard:
    if run.shard is None:
        raise TestbedError(f"{path}: not the results of a shard, which run --shard writes")
    return run.shard


def _check_same(parts: Mapping[Path, Recorded], shards: Mapping[Path, Shard]) -> None:
    """Check that the shards are of one run.

    Raises:
        TestbedError: two are not; names them.
    """
    first = next(iter(parts))
    for path, part in parts.items():
        for what, of_first, of_this in (
            ("commits", _commit(parts[first]), _commit(part)),
            ("numbers of shards", str(shards[first].of), str(shards[path].of)),
            ("plans (rows, columns, scenarios or options)", shards[first].plan, shards[path].plan),
            ("peers that cannot run", _not_run(parts[first]), _not_run(part)),
        ):
            if of_first != of_this:
                raise TestbedError(
                    f"these are shards of different {what}: {first} has {of_first}, "
                    f"{path} has {of_this}"
                )


def _commit(part: Recorded) -> str:
    if part.run.commit is None:
        return part.run.testbed or "none"
    return part.run.commit.id[:12]


def _not_run(part: Recorded) -> str:
    return ", ".join(sorted(part.run.not_run)) or "none"


def _check_each_once(shards: Mapping[Path, Shard]) -> None:
    """Check that each shard is there once.

    Raises:
        TestbedError: one is missing, or is there again; names it.
    """
    files: dict[int, Path] = {}
    for path, shard in shards.items():
        if shard.number in files:
            raise TestbedError(
                f"shard {shard} is there more than once: {files[shard.number]}, {path}"
            )
        files[shard.number] = path
    of = next(iter(shards.values())).of
    if missing := [f"{number}/{of}" for number in range(1, of + 1) if number not in files]:
        noun = "shard is" if len(missing) == 1 else "shards are"
        raise TestbedError(f"{len(missing)} {noun} missing: {', '.join(missing)}")


def _cells(parts: Mapping[Path, Recorded], files: Sequence[Path]) -> list[CellResult]:
    found: dict[tuple[str, str, str], Path] = {}
    for path in files:
        for cell in parts[path].cells:
            if cell.key in found:
                name = " / ".join(cell.key)
                raise TestbedError(
                    f"a cell is there more than once: {name}: {found[cell.key]}, {path}"
                )
            found[cell.key] = path
    return [cell for path in files for cell in parts[path].cells]


def _known_flaky(runs: Sequence[RunFacts]) -> list[FlakyRecord]:
    """Return what came of the entries of known flaky cells in all shards."""
    found: dict[bytes, FlakyRecord] = {}
    for each in (each for run in runs for each in run.known_flaky):
        key = encode(structs.replace(each, cells=0, failed=[]))
        known = found.get(key, structs.replace(each, cells=0, failed=[]))
        failed = sorted([*known.failed, *each.failed])
        found[key] = structs.replace(known, cells=known.cells + each.cells, failed=failed)
    return list(found.values())


def _peers(runs: Sequence[RunFacts]) -> tuple[dict[str, PeerRecord], list[str]]:
    """Return what the peers said of themselves, and which did not say the same in all shards."""
    peers: dict[str, PeerRecord] = {}
    problems: list[str] = []
    for number, run in enumerate(runs, 1):
        for api, peer in run.peers.items():
            if (first := peers.setdefault(api, peer)) != peer:
                problems.append(f"{api} is another one in shard {number}: {first}, then {peer}")
    return dict(sorted(peers.items())), problems
