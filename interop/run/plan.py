"""The plan of a run, as plain data that the runner hands to its workers."""

from __future__ import annotations

import bisect
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..catalog import JUDGES, Api
from ..control.contract import Address
from ..engines.engine import Engine
from ..engines.registry import engine_kind
from ..scenarios.scenario import Scenario, Scope
from ..verdicts.flaky import KnownFlaky

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run: its rows and columns, its scenarios, and how to reach the peers.

    Attributes:
        commands: each peer's command, for the local engine.
        addresses: each peer's control address, for the compose engine.
        images: each peer's image, for the docker engine.
        run: the run's name, by which the docker engine's containers are found.
        scenarios: globs of scenario ids; empty for all.
        only: the ids of the scenarios that an API runs, by the API's id; the others run all.
        cells: the ids of the scenarios that each pair runs, sorted, by the server's id and the
            client's; None for all.
        flaky: the cells that may fail or pass.
        deviations: the deviations files; empty to expect no failure.
        peers: the folders of added peers.
        patience: seconds that a scenario waits for what must come.
        timeout: seconds for every scenario, or None for each one's own.
        repeat: how often every cell is run.
        strict: whether a failed *should* is a failure.
        at_once: how many cells each worker runs at the same time.
        fail_fast: whether the first unexpected result ends the run.
        faults: whether the engine can inject faults into whole peers. If not, the scenarios that
            need one have no cells.
    """

    engine: str
    servers: tuple[Api, ...]
    clients: tuple[Api, ...]
    commands: dict[str, list[str]] = field(default_factory=dict)
    addresses: dict[str, Address] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    run: str = ""
    scenarios: tuple[str, ...] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    flaky: tuple[KnownFlaky, ...] = ()
    deviations: tuple[Path, ...] = ()
    peers: tuple[Path, ...] = ()
    logs: Path | None = None
    patience: float = 5.0
    timeout: float | None = None
    repeat: int = 1
    strict: bool = False
    at_once: int = 1
    fail_fast: bool = False
    faults: bool = True

    def can(self, facts: Scenario) -> bool:
        """Whether the engine can do what the scenario needs."""
        return self.faults or not facts.isolated

    def pairs(self, side: Scope = "pair") -> Iterator[tuple[Api, Api]]:
        """Yield the (server, client) of each cell that a scenario of that side has."""
        if side == "pair":
            for server in self.servers:
                for client in self.clients:
                    yield server, client
        if side in ("server", "each"):
            for server in self.servers:
                yield server, JUDGES["client"]
        if side in ("client", "each"):
            for client in self.clients:
                yield JUDGES["server"], client

    def wants(self, scenario: str, pair: tuple[Api, Api] | None = None) -> bool:
        """Whether there is a cell of that scenario, with its parameters, and that pair."""
        chosen = not self.scenarios or any(fnmatchcase(scenario, p) for p in self.scenarios)
        if pair is None or not chosen:
            return chosen
        if self.cells is not None and _first(self._cells_of(*pair), scenario) != scenario:
            return False
        return all(scenario in self.only.get(api.id, (scenario,)) for api in pair)

    def _cells_of(self, server: Api, client: Api) -> Sequence[str]:
        return (self.cells or {}).get(server.id, {}).get(client.id, ())

    def may_want(self, scenario: str, pair: tuple[Api, Api]) -> bool:
        """Whether that pair may have a cell of that scenario, with any parameters."""
        begins = f"{scenario}."
        heads = [re.split(r"[*?[]", pattern)[0] for pattern in self.scenarios]
        chosen = not heads or any(begins.startswith(h) or h.startswith(begins) for h in heads)
        if self.cells is not None:
            ids = self._cells_of(*pair)
            chosen &= _first(ids, scenario) == scenario or _first(ids, begins).startswith(begins)
        return chosen and all(
            any(
                f"{each}.".startswith(f"{scenario}.") for each in self.only.get(api.id, (scenario,))
            )
            for api in pair
        )

    def make_engine(self) -> Engine:
        """Make the engine that the plan names.

        Raises:
            TestbedError: there is none of that name, or it cannot be made here.
        """
        return engine_kind(self.engine).make(self)

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def parse(cls, text: str) -> Plan:
        data: dict[str, Any] = json.loads(text)
        for role in ("servers", "clients"):
            data[role] = tuple(Api(**a) for a in data[role])
        data["addresses"] = {k: Address(**v) for k, v in data["addresses"].items()}
        data["scenarios"] = tuple(data["scenarios"])
        data["flaky"] = tuple(
            KnownFlaky(**{**each, "scenarios": tuple(each["scenarios"])}) for each in data["flaky"]
        )
        for paths in ("deviations", "peers"):
            data[paths] = tuple(map(Path, data[paths]))
        data["logs"] = Path(data["logs"]) if data["logs"] else None
        return cls(**data)


def _first(ids: Sequence[str], least: str) -> str:
    """Return the first of sorted ids that is not less; empty if all are."""
    index = bisect.bisect_left(ids, least)
    return ids[index] if index < len(ids) else ""
