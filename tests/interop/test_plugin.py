"""Cells: their verdicts, their evidence, and what is never excused."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.catalog import Api
from interop.engines import Address, Fault
from interop.engines.local import LocalEngine
from interop.plan import Plan

from .runs import PYTHON, deviation, fake, run


def test_a_cell_passes_with_its_evidence() -> None:
    ((cell,), broken) = run()
    assert (cell["verdict"], cell["reason"], broken) == ("passed", "", "")
    assert (cell["server"], cell["client"]) == ("python/ZapServer", "python/ZapConsumer")
    texts = [(f["author"], f["text"]) for f in cell["frames"] if f["kind"] == "text"]
    assert texts == [
        ("client", '{"eventName":"echo","payload":null,"headers":{}}'),
        ("server", '{"eventName":"echo","payload":null,"headers":{}}'),
    ]
    assert cell["notifications"]["server"][0] == {"on": "connected", "conn": "1"}
    assert cell["violations"] == []


def test_unsupported_is_a_verdict_of_its_own() -> None:
    ((cell,), _) = run(scenarios=("lifecycle.clean",))
    assert cell["verdict"] == "unsupported"
    assert "client python/ZapConsumer: " in cell["reason"]


def test_a_stale_deviation_fails(tmp_path: Path) -> None:
    ((cell,), _) = run(deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "failed"
    assert "expected to fail, but passed" in cell["reason"]
    assert "made up" in cell["reason"]


def test_a_failure_says_what_was_missing() -> None:
    other = Api("python", "client", "ZapSubscriber")
    ((cell,), _) = run(scenarios=("lifecycle.clean",), clients=(other,), patience=0.0)
    assert cell["verdict"] == "failed"
    assert "within 0 s" in cell["reason"]


def test_a_known_deviation_is_no_failure(tmp_path: Path) -> None:
    ((cell,), _) = run(commands=fake("deaf"), patience=0.05)
    assert cell["verdict"] == "failed"
    ((cell,), _) = run(commands=fake("deaf"), deviations=deviation(tmp_path, "echo.null"))
    assert cell["verdict"] == "deviating"
    assert cell["reason"].startswith("python (server): made up [seen: server python/ZapServer: no")


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
    ((cell,), _) = run(commands=fake(mode), deviations=known, logs=tmp_path)
    assert cell["verdict"] == "error"
    assert says in cell["reason"]


def test_what_the_engine_cannot_do_to_a_peer_is_unsupported_by_its_word() -> None:
    ((cell,), broken) = run(scenarios=("engine.server-killed",))
    assert (cell["verdict"], broken) == ("unsupported", "")
    assert "engine local does nothing to a peer" in cell["reason"]


def test_a_peer_of_an_isolated_cell_is_the_cells_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = OwnProcesses()
    monkeypatch.setattr(Plan, "make_engine", lambda plan: processes)
    cells, broken = run(scenarios=("engine.server-killed", "echo.null"))
    verdicts = {cell["scenario"]: (cell["verdict"], cell["reason"]) for cell in cells}
    assert verdicts == {"engine.server-killed": ("passed", ""), "echo.null": ("passed", "")}
    assert broken == ""
    assert processes.names == {"python", "python!server", "python!client"}
    assert processes.discarded == ["python!client", "python!server"]


class OwnProcesses(LocalEngine):
    """The local engine, with a process for every name and the one fault that a process takes."""

    def __init__(self) -> None:
        super().__init__({"python": PYTHON})
        self.names: set[str] = set()
        self.discarded: list[str] = []

    async def address(self, peer: str) -> Address:
        self.names.add(peer)
        self._commands = {peer: PYTHON}
        return await super().address(peer)

    def faults(self) -> OwnProcesses:
        return self

    async def fault(self, fault: Fault, peer: str) -> None:
        assert fault == "kill"
        self._running[peer]._process.kill()

    async def discard(self, peer: str) -> None:
        self.discarded.append(peer)
        await self._running.pop(peer).stop()
