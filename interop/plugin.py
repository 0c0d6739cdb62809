"""The pytest plugin: every scenario becomes one test for each pair of server and client.

`python -m interop run` calls pytest with it and with a `Plan`. It
parametrizes the scenarios, gives them their fixtures, expects the known
deviations, and attaches to each test's report the record of its cell.
"""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from . import deviations, evidence
from .catalog import JUDGES, Api, Role
from .culprit import by_evidence
from .engines import Address, Engine, Fault
from .errors import Unsupported
from .judge import Judgement, Outcome, judge
from .judged import Judged
from .plan import Plan
from .pool import Pool
from .scenario import Clients, Faulting, Scenario, check_evidence
from .session import Client, Server
from .tap import Tap

__all__ = ["CELL_PROPERTY", "Cell"]

CELL_PROPERTY = "interop-cell"

EXPECTED_PATIENCE = 0.2
"""Seconds to wait where a failure is expected: what works has long come by then, and what
does not come shall not cost the full patience in every run."""

_SIDES: tuple[Role, Role] = ("server", "client")

_PLAN = pytest.StashKey[Plan]()
_DEVIATIONS = pytest.StashKey[list[deviations.Deviation]]()
_KNOWN = pytest.StashKey[list[deviations.Deviation]]()


@dataclass
class Cell:
    """One scenario between one server and one client, while it runs.

    Attributes:
        server: None where the judge is the server.
    """

    pool: Pool
    server: Server | None
    tap: Tap
    stack: AsyncExitStack
    client_program: str
    clients: list[Client] = field(default_factory=list)

    async def add_client(self, api: Api, patience: float) -> Client:
        session = await self.pool.open(api, self.client_program)
        self.stack.push_async_callback(self.pool.close, self.client_program, session)
        client = Client(api, session, patience, self.tap, self.server)
        self.clients.append(client)
        return client

    @property
    def roles(self) -> list[Server | Client]:
        """The sides under test."""
        return [*([self.server] if self.server else []), *self.clients]

    @property
    def asked(self) -> dict[Role, frozenset[str]]:
        """What was asked of each side's library."""
        asked: dict[Role, frozenset[str]] = {"server": frozenset(), "client": frozenset()}
        for role in self.roles:
            asked[role.api.role] |= role.session.asked
        return asked

    def evidence(self, facts: Scenario) -> dict[str, Any]:
        """What the tap and both peers saw, as JSON data."""
        opened = self.tap.opened
        waited = self.tap.waited + sum(role.session.waited for role in self.roles)
        return {
            "waited_ms": round(waited * 1000, 1),
            "escapes": facts.escapes,
            **evidence.frames(self.tap),
            "violations": evidence.violations(facts, self.tap),
            "notifications": {
                "server": evidence.notes(self.server.session, opened) if self.server else [],
                "clients": [evidence.notes(client.session, opened) for client in self.clients],
            },
            "requests": {
                "server": evidence.requests(self.server.session, opened) if self.server else [],
                "clients": [evidence.requests(client.session, opened) for client in self.clients],
            },
            "connections": evidence.connections(self.tap),
            "acts": sorted(self.tap.acts | ({"fault"} if facts.isolated else set())),
        }

    def escaped(self) -> list[tuple[Role, str]]:
        """Which side let which exceptions escape, each once."""
        found = {
            (role.api.role, str(note.data.get("message"))): None
            for role in self.roles
            for note in role.session.notifications
            if note.on == "uncaught"
        }
        return list(found)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop", "zaptools interop matrix")
    group.addoption("--interop-plan", type=Path, required=True, help="the run's plan, a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan.parse(Path(config.getoption("--interop-plan")).read_text("utf-8"))
    config.stash[_PLAN] = plan
    config.stash[_DEVIATIONS] = deviations.load(plan.deviations) if plan.deviations else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[_PLAN]
    marked = getattr(metafunc.function, "scenario", None)  # `facts` says so where there is none
    side, id = (marked.side, marked.id) if isinstance(marked, Scenario) else ("pair", "")
    pairs = [pair for pair in plan.pairs(side) if plan.may_want(id, pair)]
    runs = range(1, plan.repeat + 1)
    cells = [(server, client, run) for server, client in pairs for run in runs]
    ids = [f"{s.id}~{c.id}" + (f"~{run}" if plan.repeat > 1 else "") for s, c, run in cells]
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


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        result = yield
    except Unsupported as exc:
        pytest.skip(str(exc))
    cell = pyfuncitem.funcargs["cell"]
    assert isinstance(cell, Cell)
    check_evidence(facts(pyfuncitem), cell.tap, cell.roles)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.keywords = {}  # nobody looks at them, and each report takes them to another process
    if call.when == "call" or not report.passed:
        record = _record(item, call, report)
        _show_as(report, record["verdict"], record["reason"])
        report.user_properties = [*report.user_properties, (CELL_PROPERTY, json.dumps(record))]
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool(request: pytest.FixtureRequest) -> AsyncIterator[Pool]:
    """The peers of this worker, which serve all of its cells."""
    engine = request.config.stash[_PLAN].make_engine()
    yield Pool(engine)
    await engine.close()


@pytest_asyncio.fixture(loop_scope="session")
async def cell(
    pool: Pool, pair: tuple[Api, Api, int], request: pytest.FixtureRequest
) -> AsyncIterator[Cell]:
    """The cell's server, serving behind its tap; clients come later.

    Where the judge is one side, nothing serves yet, and the tap only records.
    """
    async with AsyncExitStack() as stack:
        programs = [api.program for api in pair[:2]]
        if facts(request.node).isolated:
            programs = await _isolate(pool.engine, programs, stack)
        server = None
        if pair[0] != JUDGES["server"]:
            session = await pool.open(pair[0], programs[0])
            stack.push_async_callback(pool.close, programs[0], session)
            server = Server(pair[0], session, _patience(request))
        tap = await _tap(pool.engine, programs, pair[1], server)
        stack.push_async_callback(tap.close)
        yield Cell(pool, server, tap, stack, programs[1])


async def _isolate(engine: Engine, programs: list[str], stack: AsyncExitStack) -> list[str]:
    """Return names that no other cell uses, of peers that end with the cell."""
    try:
        faults = engine.faults()
    except Unsupported as exc:
        pytest.skip(str(exc))
    own = [f"{program}!{side}" for program, side in zip(programs, _SIDES, strict=True)]
    for name in own:
        stack.push_async_callback(faults.discard, name)
    return own


@pytest.fixture
def fault(pool: Pool, cell: Cell, pair: tuple[Api, Api, int]) -> Faulting:
    """Does something to the whole peer of one side."""

    async def act(fault: Fault, side: Role) -> None:
        for role in cell.roles:
            role.count_out(side)
        program = pair[:2][_SIDES.index(side)].program
        await pool.engine.faults().fault(fault, f"{program}!{side}")

    return act


async def _tap(engine: Engine, programs: list[str], column: Api, server: Server | None) -> Tap:
    if server is None:
        host = await engine.tap_host(await engine.address(programs[1]))
        return Tap(host, Address(host, 0))
    upstream = (await engine.address(programs[0])).host
    if column == JUDGES["client"]:
        return Tap(upstream, Address(upstream, 0))
    await server.serve()
    host = await engine.tap_host(await engine.address(programs[1]))
    return await Tap(host, Address(upstream, server.port)).start()


@pytest.fixture
def server(cell: Cell) -> Server:
    """The server under test, already serving the interop app."""
    assert cell.server is not None
    return cell.server


@pytest.fixture
def tap(cell: Cell) -> Tap:
    """The relay between the cell's clients and its server."""
    return cell.tap


@pytest.fixture
def clients(cell: Cell, pair: tuple[Api, Api, int], request: pytest.FixtureRequest) -> Clients:
    """Makes one more client of the cell's client API."""
    assert cell.server is not None
    return Clients(lambda: cell.add_client(pair[1], _patience(request)), cell.server)


@pytest_asyncio.fixture(loop_scope="session")
async def client(clients: Clients) -> Client:
    """The client under test, not yet opened."""
    return await clients()


@pytest_asyncio.fixture(loop_scope="session")
async def judged(
    cell: Cell, pair: tuple[Api, Api, int], request: pytest.FixtureRequest
) -> AsyncIterator[Judged]:
    """The one side under test, where the judge is the other."""
    role = cell.server or await cell.add_client(pair[1], _patience(request))
    judged = Judged(role, cell.tap)
    yield judged
    await judged.close()


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


def _patience(request: pytest.FixtureRequest) -> float:
    plan = request.config.stash[_PLAN]
    return EXPECTED_PATIENCE if _known(request.node) else plan.patience


def _record(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> dict[str, Any]:
    (server, client), found = _pair(item), facts(item)
    known = _known(item)
    outcome, text = _outcome(call, report)
    cell = getattr(item, "funcargs", {}).get("cell")
    if outcome == "failed" and isinstance(cell, Cell):
        text += "".join(
            f"; uncaught in the {side}: {message}"
            for side, message in cell.escaped()
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
        "duration_ms": round(call.duration * 1000, 1),
        **(cell.evidence(found) if isinstance(cell, Cell) else {}),
    }
    judgement = Judgement(
        server,
        client,
        outcome,
        text,
        asked=cell.asked if isinstance(cell, Cell) else {},
        known=known,
        culprit=by_evidence(record),
        should=found.severity == "should" and not item.config.stash[_PLAN].strict,
    )
    record["verdict"], record["reason"] = judge(judgement)
    return record


def _outcome(call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[Outcome, str]:
    if call.excinfo is None:
        return "passed", ""
    raised = evidence.words(str(call.excinfo.value)) or call.excinfo.typename
    if report.skipped:
        return "unsupported", raised
    if call.when == "call" and call.excinfo.errisinstance(AssertionError):
        return "failed", raised
    return "error", f"{call.excinfo.typename}: {raised}"


def _show_as(report: pytest.TestReport, verdict: str, reason: str) -> None:
    """Let pytest's own output say what the cell's verdict says."""
    if verdict in ("deviating", "warned"):
        report.outcome, report.wasxfail = "skipped", reason
    elif verdict == "failed" and not report.failed:
        report.outcome, report.longrepr = "failed", reason
