"""Runs changes of the library against the cells that reach them.

::

    control     a stage with nothing changed, its statements watched ──> what it reaches
    change      the stages of its module that reach it, one by one, until a cell is red
    tests       the unit tests of its folder, for a change that no cell finds

A stage is a pair of a row and a column of the `python` peer with its part of the catalogue, the
judge's cells among it. Only the peer's process has the changed module: it is the only program of
the testbed that imports the library. Each stage is a process group of its own with a peer of its
own, as many at a time as there are processors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ..catalog import Api, load_peers
from ..errors import TestbedError
from ..run.plan import Plan
from ..scenarios.scenario import Scenario
from ..verdicts.deviations import DEVIATIONS_FILE
from .cells import Seen
from .operators import Change, apply
from .population import PACKAGE, ROOT, source_of

__all__ = ["Found", "Outcome", "Runner", "Stage", "all_stages", "together"]

T = TypeVar("T")

Outcome = Literal["red", "import", "time", "broken", "survived", "unreached"]
"""What became of a change: a cell was red; the peer could not import it; a stage took too long;
the testbed said that something was wrong, as after a peer that died; no cell was red; no cell runs
it. All but the last two are *caught*."""

_PEER = "interop.peers.python"
_LAUNCH = "interop.mutate.launch"

LEAST_LIMIT = 15.0
"""Seconds that each stage may take, or three times what it takes with nothing changed: processors
are shared."""

_SLOW = ("SanicConnector",)

_CONTROL_LIMIT = 300.0
"""Seconds for a stage with nothing changed."""

_CONTROL_PATIENCE = 5.0
"""Seconds for what must come there: statements that mark themselves take longer."""

_TESTS_LIMIT = 300.0
"""Seconds for the unit tests of a folder."""

_POLL = 0.05
"""Seconds between two looks at whether the peer could import the change."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A pair of the `python` peer, and the scenarios that each of the two has."""

    server: Api
    client: Api
    only: Mapping[str, Sequence[str]]

    @property
    def name(self) -> str:
        return f"{self.server.name} with {self.client.name}"


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one change.

    Attributes:
        by: the red cell, or what else tells; empty if nothing did.
        reason: why that cell is red.
        stages: the stages that ran.
        tests: how the unit tests of its folder ended: ``caught``, ``survived``; empty if they did
            not run.
    """

    change: Change
    outcome: Outcome
    seconds: float = 0.0
    by: str = ""
    reason: str = ""
    stages: Sequence[str] = ()
    tests: str = ""

    @property
    def caught(self) -> bool:
        return self.outcome not in ("survived", "unreached")


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a process ended: what it printed, or why it was ended."""

    printed: bytes = b""
    log: str = ""
    status: int = 0
    timed_out: bool = False
    mark: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Control:
    """A stage with nothing changed.

    Attributes:
        reached: for each module that was imported, a byte for each statement: whether it ran.
    """

    seconds: float
    cells: int
    reached: Mapping[str, bytes]

    def reaches(self, change: Change) -> bool:
        marks = self.reached.get(change.module)
        return marks is not None and (change.statement is None or bool(marks[change.statement]))


async def together(coroutines: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what all of them return; the first exception cancels the others."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Runner:
    """Runs stages, changed and unchanged.

    Args:
        folder: an empty folder for its files.
        stages: what there is to run, as of `all_stages`.
        patience: seconds that a scenario waits for what must come, with a change.
        at_once: how many processes run at the same time.
        tests: where the unit tests are, a folder for each of the package's.
    """

    def __init__(
        self,
        folder: Path,
        stages: Sequence[Stage],
        *,
        patience: float,
        at_once: int,
        tests: Path = ROOT / "tests",
    ) -> None:
        self._folder = folder
        self._patience = patience
        self._room = asyncio.Semaphore(at_once)
        self._stages = stages
        self._tests = tests
        # By name of stage; begun by the first change that may be reached there.
        self._controls: dict[str, asyncio.Future[_Control]] = {}
        # The unit tests of each folder with nothing changed.
        self._unchanged: dict[str, asyncio.Future[_Ended]] = {}
        # How many folders there are in `folder`.
        self._count = 0

    async def look(self, change: Change) -> Found:
        """Return what becomes of a change.

        Raises:
            TestbedError: a cell is not as expected with nothing changed.
        """
        ran: list[str] = []
        seconds = 0.0
        for stage in await self._reaching(change):
            async with self._room:
                ended = await self._run_changed(stage, change)
            ran.append(stage.name)
            seconds += ended.seconds
            outcome, by, reason = _verdict(stage, ended)
            if outcome != "survived":
                return Found(change, outcome, seconds, by, reason, ran)
        return Found(change, "survived" if ran else "unreached", seconds, stages=ran)

    async def cells(self) -> int:
        """Return how many cells were as expected with nothing changed."""
        controls = [await control for control in self._controls.values()]
        return sum(control.cells for control in controls)

    async def _reaching(self, change: Change) -> list[Stage]:
        """Return the stages for a change: those of its module that reach it, else one other."""
        own = [stage for stage in self._stages if _is_for(stage, change.module)]
        if found := [stage for stage in own if (await self._control(stage)).reaches(change)]:
            return found
        for stage in self._stages:
            if stage not in own and (await self._control(stage)).reaches(change):
                return [stage]
        return []

    def _control(self, stage: Stage) -> asyncio.Future[_Control]:
        """Run a stage with nothing changed, once."""
        if stage.name not in self._controls:
            self._controls[stage.name] = asyncio.ensure_future(self._run_control(stage))
        return self._controls[stage.name]

    async def _run_control(self, stage: Stage) -> _Control:
        async with self._room:
            watched = self._new_folder()
            command = [sys.executable, "-m", _LAUNCH, "watch", PACKAGE, str(watched), _PEER]
            ended = await self._run_stage(stage, command, _CONTROL_LIMIT, _CONTROL_PATIENCE)
        seen = _seen(ended)
        if seen is None or seen.red or seen.broken:
            what = f"{seen.red}: {seen.reason}{seen.broken}" if seen else ended.log[-2000:]
            raise TestbedError(f"with nothing changed, {stage.name} is not as expected: {what}")
        reached = {path.name: path.read_bytes() for path in watched.iterdir()}
        return _Control(ended.seconds, seen.cells, reached)

    async def test(self, change: Change) -> bool:
        """Return whether the unit tests of a change's folder find it.

        Raises:
            TestbedError: they fail with nothing changed.
        """
        tests = self._tests / change.module.split(".")[1]
        command = [sys.executable, "-m"]
        options = ["pytest", "-x", "-q", "-p", "no:cacheprovider", str(tests)]
        if tests.name not in self._unchanged:
            unchanged = self._run([*command, *options], _TESTS_LIMIT)
            self._unchanged[tests.name] = asyncio.ensure_future(self._in_turn(unchanged))
        if (before := await self._unchanged[tests.name]).status or before.timed_out:
            raise TestbedError(f"with nothing changed, {tests} fails:\n{before.log[-2000:]}")
        async with self._room:
            file, mark = self._write(change)
            launch = [_LAUNCH, "replace", change.module, str(file), str(mark)]
            ended = await self._run([*command, *launch, *options], _TESTS_LIMIT)
        return bool(ended.status) or ended.timed_out

    async def _in_turn(self, running: Coroutine[Any, Any, _Ended]) -> _Ended:
        async with self._room:
            return await running

    async def _run_changed(self, stage: Stage, change: Change) -> _Ended:
        file, mark = self._write(change)
        limit = max(LEAST_LIMIT, 3 * (await self._control(stage)).seconds)
        command = [sys.executable, "-m", _LAUNCH, "replace", change.module, str(file), str(mark)]
        return await self._run_stage(stage, [*command, _PEER], limit, self._patience, mark)

    async def _run_stage(
        self,
        stage: Stage,
        peer: Sequence[str],
        limit: float,
        patience: float,
        mark: Path | None = None,
    ) -> _Ended:
        plan = Plan(
            engine="local",
            servers=(stage.server,),
            clients=(stage.client,),
            commands={stage.server.program: list(peer)},
            only=stage.only,
            deviations=DEVIATIONS_FILE,
            patience=patience,
            strict=True,
            at_once=20,
            faults=False,
        )
        file = self._new_folder() / "plan.json"
        file.write_text(plan.dump(), "utf-8")
        command = [sys.executable, "-m", "interop.mutate.cells", str(file)]
        return await self._run(command, limit, mark)

    async def _run(self, command: Sequence[str], limit: float, mark: Path | None = None) -> _Ended:
        """Run a program to its end, to the time limit, or until there is a file `mark`."""
        log = self._new_folder() / "log"
        began = time.monotonic()
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                start_new_session=True,
            )
        async with _group(process):
            reading = asyncio.ensure_future(process.communicate())
            marked = False
            while not reading.done() and not marked and time.monotonic() - began < limit:
                await asyncio.wait([reading], timeout=_POLL)
                marked = _holds(mark) != ""
            done = reading.done() and not marked
            printed = reading.result()[0] if done else b""
            reading.cancel()
        said = printed.decode("utf-8", "replace") + log.read_text("utf-8", "replace")
        return _Ended(
            printed=printed,
            log=said,
            status=process.returncode or 0 if done else 1,
            timed_out=not done and not marked,
            mark=_holds(mark),
            seconds=time.monotonic() - began,
        )

    def _write(self, change: Change) -> tuple[Path, Path]:
        """Write the changed module; return the file, and one that is to hold an exception."""
        folder = self._new_folder()
        file = folder / "changed.py"
        file.write_text(apply(source_of(change.module).read_text("utf-8"), change), "utf-8")
        return file, folder / "exception"

    def _new_folder(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder


def all_stages(chosen: Mapping[str, Scenario]) -> list[Stage]:
    """Return the stages: the library's own server and consumer, then each other row and column.

    What is for one side alone runs for each row and column once, with the other side at its first
    stage. Sanic is not given much work: on a busy machine it would be late with nothing changed.

    Args:
        chosen: the scenarios to run, by their ids.
    """
    every = list(chosen)
    calm = [name for name, facts in chosen.items() if facts.needs != "load"]
    pairs = [name for name, facts in chosen.items() if facts.side == "pair"]
    apis = load_peers()["python"].apis
    server, *servers = (api for api in apis if api.role == "server")
    client, *clients = (api for api in apis if api.role == "client")
    return [
        Stage(server, client, {server.id: every, client.id: every}),
        *(
            Stage(each, client, {each.id: calm if each.name in _SLOW else every, client.id: pairs})
            for each in servers
        ),
        *(Stage(server, each, {server.id: pairs, each.id: every}) for each in clients),
    ]


def _is_for(stage: Stage, module: str) -> bool:
    """Whether a stage is run for a module's changes: the first for most, others for what rows or
    columns share among each other."""
    server, client = stage.server.name, stage.client.name
    if module.startswith(f"{PACKAGE}.connectors."):
        return server != "ZapServer"
    if module.startswith(f"{PACKAGE}.client."):
        return server == "ZapServer"
    return (server, client) == ("ZapServer", "ZapConsumer")


def _holds(mark: Path | None) -> str:
    return mark.read_text("utf-8", "replace") if mark is not None and mark.exists() else ""


def _seen(ended: _Ended) -> Seen | None:
    try:
        return msgspec.json.decode(ended.printed, type=Seen)
    except msgspec.DecodeError:
        return None


def _verdict(stage: Stage, ended: _Ended) -> tuple[Outcome, str, str]:
    """Return the outcome, what tells, and the reason."""
    if ended.mark:
        return "import", "the peer does not start", ended.mark.strip().splitlines()[-1]
    if ended.timed_out:
        return "time", f"{stage.name} took over {ended.seconds:.0f} s", ""
    seen = _seen(ended)
    if seen is None:
        return "broken", f"{stage.name}: exit status {ended.status}", ended.log[-500:]
    if seen.red:
        return "red", seen.red, seen.reason
    if seen.broken:
        return "broken", stage.name, seen.broken
    return "survived", "", ""


@asynccontextmanager
async def _group(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """End a process with all that it started, when the body ends."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
