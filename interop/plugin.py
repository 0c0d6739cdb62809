"""The pytest plugin: every scenario becomes one test for each pair of server and client.

`python -m interop run` calls pytest with it and with a `Plan`. It parametrizes the scenarios, runs
each as a `Cell`, which gives it its arguments, expects the known deviations, and attaches to each
test's report the record of its cell.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import traceback
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from . import deviations, evidence
from .catalog import Api
from .cell import Cell, Ran
from .culprit import by_evidence
from .errors import Unsupported
from .judge import Judgement, Outcome, judge
from .plan import Plan
from .pool import Pool
from .scenario import Scenario

__all__ = ["CELL_PROPERTY", "LEFT_PROPERTY", "facts", "scenario_id"]

CELL_PROPERTY = "interop-cell"

LEFT_PROPERTY = "interop-left"
"""What went wrong after a cell, or at a worker's end, in words."""

EXPECTED_PATIENCE = 0.2
"""Seconds to wait where a failure is expected: what works has long come by then, and what
does not come shall not cost the full patience in every run."""

_PLAN = pytest.StashKey[Plan]()
_DEVIATIONS = pytest.StashKey[list[deviations.Deviation]]()
_KNOWN = pytest.StashKey[list[deviations.Deviation]]()
_RUNNER = pytest.StashKey[asyncio.Runner]()
_POOL = pytest.StashKey[Pool]()
_NO_POOL = pytest.StashKey[Exception]()
_RAN = pytest.StashKey[Ran]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop", "zaptools interop matrix")
    group.addoption("--interop-plan", type=Path, required=True, help="the run's plan, a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan.parse(Path(config.getoption("--interop-plan")).read_text("utf-8"))
    config.stash[_PLAN] = plan
    config.stash[_DEVIATIONS] = deviations.load(plan.deviations) if plan.deviations else []
    config.stash[_RUNNER] = asyncio.Runner()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[_PLAN]
    marked = getattr(metafunc.function, "scenario", None)  # `facts` says so where there is none
    side, id = (marked.side, marked.id) if isinstance(marked, Scenario) else ("pair", "")
    pairs = [pair for pair in plan.pairs(side) if plan.may_want(id, pair)]
    runs = range(1, plan.repeat + 1)
    cells = [(server, client, run) for server, client in pairs for run in runs]
    ids = [f"{s.id}~{c.id}" + (f"~{run}" if plan.repeat > 1 else "") for s, c, run in cells]
    metafunc.fixturenames.append("pair")  # no scenario has an argument of that name
    metafunc.parametrize("pair", cells, ids=ids)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plan = config.stash[_PLAN]
    chosen = [i for i in items if _has_pair(i) and plan.wants(scenario_id(i), _pair(i))]
    for item in chosen:
        item.function.timeout = plan.timeout  # type: ignore[attr-defined]  # `@scenario` reads it
    items[:] = chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    # Each worker holds all cells of the run until it ends: the collector need not look at them
    # again and again.
    gc.collect()
    gc.freeze()
    # With no terminal nobody sees a failure's source lines, which take longer than most cells.
    if not hasattr(session.config.option, "tbstyle"):
        session.config.option.tbstyle = "value"


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    with config.stash[_RUNNER] as runner:
        if _POOL not in config.stash:
            return
        try:
            runner.run(config.stash[_POOL].engine.close())
        except Exception as exc:
            if hasattr(config, "workeroutput"):  # a worker's: told when it is done
                config.workeroutput[LEFT_PROPERTY] = _in_words(exc)
            else:
                config.notify_exception(pytest.ExceptionInfo.from_exception(exc))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool:
    """Run a cell in one go, with one report.

    What pytest does otherwise, three phases with a report of each, and an announcement of each
    test even where nobody sees it, takes longer than many a cell.
    """
    announced = item.config.pluginmanager.hasplugin("terminalreporter")
    if announced:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    call = pytest.CallInfo.from_call(
        lambda: item.ihook.pytest_runtest_call(item=item),
        when="call",
        reraise=(pytest.exit.Exception, KeyboardInterrupt),
    )
    os.environ.pop("PYTEST_CURRENT_TEST", None)  # as the phase after would
    report = item.ihook.pytest_runtest_makereport(item=item, call=call)
    item.ihook.pytest_runtest_logreport(report=report)
    if announced:
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    stash = pyfuncitem.config.stash
    patience = EXPECTED_PATIENCE if _known(pyfuncitem) else stash[_PLAN].patience
    pair, pool = _pair(pyfuncitem), _pool(stash)
    cell = Cell(facts(pyfuncitem), pair, pool, patience)
    parameters = {k: v for k, v in pyfuncitem.callspec.params.items() if k != "pair"}
    ran = pyfuncitem.stash[_RAN] = cell.ran
    stash[_RUNNER].run(cell.run(pyfuncitem.function, parameters))
    if isinstance(ran.error, Unsupported):
        pytest.skip(str(ran.error))
    if ran.error is not None:
        raise ran.error
    return True


def _pool(stash: pytest.Stash) -> Pool:
    """Return the worker's peers, made for its first cell.

    Raises:
        Exception: there is no engine to start them; it is looked for once.
    """
    if _NO_POOL in stash:
        raise stash[_NO_POOL]
    if _POOL not in stash:
        try:
            stash[_POOL] = Pool(stash[_PLAN].make_engine())
        except Exception as exc:
            stash[_NO_POOL] = exc
            raise
    return stash[_POOL]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.keywords = {}  # nobody looks at them, and each report takes them to another process
    ran = item.stash.get(_RAN, Ran())
    record = _record(item, call, ran, report)
    _show_as(report, record["verdict"], record["reason"])
    report.user_properties = [(CELL_PROPERTY, json.dumps(record))]
    if ran.left is not None:
        report.user_properties.append((LEFT_PROPERTY, _in_words(ran.left)))
    # The items live as long as the worker; what an error's traceback holds is much.
    item.stash[_RAN] = Ran()
    ran.error = None
    return report


def _in_words(exc: Exception) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(exc).__name__}: {exc}{where}"


def facts(item: pytest.Item) -> Scenario:
    """Return what ``@scenario`` put on a test function, as it is for the test's parameters."""
    found = getattr(getattr(item, "function", None), "scenario", None)
    if not isinstance(found, Scenario):
        raise pytest.UsageError(f"{item.nodeid} has no @scenario")
    parameters = set(_parameters(item))
    if parameters & set(found.should):
        found = replace(found, severity="should")
    if parameters & set(found.control):
        found = replace(found, needs="control")
    return found


def scenario_id(item: pytest.Item) -> str:
    """Return the id of an item's scenario, with its own parameters' ids."""
    return ".".join([facts(item).id, *_parameters(item)])


def _parameters(item: pytest.Item) -> list[str]:
    spec = item.callspec  # type: ignore[attr-defined]  # every item has the `pair` parameter
    return [part for part in spec._idlist if "~" not in part]


def _has_pair(item: pytest.Item) -> bool:
    """Whether it is a cell: where a run has none for a scenario, pytest leaves an item."""
    return isinstance(item.callspec.params["pair"], tuple)  # type: ignore[attr-defined]  # as above


def _pair(item: pytest.Item) -> tuple[Api, Api]:
    server, client, _ = item.callspec.params["pair"]  # type: ignore[attr-defined]  # as above
    return server, client


def _known(item: pytest.Item) -> list[deviations.Deviation]:
    """Return the entries that expect this cell to fail; every worker collects all cells, and looks
    for the entries of those alone that it runs."""
    if _KNOWN not in item.stash:
        entries = item.config.stash[_DEVIATIONS]
        item.stash[_KNOWN] = deviations.find(entries, *_pair(item), scenario_id(item))
    return item.stash[_KNOWN]


def _record(
    item: pytest.Item, call: pytest.CallInfo[None], ran: Ran, report: pytest.TestReport
) -> dict[str, Any]:
    (server, client), found = _pair(item), facts(item)
    known = _known(item)
    outcome, text = _outcome(call, ran, report)
    if outcome == "failed":
        text += "".join(
            f"; uncaught in the {side}: {message}"
            for side, message in ran.escaped
            if message not in text
        )
    record = {
        "server": server.id,
        "client": client.id,
        "scenario": scenario_id(item),
        "rule": found.rule,
        "severity": found.severity,
        "run": item.callspec.params["pair"][2],  # type: ignore[attr-defined]  # as in _parameters
        "raised": text if outcome == "failed" else "",
        "setup_ms": ran.setup_ms,
        "duration_ms": ran.duration_ms,
        "teardown_ms": ran.teardown_ms,
        **ran.seen,
    }
    judgement = Judgement(
        server,
        client,
        outcome,
        text,
        asked=ran.asked,
        known=known,
        culprit=by_evidence(record),
        should=found.severity == "should" and not item.config.stash[_PLAN].strict,
    )
    record["verdict"], record["reason"] = judge(judgement)
    return record


def _outcome(
    call: pytest.CallInfo[None], ran: Ran, report: pytest.TestReport
) -> tuple[Outcome, str]:
    if call.excinfo is None:
        return "passed", ""
    raised = evidence.words(str(call.excinfo.value)) or call.excinfo.typename
    if report.skipped:
        return "unsupported", raised
    if ran.begun and call.excinfo.errisinstance(AssertionError):
        return "failed", raised
    return "error", f"{call.excinfo.typename}: {raised}"


def _show_as(report: pytest.TestReport, verdict: str, reason: str) -> None:
    """Let pytest's own output say what the cell's verdict says."""
    if verdict in ("deviating", "warned"):
        report.outcome, report.wasxfail = "skipped", reason
    elif verdict == "failed" and not report.failed:
        report.outcome, report.longrepr = "failed", reason
