from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from interop.cli import main
from interop.commands import deviations as known
from interop.verdicts import deviations

from ..cells import cell, results


@pytest.fixture
def one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[[deviation]]\npeer = "dart"\nrole = "client"\nscenario = "echo.*"\nother = "python"\n'
        'seen = "no [e]cho"\ncause = "its cause"\n'
    )
    monkeypatch.setattr(deviations, "load", lambda: deviations.parse(text))
    monkeypatch.setattr(known, "RESULTS", tmp_path / "results")


@pytest.mark.usefixtures("one_entry")
def test_each_entry_is_listed_with_what_it_matched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(
        cell("deviating", raised="no echo"),
        cell("deviating", raised="something else", scenario="echo.floats"),
        cell("passed", scenario="echo.arrays"),
        cell("deviating", raised="no echo", client="pypi/ZapClient"),
    ).write(tmp_path)
    assert main(["deviations", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "dart client with python: echo.*: 1 of 3 cells\n   its cause\n   seen: no [e]cho" in out
    assert "1 entries, 3 cells deviating" in out


@pytest.mark.usefixtures("one_entry")
def test_an_entry_of_what_did_not_run_is_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(cell("passed", client="pypi/ZapClient")).write(tmp_path)
    assert main(["deviations", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "dart client with python: echo.*: no such cell in these results\n" in out


@pytest.mark.usefixtures("one_entry")
def test_without_results_nothing_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["deviations", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: No such file" in capsys.readouterr().err
    monkeypatch.setattr(known, "RESULTS", tmp_path / "none")
    assert main(["deviations"]) in (0, 2)


def test_entries_are_suggested_for_what_is_red(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    culprit = {"side": "client", "api": "dart@0.5.0/ZapConsumer", "why": ""}
    results(cell("failed", raised="no echo", culprit=culprit)).write(tmp_path)
    assert main(["deviations", "--suggest", str(tmp_path)]) == 0
    (entry,) = tomllib.loads(capsys.readouterr().out)["deviation"]
    assert entry == {
        "peer": "dart@0.5.0", "role": "client", "scenario": "echo.null", "seen": "no echo",
        "cause": "",
    }  # fmt: skip


def test_nothing_red_suggests_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results(cell()).write(tmp_path)
    assert main(["deviations", "--suggest", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "# nothing is red\n"
