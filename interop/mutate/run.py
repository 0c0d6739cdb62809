"""Runs changes of the library against the cells that reach them.

::

    control     a stage with nothing changed, its statements watched ──> what it reaches
    change      the stages of its module that reach it, one by one, until cells are red
    again       those cells alone, with the sound side's other APIs and the changed side's sound
                twin ──> whether they are red once more, and which side is named as the culprit
    tests       the unit tests of its folder

Only the changed side's process has the changed module: the peers are the only programs of the
testbed that import the library. Each run is a process group of its own with peers of its own, as
many at a time as there are processors.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

import msgspec

from ..catalog import JUDGE_IDS
from ..errors import TestbedError
from ..places import ROOT
from ..records import OTHER
from ..run.plan import Plan
from .cells import Red, Seen
from .launch import AT_START
from .operators import Change, apply
from .population import PACKAGE, source_of
from .processes import Ended, Processes
from .stages import PEER, Stage, in_order

__all__ = [
    "CONFIRMING_PATIENCE",
    "CONTROL_PATIENCE",
    "SOUND",
    "Blame",
    "Found",
    "Once",
    "Outcome",
    "Runner",
    "StageRunner",
    "blame",
    "some",
    "verdict",
]

K = TypeVar("K")
V = TypeVar("V")

Outcome = Literal["red", "start", "died", "time", "broken", "survived", "unreached"]
"""What became of a change: a cell was red; the changed peer ended with an exception before it was
ready, or later; nothing happened for too long; the testbed said that something was wrong; no cell
was red; no cell runs it. All but the last two are *caught*."""

Blame = Literal["right", "wrong", "unknown"]
"""Which side the red cells name: the changed one, in some cell the other, or in some cell none."""

_LAUNCH = "interop.mutate.launch"

SOUND = (sys.executable, "-m", PEER)

SILENCE = 10.0
"""Seconds without a finished cell after which a peer hangs, or twice what all of the stage takes
with nothing changed. Twenty cells run at the same time; each waits a second for what must come."""

LEAST_LIMIT = 30.0
"""Seconds that each stage may take, or five times what it takes with nothing changed."""

_CONTROL_LIMIT = 300.0
"""Seconds for a stage with nothing changed."""

_CONTROLS = 2
"""How often that is tried."""

CONTROL_PATIENCE = 5.0
"""Seconds for what must come there: statements that mark themselves take longer."""

CONFIRMING_PATIENCE = 2.0
"""Seconds, at least, for what must come when red cells run again."""

_TESTS_LIMIT = 600.0
"""Seconds for the unit tests of a folder."""

_PAIRS, _JUDGED = 3, 2
"""How many red scenarios run again, at most: of those between two peers, and with the judge."""

_ROUNDS = 3
"""How often a stage goes on after red cells that were not red again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one change.

    Attributes:
        by: the red cell, or what else tells; empty if nothing did.
        reason: why that cell is red.
        stages: the stages that ran.
        confirmed: the cells that were red twice.
        unconfirmed: cells, or what else told, that were not so the second time.
        blame: which side the failed cells of `confirmed` name; None if none of these failed.
        tests: how the unit tests of its folder ended: ``caught``, ``survived``; empty if they did
            not run.
    """

    change: Change
    outcome: Outcome
    seconds: float = 0.0
    by: str = ""
    reason: str = ""
    stages: Sequence[str] = ()
    confirmed: Sequence[Red] = ()
    unconfirmed: Sequence[str] = ()
    blame: Blame | None = None
    tests: str = ""

    @property
    def caught(self) -> bool:
        return self.outcome not in ("survived", "unreached")


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


class Once(Generic[K, V]):
    """Results that are worked out once, by the first thread that asks; the others wait."""

    def __init__(self, work: Callable[[K], V]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._results: dict[K, Future[V]] = {}

    def __call__(self, key: K) -> V:
        with self._lock:
            first = key not in self._results
            result = self._results.setdefault(key, Future())
        if first:
            try:
                result.set_result(self._work(key))
            except BaseException as exc:  # of any kind: the others would wait for ever
                result.set_exception(exc)
        return result.result()

    def all(self) -> list[V]:
        """Return the results that there are by now."""
        with self._lock:
            done = [each for each in self._results.values() if each.done()]
        return [each.result() for each in done if each.exception() is None]


class StageRunner:
    """Runs plans of stages as processes. Leaving its context ends all that runs.

    Args:
        folder: an empty folder for its files.
        at_once: how many threads run plans at the same time.
    """

    def __init__(self, folder: Path, at_once: int) -> None:
        self._processes = Processes(folder)
        self._threads = ThreadPoolExecutor(at_once)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._processes.stop()
        self._threads.shutdown(cancel_futures=True)

    def _run_plan(
        self, plan: Plan, limit: float, silence: float, *options: str, mark: Path | None = None
    ) -> Ended:
        file = self._processes.new_folder() / "plan.json"
        file.write_text(plan.dump(), "utf-8")
        command = ["interop.mutate.cells", str(file), *options]
        return self._processes.run(command, limit=limit, silence=silence, mark=mark)

    def _run_unchanged(self, name: str, plan: Plan) -> tuple[float, Seen]:
        """Run a plan with nothing changed, once more if that is not as expected.

        That no cell is flaky is for whole runs of the matrix to show.

        Returns:
            How long it took, and what was seen.

        Raises:
            TestbedError: it was not as expected the second time either.
        """
        for _ in range(_CONTROLS):
            ended = self._run_plan(plan, _CONTROL_LIMIT, _CONTROL_LIMIT)
            seen = _seen_in(ended)
            if seen is not None and not seen.red and not seen.broken:
                return ended.seconds, seen
        what = ended.log[-2000:] + ended.timed_out
        if seen is not None:
            what = "; ".join([*(f"{red.name}: {red.reason}" for red in seen.red), seen.broken])
        raise TestbedError(f"with nothing changed, {name} is not as expected: {what}")


class Runner(StageRunner):
    """Runs changes of the library, and the stages without them.

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
        super().__init__(folder, at_once)
        self._stages = stages
        self._patience = patience
        self._tests = tests
        self._control = Once(self._run_control)
        self._unchanged_tests = Once(self._run_unchanged_tests)

    @property
    def cells(self) -> int:
        """How many cells were as expected with nothing changed."""
        return sum(control.cells for control in self._control.all())

    def run(self, changes: Sequence[Change], *, tests: bool = False) -> Iterator[Found]:
        """Look for changes; yield what becomes of each as soon as it is known.

        Args:
            tests: whether to run the unit tests too.

        Raises:
            TestbedError: a cell is not as expected, or a unit test fails, with nothing changed.
        """
        own = [s for s in self._stages if any(s.is_for(change.module) for change in changes)]
        begun: list[Future[Found | None]] = [
            *(self._threads.submit(self._prepare, stage) for stage in own),
            *(self._threads.submit(self._look, change, tests) for change in changes),
        ]
        for each in as_completed(begun):
            if (found := each.result()) is not None:
                yield found

    def _prepare(self, stage: Stage) -> Found | None:
        self._control(stage)
        return None

    def _look(self, change: Change, tests: bool) -> Found | None:
        found = self._find(change)
        if tests:
            found = replace(found, tests="caught" if self._test(change) else "survived")
        return found

    def _find(self, change: Change) -> Found:
        ran: list[str] = []
        unconfirmed: list[str] = []
        seconds = 0.0
        for stage in self._reaching(change):
            ran.append(stage.name)
            found = self._in_stage(stage, change)
            seconds += found.seconds
            unconfirmed += found.unconfirmed
            if found.caught:
                return replace(found, seconds=seconds, stages=ran, unconfirmed=unconfirmed)
        outcome: Outcome = "survived" if ran else "unreached"
        return Found(change, outcome, seconds, stages=ran, unconfirmed=unconfirmed)

    def _reaching(self, change: Change) -> list[Stage]:
        """Return the stages for a change: those of its module that reach it, else one other."""
        stages = in_order(self._stages, change)
        own = [stage for stage in stages if stage.is_for(change.module)]
        if found := [stage for stage in own if self._control(stage).reaches(change)]:
            return found
        for stage in stages:
            if stage not in own and self._control(stage).reaches(change):
                return [stage]
        return []

    # --- A stage ------------------------------------------------------------------------------

    def _run_control(self, stage: Stage) -> _Control:
        """Run a stage with nothing changed, and see what it reaches."""
        watched = self._processes.new_folder()
        peer = [sys.executable, "-m", _LAUNCH, "watch", PACKAGE, str(watched), PEER]
        plan = stage.plan(peer, SOUND, patience=CONTROL_PATIENCE)
        seconds, seen = self._run_unchanged(stage.name, plan)
        reached = {path.name: path.read_bytes() for path in watched.iterdir()}
        return _Control(seconds, seen.cells, reached)

    def _in_stage(self, stage: Stage, change: Change) -> Found:
        """Return what becomes of a change in one stage: `survived` if nothing tells twice."""
        seconds = 0.0
        unconfirmed: list[str] = []
        without: set[str] = set()
        for _ in range(_ROUNDS):
            first = self._once(stage, change, without)
            seconds += first.seconds
            if first.outcome == "survived":
                break
            if first.outcome in ("start", "died"):  # an exception of its own proves it
                return replace(first, seconds=seconds)
            if first.outcome != "red":  # red cells run again alone, all else as it was
                second = self._once(stage, change, without)
                seconds += second.seconds
                if second.outcome not in ("red", "survived"):
                    return replace(second, seconds=seconds, unconfirmed=unconfirmed)
                unconfirmed.append(first.by)
                first = second
            if first.outcome == "red":
                second = self._again(stage, change, first)
                seconds += second.seconds
                # Being late is no confirmation: the machine may be busy.
                if second.outcome in ("red", "start", "died"):
                    return replace(second, seconds=seconds, unconfirmed=unconfirmed)
                unconfirmed.append(first.by)
                without |= {red.scenario for red in first.confirmed}
            if without.issuperset([*stage.shared, *stage.own]):
                break
        return Found(change, "survived", seconds, unconfirmed=unconfirmed)

    def _once(self, stage: Stage, change: Change, without: set[str]) -> Found:
        """Run a stage until cells are red; `confirmed` are the first ones of these."""
        ended = self._run_changed(
            stage,
            change,
            lambda peer: stage.plan(peer, SOUND, patience=self._patience, without=without),
        )
        outcome, by, reason, seen = verdict(stage, ended)
        red = some(seen.red) if seen else []
        return Found(change, outcome, ended.seconds, by, reason, confirmed=red)

    def _again(self, stage: Stage, change: Change, first: Found) -> Found:
        """Run red cells again, in a small matrix."""
        chosen = dict.fromkeys(red.scenario for red in first.confirmed)
        patience = max(CONFIRMING_PATIENCE, self._patience)
        ended = self._run_changed(
            stage,
            change,
            lambda peer: stage.confirming(chosen, peer, SOUND, patience=patience),
            "all",
        )
        outcome, by, reason, seen = verdict(stage, ended)
        if outcome != "red" or seen is None:
            return Found(change, outcome, ended.seconds, by, reason)
        confirmed = [red for red in seen.red if stage.api.id in (red.server, red.client)]
        before = {red.name for red in first.confirmed}
        same = [red for red in confirmed if red.name in before]
        if not same:
            return Found(change, "survived", ended.seconds)
        return Found(
            change,
            "red",
            ended.seconds,
            same[0].name,
            same[0].reason,
            confirmed=confirmed,
            blame=blame(stage, confirmed),
        )

    def _run_changed(
        self, stage: Stage, change: Change, plan: Callable[[Sequence[str]], Plan], *options: str
    ) -> Ended:
        takes = self._control(stage).seconds
        limit, silence = max(LEAST_LIMIT, 5 * takes), max(SILENCE, 2 * takes)
        file, mark = self._write(change)
        launch = [_LAUNCH, "replace", change.module, str(file), str(mark), PEER]
        peer = [sys.executable, "-m", *launch]
        return self._run_plan(plan(peer), limit, silence, *options, mark=mark)

    def _write(self, change: Change) -> tuple[Path, Path]:
        """Write the changed module; return the file, and one that is to hold an exception."""
        folder = self._processes.new_folder()
        file = folder / "changed.py"
        file.write_text(apply(source_of(change.module).read_text("utf-8"), change), "utf-8")
        return file, folder / "exception"

    # --- Unit tests ---------------------------------------------------------------------------

    def _test(self, change: Change) -> bool:
        """Return whether the unit tests of a change's folder find it."""
        tests = self._tests / change.module.split(".")[1]
        self._unchanged_tests(tests)
        file, mark = self._write(change)
        ended = self._run_tests(tests, _LAUNCH, "replace", change.module, str(file), str(mark))
        return bool(ended.status)

    def _run_unchanged_tests(self, tests: Path) -> None:
        if (ended := self._run_tests(tests)).status:
            said = (ended.printed + ended.log)[-2000:]
            raise TestbedError(f"with nothing changed, {tests} fails:\n{said}{ended.timed_out}")

    def _run_tests(self, tests: Path, *launch: str) -> Ended:
        command = [*launch, "pytest", "-x", "-q", "-p", "no:cacheprovider", str(tests)]
        return self._processes.run(command, limit=_TESTS_LIMIT, silence=_TESTS_LIMIT)


def _seen_in(ended: Ended) -> Seen | None:
    """Return what a run printed at last, if it came that far."""
    try:
        return msgspec.json.decode(ended.printed.strip().rpartition("\n")[2], type=Seen)
    except msgspec.DecodeError:
        return None


def verdict(stage: Stage, ended: Ended) -> tuple[Outcome, str, str, Seen | None]:
    """Return the outcome, what tells, the reason, and what was seen."""
    if ended.mark:
        when, *_, what = ended.mark.strip().splitlines()
        if when == AT_START:
            return "start", "the peer does not start", what, None
        return "died", f"{stage.name}: the peer ended", what, None
    if ended.timed_out:
        return "time", f"{stage.name}: {ended.timed_out}", "", None
    seen = _seen_in(ended)
    if seen is None:
        return "broken", f"{stage.name}: exit status {ended.status}", ended.log[-500:], None
    if seen.red:
        return "red", seen.red[0].name, seen.red[0].reason, seen
    if seen.broken:
        return "broken", stage.name, seen.broken, seen
    return "survived", "", "", seen


def some(red: Sequence[Red]) -> list[Red]:
    """Return some red cells of both kinds, to be run again."""
    judged = [each for each in red if JUDGE_IDS & {each.server, each.client}]
    pairs = [each for each in red if each not in judged]
    return [*pairs[:_PAIRS], *judged[:_JUDGED]]


def blame(stage: Stage, red: Sequence[Red]) -> Blame | None:
    """Return whether failed cells of a stage name its changed side; None if none failed."""
    named = {each.culprit.side if each.culprit else "unknown"
             for each in red if each.verdict == "failed"}  # fmt: skip
    if OTHER[stage.changed] in named:
        return "wrong"
    if "unknown" in named:
        return "unknown"
    return "right" if named else None
