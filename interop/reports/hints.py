"""The commands for a cell, to show it and to run it again, and for a pair. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..catalog import JUDGES, peer_of
from ..places import command
from ..records import OTHER, ROLES, CellResult, Role
from .results import is_red

__all__ = ["DEFAULT_FOLDER", "Hints", "again_folder"]

DEFAULT_FOLDER = Path("results")
"""The folder of results that commands read when they are given none."""

_AGAIN = "again"
"""The folder, below that of a run's results, for the results of its cells that run again."""

_HOLDS = ("passed", "deviating", "tolerated", "warned", "failed", "flaky")
"""The verdicts of a cell whose scenario passed, if it raised nothing."""


def again_folder(folder: Path) -> Path:
    """Return the folder for the results of cells of a run that run again, so that its own stay."""
    return folder if folder.name == _AGAIN else folder / _AGAIN


class Hints:
    """Makes the commands for the cells of one run.

    Args:
        cells: the run's cells.
        options: the run's options, as `RunRecord.options`.
        folder: where the run's results are; None if they are not written.
    """

    def __init__(
        self,
        cells: Iterable[CellResult] = (),
        options: Sequence[str] = (),
        folder: Path | None = DEFAULT_FOLDER,
    ) -> None:
        self._options = options
        self._folder = folder
        self._scenarios: dict[str, list[CellResult]] = {}
        self._red: Counter[tuple[Role, str]] = Counter()  # how many red cells a row or column has
        for cell in cells:
            self._scenarios.setdefault(cell.scenario, []).append(cell)
            if is_red(cell):
                self._red.update((role, cell.api(role)) for role in ROLES)

    def show(self, cell: CellResult) -> str:
        """Return the command that shows a cell; empty where there are no results to read."""
        return self._looked("show", *cell.key)

    def both(self, cell: CellResult) -> list[str]:
        """Return the commands that show a cell and run it again, those that there are."""
        return [each for each in (self.show(cell), self.again(cell)) if each]

    def explain(self, server: str, client: str) -> str:
        """Return the command that says in words how a pair goes together."""
        return self._looked("explain", server, client)

    def again(self, cell: CellResult) -> str:
        """Return the command that runs a cell again, as its run did and with the same culprit.

        A culprit that other cells name needs one of them: what passes in its place, or what fails
        with the judge. The results go into a folder of their own, so that the run's stay.
        """
        if cell.again:
            return cell.again
        chosen = {role: [cell.api(role)] for role in ROLES}
        if (beside := self._beside(cell)) is not None:
            side, api = beside
            chosen[side].append(api)
        words = [f"--{role} {shlex.quote(api)}" for role in ROLES for api in chosen[role]]
        scenarios = [cell.scenario, *filter(None, [self._judged(cell)])]
        words += [f"--scenario {shlex.quote(scenario)}" for scenario in scenarios]
        words += map(shlex.quote, self._options)
        own = again_folder(self._folder or DEFAULT_FOLDER)
        again = f"{command('run')} {' '.join(words)}{self._results(own)}"
        if "compose" not in self._options:
            return again
        # The services are known by their names in the project's network alone.
        services = dict.fromkeys(peer_of(api) for role in ROLES for api in chosen[role])
        peers = " ".join(name for name in services if name != JUDGES["server"].peer)
        return f"docker compose up --detach {peers} && docker compose run --rm matrix {again}"

    def beside(self, cell: CellResult) -> list[tuple[str, str, str]]:
        """Return the keys of the cells that name a cell's culprit, where others do."""
        found = []
        if (other := self._beside(cell)) is not None:
            side, api = other
            pair = (api, cell.client) if side == "server" else (cell.server, api)
            found.append((*pair, cell.scenario))
        if (scenario := self._judged(cell)) is not None and cell.culprit is not None:
            api, judge = cell.culprit.api, JUDGES["server"].id
            pair = (api, judge) if cell.culprit.side == "server" else (judge, api)
            found.append((*pair, scenario))
        return found

    def _looked(self, look: str, *names: str) -> str:
        """Return the command that looks at something in these results."""
        if self._folder is None:
            return ""
        default = self._folder == DEFAULT_FOLDER
        where = "" if default else self._results(self._folder)
        return command(look, *names) + where

    @staticmethod
    def _results(folder: Path) -> str:
        return f" --results {shlex.quote(str(folder))}"

    def _beside(self, cell: CellResult) -> tuple[Role, str] | None:
        """Return a row or column that passes in the place of a culprit that the matrix named.

        Of several it is the one with the fewest red cells in the run.
        """
        if cell.culprit is None or cell.culprit.basis not in ("row", "column"):
            return None
        side: Role = "server" if cell.culprit.basis == "row" else "client"
        passes = {
            each.api(side)
            for each in self._scenarios.get(cell.scenario, ())
            if each.api(OTHER[side]) == cell.api(OTHER[side])
            and each.verdict in _HOLDS
            and not each.raised
        }
        found = min(sorted(passes), key=lambda api: self._red[side, api], default=None)
        return None if found is None else (side, found)

    def _judged(self, cell: CellResult) -> str | None:
        """Return a scenario in which a culprit fails with the judge, if that named it.

        One of the same topic comes first: so it does where the culprit is named.
        """
        if cell.culprit is None or cell.culprit.basis != "judged" or cell.culprit.side == "unknown":
            return None
        side, topic = cell.culprit.side, cell.scenario.partition(".")[0]
        judge = JUDGES[OTHER[side]].id
        red = [
            name
            for name, cells in self._scenarios.items()
            if any(
                each.api(side) == cell.culprit.api
                and each.api(OTHER[side]) == judge
                and each.raised
                for each in cells
                if is_red(each)
            )
        ]
        return min(red, key=lambda name: (name.partition(".")[0] != topic, name), default=None)
