"""The scenarios that need no control, against any running server, one after the other."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import evidence
from .catalog import JUDGES
from .endpoint import Endpoint, EndpointError
from .errors import TestbedError
from .remote import Remote
from .results import Cell, Results
from .runner import Bound
from .scenario import Scenario, check_evidence
from .wire import OPCODES

__all__ = ["WHY_NOT", "Check", "Checked", "why_not"]

WHY_NOT = {
    "echo": "need an event that the server echoes: name it with --echo",
    "control": "need control over the server or its application, or another one on its paths",
    "load": "put load on the server, which this never does",
    "pair": "run between a server and a client",
    "client": "concern clients",
}
"""Why a scenario is not run, by what `why_not` says."""


def why_not(facts: Scenario, echo: str | None) -> str:
    """Return why a scenario cannot be run against any server, a key of `WHY_NOT`; or ``""``."""
    if facts.side in ("pair", "client"):
        return facts.side
    if facts.needs == "nothing" or (facts.needs == "echo" and echo is not None):
        return ""
    return facts.needs


@dataclass
class Checked:
    """What was found out.

    Attributes:
        left: how many scenarios were not run, by the reason's key in `WHY_NOT`.
    """

    results: Results
    left: Counter[str] = field(default_factory=Counter)


class Check:
    """Runs scenarios against an endpoint.

    Args:
        patience: seconds to wait for what must come.
        echo: the event that the application answers with its payload, or None.
    """

    def __init__(self, endpoint: Endpoint, *, patience: float, echo: str | None = None) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self.echo = echo
        self.answer_name = ""

    async def run(
        self, scenarios: Mapping[str, Bound], progress: Callable[[str], None] = lambda _: None
    ) -> Checked:
        """Run those of `scenarios` that can be; `progress` is told each one's id before it.

        Raises:
            EndpointError: there is no such server to begin with.
        """
        await self._begin()
        server, client = self.endpoint.shown, JUDGES["client"].id
        now = datetime.now(UTC).isoformat(timespec="seconds")
        checked = Checked(Results(now, "check", [server], [client], {}))
        began = time.monotonic()
        for name, bound in self._chosen(scenarios, checked.left):
            progress(name)
            try:
                cell = await self._cell(name, bound)
            except EndpointError as exc:
                checked.results.broken = self.endpoint.redacted(f"before {name} was done: {exc}")
                break
            checked.results.cells.append(cell)
        checked.results.duration_s = time.monotonic() - began
        return checked

    async def _begin(self) -> None:
        remote = Remote(self.endpoint, self.patience, self.echo)
        try:
            await remote.check_reachable()
        except EndpointError as exc:
            raise EndpointError(self.endpoint.redacted(str(exc))) from None
        finally:
            await remote.close()
        self.answer_name = remote.answer_name

    def _chosen(
        self, scenarios: Mapping[str, Bound], left: Counter[str]
    ) -> Iterator[tuple[str, Bound]]:
        for name, bound in scenarios.items():
            if why := why_not(bound.facts, self.echo):
                left[why] += 1
            else:
                yield name, bound

    async def _cell(self, name: str, bound: Bound) -> Cell:
        """Run one scenario and return its record."""
        facts = bound.facts
        remote = Remote(self.endpoint, self.patience, self.echo)
        remote.answer_name = self.answer_name
        verdict, reason, found = "passed", "", {}
        began = time.monotonic()
        try:
            try:
                await bound.function(judged=remote, **bound.parameters)
            finally:  # before the judge takes its leave, which is no part of the scenario
                found = evidence.frames(remote.tap)
                await remote.close()
            check_evidence(facts, remote.tap, [])
        except AssertionError as exc:
            verdict = "failed" if facts.severity == "must" else "warned"
            reason = _plain(evidence.words(str(exc))) or "it does not hold"
        except EndpointError:
            raise
        except TestbedError as exc:
            verdict, reason = "error", str(exc)
        record: dict[str, Any] = {
            "server": self.endpoint.shown,
            "client": JUDGES["client"].id,
            "scenario": name,
            "rule": facts.rule,
            "severity": facts.severity,
            "verdict": verdict,
            "reason": reason,
            "duration_ms": round((time.monotonic() - began) * 1000, 1),
            "escapes": facts.escapes,
            **found,
            "violations": evidence.violations(facts, remote.tap),
        }
        redacted: dict[str, Any] = self.endpoint.redacted(record)
        return {**redacted, "server": self.endpoint.shown}


def _plain(reason: str) -> str:
    """Return a reason without pytest's expression behind it, and with names for opcodes."""

    def named(numbers: str) -> str:
        return " or ".join(OPCODES[int(number)] for number in re.findall(r"\d+", numbers))

    reason = reason.partition("\nassert ")[0]
    reason = re.sub(r"frame of the opcodes \(([\d, ]+)\)", lambda m: named(m[1]), reason)
    return re.sub(r"(?<= )(0|1|2|8|9|10):(?=b['\"])", lambda m: f"{named(m[1])} ", reason)
