from __future__ import annotations

import json
import signal
from pathlib import Path

import jsonschema
import pytest

from interop import cli
from interop.cli import main
from interop.engines.docker import LABEL
from interop.plan import Plan
from interop.prepare import CannotRun
from interop.results import SCHEMA_FILE

from .engines.test_docker import FakeDocker

QUICK = ["--server", "python/ZapServer", "--client", "python/ZapConsumer", "-n", "0"]


def test_run_writes_every_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", *QUICK, "--scenario", "echo.null", "--results", str(tmp_path)])
    assert status == 0
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    assert data["run"]["counts"]["passed"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.json", "junit.xml", "summary.md",
    }  # fmt: skip
    assert "1 cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--server", "pyton"], "--server 'pyton' names no server; there are: "),
        (["--client", "dart/ZapServer"], "names no client; there are: "),
        (["--scenario", "echo"], "--scenario 'echo' names no scenario"),
        (["--require", "rust"], "--require 'rust' is not among the peers: dart, dart-0.3"),
        (["--client", "dart-io", "--dart", "/no/dart"], "dart-io was asked for and cannot run: "),
        (["--require", "dart-io", "--dart", "/no/dart"], "dart-io was asked for and cannot run: "),
    ],
)
def test_a_mistake_is_named_and_is_status_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["run", *arguments, "--results", str(tmp_path / "none")]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("none/*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-n", "-1"], "-1 is negative"),
        (["-n", "many"], "invalid _count value: 'many'"),
        (["--patience", "0"], "0 is not between 0 and 3600"),
        (["--patience", "nan"], "nan is not between 0 and 3600"),
    ],
)
def test_an_impossible_number_is_refused(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", *arguments])
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_results_that_cannot_be_written_stop_the_run_before_it_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["run", *QUICK, "--results", str(tmp_path / "file")]) == 2
    said = capsys.readouterr()
    assert "file: File exists" in said.err
    assert "cells" not in said.out


def test_a_peer_that_nobody_asked_for_by_name_is_shown_as_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [
        "--server",
        "python/ZapServer",
        "--client",
        "*io/Client",
        "--client",
        "python/ZapConsumer",
    ]
    rest = ["--scenario", "echo.null", "-n", "0", "--dart", "/no/dart", "--results", str(tmp_path)]
    assert main(["run", *chosen, *rest]) == 0
    assert "not run: dart-io/Client: no Dart" in capsys.readouterr().out
    run = json.loads((tmp_path / "results.json").read_text("utf-8"))["run"]
    assert list(run["not_run"]) == ["dart-io/Client"]


def test_nothing_that_can_run_is_status_2(tmp_path: Path) -> None:
    arguments = ["run", "--client", "*-io/Client", "--dart", "/no/dart", "-n", "0"]
    rest = ["--server", "python/ZapServer", "--scenario", "echo.null", "--results", str(tmp_path)]
    assert main([*arguments, *rest]) == 2


def test_a_broken_deviations_file_is_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deviations.toml"
    path.write_text('[[deviation]]\npeer = "pyton"\nrole = "server"\nscenario = "x"\ncause = "y"\n')
    monkeypatch.setattr(cli.deviations, "DEVIATIONS_FILE", path)
    monkeypatch.setattr(cli.deviations, "load", lambda p=path: cli.deviations.parse(p.read_text()))
    assert main(["run", *QUICK]) == 2
    assert "'pyton' names no server" in capsys.readouterr().err


def test_list_shows_rows_columns_and_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--scenario", "many.ids"]) == 0
    out = capsys.readouterr().out
    assert "dart@0.5.0/ZapConsumer" in out
    assert "many.ids (must): Every connection has an id of its own." in out
    assert "x 1 scenarios" in out


def test_services_can_be_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTEROP_PEERS", "python,rust")
    assert main(["run", "--engine", "compose", "--scenario", "echo.null"]) == 2
    assert "INTEROP_PEERS names 'rust', which is no peer" in capsys.readouterr().err


def test_dart_packages_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dart-packages", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_vectors_are_recorded_from_the_results_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *QUICK, "--scenario", "echo.null", "--results", str(tmp_path)]) == 0
    monkeypatch.setattr(cli.vectors, "VECTORS_DIR", tmp_path / "vectors")
    assert main(["record-vectors", str(tmp_path / "results.json")]) == 0
    written = sorted(path.name for path in (tmp_path / "vectors").iterdir())
    assert written == ["python-ZapConsumer.client.json", "python-ZapServer.server.json"]
    assert main(["record-vectors", str(tmp_path / "junit.xml")]) == 2
    assert "junit.xml: not the results of a run" in capsys.readouterr().err


def test_older_versions_are_listed_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--scenario", "many.ids"]) == 0
    assert "pypi@0.4.6" not in capsys.readouterr().out
    for chosen in (["--versions", "all"], ["--server", "pypi@*"]):
        assert main(["list", "--scenario", "many.ids", *chosen]) == 0
        assert "pypi@0.4.6/FastApiConnector" in capsys.readouterr().out


def test_without_a_docker_engine_the_docker_engine_is_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "none://here")
    assert main(["run", *QUICK, "--engine", "docker", "--results", str(tmp_path)]) == 2
    assert "no Docker engine: " in capsys.readouterr().err


def test_an_image_that_cannot_be_built_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(program: str, client: object) -> str:
        raise CannotRun(f"{program} of {client}: no network")

    monkeypatch.setattr("interop.engines.docker.connect", lambda: "fake docker")
    monkeypatch.setattr("interop.images.build", build)
    chosen = ["--scenario", "echo.null", "--engine", "docker", "--results", str(tmp_path)]
    assert main(["run", *QUICK, *chosen]) == 2
    said = "python was asked for and cannot run: python of fake docker: no network"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["docker", "local"])
def test_what_an_interrupted_docker_run_left_is_removed(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = FakeDocker()
    docker.run("sha256:1", labels={LABEL: "r1"}, network="n")
    monkeypatch.setattr("interop.engines.docker.connect", lambda: docker)
    with pytest.raises(KeyboardInterrupt), cli._swept(Plan(engine, (), (), run="r1")):
        signal.raise_signal(signal.SIGTERM if engine == "docker" else signal.SIGINT)
    assert docker.started[0].removed == (engine == "docker")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
