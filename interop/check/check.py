"""Runs the scenarios that need no control against any running server, one after the other.

The server is not trusted. Whatever it writes or fails to write, the check ends: each wait, each
scenario and the whole check have a time limit, and what is read from a connection is bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from msgspec import structs

from ..catalog import JUDGES, Api
from ..errors import Unsupported
from ..places import command, page
from ..records import CellResult
from ..reports.causes import counted
from ..reports.results import Results
from ..run import evidence
from ..run.cell import Ran
from ..run.record import record
from ..run.runner import Bound
from ..scenarios.scenario import Scenario, check_evidence
from ..verdicts.deviations import Deviation, of_framework
from .endpoint import Endpoint, EndpointError
from .remote import Pace, Remote

__all__ = ["WHY_NOT", "Check", "Checked", "why_not"]

WHY_NOT = {
    "echo": "need an event that the server echoes: name it with --echo EVENT "
    f"({page('checking-a-server.md')} has such a handler)",
    "control": "need control over the server or its application, or other paths than its own: "
    "they are about the library's API, as rooms, broadcasts, callbacks, options and limits",
    "load": "put load on the server, which check never does",
    "pair": "run between a server and a client",
    "client": "concern clients",
}
"""Why a scenario is not run, in words, by the result of `why_not`."""

_UNJUDGED = ("echo", "control", "pair", "load")
"""Those reasons that leave something of the server open, the one first that is easy to mend."""

_SERVER = Api("endpoint", "server", "Any")


def why_not(facts: Scenario, echo: str | None) -> str:
    """Return why a scenario cannot be run by check, a key of `WHY_NOT`; ``""`` if it can."""
    if facts.side in ("pair", "client"):
        return facts.side
    if facts.needs == "nothing" or (facts.needs == "echo" and echo is not None):
        return ""
    return facts.needs


@dataclass
class Checked:
    """The outcome of a check.

    Attributes:
        framework: the one whose known deviations were expected, or ``""``.
        not_run: how many scenarios were not run, by the reason's key in `WHY_NOT`.
    """

    results: Results
    framework: str = ""
    not_run: Counter[str] = field(default_factory=Counter)


class Check:
    """Runs scenarios against an endpoint.

    Args:
        patience: seconds to wait for what must come.
        echo: the event that the application answers with its payload, or None.
        within: seconds for the whole check, without the waits that `rate` causes. The scenario
            under way at that time is still finished.
        rate: new connections a second at most; None for no limit.
        known: expected deviations of this server. They are strict: one that does not show is a
            failure.
        frameworks: known deviations of frameworks; those of the server's framework are expected
            too. They are not strict, since the server's version may differ.
        framework: the server's framework; by default taken from its ``Server`` header.
        strict: whether a failed *should* is a failure.
        again: the command that checks this server, without a scenario, for reports.

    Attributes:
        checked: the outcome so far, also after an interrupt.
        begun: whether there is a server, which was asked the first scenario, or will be.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: float,
        echo: str | None = None,
        within: float = 300.0,
        rate: float | None = None,
        known: Sequence[Deviation] = (),
        frameworks: Sequence[Deviation] = (),
        framework: str | None = None,
        strict: bool = False,
        again: str = "",
    ) -> None:
        self.endpoint = endpoint
        self.patience = patience
        self.echo = echo
        self.within = within
        self.known = known
        self.frameworks = frameworks
        self.framework = framework
        self.again = again or f"{command('check')} '{endpoint.shown}'"
        self.answer_name = ""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sides = [endpoint.shown], [JUDGES["client"].id]
        self.checked = Checked(Results(now, "check", *sides, {}, strict=strict))
        self.begun = False
        self._pace = Pace(rate)
        self._keeps_headers = True  # whether its echoes have the headers too
        self._without: Counter[str] = Counter()  # scenarios about what it has not, by the reason

    async def run(
        self, scenarios: Mapping[str, Bound], progress: Callable[[str], None] = lambda _: None
    ) -> Checked:
        """Run the scenarios that can be run; `progress` is called with each id before its run.

        Raises:
            EndpointError: there is no WebSocket server at the endpoint.
        """
        began = time.monotonic()
        checked, results = self.checked, self.checked.results
        chosen = list(self._chosen(scenarios, checked.not_run))
        results.unjudged = [
            f"{counted(count, 'scenario')} that {WHY_NOT[why]}"
            for why in _UNJUDGED
            if (count := checked.not_run[why])
        ]
        await self._begin()
        self.begun = True
        try:
            await self._run(chosen, results, began, progress)
        except (asyncio.CancelledError, KeyboardInterrupt):
            results.broken = (
                f"interrupted; {len(results.cells)} of {len(chosen)} scenarios were done"
            )
            raise
        finally:
            count = len(results.cells) + self._without.total()
            if count != len(chosen) and not results.broken:
                results.broken = f"{count} of {len(chosen)} scenarios have a result"
            results.unjudged[:0] = [
                f"{counted(count, 'scenario')} because {why}"
                for why, count in self._without.items()
            ]
            checked.framework = self.framework or ""
            results.duration_s = time.monotonic() - began
        return checked

    async def _run(
        self,
        chosen: Sequence[tuple[str, Bound]],
        results: Results,
        began: float,
        progress: Callable[[str], None],
    ) -> None:
        for number, (name, bound) in enumerate(chosen):
            if time.monotonic() - began - self._pace.waited > self.within:
                results.broken = (
                    f"not done within {self.within:g} s (--within gives it longer): "
                    f"{len(chosen) - number} of {len(chosen)} scenarios were not run"
                )
                break
            progress(name)
            when = f"before {name} was done"
            try:
                cell = await self._cell(name, bound)
                results.cells.append(cell)
                when = f"after {name}, which may have ended the server"
                if cell.verdict in ("failed", "warned") and not _answered(cell):
                    await self._begin()  # raises if the server has gone
            except Unsupported as exc:
                self._without[exc.reason] += 1
            except EndpointError as exc:
                results.broken = self._told(f"{when}: {exc.why}")
                break

    async def _begin(self) -> None:
        remote = Remote(self.endpoint, self.patience, self.echo, self._pace)
        try:
            await remote.check_reachable()
        except EndpointError as exc:
            raise EndpointError(self._told(exc.why), self.endpoint.shown) from None
        finally:
            await remote.close()
        self.answer_name, self._keeps_headers = remote.answer_name, remote.keeps_headers
        if self.framework is None:
            names = {entry.framework for entry in self.frameworks} - {""}
            self.framework = next((n for n in names if n in remote.software.lower()), "")

    def _told(self, words: str) -> str:
        return str(self.endpoint.redacted(words))

    def _chosen(
        self, scenarios: Mapping[str, Bound], not_run: Counter[str]
    ) -> Iterator[tuple[str, Bound]]:
        for name, bound in scenarios.items():
            if why := why_not(bound.facts, self.echo):
                not_run[why] += 1
            else:
                yield name, bound

    async def _cell(self, name: str, bound: Bound) -> CellResult:
        """Run one scenario and return its record.

        Raises:
            Unsupported: it is about what the application's echo does not do.
        """
        facts, ran = bound.facts, Ran(begun=True)
        remote = Remote(self.endpoint, self.patience, self.echo, self._pace)
        remote.answer_name, remote.keeps_headers = self.answer_name, self._keeps_headers
        began = time.monotonic()
        try:
            try:
                await bound.function(judged=remote, **bound.parameters)
            finally:  # before the judge closes its connection, which is not judged
                seen = evidence.outside(facts, remote.log)
                await remote.close()
            check_evidence(facts, remote.log, [])
        except (EndpointError, Unsupported):
            raise
        except Exception as exc:  # of any kind, such as a key that is missing in what it reads
            ran.error = exc
        if remote.flood:
            raise EndpointError(remote.flood, self.endpoint.shown)
        ran.duration_ms = round((time.monotonic() - began) * 1000, 1)
        ran.seen = seen if ran.error else structs.replace(seen, passages=[])
        theirs = of_framework(self.frameworks, self.framework) if self.framework else []
        cell = record(
            facts,
            name,
            (_SERVER, JUDGES["client"]),
            ran,
            known=[entry for entry in self.known if entry.names(name)],
            tolerated=[entry for entry in theirs if entry.names(name)],
            strict=self.checked.results.strict,
        )
        cell.again = f"{self.again} --scenario '{name}'"
        cell = msgspec.convert(self.endpoint.redacted(msgspec.to_builtins(cell)), CellResult)
        cell.server = self.endpoint.shown
        if cell.culprit is not None:
            cell.culprit = structs.replace(cell.culprit, api=cell.server)
        return cell


def _answered(cell: CellResult) -> bool:
    """Whether the server wrote anything after its handshakes."""
    return any(frame.author == "server" for frame in cell.frames)
