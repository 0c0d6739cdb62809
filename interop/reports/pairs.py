"""The verdict of each pair of a server and a client: does this client work with this server? Pure.

Cells with the judge concern one side with any other, and are no part of a pair's verdict.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ..catalog import JUDGE_IDS, JUDGES, Api
from ..places import command
from ..records import OTHER, CellResult, Excuse, Role
from .causes import counted
from .compatibility import is_plain
from .results import shortened

__all__ = ["CORE", "MEANING", "PAIR_VERDICTS", "Known", "Pair", "PairVerdict", "alone", "pairs"]

CORE = ("echo.objects", "echo.text-*", "order.pushed", "lifecycle.connected-once")
"""The scenarios without which no application works: events with text and objects get there and
back, and pushed ones in order. A known deviation is no excuse here."""

MEANING = (
    "A pair works if events with text and objects get there and back, pushed ones arrive in "
    "order, and whatever else fails is a known deviation, named with its cause."
)
"""What "works" means, for readers of a grid."""

PairVerdict = Literal["works", "deviates", "broken", "not run"]
"""``deviates`` for a pair that works, with named deviations."""

PAIR_VERDICTS: tuple[PairVerdict, ...] = ("broken", "deviates", "works", "not run")
"""The worst first."""

_RED = ("failed", "flaky", "error")


@dataclass(frozen=True, slots=True)
class Known:
    """A known deviation that shows in a pair.

    Attributes:
        scenarios: those in which it shows.
        plain: whether plain use is among them.
    """

    excuse: Excuse
    scenarios: tuple[str, ...]

    @property
    def plain(self) -> bool:
        return any(map(is_plain, self.scenarios))

    @property
    def means(self) -> str:
        """What an application sees of it in plain words, else its cause."""
        return self.excuse.means or self.excuse.cause


@dataclass(frozen=True, slots=True)
class Pair:
    """The verdict of one pair.

    Attributes:
        reason: why it is broken, or what makes it run; empty for a pair that works.
        cell: the cell that shows that it is broken.
        deviations: those of plain use first, since they matter most to an application.
        partly: whether the pair has cells, and not all that a verdict needs.
    """

    server: str
    client: str
    verdict: PairVerdict
    reason: str = ""
    cell: CellResult | None = None
    deviations: tuple[Known, ...] = ()
    partly: bool = False

    @property
    def words(self) -> str:
        """The verdict in words, as ``works, with 3 named deviations``."""
        if self.verdict == "deviates":
            return f"works, with {counted(len(self.deviations), 'named deviation')}"
        return f"{self.verdict}: {self.reason}" if self.reason else self.verdict


def pairs(
    cells: Iterable[CellResult],
    servers: Sequence[str],
    clients: Sequence[str],
    not_run: Mapping[str, str],
    apis: Iterable[Api] = (),
    options: Sequence[str] = (),
) -> list[Pair]:
    """Return the verdict of each pair, row by row.

    Args:
        servers, clients: the rows and columns of the run; the judge's are left out.
        not_run: why each row or column that was chosen could not run.
        apis: those of the catalogue, which tell rows from columns in `not_run`: where they are
            given, pairs with what could not run come last in each row, and as the last rows.
        options: those of the run, which a command for one of the pairs needs too.
    """
    left_out = [api for api in apis if api.id in not_run]
    rows = [*servers, *(api.id for api in left_out if api.role == "server")]
    columns = [*clients, *(api.id for api in left_out if api.role == "client")]
    by_pair: dict[tuple[str, str], list[CellResult]] = {}
    for cell in cells:
        by_pair.setdefault((cell.server, cell.client), []).append(cell)
    return [
        _pair(server, client, by_pair.get((server, client), []), not_run, options)
        for server in dict.fromkeys(rows)
        for client in dict.fromkeys(columns)
        if not {server, client} & JUDGE_IDS
    ]


def alone(cells: Iterable[CellResult], api: str, role: Role) -> Pair | None:
    """Return the verdict of one side with the judge on the other; None where it has no cells."""
    judge = JUDGES[OTHER[role]].id
    server, client = (api, judge) if role == "server" else (judge, api)
    found = [cell for cell in cells if (cell.server, cell.client) == (server, client)]
    if not found:
        return None
    deviations = _deviations(found)
    if broken := [cell for cell in found if cell.verdict in _RED]:
        cell = min(broken, key=_weight)
        return Pair(server, client, "broken", _reason(cell), cell, deviations)
    return Pair(server, client, "deviates" if deviations else "works", deviations=deviations)


def _pair(
    server: str,
    client: str,
    cells: Sequence[CellResult],
    not_run: Mapping[str, str],
    options: Sequence[str],
) -> Pair:
    deviations = _deviations(cells)
    if broken := [cell for cell in cells if _breaks(cell)]:
        cell = min(broken, key=_weight)
        return Pair(server, client, "broken", _reason(cell), cell, deviations)
    for api in (server, client):
        if api in not_run:
            what = not_run[api].partition("\n")[0]
            return Pair(server, client, "not run", f"{api}: {what}")
    ran = {pattern for pattern in CORE if any(fnmatchcase(c.scenario, pattern) for c in cells)}
    if len(ran) < len(CORE):
        chosen = shlex.join(["--server", server, "--client", client, *options])
        which = "not all scenarios of plain use ran" if cells else "it has no cell in this run"
        reason = f"{which}: {command('run')} {chosen}"
        return Pair(server, client, "not run", reason, None, deviations, partly=bool(cells))
    return Pair(server, client, "deviates" if deviations else "works", deviations=deviations)


def _breaks(cell: CellResult) -> bool:
    return cell.verdict in _RED or (_is_core(cell) and cell.verdict != "passed")


def _is_core(cell: CellResult) -> bool:
    return any(fnmatchcase(cell.scenario, pattern) for pattern in CORE)


def _weight(cell: CellResult) -> tuple[bool, bool, bool, str]:
    """Order the cells that break a pair: what an application needs first stands first."""
    return (
        not _is_core(cell),
        not is_plain(cell.scenario),
        cell.severity != "must",
        cell.scenario,
    )


def _reason(cell: CellResult) -> str:
    words = cell.defect or cell.raised or cell.reason
    return f"{cell.scenario}: {shortened(words.partition(chr(10))[0])}"


def _deviations(cells: Iterable[CellResult]) -> tuple[Known, ...]:
    found: dict[Excuse, set[str]] = {}
    for cell in cells:
        if cell.verdict == "deviating":
            for excuse in cell.excuses or [_unnamed(cell)]:
                found.setdefault(excuse, set()).add(cell.scenario)
    known = [Known(excuse, tuple(sorted(names))) for excuse, names in found.items()]
    return tuple(sorted(known, key=lambda each: (not each.plain, -len(each.scenarios))))


def _unnamed(cell: CellResult) -> Excuse:
    """Return the deviation of a cell in results of earlier versions, which told it in words."""
    role: Role = (
        "client" if cell.culprit is not None and cell.culprit.side == "client" else "server"
    )
    return Excuse(cell.api(role), role, shortened(cell.reason))
