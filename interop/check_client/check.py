"""Runs the scenarios that need no control against a client program, which the judge serves.

The program is not trusted. Whatever it writes or fails to write, the check ends: each wait, each
scenario and the whole check have a time limit, and what is read from a connection is bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import structs

from ..catalog import JUDGES
from ..errors import Unsupported, Violation
from ..records import CellResult
from ..reports.causes import counted
from ..reports.results import Results
from ..run import evidence
from ..run.cell import Ran
from ..run.record import record
from ..run.runner import Bound
from ..scenarios.scenario import Scenario, check_evidence
from ..verdicts.deviations import Deviation
from .door import ClientError
from .remote import CLIENT, RemoteClient
from .source import Source

__all__ = ["WHY_NOT", "ClientCheck", "why_not"]

WHY_NOT = {
    "echo": "need an event that the client answers with its payload: name it with --echo EVENT",
    "reconnects": "need a client that connects again by itself: say so with --reconnects",
    "url": "need a URL of their own, which only a COMMAND is given",
    "control": "need control over the client or its application",
    "load": "put load on the client, which check-client never does",
    "pair": "run between a server and a client",
    "server": "concern servers",
}
"""Why a scenario is not run, in words, by the result of `why_not`."""

_END, _END_IN_FAILURE = 0.1, 1.0
"""Seconds for the end of a program whose connection has ended, so that a crash is seen."""

_PREFIX = f"{CLIENT}: "
"""What says in a failure which side reported it, where there is one alone."""

_UNJUDGED = ("echo", "reconnects", "url", "control", "pair", "load")
"""Those reasons that leave something of the client open, those first that are easy to mend."""


def why_not(facts: Scenario, can: set[str]) -> str:
    """Return why a scenario cannot be run, a key of `WHY_NOT`; ``""`` if it can.

    Args:
        can: which of ``echo``, ``reconnects`` and ``url`` the client has.
    """
    if facts.side in ("pair", "server"):
        return facts.side
    return "" if facts.needs == "nothing" or facts.needs in can else facts.needs


class ClientCheck:
    """Runs scenarios against a client program.

    Args:
        name: the program's, for reports.
        source: makes what gives the program's connections; called for each scenario, or once
            where `shared`.
        shared: whether one source serves all scenarios.
        patience: seconds to wait for what must come.
        at_once: scenarios that run at the same time, each with a program of its own.
        echo: the event that the program answers with its payload, or None.
        can: which of ``echo``, ``reconnects`` and ``url`` the client has.
        within: seconds for the whole check. The scenarios under way at that time are finished.
        known: expected deviations of this client; one that does not show is a failure.
        of_library: known deviations of the library that it uses. They are not strict, since the
            library's version may differ.
        strict: whether a failed *should* is a failure.
        again: returns the command that runs a scenario again, for reports.

    Attributes:
        results: the outcome so far, also after an interrupt.
        begun: whether there is a client, which was given the first scenario, or will be.
        last_printed: what the program printed that cannot be checked, its last lines; None
            where that is unknown.
        not_run: how many scenarios were not run, by the reason's key in `WHY_NOT`.
        restarts: how often a program that should have connected again was started anew instead.
        ends: how often a program was started anew because it had ended.
    """

    def __init__(
        self,
        name: str,
        source: Callable[[], Awaitable[Source]],
        *,
        shared: bool,
        patience: float,
        can: set[str],
        echo: str | None = None,
        at_once: int = 1,
        within: float = 600.0,
        known: Sequence[Deviation] = (),
        of_library: Sequence[Deviation] = (),
        strict: bool = False,
        again: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.name, self.echo, self.can = name, echo, can
        self.patience, self.within = patience, within
        self.known, self.of_library = known, of_library
        self.at_once = 1 if shared else at_once
        self.again = again
        now = datetime.now(UTC).isoformat(timespec="seconds")
        sides = [JUDGES["server"].id], [name]
        self.results = Results(now, "check", *sides, {}, strict=strict)
        self.begun = False
        self.not_run: Counter[str] = Counter()
        self.restarts = self.ends = 0
        self.last_printed: Sequence[str] | None = None
        self.answer_name = ""
        self._keeps_headers = True  # whether its echoes have the headers too
        self._make = source
        self._shared: Source | None = None
        self._is_shared = shared
        self._without: Counter[str] = Counter()  # scenarios about what it has not, by the reason

    async def run(
        self, scenarios: Mapping[str, Bound], progress: Callable[[str], None] = lambda _: None
    ) -> Results:
        """Run the scenarios that can be run; `progress` is called with each id before its run.

        Raises:
            ClientError: the program cannot be started, or does not connect.
        """
        began, results = time.monotonic(), self.results
        chosen = [*self._chosen(scenarios)]
        results.unjudged = [
            f"{counted(count, 'scenario')} that {WHY_NOT[why]}"
            for why in _UNJUDGED
            if (count := self.not_run[why])
        ]
        try:
            await self._begin()
            self.begun = True
            await self._run(chosen, began, progress)
        except asyncio.CancelledError:
            done = f"{len(results.cells)} of {len(chosen)} scenarios were done"
            results.broken = f"interrupted; {done}"
            raise
        finally:
            count = len(results.cells) + self._without.total()
            if self.begun and count != len(chosen) and not results.broken:
                results.broken = f"{count} of {len(chosen)} scenarios have a result"
            if self._shared is not None:
                await self._shared.close()
                self.restarts, self.ends = self._shared.restarts, self._shared.ends
            results.unjudged += [
                f"{counted(count, 'scenario')} because {why}"
                for why, count in self._without.items()
            ]
            results.cells.sort(key=lambda cell: cell.scenario)
            results.duration_s = time.monotonic() - began
        return results

    async def _run(
        self, chosen: Sequence[tuple[str, Bound]], began: float, progress: Callable[[str], None]
    ) -> None:
        results, todo = self.results, iter(chosen)

        async def work() -> None:
            for name, bound in todo:
                if results.broken:
                    return
                if time.monotonic() - began > self.within:
                    results.broken = f"not done within {self.within:g} s (--within gives it longer)"
                    return
                progress(name)
                try:
                    results.cells.append(await self._cell(name, bound))
                except Unsupported as exc:
                    self._without[exc.reason] += 1
                except ClientError as exc:
                    self.last_printed = exc.printed
                    results.broken = results.broken or f"before {name} was done: {exc}"

        async with asyncio.TaskGroup() as group:
            for _ in range(self.at_once):
                group.create_task(work())

    def _chosen(self, scenarios: Mapping[str, Bound]) -> Iterator[tuple[str, Bound]]:
        for name, bound in scenarios.items():
            if why := why_not(bound.facts, self.can):
                self.not_run[why] += 1
            else:
                yield name, bound

    async def _begin(self) -> None:
        """Let the program connect for the first time."""
        source = await self._source()
        remote = RemoteClient(source, self.patience, self.echo, "first")
        try:
            await remote.check_reachable()
        except ClientError as exc:
            raise ClientError(str(exc), exc.printed or source.output()) from None
        finally:
            await self._leave(remote)
        self.answer_name, self._keeps_headers = remote.answer_name, remote.keeps_headers

    async def _source(self) -> Source:
        if not self._is_shared:
            return await self._make()
        if self._shared is None:
            self._shared = await self._make()
        return self._shared

    async def _leave(self, remote: RemoteClient) -> None:
        """End what served one scenario."""
        try:
            if not self._is_shared:  # the program first: what it does at the end is not judged
                await remote.source.close()
        finally:
            await remote.close()

    async def _cell(self, name: str, bound: Bound) -> CellResult:
        """Run one scenario and return its record."""
        facts, ran = bound.facts, Ran(begun=True)
        source = await self._source()
        source.pass_by()
        remote = RemoteClient(source, self.patience, self.echo, name)
        remote.answer_name, remote.keeps_headers = self.answer_name, self._keeps_headers
        began = time.monotonic()
        try:
            await bound.function(judged=remote, **bound.parameters)
            check_evidence(facts, remote.log, [])
        except (ClientError, Unsupported):
            await self._leave(remote)
            raise
        except Exception as exc:
            if remote.is_away:
                await self._leave(remote)
                waited = time.monotonic() - began
                raise ClientError(f"the app was away: no connection for {waited:.0f} s") from None
            ran.error = exc
        except BaseException:  # a cancellation: the program ends with the check
            await self._leave(remote)
            raise
        # Before the judge ends the connection and the program.
        ran.duration_ms = round((time.monotonic() - began) * 1000, 1)
        try:
            gave_up = remote.gave_up
            await remote.settle(_END if ran.error is None and not gave_up else _END_IN_FAILURE)
            seen = evidence.outside(facts, remote.log)
            end, printed = source.end, source.output()
            crashed = source.killed or (gave_up and source.failed)
        finally:
            await self._leave(remote)
        if crashed and ran.error is None:
            ran.error = Violation(f"the program {end}")
            end = ""
        if flood := remote.flood or source.door.crowd:
            ran.error = Violation(flood)
            source.door.crowd = ""
        ran.seen = seen if ran.error else structs.replace(seen, passages=[])
        cell = self._recorded(name, facts, ran)
        if cell.verdict in ("failed", "warned", "error"):
            cell.printed = printed or []
            if end:
                cell.reason += f"; the program {end}"
        return cell

    def _recorded(self, name: str, facts: Scenario, ran: Ran) -> CellResult:
        """Return the record of what a scenario saw, with the program's own name in it."""
        cell = record(
            facts,
            name,
            (JUDGES["server"], CLIENT),
            ran,
            known=[entry for entry in self.known if entry.names(name)],
            tolerated=[entry for entry in self.of_library if entry.names(name)],
            strict=self.results.strict,
        )
        cell.again = self.again(name)
        cell.client = self.name
        cell.reason = cell.reason.removeprefix(_PREFIX)
        cell.raised = cell.raised.removeprefix(_PREFIX) if cell.raised else cell.raised
        if cell.culprit is not None:
            cell.culprit = structs.replace(cell.culprit, api=cell.client)
        return cell
