"""Runs pytest over a plan and collects the cells' records as they come."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .catalog import Api, CatalogError
from .plan import Plan
from .plugin import CELL_PROPERTY, facts, scenario_id
from .results import Cell
from .scenario import Scenario

__all__ = ["Collector", "load_catalogue", "run_plan"]

HERE = Path(__file__).parent

Progress = Callable[[int, Cell], None]


class Collector:
    """A pytest plugin of the main process: takes each cell's record out of its report."""

    def __init__(self, progress: Progress) -> None:
        self.cells: list[Cell] = []
        self.problems: list[str] = []
        self._progress = progress

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == CELL_PROPERTY and (report.when == "call" or not report.passed):
                cell = json.loads(str(value))
                if report.when == "teardown":
                    self.problems.append(f"tearing down {report.nodeid}: {cell['reason']}")
                    return
                self.cells.append(cell)
                self._progress(len(self.cells), cell)

    @pytest.hookimpl
    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.problems.append(f"collecting {report.nodeid}: {report.longreprtext}")

    @pytest.hookimpl
    def pytest_internalerror(self, excrepr: object) -> None:
        self.problems.append(str(excrepr))


def run_plan(
    plan: Plan, *, workers: int, progress: Progress, verbose: bool = False
) -> tuple[list[Cell], float, str]:
    """Run every scenario of `plan` and return (cells, seconds, what broke or "").

    Args:
        workers: how many processes, each with its own peers; 0 runs in this process.
        progress: called for every finished cell with how many there are by now.
        verbose: also show pytest's own output.
    """
    collector = Collector(progress)
    began = time.monotonic()
    quiet = [] if verbose else ["-p", "no:terminal"]
    status = _pytest(plan, collector, "-n", str(workers), "--dist", "worksteal", *quiet)
    seconds = time.monotonic() - began
    problems = list(collector.problems)
    if not problems and status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        problems.append(f"pytest ended with {status!r}")
    return collector.cells, seconds, "; ".join(problems)


def load_catalogue() -> dict[str, Scenario]:
    """Return every scenario by its id, in order of the ids.

    Raises:
        CatalogError: the scenarios cannot be collected.
    """
    nobody = Plan("local", (Api("none", "server", "None"),), (Api("none", "client", "None"),))
    found = _Catalogue()
    _pytest(nobody, found, "--collect-only", "-p", "no:terminal")
    if found.problems:
        raise CatalogError("; ".join(found.problems))
    return dict(sorted(found.scenarios.items()))


class _Catalogue(Collector):
    def __init__(self) -> None:
        super().__init__(lambda count, cell: None)
        self.scenarios: dict[str, Scenario] = {}

    @pytest.hookimpl
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.scenarios = {scenario_id(item): facts(item) for item in session.items}


def _pytest(plan: Plan, collector: Collector, *options: str) -> int:
    with tempfile.TemporaryDirectory(prefix="interop-") as folder:
        plan_file = Path(folder) / "plan.json"
        plan_file.write_text(plan.dump(), "utf-8")
        arguments = [
            *("-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE)),
            *("-p", "interop.plugin", "--interop-plan", str(plan_file)),
            *options,
            str(HERE / "scenarios"),
        ]
        return pytest.main(arguments, plugins=[collector])
