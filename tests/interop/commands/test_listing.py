from __future__ import annotations

import re
from pathlib import Path

import pytest

from interop.cli import main
from interop.wire import vectors

QUICK = ["--server", "python/ZapServer", "--client", "python/ZapConsumer", "-n", "0"]


def test_list_shows_rows_columns_and_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--scenario", "many.ids"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"dart@0\.5\.0/ZapConsumer \(lacks: clean, [^\n]*request, [^\n]*\)", out)
    assert "many.ids (must, D-11): Every connection has an id of its own." in out
    assert " 1 scenarios: " in out


def test_a_control_is_marked_and_only_there_if_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["--scenario", "many.ids", "--client", "python"]
    assert main(["list", *chosen]) == 0
    assert "mutant" not in capsys.readouterr().out
    assert main(["list", *chosen, "--server", "mutant/one-id"]) == 0
    assert "  mutant/one-id (control)\n" in capsys.readouterr().out


def test_dart_packages_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dart-packages", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_older_versions_are_listed_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--scenario", "many.ids"]) == 0
    assert "pypi@0.4.6" not in capsys.readouterr().out
    for chosen in (["--versions", "all"], ["--server", "pypi@*"]):
        assert main(["list", "--scenario", "many.ids", *chosen]) == 0
        assert "pypi@0.4.6/FastApiConnector" in capsys.readouterr().out


def test_vectors_are_recorded_from_the_results_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *QUICK, "--scenario", "echo.null", "--results", str(tmp_path)]) == 0
    monkeypatch.setattr(vectors, "VECTORS_DIR", tmp_path / "vectors")
    assert main(["record-vectors", str(tmp_path / "results.json")]) == 0
    written = sorted(path.name for path in (tmp_path / "vectors").iterdir())
    assert written == ["python-ZapConsumer.client.json", "python-ZapServer.server.json"]
    assert main(["record-vectors", str(tmp_path / "junit.xml")]) == 2
    assert "junit.xml: not JSON" in capsys.readouterr().err
