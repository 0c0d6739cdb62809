"""Pairs that are known to fail: they wait less, and no verdict changes by that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop.catalog import Api, load_peers
from interop.control.patience import SHORT
from interop.records import CellResult
from interop.run.failing import ENOUGH, Failing

from ..runs import CLIENT, PYTHON, SERVER, run

OTHER = Api("python", "client", "ZapSubscriber")
MUTANT = {api.name: api for api in load_peers()["mutant"].apis}
COMMANDS = {"python": PYTHON, "mutant": [sys.executable, "-m", "interop.peers.mutant"]}


def test_a_pair_in_which_plain_use_fails_is_known_to_every_worker(tmp_path: Path) -> None:
    one, two = Failing(tmp_path), Failing(tmp_path)
    known = two.watch((SERVER, CLIENT))
    assert not known()
    one.add((SERVER, CLIENT), "echo.text-empty")
    assert two.watch((SERVER, CLIENT))()
    assert not two.watch((SERVER, OTHER))()


def test_a_pair_is_known_to_fail_after_some_failures_of_any_kind(tmp_path: Path) -> None:
    failing = Failing(tmp_path)
    for count in range(ENOUGH):
        assert not failing.watch((SERVER, CLIENT))(), count
        failing.add((SERVER, CLIENT), "frames.ping.1")
    assert failing.watch((SERVER, CLIENT))()


def test_on_a_full_disk_the_run_goes_on(tmp_path: Path) -> None:
    failing = Failing(tmp_path / "not" / "there")
    failing.add((SERVER, CLIENT), "echo.null")
    failing.end_run()
    assert not failing.watch((SERVER, CLIENT))()
    assert not failing.run_ends


def waited(cells: list[CellResult], patience: float) -> list[str]:
    """Return the scenarios that failed after waiting that long."""
    red = [cell for cell in cells if cell.verdict == "failed"]
    return [cell.scenario for cell in red if f"within {patience:g} s" in cell.reason]


def test_the_verdicts_are_those_of_the_whole_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    def verdicts() -> tuple[dict[tuple[str, str, str], str], int]:
        cells, broken = run(
            servers=(SERVER, MUTANT["event-name-key"]),
            clients=(CLIENT,),
            commands=COMMANDS,
            scenarios=("echo.*", "headers.*"),
            at_once=8,
            patience=1.0,
        )
        assert broken == ""
        return {cell.key: cell.verdict for cell in cells}, len(waited(cells, 1.0))

    found, few = verdicts()
    monkeypatch.setattr(Failing, "watch", lambda failing, pair: lambda: False)
    expected, many = verdicts()
    assert found == expected
    assert set(found.values()) >= {"failed", "passed", "warned"}
    assert many > 20
    assert few <= 8  # the cells that ran when the first one failed


def test_a_judged_row_whose_first_cells_time_out_waits_less() -> None:
    cells, broken = run(
        servers=(MUTANT["no-pong"],),
        clients=(),
        commands=COMMANDS,
        scenarios=("frames.*",),
        patience=0.5,
    )
    assert broken == ""
    assert len(waited(cells, 0.5)) == ENOUGH
    assert waited(cells, SHORT)
