"""Peers of another repository: ``--peers`` and ``--deviations``, as a team uses them that has a
client on a library which the testbed does not know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from interop.catalog import CatalogError, load_peers
from interop.cli import main
from interop.commands import run
from interop.errors import CannotRun
from interop.records import CellResult
from interop.reports.files import judged_pairs
from interop.reports.results import SCHEMA_FILE, load, read
from interop.run.plan import Plan
from interop.runtimes.prepare import Preparer

from ..engines.test_docker import FakeDocker

OUTSIDE = Path(__file__).parents[1] / "outside"
PAIR = ["--server", "python/ZapServer", "--client", "websocket-client"]
SCENARIOS = ("echo.objects", "headers.echo.*", "frames.own-illegal-code.*")
RUN = ["run", *PAIR, *(word for each in SCENARIOS for word in ("--scenario", each)), "-n", "0"]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Return the folder of the peers of another repository."""
    folder = tmp_path / "theirs" / "websocket-client"
    folder.mkdir(parents=True)
    for name in ("peer.py", "peer.toml", "deviations.toml"):
        shutil.copy(OUTSIDE / name, folder)
    return folder.parent


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def recorded(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    return data


def test_a_peer_of_another_repository_runs_with_its_own_deviations(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = theirs / "websocket-client" / "deviations.toml"
    more = ["--peers", str(theirs), "--deviations", str(known)]
    status = main([*RUN, *more, "--results", str(tmp_path / "r")])
    assert status == 0, capsys.readouterr().out
    counts = recorded(tmp_path / "r")["run"]["counts"]
    assert (counts["deviating"], counts["failed"], counts["error"]) == (6, 0, 0)
    assert counts["passed"] >= 4
    assert main(["explain", "ZapServer", "WebSocket", "--results", str(tmp_path / "r")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "it is a WebSocket and no more" in said  # what its peer.toml says that it lacks


def test_what_it_does_wrong_is_red_without_them(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = theirs / "websocket-client"
    assert main([*RUN, "--peers", str(folder), "--results", str(tmp_path / "r")]) == 1
    assert f"--peers {folder}" in capsys.readouterr().out  # in the command that runs a cell again
    assert recorded(tmp_path / "r")["run"]["counts"]["failed"] == 6


def test_a_deviation_of_its_own_that_does_not_show_is_a_failure(
    theirs: Path, tmp_path: Path
) -> None:
    known = theirs / "websocket-client" / "deviations.toml"
    change(known, '"frames.own-illegal-code.*"', '"echo.objects"')
    more = ["--peers", str(theirs), "--deviations", str(known), "--results", str(tmp_path / "r")]
    assert main([*RUN, *more]) == 1
    reasons = [cell.reason for cell in read(tmp_path / "r") if cell.scenario == "echo.objects"]
    assert reasons[0].startswith("expected to fail, but passed; remove its entry")


def test_its_shards_are_merged(theirs: Path, tmp_path: Path) -> None:
    known = ["--deviations", str(theirs / "websocket-client" / "deviations.toml")]
    more = ["--peers", str(theirs), *known]
    for part in ("1/2", "2/2"):
        assert main([*RUN, *more, "--shard", part, "--results", str(tmp_path / part)]) == 0
    parts = [str(tmp_path / part) for part in ("1/2", "2/2")]
    assert main(["merge", *parts, *known, "--results", str(tmp_path / "r")]) == 0
    run_record = recorded(tmp_path / "r")["run"]
    assert run_record["counts"]["deviating"] == 6
    assert [api["id"] for api in run_record["added"]] == ["websocket-client/WebSocket"]


def test_it_is_listed_with_the_others(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = theirs / "websocket-client" / "deviations.toml"
    more = ["--peers", str(theirs), "--deviations", str(known)]
    assert main(["list", "--scenario", "many.ids", *more]) == 0
    assert "  websocket-client/WebSocket (lacks: subscribe, " in capsys.readouterr().out
    assert main(["deviations", *more]) == 0
    out = capsys.readouterr().out
    assert "websocket-client client: frames.own-illegal-code.*: " in out


def test_a_recorded_cell_is_replayed_to_it(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--peers", str(theirs), "--results", str(tmp_path / "r")]
    assert main(["run", *PAIR, "--scenario", "echo.objects", "-n", "0", *more]) == 0
    cell = ["python/ZapServer", "websocket-client", "echo.objects", "--half", "server"]
    assert main(["replay", *cell, *more]) == 0
    assert "as recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('script = "peer.py"', 'script = "per.py"', "'script': there is no 'per.py' in "),
        ('runtime = "python"', 'runtime = "rust"', "runtime must be one of here, .*not 'rust'"),
        ('language = "', 'colour = "red"\nlanguage = "', "unknown key 'colour'"),
        ('name = "Web', 'colour = "red"\nname = "Web', "unknown key 'colour' in api 'WebSocket'"),
        ('role = "client"', 'role = "both"', r"\[\[api\]\] 1: its role must be server or client"),
        ('name = "WebSocket"', "", r"\[\[api\]\] 1: 'name' must be a non-empty string"),
        ('"subscribe, ', '"subscrib, ', "'lacks' must be .*, not 'subscrib'"),
        (
            'runtime = "python"\nscript = "peer.py"',
            'runtime = "here"\nmodule = "not_installed.peer"',
            "'module': there is no 'not_installed.peer' for the interpreter",
        ),
    ],
)
def test_a_wrong_peer_file_is_named_with_the_place(
    theirs: Path, old: str, new: str, says: str
) -> None:
    path = theirs / "websocket-client" / "peer.toml"
    change(path, old, new)
    with pytest.raises(CatalogError, match=says) as caught:
        load_peers(added=[theirs])
    assert str(caught.value).startswith(f"{path}: ")


def test_a_wrong_peer_file_is_status_2(theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(theirs / "websocket-client" / "peer.toml", "script", "scripts")
    assert main([*RUN, "--peers", str(theirs)]) == 2
    assert "peer.toml: unknown key 'scripts' (did you mean 'script'?)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("python", "there is a peer 'python' already, in "),
        ("judge", "'judge' cannot be a peer's name"),
        ("a b", "'a b' cannot be a peer's name"),
        ("a@1", "'a@1' cannot be a peer's name"),
    ],
)
def test_a_name_that_is_taken_or_none_is_refused(theirs: Path, name: str, says: str) -> None:
    (theirs / "websocket-client").rename(theirs / name)
    with pytest.raises(CatalogError, match=says) as caught:
        load_peers(added=[theirs])
    assert str(caught.value).startswith(f"{theirs / name / 'peer.toml'}: ")


def test_the_same_peer_twice_is_refused(theirs: Path) -> None:
    with pytest.raises(CatalogError, match="there is a peer 'websocket-client' already"):
        load_peers(added=[theirs, theirs / "websocket-client"])


def test_a_folder_without_a_peer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"--peers .*: no peer\.toml in it, nor one level"):
        load_peers(added=[tmp_path])
    with pytest.raises(CatalogError, match=r"--peers .*nowhere: there is no such folder"):
        load_peers(added=[tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('peer = "websocket-client"', 'peer = "python"', "deviation 1: 'python' is of 'python'"),
        ('peer = "websocket-client"', 'peer = "*"', "deviation 1: '*' is of "),
        ('peer = "websocket-client"', 'peer = "ws"', "deviation 1: 'ws' names no added client"),
        ('role = "client"', 'role = "server"', "deviation 1: 'websocket-client' names no added "),
        ('"frames.own', '"framse.own', "deviation 1: websocket-client: 'framse."),
        ("cause", "causes", "deviation 1 (websocket-client): unknown key 'causes'"),
        ("[[deviation]]", '[recorded."dart"]\n[[deviation]]', "recorded.'dart' is no added peer"),
    ],
)
def test_a_deviation_of_another_peer_is_refused(
    theirs: Path, old: str, new: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = theirs / "websocket-client" / "deviations.toml"
    change(known, old, new)
    assert main([*RUN, "--peers", str(theirs), "--deviations", str(known)]) == 2
    assert f"{known}: {says}" in capsys.readouterr().err


def test_deviations_without_their_peer_are_refused(
    theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = theirs / "websocket-client" / "deviations.toml"
    assert main(["list", "--deviations", str(known)]) == 2
    says = "deviation 1: 'websocket-client' names no added client; added peers: none"
    assert says in capsys.readouterr().err


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Record the plans of runs, which run nothing."""
    found: list[Plan] = []

    def run_plan(plan: Plan, **more: object) -> tuple[list[CellResult], float, str]:
        found.append(plan)
        return [], 0.0, ""

    monkeypatch.setattr(run, "run_plan", run_plan)
    return found


@pytest.mark.parametrize("engine", ["docker", "compose"])
def test_an_engine_of_images_does_not_run_it_and_says_why(
    engine: str, theirs: Path, tmp_path: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interop.engines.docker.connect", FakeDocker)
    monkeypatch.setattr("interop.runtimes.images.build", lambda program, client: program)
    one = ["--server", "python/ZapServer", "--scenario", "echo.null", "--engine", engine]
    more = ["--peers", str(theirs), "--results", str(tmp_path / "r")]
    assert main(["run", *one, *more]) == 2  # for want of cells
    (plan,) = plans
    assert "websocket-client" not in {api.peer for api in plan.clients}
    reason = f"it is of --peers, and --engine {engine} has the images of this repository alone"
    not_run = recorded(tmp_path / "r")["run"]["not_run"]
    assert not_run["websocket-client/WebSocket"].startswith(reason)
    pairs = judged_pairs(load(tmp_path / "r").results(tmp_path / "r"))
    assert ("python/ZapServer", "websocket-client/WebSocket", "not run") in {
        (pair.server, pair.client, pair.verdict) for pair in pairs
    }


@pytest.mark.parametrize("engine", ["docker", "compose"])
def test_asked_for_by_name_with_such_an_engine_it_is_status_2(
    engine: str, theirs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("interop.engines.docker.connect", FakeDocker)
    monkeypatch.setattr("interop.runtimes.images.build", lambda program, client: program)
    assert main([*RUN, "--engine", engine, "--peers", str(theirs)]) == 2
    assert "it is of --peers, and --engine" in capsys.readouterr().err


def test_a_program_that_runs_by_itself_needs_no_more_than_its_file(theirs: Path) -> None:
    path = theirs / "websocket-client" / "peer.toml"
    change(path, '"python"', '"program"')
    peer = load_peers(added=[theirs])["websocket-client"]
    with pytest.raises(CannotRun, match=r"peer\.py is not an executable file"):
        Preparer().command(peer)
    (theirs / "websocket-client" / "peer.py").chmod(0o755)
    assert Preparer().command(peer) == [str(theirs / "websocket-client" / "peer.py")]
