"""Which versions of two implementations work together: derived from a run's cells, nothing else.

Two versions are *compatible* when plain use works between them: no scenario of `PLAIN` failed,
as expected or not. Other defects, in the handling of bad input say, affect every pair and show in
the matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import groupby
from typing import Any

from ..records import CellResult

__all__ = ["PLAIN", "compatibility", "is_plain"]

PLAIN = (
    "echo.arrays",
    "echo.booleans",
    "echo.integers",
    "echo.null",
    "echo.objects",
    "echo.text-*",
    "headers.echo.*",
    "headers.none-given",
    "order.pushed",
    "payload.null-pushed",
    "lifecycle.connected-once",
    "lifecycle.reconnect",
    "many.push-to-one",
)
"""The scenarios of plain use: values and headers there and back, null among them; order;
reconnecting."""

_Blockers = tuple[str, ...]


@cache
def is_plain(scenario: str) -> bool:
    """Whether a scenario is one of plain use; `scenario` is its id with its parameters."""
    return any(fnmatchcase(scenario, pattern) for pattern in PLAIN)


def compatibility(cells: Iterable[CellResult], *, single: bool = True) -> list[str]:
    """Return a line for each pair of APIs of which one at least has a version.

    A line reads ``pypi/FastApiConnector 0.3.0 to 0.5.2 with dart/ZapConsumer 0.5.0: compatible``,
    or ends with the obstacles: ``but for echo.null``. Versions between which not all of plain use
    ran have none.

    Args:
        single: whether to include pairs of which the run had one version alone.
    """
    ran: dict[tuple[str, str], list[CellResult]] = {}
    for cell in cells:
        if is_plain(cell.scenario):
            ran.setdefault((cell.server, cell.client), []).append(cell)
    pairs: dict[tuple[str, str], dict[str, dict[str, set[str]]]] = {}
    for (server, client), plain in ran.items():
        if _is_whole(plain):
            (one, version), (two, other) = _split(server), _split(client)
            pairs.setdefault((one, two), {}).setdefault(version, {})[other] = {
                cell.scenario for cell in plain if cell.verdict not in ("passed", "unsupported")
            }
    lines: list[str] = []
    for (server, client), table in sorted(pairs.items()):
        versions = {*table, *(version for row in table.values() for version in row)} - {""}
        several = len(table) > 1 or any(len(row) > 1 for row in table.values())
        if several or (single and versions):
            lines += _lines(server, client, table)
    return lines


def _is_whole(cells: Sequence[CellResult]) -> bool:
    """Whether all of plain use is in a pair's cells."""
    return all(any(fnmatchcase(cell.scenario, pattern) for cell in cells) for pattern in PLAIN)


def _lines(server: str, client: str, table: dict[str, dict[str, set[str]]]) -> list[str]:
    """Return a line for each block of consecutive versions between which the same holds."""
    rows = [
        (version, _runs(_by_version(row))) for version, row in sorted(table.items(), key=_version)
    ]
    lines = []
    for runs, group in groupby(rows, key=lambda row: row[1]):
        ones = _range([version for version, _ in group])
        for blockers, twos in runs:
            verdict = "but for " + ", ".join(blockers) if blockers else "compatible"
            lines.append(f"{server}{ones} with {client}{twos}: {verdict}")
    return lines


def _by_version(row: dict[str, set[str]]) -> list[tuple[str, _Blockers]]:
    return [(version, tuple(sorted(found))) for version, found in sorted(row.items(), key=_version)]


def _runs(row: list[tuple[str, _Blockers]]) -> list[tuple[_Blockers, str]]:
    runs = groupby(row, key=lambda entry: entry[1])
    return [(blockers, _range([version for version, _ in group])) for blockers, group in runs]


def _range(versions: Sequence[str]) -> str:
    first, last = versions[0], versions[-1]
    if not first:
        return ""
    return f" {first}" if first == last else f" {first} to {last}"


def _split(api: str) -> tuple[str, str]:
    """``dart@0.5.0/ZapConsumer`` → ``dart/ZapConsumer``, ``0.5.0``."""
    peer, _, name = api.partition("/")
    peer, _, version = peer.partition("@")
    return f"{peer}/{name}", version


def _version(entry: tuple[str, Any]) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", entry[0])]
