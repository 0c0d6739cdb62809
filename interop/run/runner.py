"""Runs pytest over a plan and collects the cells' records as they come."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..catalog import Api, CatalogError, load_peers
from ..places import PACKAGE
from ..records import CellResult, Finished, PeerRecord, decode
from ..scenarios.scenario import Scenario
from ..signals import interruptible
from ..verdicts.advice import advise
from ..verdicts.attempts import merge
from ..verdicts.culprit import name_culprits
from ..verdicts.deviations import load_recorded
from .plan import Plan
from .plugin import CELL_PROPERTY, PEERS_PROPERTY, STOPPED, TEARDOWN_PROPERTY, facts, scenario_id

__all__ = [
    "SCENARIOS",
    "Bound",
    "Collector",
    "explain",
    "in_short",
    "load_catalogue",
    "load_functions",
    "own_arguments_only",
    "run_plan",
]

SCENARIOS = PACKAGE / "scenarios"

Progress = Callable[[int, CellResult], None]

_CLEARED = "PYTHONWARNINGS"
_NO_AUTOLOAD = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"

_SHOWN = 5
"""The number of problems that are shown in full."""


class Collector:
    """A pytest plugin of the main process: takes the cells out of the reports."""

    def __init__(self, progress: Progress) -> None:
        self.finished: list[Finished] = []
        self.problems: list[str] = []
        self.stopped = False  # whether the run ended early because the plan says so
        self.peers: dict[str, PeerRecord] = {}
        self._progress = progress

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            # pytest-xdist's report of a worker that ended in the middle of this test.
            self.problems.append(f"{report.nodeid}: {report.longreprtext}")
            return
        for name, value in report.user_properties:
            if name == TEARDOWN_PROPERTY:
                self.problems.append(f"tearing down {value}")
            elif name == CELL_PROPERTY:
                self.finished.append(finished := decode(str(value), Finished))
                self._progress(len(self.finished), finished.cell)
            elif name == PEERS_PROPERTY:
                self._describe(decode(str(value), dict[str, PeerRecord]))

    def _describe(self, peers: Mapping[str, PeerRecord]) -> None:
        """Take what a worker's peers said of themselves: all workers' must say the same."""
        for api, peer in peers.items():
            if (first := self.peers.setdefault(api, peer)) != peer:
                self.problems.append(f"{api} changed during the run: {first}, then {peer}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})  # a worker that crashed leaves none
        if TEARDOWN_PROPERTY in output:
            self.problems.append(f"ending a worker's peers: {output[TEARDOWN_PROPERTY]}")

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # Of pytest's and of pytest-xdist's `Interrupted`, which `shouldstop` raises.
        self.stopped = str(excinfo.value) == STOPPED

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(f"collecting {report.nodeid}: {report.longreprtext}")

    @pytest.hookimpl
    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        # This testbed's plugin leaves out what was not chosen without deselecting it.
        self.problems.append(f"pytest left out {len(items)} tests, {items[0].nodeid} among them")

    @pytest.hookimpl
    def pytest_internalerror(self, excrepr: object) -> None:
        self.problems.append(str(excrepr))


def run_plan(
    plan: Plan,
    *,
    workers: int,
    progress: Progress,
    verbose: bool = False,
    scenarios: Path = SCENARIOS,
    peers: dict[str, PeerRecord] | None = None,
) -> tuple[list[CellResult], float, str]:
    """Run every scenario of `plan` and return (cells, seconds, problems or "").

    Finished cells are returned even if a worker crashes, or Ctrl-C or SIGTERM ends the run.

    Args:
        workers: how many processes, each with its own peers; 0 runs in this process.
        progress: called for every finished run of a cell with how many there are by now.
        verbose: also show pytest's own output.
        scenarios: the folder or file of the scenarios.
        peers: filled with what the peers say of themselves, as `RunRecord.peers`.
    """
    collector = Collector(progress)
    began = time.monotonic()
    quiet = [] if verbose else ["-p", "no:terminal"]
    options = ("-n", str(workers), "--dist", "worksteal", *quiet)
    status: int = pytest.ExitCode.INTERRUPTED
    # pytest handles the first interrupt itself; the next one ends its clean-up.
    with suppress(KeyboardInterrupt), interruptible():
        status = _pytest(plan, collector, scenarios, *options)
    seconds = time.monotonic() - began
    problems = list(collector.problems)
    if collector.stopped:
        status = pytest.ExitCode.OK
    if status == pytest.ExitCode.INTERRUPTED and not problems:
        problems.append("interrupted")
    elif not problems and status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        problems.append(f"pytest ended with {status!r}")
    if peers is not None:
        peers.update(sorted(collector.peers.items()))
    cells = merge(collector.finished)
    try:
        there = load_peers(added=plan.peers).values()
        apis = [api for peer in there for api in peer.apis]
        explain(cells, plan.deviations, apis, collector.peers)
    except Exception as exc:  # a fault of the testbed, which must not cost the results
        problems.append(f"explaining the red cells: {type(exc).__name__}: {exc}")
    return cells, seconds, in_short(problems)


def explain(
    cells: list[CellResult],
    known: Sequence[Path],
    apis: Iterable[Api],
    peers: Mapping[str, PeerRecord],
) -> None:
    """Name the culprits of red cells, and say what to do about deviations that did not show.

    Args:
        known: the deviations files; empty where no failure is expected.
        apis: all rows and columns that there are.
        peers: what the peer of each row and column said of itself.
    """
    name_culprits(cells)
    if known:
        advise(cells, peers, load_recorded(*known), apis)


def in_short(problems: list[str]) -> str:
    """Return the problems as one text, cut: a broken testbed may have one for each cell."""
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return "; ".join([*problems[:_SHOWN], *more])


@dataclass(frozen=True, slots=True)
class Bound:
    """A scenario that can be called by hand.

    Attributes:
        function: what ``@scenario`` returned; it takes its fixtures and the parameters.
    """

    facts: Scenario
    function: Callable[..., Awaitable[None]]
    parameters: Mapping[str, Any]


def load_catalogue() -> dict[str, Scenario]:
    """Return every scenario by its id, in order of the ids.

    Raises:
        CatalogError: the scenarios cannot be collected.
    """
    return {name: found.facts for name, found in load_functions().items()}


def load_functions(timeout: float | None = None) -> dict[str, Bound]:
    """Return every scenario with its function, by its id, in order of the ids.

    Args:
        timeout: seconds for each of them, or None for each one's own.

    Raises:
        CatalogError: the scenarios cannot be collected, or not all of them.
        KeyboardInterrupt: collecting them was interrupted.
    """
    empty = Plan(
        "local",
        (Api("none", "server", "None"),),
        (Api("none", "client", "None"),),
        timeout=timeout,
    )
    found = _Catalogue()
    status = _pytest(empty, found, SCENARIOS, "--collect-only", "-p", "no:terminal")
    if status == pytest.ExitCode.INTERRUPTED and not found.problems:
        raise KeyboardInterrupt
    if found.problems or status != pytest.ExitCode.OK:
        raise CatalogError(in_short(found.problems or [f"pytest ended with {status!r}"]))
    _check_whole(found.scenarios.values())
    return dict(sorted(found.scenarios.items()))


def _check_whole(found: Iterable[Bound]) -> None:
    """Check that pytest, whatever its configuration, has collected every scenario.

    Raises:
        CatalogError: it has not; names one.
    """
    collected = {bound.function for bound in found}
    names = [f"interop.scenarios.{path.stem}" for path in SCENARIOS.glob("test_*.py")]
    there = {
        function
        for name in names
        for function in vars(importlib.import_module(name)).values()
        if isinstance(getattr(function, "scenario", None), Scenario)
    }
    if missing := sorted(function.__qualname__ for function in there - collected):
        raise CatalogError(
            f"pytest collected {len(collected)} of {len(there)} scenarios; {missing[0]} is missing"
        )


class _Catalogue(Collector):
    def __init__(self) -> None:
        super().__init__(lambda count, cell: None)
        self.scenarios: dict[str, Bound] = {}

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            assert isinstance(item, pytest.Function)
            parameters = {k: v for k, v in item.callspec.params.items() if k != "pair"}
            self.scenarios[scenario_id(item)] = Bound(facts(item), item.function, parameters)


def _pytest(plan: Plan, collector: Collector, scenarios: Path, *options: str) -> int:
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        plan_file = Path(folder) / "plan.json"
        plan_file.write_text(plan.dump(), "utf-8")
        arguments = [
            *("-c", str(PACKAGE / "pytest.ini"), "--rootdir", str(PACKAGE), "--noconftest"),
            *("-p", "xdist.plugin", "-p", "interop.run.plugin", "--interop-plan", str(plan_file)),
            *options,
            str(scenarios),
        ]
        with own_arguments_only():
            return pytest.main(arguments, plugins=[collector])


@contextmanager
def own_arguments_only() -> Iterator[None]:
    """Make pytest, its workers and the peers follow a run's own arguments alone.

    pytest takes options and plugins from its ``PYTEST_…`` variables, and any plugin that is
    installed: one that leaves tests out, puts them in another order or stops slow ones would
    change what a run finds. So would a ``PYTHONWARNINGS`` that peers inherit.
    """
    before = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith("PYTEST_") or name == _CLEARED
    }
    os.environ[_NO_AUTOLOAD] = "1"
    try:
        yield
    finally:
        del os.environ[_NO_AUTOLOAD]
        os.environ.update(before)
