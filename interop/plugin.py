"""The pytest plugin: every scenario becomes one test for each pair of server and client.

`python -m interop run` calls pytest with it and with a `Plan`. It
parametrizes the scenarios, gives them their fixtures, expects the known
deviations, and attaches to each test's report the record of its cell.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio

from . import deviations
from .catalog import Api
from .contract import CONTRACT_VERSION
from .engines import Address, Engine, Fault
from .errors import TestbedError, Unsupported
from .plan import Plan
from .scenario import Clients, Faulting, Scenario, check_evidence
from .session import Client, Server, Session
from .tap import Tap

__all__ = ["CELL_PROPERTY", "Cell"]

CELL_PROPERTY = "interop-cell"

EXPECTED_PATIENCE = 0.2
"""Seconds to wait where a failure is expected: what works has long come by then, and what
does not come shall not cost the full patience in every run."""

_SIDES: tuple[Literal["server"], Literal["client"]] = ("server", "client")

_PLAN = pytest.StashKey[Plan]()
_DEVIATIONS = pytest.StashKey[list[deviations.Deviation]]()
_MAX_EVIDENCE = 60
"""Frames and notifications kept for one cell, of each kind: a burst of 1,000 is cut."""


@dataclass
class Cell:
    """One scenario between one server and one client, while it runs."""

    engine: Engine
    server: Server
    tap: Tap
    stack: AsyncExitStack
    client_program: str
    clients: list[Client] = field(default_factory=list)

    async def add_client(self, api: Api, patience: float) -> Client:
        session = await _open(self.engine, api, f"client {api.id}", self.client_program)
        self.stack.push_async_callback(session.close)
        client = Client(api, session, patience, self.tap, self.server)
        self.clients.append(client)
        return client

    def evidence(self) -> dict[str, Any]:
        """What the tap and both peers saw, as JSON data."""
        frames = [frame.to_json() for frame in self.tap.frames]
        return {
            "frames": frames[:_MAX_EVIDENCE],
            "frames_total": len(frames),
            "violations": [
                {"author": frame.author, "violation": violation}
                for frame in self.tap.frames
                if frame.author != "judge"
                for violation in frame.violations()
            ],
            "notifications": {
                "server": _notes(self.server.session),
                "clients": [_notes(client.session) for client in self.clients],
            },
        }


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("interop", "zaptools interop matrix")
    group.addoption("--interop-plan", type=Path, required=True, help="the run's plan, a JSON file")


def pytest_configure(config: pytest.Config) -> None:
    plan = Plan.parse(Path(config.getoption("--interop-plan")).read_text("utf-8"))
    config.stash[_PLAN] = plan
    config.stash[_DEVIATIONS] = deviations.load(plan.deviations) if plan.deviations else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    plan = metafunc.config.stash[_PLAN]
    pairs = list(plan.pairs())
    metafunc.parametrize("pair", pairs, ids=[f"{s.id}~{c.id}" for s, c in pairs])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    plan, known = config.stash[_PLAN], config.stash[_DEVIATIONS]
    chosen = [item for item in items if plan.wants(scenario_id(item))]
    for item in chosen:
        server, client = _pair(item)
        found = deviations.find(known, server, client, scenario_id(item))
        if found:
            reason = "; ".join(entry.reason for entry in found)
            item.add_marker(pytest.mark.xfail(raises=AssertionError, strict=True, reason=reason))
    items[:] = chosen


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    try:
        result = yield
    except Unsupported as exc:
        pytest.skip(str(exc))
    cell = pyfuncitem.funcargs["cell"]
    assert isinstance(cell, Cell)
    check_evidence(facts(pyfuncitem), cell.tap, [cell.server, *cell.clients])
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" or not report.passed:
        record = json.dumps(_record(item, call, report))
        report.user_properties = [*report.user_properties, (CELL_PROPERTY, record)]
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """The engine of this worker: its peers serve all the worker's cells."""
    engine = request.config.stash[_PLAN].make_engine()
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="session")
async def cell(
    engine: Engine, pair: tuple[Api, Api], request: pytest.FixtureRequest
) -> AsyncIterator[Cell]:
    """The cell's server, serving behind its tap; clients come later."""
    async with AsyncExitStack() as stack:
        programs = [api.program for api in pair]
        if facts(request.node).isolated:
            programs = await _isolate(engine, programs, stack)
        session = await _open(engine, pair[0], f"server {pair[0].id}", programs[0])
        stack.push_async_callback(session.close)
        server = Server(pair[0], session, _patience(request))
        await server.serve()
        upstream = Address((await engine.address(programs[0])).host, server.port)
        host = await engine.tap_host(await engine.address(programs[1]))
        tap = await Tap(host, upstream).start()
        stack.push_async_callback(tap.close)
        yield Cell(engine, server, tap, stack, programs[1])


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
def fault(engine: Engine, pair: tuple[Api, Api]) -> Faulting:
    """Does something to the whole peer of one side."""

    async def act(fault: Fault, side: Literal["server", "client"]) -> None:
        program = pair[_SIDES.index(side)].program
        await engine.faults().fault(fault, f"{program}!{side}")

    return act


@pytest.fixture
def server(cell: Cell) -> Server:
    """The server under test, already serving the interop app."""
    return cell.server


@pytest.fixture
def tap(cell: Cell) -> Tap:
    """The relay between the cell's clients and its server."""
    return cell.tap


@pytest.fixture
def clients(cell: Cell, pair: tuple[Api, Api], request: pytest.FixtureRequest) -> Clients:
    """Makes one more client of the cell's client API."""
    return lambda: cell.add_client(pair[1], _patience(request))


@pytest_asyncio.fixture(loop_scope="session")
async def client(clients: Clients) -> Client:
    """The client under test, not yet opened."""
    return await clients()


def facts(item: pytest.Item) -> Scenario:
    """Return the facts that ``@scenario`` put on a test function."""
    found = getattr(getattr(item, "function", None), "scenario", None)
    if not isinstance(found, Scenario):
        raise pytest.UsageError(f"{item.nodeid} has no @scenario")
    return found


def scenario_id(item: pytest.Item) -> str:
    """Return the id of an item's scenario, with its own parameters' ids."""
    spec = item.callspec  # type: ignore[attr-defined]  # every item has the `pair` parameter
    own = [part for part in spec._idlist if "~" not in part]
    return ".".join([facts(item).id, *own])


def _pair(item: pytest.Item) -> tuple[Api, Api]:
    pair: tuple[Api, Api] = item.callspec.params["pair"]  # type: ignore[attr-defined]  # as above
    return pair


def _patience(request: pytest.FixtureRequest) -> float:
    expected = request.node.get_closest_marker("xfail") is not None
    return EXPECTED_PATIENCE if expected else request.config.stash[_PLAN].patience


_probed: set[tuple[int, str]] = set()


async def _open(engine: Engine, api: Api, who: str, program: str) -> Session:
    session = await Session.connect(who, await engine.address(program))
    try:
        if (id(engine), program) not in _probed:
            await _probe(session, api)
            _probed.add((id(engine), program))
    except BaseException:  # cancellation too: whoever does not get the session cannot close it
        await session.close()
        raise
    return session


async def _probe(session: Session, api: Api) -> None:
    """Check a peer before its first cell: its contract, its APIs, and what "unsupported" means."""
    about = await session.call("describe")
    if about.get("contract") != CONTRACT_VERSION:
        raise TestbedError(
            f"{api.peer} speaks contract {about.get('contract')!r}, not {CONTRACT_VERSION}"
        )
    if api.name not in about.get("apis", {}).get(api.role, []):
        raise TestbedError(f"{api.peer} does not offer {api.name} as a {api.role}")
    op = f"no-such-op-{uuid.uuid4().hex[:8]}"
    try:
        await session.call(op)
    except Unsupported:
        return
    raise TestbedError(f"{api.peer} did not answer the unknown op {op!r} with unsupported")


def _record(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> dict[str, Any]:
    server, client = _pair(item)
    verdict, reason = _verdict(call, report)
    cell = getattr(item, "funcargs", {}).get("cell")
    return {
        "server": server.id,
        "client": client.id,
        "scenario": scenario_id(item),
        "rule": facts(item).rule,
        "severity": facts(item).severity,
        "verdict": verdict,
        "reason": reason,
        "duration_ms": round(call.duration * 1000, 1),
        **(cell.evidence() if isinstance(cell, Cell) else {}),
    }


def _verdict(call: pytest.CallInfo[None], report: pytest.TestReport) -> tuple[str, str]:
    if call.excinfo is None:
        if report.passed:
            return "passed", ""
        # A strict xfail that passed: pytest fails the report with no exception to show.
        return "failed", f"expected to fail, but passed; remove its entry: {report.longrepr}"
    raised = str(call.excinfo.value) or call.excinfo.typename
    if report.skipped:
        if hasattr(report, "wasxfail"):
            return "deviating", f"{report.wasxfail} [seen: {raised}]"
        return "unsupported", raised
    if call.when == "call" and call.excinfo.errisinstance(AssertionError):
        return "failed", raised
    return "error", f"{call.excinfo.typename}: {raised}"


def _notes(session: Session) -> list[dict[str, Any]]:
    notes = [notification.to_json() for notification in session.notifications[:_MAX_EVIDENCE]]
    return [_clipped(note) for note in notes]


def _clipped(note: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if len(json.dumps(value)) <= 400 else json.dumps(value)[:400] + "…"
        for key, value in note.items()
    }
