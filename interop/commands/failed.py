"""``run --failed``: the cells of the last run that were not green."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..catalog import JUDGES, Peer
from ..errors import TestbedError
from ..records import ROLES, CellResult, Role
from ..reports.causes import counted
from ..reports.hints import Hints, again_folder
from ..reports.results import gates, load
from .options import RESULTS, Stop, chosen_apis, named

__all__ = ["Failed", "failed_cells"]

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Failed:
    """The cells that run again.

    Attributes:
        results: the folder for their results.
        servers, clients, scenarios: their ids.
        cells: as `interop.run.plan.Plan.cells`.
    """

    results: Path
    servers: list[str]
    clients: list[str]
    scenarios: list[str]
    cells: dict[str, dict[str, list[str]]]


def failed_cells(
    arguments: argparse.Namespace,
    peers: Mapping[str, Peer],
    scenarios: Collection[str],
    console: Console,
) -> Failed:
    """Return the chosen cells of the last run that were not green, and say how many there are.

    With them go the cells beside which their culprits were named.

    Args:
        scenarios: the ids of the chosen scenarios.

    Raises:
        Stop: there is none, or there are no results to read.
        CatalogError: a pattern names no row or column.
    """
    ids = _chosen_ids(arguments, peers)
    folder: Path = arguments.results or RESULTS
    try:
        found, where = load(folder / "results.json"), named(folder)
    except TestbedError as exc:
        raise Stop(f"--failed: there is no last run to go by: {exc}") from exc
    if lacks := found.run.broken or found.run.stopped:
        _say(console, f"{where} has not all cells of its run: {lacks}")
    failed = {cell.key for cell in found.cells if _is_failed(cell, strict=arguments.strict)}
    if not failed:
        raise Stop(f"--failed: no cell failed in {where}: there is nothing to run again")
    there = [
        cell
        for cell in found.cells
        if cell.scenario in scenarios and all(cell.api(role) in ids[role] for role in ROLES)
    ]
    hints = Hints(there)
    chosen = {cell.key: hints.beside(cell) for cell in there if cell.key in failed}
    if not chosen:
        raise Stop(
            f"--failed: of the {counted(len(failed), 'cell')} that failed in {where} "
            "none is chosen, or is there any more"
        )
    beside = {key for keys in chosen.values() for key in keys}.difference(chosen)
    words = f"again: {len(chosen)} of {counted(len(failed), 'cell')} that failed in {where}"
    if beside:
        words += f", and {counted(len(beside), 'cell')} beside which a culprit was named"
    _say(console, words)
    return _of_keys(again_folder(folder), [*chosen, *beside])


def _chosen_ids(arguments: argparse.Namespace, peers: Mapping[str, Peer]) -> dict[Role, set[str]]:
    """Return the ids of the chosen rows and columns, of all versions, and of the judge."""
    chosen_apis(arguments, peers)  # a pattern that names nothing is an error here too
    apis = [*(api for peer in peers.values() for api in peer.apis), *JUDGES.values()]
    patterns: dict[Role, list[str]] = {"server": arguments.server, "client": arguments.client}
    return {
        role: {
            api.id
            for api in apis
            if api.role == role and (not given or any(api.matches(pattern) for pattern in given))
        }
        for role, given in patterns.items()
    }


def _of_keys(results: Path, keys: Iterable[_Key]) -> Failed:
    cells: dict[str, dict[str, list[str]]] = {}
    for server, client, scenario in sorted(keys):
        cells.setdefault(server, {}).setdefault(client, []).append(scenario)
    return Failed(
        results,
        servers=list(cells),
        clients=sorted({client for of_row in cells.values() for client in of_row}),
        scenarios=sorted({s for of_row in cells.values() for ids in of_row.values() for s in ids}),
        cells=cells,
    )


def _is_failed(cell: CellResult, *, strict: bool) -> bool:
    """Whether a cell was not green; a *should* that did not hold is so where it would fail now."""
    return gates(cell) or cell.verdict == "error" or (strict and cell.verdict == "warned")


def _say(console: Console, words: str) -> None:
    console.print(escape(words), highlight=False, soft_wrap=True)
