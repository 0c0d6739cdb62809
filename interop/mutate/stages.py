"""Where a change is looked for: pairs of the `python` peer, one side of which is changed. Pure.

The changed side is a program of its own, ``python@changed``, and the other one is sound: what two
changed sides do wrong alike would cancel, and which of them is at fault could not be told.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..catalog import Api, load_peers
from ..records import OTHER, Role
from ..run.plan import Plan
from ..scenarios.scenario import Scenario
from ..verdicts.deviations import DEVIATIONS_FILE
from .operators import Change
from .population import PACKAGE

__all__ = ["CHANGED", "PEER", "Stage", "all_stages", "in_order"]

PEER = "interop.peers.python"
"""The module that is the peer."""

CHANGED = "changed"
"""The version under which the changed side runs."""

_SLOW = ("SanicConnector",)

_SHARED = ("protocol.close", "transport.keepalive", "transport.line")
"""Modules that some connectors use otherwise than the library's own server does."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A pair of which one side is changed, and its part of the catalogue.

    Attributes:
        changed: the side that is changed.
        shared: the ids of the scenarios that concern the pair.
        own: those of that side alone, with the judge.
    """

    server: Api
    client: Api
    changed: Role
    shared: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def name(self) -> str:
        words = {"server": self.server.name, "client": self.client.name}
        words[self.changed] = f"changed {words[self.changed]}"
        return f"{words['server']} with {words['client']}"

    @property
    def api(self) -> Api:
        """The changed side's API, under the name that it has in a run."""
        api = self.server if self.changed == "server" else self.client
        return replace(api, version=CHANGED, older=True)

    @property
    def twin(self) -> Api:
        """A sound API beside the changed one."""
        return self.server if self.changed == "server" else self.client

    def is_for(self, module: str) -> bool:
        """Whether changes of a module are looked for here: those of what rows share among each
        other with each row, those of what columns share with each column, and all else in the
        library's own server and consumer; what both have, in all of these."""
        is_own = (self.server.name, self.client.name) == ("ZapServer", "ZapConsumer")
        if module.removeprefix(f"{PACKAGE}.") in _SHARED:
            return is_own or self.server.name != "ZapServer"
        if module.startswith(f"{PACKAGE}.connectors."):
            return self.server.name != "ZapServer"
        if module.startswith(f"{PACKAGE}.client."):
            return self.changed == "client"
        return is_own

    def plan(
        self,
        changed: Sequence[str],
        sound: Sequence[str],
        *,
        patience: float,
        without: Iterable[str] = (),
    ) -> Plan:
        """Return the run of the pair.

        Args:
            changed: the command of the changed peer.
            sound: that of the sound one.
            without: the ids of scenarios that are left out.
        """
        other = self.client if self.changed == "server" else self.server
        shared = [each for each in self.shared if each not in without]
        own = [each for each in self.own if each not in without]
        only = {self.api.id: [*shared, *own], other.id: shared}
        return self._plan([self.api], [other], only, changed, sound, patience)

    def confirming(
        self, red: Iterable[str], changed: Sequence[str], sound: Sequence[str], *, patience: float
    ) -> Plan:
        """Return the run of red scenarios again, as a small matrix that names the culprit: the
        changed side and its sound twin with each sound API of the other side."""
        apis = load_peers()["python"].apis
        twin = self.twin
        others = [api for api in apis if api.role == OTHER[self.changed]]
        shared = [each for each in red if each in self.shared]
        own = [each for each in red if each in self.own]
        only = {self.api.id: [*shared, *own], twin.id: shared, **{o.id: shared for o in others}}
        return self._plan([self.api, twin], others, only, changed, sound, patience)

    def _plan(
        self,
        side: Sequence[Api],
        others: Sequence[Api],
        only: Mapping[str, Sequence[str]],
        changed: Sequence[str],
        sound: Sequence[str],
        patience: float,
    ) -> Plan:
        servers, clients = (side, others) if self.changed == "server" else (others, side)
        return Plan(
            engine="local",
            servers=tuple(servers),
            clients=tuple(clients),
            commands={self.api.program: list(changed), "python": list(sound)},
            only=only,
            deviations=(DEVIATIONS_FILE,),
            patience=patience,
            strict=True,
            at_once=20,
            faults=False,
        )


def all_stages(chosen: Mapping[str, Scenario]) -> list[Stage]:
    """Return the stages: the library's own server and consumer, then each other row and column.

    Sanic is not given much work: on a busy machine it would be late with nothing changed.

    Args:
        chosen: the scenarios to run, by their ids.
    """
    apis = load_peers()["python"].apis
    server, *servers = (api for api in apis if api.role == "server")
    client, *clients = (api for api in apis if api.role == "client")

    def stage(server: Api, client: Api, changed: Role) -> Stage:
        slow = server.name in _SLOW
        here = {name: facts for name, facts in chosen.items() if facts.needs != "load" or not slow}
        return Stage(
            server,
            client,
            changed,
            tuple(name for name, facts in here.items() if facts.side == "pair"),
            tuple(name for name, facts in here.items() if facts.side in (changed, "each")),
        )

    return [
        stage(server, client, "server"),
        stage(server, client, "client"),
        *(stage(each, client, "server") for each in servers),
        *(stage(server, each, "client") for each in clients),
    ]


def in_order(stages: Sequence[Stage], change: Change) -> list[Stage]:
    """Return the stages in the order in which a change is looked for there.

    Half of the changes are looked for in the client first, so that neither side's catches are the
    only ones by which the naming of culprits is scored.
    """
    first = "client" if zlib.crc32(change.id.encode()) & 1 else "server"
    return sorted(stages, key=lambda stage: stage.changed != first)
