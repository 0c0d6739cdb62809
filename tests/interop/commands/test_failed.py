from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.cli import main
from interop.commands import run
from interop.records import CellResult
from interop.reports.results import SCHEMA_FILE
from interop.run.plan import Plan
from interop.runtimes.prepare import Preparer

from ..cells import cell, results

SERVER, CLIENT = "python/ZapServer", "python/ZapConsumer"


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What is run, which here is nothing."""
    made: list[Plan] = []

    def run_plan(plan: Plan, **_: object) -> tuple[list[CellResult], float, str]:
        made.append(plan)
        return [], 0.1, ""

    monkeypatch.setattr(run, "run_plan", run_plan)
    monkeypatch.setattr(Preparer, "command", lambda *_: ["python"])
    return made


def again(folder: Path, *more: str) -> int:
    return main(["run", "--failed", "-n", "0", "--results", str(folder), *more])


def of(verdict: Any, scenario: str, **more: Any) -> CellResult:
    return cell(verdict, **{"server": SERVER, "client": CLIENT, "scenario": scenario, **more})


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def keys(folder: Path) -> list[tuple[str, str]]:
    data = json.loads((folder / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    return [(each["server"], each["scenario"]) for each in data["cells"]]


def test_what_failed_runs_again_and_the_results_of_the_last_run_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "mutant/event-name-key"
    chosen = ["--server", wrong, "--server", SERVER, "--client", CLIENT, "-n", "0"]
    scenarios = ["--scenario", "echo.null", "--scenario", "echo.floats"]
    quick = ["--patience", "0.3"]
    assert main(["run", *chosen, *scenarios, *quick, "--results", str(tmp_path)]) == 1
    before, whole = files(tmp_path), keys(tmp_path)
    failed = [(wrong, "echo.floats"), (wrong, "echo.null")]
    assert set(failed) < set(whole)
    capsys.readouterr()
    assert again(tmp_path, *quick) == 1
    assert f"again: 2 of 2 cells that failed in {tmp_path}\n2 cells, " in capsys.readouterr().out
    assert keys(tmp_path / "again") == failed
    assert files(tmp_path) == before
    assert again(tmp_path / "again", *quick, "--scenario", "echo.null") == 1
    assert "again: 1 of 2 cells that failed in" in capsys.readouterr().out
    assert keys(tmp_path / "again") == [(wrong, "echo.null")]
    assert not (tmp_path / "again" / "again").exists()


VERDICTS = {
    "echo.arrays": "passed",
    "echo.booleans": "failed",
    "echo.floats": "flaky",
    "echo.integers": "error",
    "echo.null": "warned",
    "echo.objects": "deviating",
    "echo.strings": "unsupported",
}


@pytest.mark.parametrize(
    ("options", "found"),
    [([], ["echo.booleans", "echo.floats", "echo.integers"]),
     (["--strict"], ["echo.booleans", "echo.floats", "echo.integers", "echo.null"])],
)  # fmt: skip
def test_only_what_was_not_green_runs_again(
    options: list[str], found: list[str], tmp_path: Path, plans: list[Plan]
) -> None:
    results(*(of(verdict, scenario) for scenario, verdict in VERDICTS.items())).write(tmp_path)
    again(tmp_path, *options)
    (plan,) = plans
    assert plan.cells == {SERVER: {CLIENT: found}}


def test_cells_of_the_judge_and_of_older_versions_run_again(
    tmp_path: Path, plans: list[Plan]
) -> None:
    old = "pypi@0.4.6/ZapClient"
    results(
        of("failed", "frames.ping.1", client="judge/Raw"), of("failed", "echo.null", client=old),
        of("passed", "echo.null"),
    ).write(tmp_path)  # fmt: skip
    again(tmp_path)
    (plan,) = plans
    assert [api.id for api in plan.clients] == [old]
    assert plan.cells == {SERVER: {"judge/Raw": ["frames.ping.1"], old: ["echo.null"]}}


def test_the_cell_that_named_a_culprit_runs_beside_it(
    tmp_path: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    culprit = {"side": "server", "why": "", "basis": "row", "api": SERVER}
    results(
        of("failed", "echo.null", culprit=culprit), of("passed", "echo.null", server="python/App"),
        of("passed", "echo.null", server="python/AsgiApp"), of("passed", "echo.floats"),
    ).write(tmp_path)  # fmt: skip
    again(tmp_path)
    (plan,) = plans
    expected = {name: {CLIENT: ["echo.null"]} for name in ("python/AsgiApp", SERVER)}
    assert plan.cells == expected  # there is no python/App any more
    said = "again: 1 of 1 cell that failed in {}, and 1 cell beside which a culprit was named\n"
    assert said.format(tmp_path) in capsys.readouterr().out


def test_that_the_last_run_was_not_whole_is_said(
    tmp_path: Path, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    results(of("failed", "echo.null"), broken="interrupted").write(tmp_path)
    again(tmp_path)
    assert len(plans) == 1
    said = f"{tmp_path} has not all cells of its run: interrupted\n"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recorded", "more", "says"),
    [
        (None, [], "there is no last run to go by: {}/results.json: No such file or directory"),
        ([], [], "no cell failed in {}: there is nothing to run again"),
        (["passed", "warned"], [], "no cell failed in {}: there is nothing to run again"),
        (["failed"], ["--scenario", "many.*"],
         "of the 1 cell that failed in {} none is chosen, or is there any more"),
        (["failed"], ["--server", "node-*"], ""),
        (["failed"], ["--client", "python/ZapClient"], "of the 1 cell that failed in {} none is"),
    ],
)  # fmt: skip
def test_that_there_is_nothing_to_run_again_is_said_and_status_2(
    recorded: list[str] | None,
    more: list[str],
    says: str,
    tmp_path: Path,
    plans: list[Plan],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if recorded is not None:
        names = ("echo.null", "echo.floats")
        results(*(of(each, name) for each, name in zip(recorded, names, strict=False))).write(
            tmp_path
        )
    assert again(tmp_path, *more) == 2
    said = capsys.readouterr().err
    assert (f"interop: --failed: {says.format(tmp_path)}" if says else "names no server") in said
    assert not plans
    assert not (tmp_path / "again").exists()
