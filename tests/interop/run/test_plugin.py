"""Cells: their verdicts, their evidence, and what is never excused."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api
from interop.control import session as control
from interop.control.contract import Address
from interop.engines.engine import Fault
from interop.engines.local import LocalEngine
from interop.roles import server as server_role
from interop.run.plan import Plan

from ..cells import blamed
from ..runs import CLIENT, PYTHON, deviation, fake, run


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what never comes be waited for no longer than the patience that a test says."""
    monkeypatch.setattr(server_role, "SETUP_PATIENCE", 0.05)


def test_a_cell_passes_with_its_evidence() -> None:
    ((cell,), broken) = run()
    assert (cell.verdict, cell.reason, broken) == ("passed", "", "")
    assert (cell.server, cell.client) == ("python/ZapServer", "python/ZapConsumer")
    texts = [(f.author, f.text) for f in cell.frames if f.kind == "text"]
    assert texts == [
        ("client", '{"eventName":"echo","payload":null,"headers":{}}'),
        ("server", '{"eventName":"echo","payload":null,"headers":{}}'),
    ]
    assert cell.notifications is not None
    note = cell.notifications.server[0]
    assert {**note, "t_ms": 0} == {"on": "connected", "conn": "1", "t_ms": 0}
    assert 0 < note["t_ms"] < cell.setup_ms + cell.duration_ms + cell.teardown_ms
    assert cell.violations == []


def test_unsupported_is_a_verdict_of_its_own() -> None:
    ((cell,), _) = run(scenarios=("lifecycle.clean",))
    assert cell.verdict == "unsupported"
    assert "client python/ZapConsumer: " in cell.reason


def test_unsupported_that_is_not_declared_is_red() -> None:
    silent = Api("python", "client", "ZapConsumer")
    ((cell,), _) = run(scenarios=("lifecycle.clean",), clients=(silent,))
    assert cell.verdict == "failed"
    assert "asked for: clean, open, send; its peer.toml says that it lacks: nothing" in (
        cell.reason
    )
    assert blamed(cell).side == "client"


def test_a_declared_lack_that_works_is_stale() -> None:
    modest = Api("python", "server", "ZapServer", lacks={"rooms": "it has none"})
    ((cell,), _) = run(scenarios=("rooms.once",), servers=(modest,))
    assert cell.verdict == "failed"
    assert "is declared to lack rooms, but it works" in cell.reason


def test_a_stale_deviation_fails(tmp_path: Path) -> None:
    ((cell,), _) = run(deviations=(deviation(tmp_path, "echo.null"),))
    assert cell.verdict == "failed"
    assert "expected to fail, but passed" in cell.reason
    assert "made up" in cell.reason


def test_a_failure_says_what_was_missing() -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=0.0)
    assert cell.verdict == "failed"
    assert "no connected within 0.05 s; last it reported: nothing" in cell.reason


def test_a_known_deviation_is_no_failure(tmp_path: Path) -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=0.05)
    assert cell.verdict == "failed"
    ((cell,), _) = run(commands=fake("deaf"), deviations=(deviation(tmp_path, "echo.null"),))
    assert cell.verdict == "deviating"
    assert cell.reason.startswith("python (server): made up [seen: server python/ZapServer: no")


def test_a_deviation_excuses_only_what_it_describes(tmp_path: Path) -> None:
    known = deviation(tmp_path, "echo.null", seen="no disconnected")
    ((cell,), _) = run(commands=fake("deaf"), deviations=(known,))
    assert cell.verdict == "failed"
    assert "no connected" in cell.reason
    assert "describes another failure: no disconnected" in cell.reason


def test_a_should_warns_unless_the_run_is_strict() -> None:
    for strict, verdict in ((False, "warned"), (True, "failed")):
        ((cell,), _) = run(
            commands=fake("deaf"),
            scenarios=("headers.always-written",),
            patience=0.05,
            strict=strict,
        )
        assert (cell.severity, cell.verdict) == ("should", verdict)


def test_one_parameter_may_be_a_should() -> None:
    cells, _ = run(scenarios=("echo.integers*",), commands=fake("deaf"), patience=0.05)
    assert {cell.scenario: cell.verdict for cell in cells} == {
        "echo.integers": "failed",
        "echo.integers-to-63-bits": "failed",
        "echo.integers-beyond-63-bits": "warned",
    }


def test_a_parameter_may_have_rules_of_its_own() -> None:
    cells, _ = run(scenarios=("echo.null", "echo.text-bmp", "echo.floats"))
    assert {cell.scenario: cell.rules for cell in cells} == {
        "echo.null": ["W-19"],
        "echo.text-bmp": ["W-18"],
        "echo.floats": ["W-17"],
    }


def test_every_run_of_a_repeated_cell_is_kept() -> None:
    ((cell,), _) = run(repeat=3, runs=3)
    assert (cell.verdict, cell.pass_rate) == ("passed", 1.0)
    assert [(r.run, r.verdict, len(r.frames) > 0) for r in cell.runs] == [
        (n, "passed", True) for n in (1, 2, 3)
    ]


def test_a_scenario_can_be_given_less_time() -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=60.0, timeout=0.05)
    assert (cell.verdict, cell.reason) == ("failed", "not done within 0.05 s")


@pytest.mark.parametrize(("timeout", "at_once"), [(None, 1), (0.3, 1), (None, 4)])
def test_a_hung_peer_is_an_error_that_names_it(
    timeout: float | None, at_once: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.5)
    monkeypatch.setattr(control, "CALL_TIMEOUT", 0.3)
    chosen = ("echo.null", "echo.floats", "echo.booleans", "echo.arrays", "echo.integers")
    cells, broken = run(
        commands=fake("hangs"),
        scenarios=chosen,
        patience=0.2,
        timeout=timeout,
        logs=tmp_path,
        at_once=at_once,
    )
    assert broken == ""
    assert {cell.verdict for cell in cells} == {"error"}
    assert "PeerHung: " in cells[0].reason
    assert "python/Zap" in cells[0].reason
    assert "python is given up: it hung 4 times" in cells[-1].reason


def test_a_peer_that_dies_in_a_cell_spoils_no_other(tmp_path: Path) -> None:
    commands = fake("dies-once", str(tmp_path / "died"))
    cells, broken = run(commands=commands, scenarios=("echo.null", "echo.floats"), patience=0.05)
    assert broken == ""
    assert [cell.verdict for cell in cells] == ["error", "failed"]
    assert "closed its control connection" in cells[0].reason


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("silent", "nothing to say"),
        ("dies", "the peer closed its control connection"),
        ("good", "python does not offer ZapServer as a server"),
    ],
)
def test_a_testbeds_failure_is_an_error_even_where_a_deviation_is_known(
    mode: str, says: str, tmp_path: Path
) -> None:
    known = deviation(tmp_path, "echo.null")
    ((cell,), _) = run(commands=fake(mode), deviations=(known,), logs=tmp_path)
    assert cell.verdict == "error"
    assert says in cell.reason


def test_what_the_engine_cannot_do_to_a_peer_is_unsupported_by_its_word() -> None:
    ((cell,), broken) = run(scenarios=("engine.server-killed",))
    assert (cell.verdict, broken) == ("unsupported", "")
    assert "engine local does nothing to a peer" in cell.reason


def test_a_peer_of_an_isolated_cell_is_the_cells_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = OwnProcesses()
    monkeypatch.setattr(Plan, "make_engine", lambda plan: processes)
    cells, broken = run(scenarios=("engine.server-killed", "echo.null"))
    verdicts = {cell.scenario: (cell.verdict, cell.reason) for cell in cells}
    assert verdicts == {"engine.server-killed": ("passed", ""), "echo.null": ("passed", "")}
    assert broken == ""
    server, client = reversed(processes.discarded)
    assert server != client
    assert set(processes.isolated) == {server, client}
    assert {name.partition("!")[0] for name in processes.isolated} == {"python"}


@pytest.mark.parametrize("at_once", [1, 2])
def test_isolated_cells_share_no_peer(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = OwnProcesses()
    monkeypatch.setattr(Plan, "make_engine", lambda plan: processes)
    cells, broken = run(scenarios=("engine.server-killed",), repeat=2, runs=2, at_once=at_once)
    assert ([cell.verdict for cell in cells], broken) == (["passed"], "")
    assert len(set(processes.discarded)) == len(processes.discarded) == 4
    assert processes.most == 2  # they take the place of two workers' peers


class OwnProcesses(LocalEngine):
    """The local engine, with a process for every name and the one fault that a process takes."""

    def __init__(self) -> None:
        super().__init__({"python": PYTHON})
        self.isolated: dict[str, LocalEngine] = {}
        self.discarded: list[str] = []
        self.most = 0

    async def address(self, peer: str) -> Address:
        if peer == "python":
            return await super().address(peer)
        engine = self.isolated.setdefault(peer, LocalEngine({peer: PYTHON}))
        self.most = max(self.most, len(self.isolated) - len(self.discarded))
        return await engine.address(peer)

    def faults(self) -> OwnProcesses:
        return self

    async def fault(self, fault: Fault, peer: str) -> None:
        assert fault == "kill"
        await self.isolated[peer].restart(peer)

    async def discard(self, peer: str) -> None:
        self.discarded.append(peer)
        await self.isolated[peer].close()


def test_a_scenario_with_no_pair_has_no_cell() -> None:
    cells, broken = run(scenarios=("ec*", "request.fo*"), servers=())
    assert broken == ""
    assert [(c.client, c.scenario) for c in cells] == [(CLIENT.id, "request.form")]


@pytest.mark.parametrize("scenario", ["time.pings", "time.idle"])
def test_pings_that_a_busy_machine_makes_rare_are_waited_for(scenario: str) -> None:
    """The interval that a scenario asks for may be longer than the run's patience."""
    cells, _ = run(scenarios=(scenario,), patience=0.01)
    assert [(cell.verdict, cell.reason) for cell in cells] == [("passed", "")] * 2


def test_an_api_may_run_some_scenarios_only() -> None:
    other = Api("python", "client", "ZapSubscriber")
    cells, _ = run(
        scenarios=("echo.null", "echo.floats", "order.pushed"),
        clients=(CLIENT, other),
        only={other.id: ["echo.null"]},
    )
    ran = {(c.client, c.scenario) for c in cells}
    assert ran == {
        (CLIENT.id, "echo.null"),
        (CLIENT.id, "echo.floats"),
        (CLIENT.id, "order.pushed"),
        (other.id, "echo.null"),
    }
