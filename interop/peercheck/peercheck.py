"""Runs the checks of one peer, in order, one at a time, against one process of it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from ..catalog import JUDGES, Api
from ..control.contract import Address
from ..control.patience import SHORT, Patience
from ..control.session import Session
from ..engines.local import LocalEngine
from ..errors import PeerDied, TestbedError, Unsupported, Violation
from ..records import ROLES, Role
from ..run.cell import Cell, Ran
from ..run.pool import Pool
from ..run.record import record
from ..run.runner import Bound
from ..verdicts import deviations
from ..verdicts.deviations import Deviation
from .control import breach
from .order import FIRST, Step, steps
from .program import CHECKS, Program

__all__ = ["Finding", "PeerCheck", "Status", "Subject"]

Status = Literal["holds", "lacks", "known", "broken", "waits"]
"""What became of a check: the rule holds; the library lacks what it is about, as declared; it does
not hold, as a known deviation says; it does not hold; it was not looked at."""

_MOST_BROKEN = 3
"""Broken checks of an API after which its others wait a short time: an adapter that is half written
lacks much, and each of that would cost the whole patience."""

_MOST_BROKEN_PROGRAM = 3
"""Hangs and deaths after which the rest waits: each would cost its time again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A peer to check.

    Attributes:
        name: its program, as `interop.catalog.Api.program` has it.
        command: what starts it.
        apis: those that its ``peer.toml`` has; None where it has no file: then those that its
            describe names, which may lack anything.
    """

    name: str
    command: Sequence[str]
    apis: Sequence[Api] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check.

    Attributes:
        api: the row or column; None for the program as a whole.
        section: the part of ``docs/peer-contract.md`` that has the rule.
        words: why it does not hold, what the library lacks, or what it waits for.
    """

    name: str
    api: Api | None
    section: str
    rule: str
    status: Status
    words: str = ""


@dataclass
class _Heard:
    """What the peer's lines were against their form, since it was last asked."""

    wrong: list[str] = field(default_factory=list)

    def hear(self, line: bytes) -> None:
        if len(self.wrong) < 3 and (wrong := breach(line)):
            self.wrong.append(wrong)

    def take(self) -> str:
        wrong, self.wrong = self.wrong, []
        return wrong[0] if wrong else ""


class _Engine(LocalEngine):
    """Says of a peer that ended what it wrote last."""

    async def end(self, address: Address) -> str:
        return await super().end(address) + self.last_lines(address)


class PeerCheck:
    """The checks of one peer.

    Args:
        scenarios: every scenario, by its id.
        patience: seconds to wait for what must come, and for each answer.
        start_within: seconds for the program to print READY.
        known: the known deviations of scenarios.
        only: names of checks (globs): no others are looked at, but for those that these need;
            empty for all.
        progress: called with the name of each check before it runs.

    Attributes:
        findings: the outcomes so far.
    """

    def __init__(
        self,
        subject: Subject,
        scenarios: Mapping[str, Bound],
        *,
        patience: float,
        start_within: float,
        logs: Path | None = None,
        known: Sequence[Deviation] = (),
        only: Sequence[str] = (),
        progress: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.subject = subject
        self.findings: list[Finding] = []
        self._scenarios = scenarios
        self._patience = patience
        self._known = known
        self._only = only
        self._progress = progress
        self._heard = _Heard()
        self._broken = 0  # checks of the API under way
        self._failures = 0  # of the program: hangs and deaths
        self._engine = _Engine({subject.name: subject.command}, logs, start_within)
        self._pool = Pool(
            self._engine,
            functools.partial(
                Session.connect,
                call_timeout=patience,
                probe_timeout=patience,
                hear=self._heard.hear,
            ),
        )
        declared: dict[str, list[str]] | None = None
        if subject.apis is not None:
            declared = {
                role: [api.name for api in subject.apis if api.role == role] for role in ROLES
            }
        self._program = Program(
            command=subject.command,
            declared=declared,
            within=patience,
            start_within=start_within,
            address=lambda: self._engine.address(subject.name),
        )

    async def run(self) -> None:
        """Run all checks, and fill `findings`."""
        try:
            await self._check_program()
            # A client is the shorter way to a peer that does something.
            for api in sorted(await self._apis(), key=lambda each: each.role):
                await self._check_api(api)
        finally:
            try:
                await self._engine.close()
            except PeerDied:
                pass  # that it ended is told of where it did

    def _is_chosen(self, name: str, needed: Sequence[str] = ()) -> bool:
        chosen = not self._only or any(fnmatchcase(name, pattern) for pattern in self._only)
        return chosen or name in needed

    # --- The program ------------------------------------------------------------------------

    async def _check_program(self) -> None:
        waits = ""
        for check in filter(lambda each: self._is_chosen(each.name, FATAL), CHECKS):
            told: Status = "waits"
            words = waits
            if not waits:
                self._progress(check.name)
                words = await self._program_words(check.run)
                told = "broken" if words else "holds"
                if words and check.name in FATAL:
                    waits = check.name
            self.findings.append(
                Finding(
                    name=check.name,
                    api=None,
                    section=check.section,
                    rule=check.rule,
                    status=told,
                    words=words,
                )
            )

    async def _program_words(self, run: Callable[[Program], Any]) -> str:
        """Return why a check of the program does not hold; empty if it does."""
        try:
            await run(self._program)
        except PeerDied as exc:
            await self._explain(exc)
            return str(exc)
        except (Violation, OSError) as exc:
            return str(exc)
        return await self._ended_since()

    async def _explain(self, exc: PeerDied) -> None:
        """Add to what is known of a peer's end how its program ended."""
        address = self._address
        if address is not None and not exc.end:
            exc.end = await self._engine.end(address)

    async def _ended_since(self) -> str:
        """Return how the program ended by itself after a check; empty if it runs."""
        address = self._address
        if address is None or self._engine.pid(self.subject.name) is not None:
            return ""
        return f"the program ended by itself: {await self._engine.end(address)}"

    @property
    def _address(self) -> Address | None:
        return self._engine.last_address(self.subject.name)

    async def _apis(self) -> Sequence[Api]:
        """Return the APIs to check: those declared, or those that the peer says it has."""
        if self.subject.apis is not None:
            return self.subject.apis
        if any(map(_is_fatal, self.findings)):
            return []
        control = await self._program.connect()
        about = (await control.ask("describe"))["ok"]
        await control.close()
        return [
            Api(self.subject.name, role, name)
            for role in ROLES
            for name in about["apis"].get(role, [])
        ]

    # --- An API -----------------------------------------------------------------------------

    async def _check_api(self, api: Api) -> None:
        waits = next((each.name for each in self.findings if _is_fatal(each)), "")
        self._broken = 0
        found = steps(api.role, self._scenarios)
        if any(self._is_chosen(step.name) for step in found):
            found = [step for step in found if self._is_chosen(step.name, FIRST[api.role])]
        else:
            found = []  # what they need is not looked at either
        for step in found:
            status: Status = "waits"
            words = waits
            if not waits:
                self._progress(f"{api} {step.name}")
                status, words = await self._outcome(api, step)
                self._broken += status == "broken"
                if step.name in FIRST[api.role] and status in ("broken", "lacks"):
                    waits = step.name
                elif self._failures >= _MOST_BROKEN_PROGRAM:
                    waits = f"a program that neither hangs nor ends: {step.name}"
            self.findings.append(
                Finding(
                    name=step.name,
                    api=api,
                    section=step.section,
                    rule=step.facts.rule,
                    status=status,
                    words=words,
                )
            )

    async def _outcome(self, api: Api, step: Step) -> tuple[Status, str]:
        """Run one check; return what became of it, and why."""
        pair = (JUDGES["server"], api) if api.role == "client" else (api, JUDGES["client"])
        known = deviations.find(self._known, *pair, step.name)
        patience = Patience(
            SHORT if known else self._patience, failing=lambda: self._broken >= _MOST_BROKEN
        )
        cell = Cell(step.facts, pair, self._pool, patience)
        parameters = dict(step.parameters)
        if step.wants_connect:
            parameters["connect"] = self._program.connect
        await cell.run(self._bounded(step.function, parameters), parameters)
        ran = cell.ran
        if ran.failed or isinstance(ran.error, PeerDied):
            self._failures += 1
        wrong = self._heard.take()
        if wrong and not isinstance(ran.error, TestbedError):
            return "broken", wrong
        if isinstance(ran.error, Unsupported) and self.subject.apis is None:
            return "lacks", str(ran.error.reason)
        result = record(step.facts, step.name, pair, ran, known=known)
        statuses: Mapping[str, Status] = {
            "passed": "holds",
            "unsupported": "lacks",
            "deviating": "known",
        }
        status = statuses.get(result.verdict, "broken")
        words = result.reason
        if status == "lacks":
            assert isinstance(ran.error, Unsupported)
            words = ran.error.reason
        if status == "broken":
            words = _with_unanswered(ran, words, _unanswered(ran, api.role))
        if status == "holds" and (ended := await self._ended_since()):
            return "broken", ended
        return status, words

    def _bounded(self, function: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the check's function with a limit for all of it: a check waits several times."""
        within = max(30.0, 6 * self._patience)

        @functools.wraps(function)
        async def run(**given: Any) -> None:
            try:
                async with asyncio.timeout(within):
                    await function(**given)
            except TimeoutError:
                raise Violation("not done", within=f"{within:g} s") from None

        return run


FATAL = ("ready", "describe")
"""The checks of the program without which no API can be looked at."""


def _is_fatal(finding: Finding) -> bool:
    return finding.api is None and finding.name in FATAL and finding.status == "broken"


def _with_unanswered(ran: Ran, words: str, unanswered: Sequence[str]) -> str:
    """Return why a check does not hold, with the operations that got no reply."""
    if isinstance(ran.error, PeerDied):
        at = f"at {', '.join(unanswered)}: " if unanswered else ""
        return f"{at}{ran.error}"
    other = [op for op in unanswered if f"{op} not done" not in words]
    return f"{words} [not answered: {', '.join(other)}]" if other else words


def _unanswered(ran: Ran, role: Role) -> list[str]:
    """Return the operations that got no reply."""
    if (requests := ran.seen.requests) is None:
        return []
    each = [requests.server] if role == "server" else requests.clients
    return [asked.op for of_one in each for asked in of_one if not asked.outcome]
