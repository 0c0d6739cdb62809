"""The pytest plugin: every scenario becomes one test for each pair of server and client.

`python -m interop run` calls pytest with it and with a `Plan`. It parametrizes the scenarios, runs
each test as a `Cell`, and attaches the cell's result to the test's report. The decisions are made
elsewhere: the order in `order`, the result in `record`, several cells at a time in `lanes`.

::

    collect     scenarios x pairs, in the order of `dealt`
    run         pytest starts a test -> `Lanes.add` -> `Cell.run` -> `Ran`
    report      `Ran` -> `record` -> `Finished`, as JSON in the report of whatever test was started
    finish      the engine's processes end; a problem found here breaks the run, and loses no cell
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import sys
import traceback
from collections.abc import Generator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ..catalog import Api
from ..control.patience import SHORT, Patience
from ..descriptors import Shortage
from ..errors import PeerDied, TestbedError, in_words
from ..records import CellResult, Finished, encode
from ..reports.compatibility import is_plain
from ..scenarios.scenario import Scenario
from ..signals import Interrupts, delivered, delivered_later, held, interruptible
from ..verdicts import deviations, flaky
from . import evidence
from .cell import Cell, Ran
from .failing import Failing
from .lanes import Lanes
from .order import LONG, dealt, firsts
from .plan import Plan
from .pool import Pool
from .record import record

__all__ = [
    "CELL_PROPERTY",
    "PEERS_PROPERTY",
    "STOPPED",
    "TEARDOWN_PROPERTY",
    "facts",
    "scenario_id",
]

CELL_PROPERTY = "interop-cell"
"""The name of the property that holds a cell's result: a `Finished`, as JSON."""

PEERS_PROPERTY = "interop-peers"
"""The name of the property that holds `Pool.peers`, as JSON, once there are more of them."""

TEARDOWN_PROPERTY = "interop-teardown"
"""The name of the property that holds problems after a cell, or at a worker's end."""

STOPPED = "--fail-fast"
"""The reason for which pytest ends a run early, in whatever process: see `Plan.fail_fast`."""

# Of the session, set when pytest is configured.
_PLAN = pytest.StashKey[Plan]()
_DEVIATIONS = pytest.StashKey[list[deviations.Deviation]]()
_RUNNER = pytest.StashKey[asyncio.Runner]()
_INTERRUPTS = pytest.StashKey[Interrupts]()
_LANES = pytest.StashKey["Lanes[pytest.Item]"]()
_HEAVY = pytest.StashKey[asyncio.Lock]()  # held by a cell that keeps its peers busy
_FAILING = pytest.StashKey[Failing]()
_SHORTAGE = pytest.StashKey[Shortage]()
_PROBLEMS = pytest.StashKey[list[str]]()  # what went wrong outside of cells
_TOLD_PEERS = pytest.StashKey[int]()  # how many of `Pool.peers` were reported
_BY_PAIR = pytest.StashKey[dict[tuple[Api, Api], list[deviations.Deviation]]]()  # filled on demand
# Of the session, set by its first cell: one of the two.
_POOL = pytest.StashKey[Pool]()
_NO_POOL = pytest.StashKey[Exception]()
# Of an item, set when it is first asked for.
_KNOWN = pytest.StashKey[list[deviations.Deviation]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop", "zaptools interop matrix")
    group.addoption("--interop-plan", type=Path, required=True, help="the run's plan, a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    plan_file = Path(config.getoption("--interop-plan"))
    plan = Plan.parse(plan_file.read_text("utf-8"))
    config.stash[_PLAN] = plan
    config.stash[_FAILING] = Failing(plan_file.parent)
    config.stash[_DEVIATIONS] = [each for path in plan.deviations for each in deviations.load(path)]
    config.stash[_BY_PAIR] = {}
    config.stash[_RUNNER] = asyncio.Runner()
    config.stash[_HEAVY] = asyncio.Lock()
    config.stash[_LANES] = Lanes(plan.at_once, _run)
    config.stash[_PROBLEMS] = problems = list[str]()
    config.stash[_SHORTAGE] = Shortage()
    end = _End()
    config.stash[_INTERRUPTS] = end.stack.enter_context(interruptible())
    config.pluginmanager.register(end)
    config.add_cleanup(end.stack.close)
    # pytest would raise such an exception in the middle of another cell.
    config.add_cleanup(functools.partial(setattr, sys, "unraisablehook", sys.unraisablehook))
    sys.unraisablehook = lambda found: problems.append(
        f"{found.err_msg or 'exception ignored in'} {found.object!r}: {found.exc_value!r}"
    )


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Generator[None]:
    with delivered_later():  # pytest-xdist starts its workers here
        yield
    if xdist := session.config.pluginmanager.getplugin("dsession"):
        # It starts one in place of each that crashes, too, and no hook is called just before.
        workers = xdist.nodemanager.group
        workers.makegateway = delivered_later()(workers.makegateway)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[_PLAN]
    marked = getattr(metafunc.function, "scenario", None)  # `facts` says so where there is none
    side, id = (marked.side, marked.id) if isinstance(marked, Scenario) else ("pair", "")
    can = not isinstance(marked, Scenario) or plan.can(marked)
    pairs = [pair for pair in plan.pairs(side) if can and plan.may_want(id, pair)]
    runs = range(1, plan.repeat + 1)
    cells = [(server, client, run) for server, client in pairs for run in runs]
    ids = [f"{s.id}~{c.id}" + (f"~{run}" if plan.repeat > 1 else "") for s, c, run in cells]
    metafunc.fixturenames.append("pair")  # no scenario has an argument of that name
    metafunc.parametrize("pair", cells, ids=ids)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    if hasattr(session.config, "workerinput"):
        delivered()  # from here on pytest ends the session by itself, and tells the main process
    gc.disable()  # everything made while collecting stays
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plan = config.stash[_PLAN]
    chosen = [i for i in items if _has_pair(i) and plan.wants(scenario_id(i), _pair(i))]
    for item in chosen:
        item.function.timeout = plan.timeout  # type: ignore[attr-defined]  # `@scenario` reads it
    long: list[pytest.Item] = []
    plain: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in chosen:
        id = scenario_id(item)
        (long if id.startswith(LONG) else plain if is_plain(id) else others).append(item)
    # Plain use of each pair begins first, one cell of it before all else: where that fails, the
    # pair's other cells do not wait long.
    first, plain = firsts(plain, _pair)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = dealt(first, long, [*plain, *others], workers)


def pytest_collection_finish(session: pytest.Session) -> None:
    # Each worker holds all cells of the run until it ends: the garbage collector need not traverse
    # them each time.
    gc.collect()
    gc.freeze()


class _End:
    """A pytest plugin: the first interrupt ends the run, in workers too, and later ones are held.

    The clean-up of pytest, pytest-xdist and this testbed is bounded in time, and would leave
    processes behind if it were cut off.

    Attributes:
        stack: closed after everything else in the session.
    """

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()

    @pytest.hookimpl
    def pytest_keyboard_interrupt(self) -> None:
        self.stack.enter_context(held())


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    problems = config.stash[_PROBLEMS]
    interrupted = exitstatus == pytest.ExitCode.INTERRUPTED or bool(session.shouldstop)
    with held(), config.stash[_RUNNER] as runner:
        if interrupted:  # cancelled cells leave tasks that are never awaited
            runner.get_loop().set_exception_handler(lambda loop, context: None)
        runner.run(config.stash[_LANES].abandon())
        try:
            if _POOL in config.stash:
                runner.run(config.stash[_POOL].engine.close())
        except Exception as exc:
            if not (interrupted and isinstance(exc, PeerDied)):  # Ctrl-C ends peers too
                problems.append(in_words(exc))
    before = list(problems)
    gc.collect()  # objects never awaited or closed report themselves now
    if interrupted:  # cancelled cells close nothing, which is no problem
        problems[:] = before
    if problems and hasattr(config, "workeroutput"):  # the main process reports a worker's
        config.workeroutput[TEARDOWN_PROPERTY] = "; ".join(problems)
    elif problems:
        try:
            raise TestbedError("; ".join(problems))
        except TestbedError:
            config.notify_exception(pytest.ExceptionInfo.from_current())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """Start a cell, and report the finished ones once there is room for the next.

    pytest and pytest-xdist know one test at a time. So the report of a test says that it was
    started, and carries all cells that finished since the last report; the last report carries the
    rest. pytest's own protocol, three phases with a report each, takes longer than many a cell.
    """
    failing = item.config.stash[_FAILING]
    if item.config.stash[_PLAN].fail_fast and failing.run_ends:
        item.session.shouldstop = STOPPED
        return True
    announced = item.config.pluginmanager.hasplugin("terminalreporter")
    if announced:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    stash, lanes = item.config.stash, item.config.stash[_LANES]
    try:
        stash[_INTERRUPTS].run(stash[_RUNNER], _go_on(lanes, item, last=nextitem is None))
    finally:
        item.ihook.pytest_runtest_logreport(report=_report(item, lanes))
        if announced:
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_assertrepr_compare(
    op: str, left: object, right: object
) -> Generator[None, list[list[str]], list[list[str]]]:
    """Say in words in what two lists differ, behind pytest's first line, which shows both cut."""
    found = yield
    if op == "==" and found and isinstance(left, list) and isinstance(right, list):
        found[0].insert(1, evidence.difference(left, right))
    return found


async def _go_on(lanes: Lanes[pytest.Item], item: pytest.Item, *, last: bool) -> None:
    await lanes.add(item)
    if last:
        await lanes.drain()


async def _run(item: pytest.Item) -> Ran:
    assert isinstance(item, pytest.Function)
    stash = item.config.stash
    try:
        pool = _pool(stash)
    except Exception as exc:
        return Ran(error=exc)
    seconds = SHORT if _known(item) else stash[_PLAN].patience
    patience = Patience(seconds, failing=stash[_FAILING].watch(_pair(item)))
    cell = Cell(facts(item), _pair(item), pool, patience)
    parameters = {k: v for k, v in item.callspec.params.items() if k != "pair"}
    before = stash[_SHORTAGE].count
    try:
        # Two cells that keep their peers busy would make a third one wait for both.
        async with stash[_HEAVY] if _is_heavy(item) else contextlib.nullcontext():
            await cell.run(item.function, parameters)
    except (
        asyncio.CancelledError,
        pytest.skip.Exception,
        pytest.fail.Exception,
        SystemExit,
    ) as exc:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
        cell.ran.error = exc  # not an `Exception`, and yet no reason to end the run
    cell.ran.short = stash[_SHORTAGE].count > before
    return cell.ran


def _pool(stash: pytest.Stash) -> Pool:
    """Return the worker's peers, made for its first cell.

    Raises:
        Exception: there is no engine to start them; the first failure is raised again.
    """
    if _NO_POOL in stash:
        raise stash[_NO_POOL]
    if _POOL not in stash:
        try:
            stash[_POOL] = Pool(stash[_PLAN].make_engine())
            stash[_SHORTAGE].watch(asyncio.get_running_loop())
        except Exception as exc:
            stash[_NO_POOL] = exc
            raise
    return stash[_POOL]


def _report(item: pytest.Item, lanes: Lanes[pytest.Item]) -> pytest.TestReport:
    """Return the report of a started test, with all finished cells."""
    location = (item.nodeid, None, item.name)  # `item.location` would read the source
    report = pytest.TestReport(item.nodeid, location, {}, "passed", None, "call")
    while lanes.finished:
        done, ran = lanes.finished.pop(0)
        cell = _record(done, ran)
        _note(done, cell)
        finished = encode(Finished(_run_number(done), cell))
        report.user_properties.append((CELL_PROPERTY, finished.decode()))
        if ran.teardown_error is not None:
            words = f"{done.nodeid}: {in_words(ran.teardown_error)}"
            report.user_properties.append((TEARDOWN_PROPERTY, words))
        if done is item:
            _show_as(report, cell, ran.error)
    stash = item.config.stash
    peers = stash[_POOL].peers if _POOL in stash else {}
    if len(peers) > stash.get(_TOLD_PEERS, 0):
        stash[_TOLD_PEERS] = len(peers)
        report.user_properties.append((PEERS_PROPERTY, encode(peers).decode()))
    return report


def _note(item: pytest.Item, cell: CellResult) -> None:
    """Let the workers know of an unexpected result."""
    failing = item.config.stash[_FAILING]
    if cell.verdict == "failed":
        failing.add(_pair(item), cell.scenario)
    if cell.verdict in ("failed", "error") and item.config.stash[_PLAN].fail_fast:
        failing.end_run()
        item.session.shouldstop = STOPPED


def facts(item: pytest.Item) -> Scenario:
    """Return the scenario of a test, as it is for the test's parameters."""
    found = getattr(getattr(item, "function", None), "scenario", None)
    if not isinstance(found, Scenario):
        raise pytest.UsageError(f"{item.nodeid} has no @scenario")
    parameters = set(_parameters(item))
    if parameters & set(found.should):
        found = replace(found, severity="should")
    apart = [
        number
        for glob, rules in found.rules_of.items()
        if any(fnmatchcase(parameter, glob) for parameter in parameters)
        for number in rules
    ]
    if apart:
        found = replace(found, rules=apart)
    if parameters & set(found.control):
        found = replace(found, needs="control")
    return found


def scenario_id(item: pytest.Item) -> str:
    """Return the id of an item's scenario, with its own parameters' ids."""
    return ".".join([facts(item).id, *_parameters(item)])


def _is_heavy(item: pytest.Item) -> bool:
    found = facts(item)
    return found.needs == "load" or found.isolated


def _parameters(item: pytest.Item) -> list[str]:
    spec = item.callspec  # type: ignore[attr-defined]  # every item has the `pair` parameter
    return [part for part in spec._idlist if "~" not in part]


def _has_pair(item: pytest.Item) -> bool:
    """Whether it is a cell: pytest leaves one item for a scenario that has no cells in a run."""
    return isinstance(item.callspec.params["pair"], tuple)  # type: ignore[attr-defined]  # as above


def _pair(item: pytest.Item) -> tuple[Api, Api]:
    server, client, _ = item.callspec.params["pair"]  # type: ignore[attr-defined]  # as above
    return server, client


def _run_number(item: pytest.Item) -> int:
    number: int = item.callspec.params["pair"][2]  # type: ignore[attr-defined]  # as above
    return number


def _known(item: pytest.Item) -> list[deviations.Deviation]:
    """Return the entries that expect this cell to fail.

    Every worker collects all cells; it matches entries for the cells that it runs alone.
    """
    if _KNOWN not in item.stash:
        of_pair, pair = item.config.stash[_BY_PAIR], _pair(item)
        if pair not in of_pair:
            entries = item.config.stash[_DEVIATIONS]
            of_pair[pair] = [entry for entry in entries if entry.concerns(*pair)]
        item.stash[_KNOWN] = deviations.find(of_pair[pair], *pair, scenario_id(item))
    return item.stash[_KNOWN]


def _record(item: pytest.Item, ran: Ran) -> CellResult:
    plan, scenario, pair = item.config.stash[_PLAN], scenario_id(item), _pair(item)
    return record(
        facts(item),
        scenario,
        pair,
        ran,
        known=_known(item),
        strict=plan.strict,
        flaky=flaky.find(plan.flaky, *pair, scenario),
    )


def _show_as(report: pytest.TestReport, cell: CellResult, error: BaseException | None) -> None:
    """Show the cell's verdict in pytest's own output."""
    verdict, reason = cell.verdict, cell.reason
    if verdict in ("deviating", "tolerated", "warned"):
        report.outcome, report.wasxfail = "skipped", reason
    elif verdict == "unsupported":
        report.outcome, report.longrepr = "skipped", (report.nodeid, 0, reason)
    elif verdict != "passed":
        where = "".join(traceback.format_exception(error)) if error is not None else ""
        report.outcome, report.longrepr = "failed", where + reason
