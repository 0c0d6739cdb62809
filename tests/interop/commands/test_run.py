from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jsonschema
import pytest

from interop.cli import main
from interop.commands import run
from interop.control.contract import Address
from interop.engines.docker import LABEL
from interop.engines.registry import engine_kind
from interop.errors import CannotRun
from interop.records import CellResult
from interop.reports.results import SCHEMA_FILE, claimed
from interop.run.plan import Plan
from interop.runtimes.prepare import Preparer
from interop.verdicts import deviations

from ..engines.test_docker import FakeDocker

QUICK = ["--server", "python/ZapServer", "--client", "python/ZapConsumer", "-n", "0"]


def test_run_writes_every_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", *QUICK, "--scenario", "echo.null", "--results", str(tmp_path)])
    assert status == 0
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    assert data["run"]["counts"]["passed"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.json", "report.html", "junit.xml", "summary.md",
    }  # fmt: skip
    assert "1 cells" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--server", "pyton"], "'pyton' names no server (did you mean 'python'?); there are: "),
        (["--scenario", "ehco"], "'ehco' names no scenario (did you mean 'echo.*'?)"),
        (["--require", "pyton"], "'pyton' is not among the peers (did you mean 'python'?)"),
        (["--client", "dart/ZapServer"], "names no client; there are: "),
        (["--client", "python/Zapclient"], "names no client (did you mean 'python/ZapClient'?); "),
        (
            ["--scenario", "echo"],
            "--scenario 'echo' names no scenario (did you mean 'echo.*'?); see: ",
        ),
        (["--scenario", "ehco.floats"], "names no scenario (did you mean 'echo.floats'?); see: "),
        (["--require", "rust"], "--require 'rust' is not among the peers: browser, dart, dart-0.3"),
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
        (["-n", "-1"], "-1 is less than 0"),
        (["-n", "many"], "'many' is not a whole number"),
        (["--patience", "0"], "0 is not between 0 and 3600"),
        (["--patience", "nan"], "nan is not between 0 and 3600"),
        (["--timeout", "-1"], "-1 is not between 0 and 3600"),
        (["--patience", "long"], "'long' is not a number of seconds"),
        (["--repeat", "0"], "0 is less than 1"),
        (["--repeat", "1e3"], "'1e3' is not a whole number"),
        (["--at-once", "0"], "0 is less than 1"),
        (["--results", ""], "the path is empty"),
    ],
)
def test_an_impossible_value_is_refused(
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
    assert "file: that is not a folder" in said.err
    assert "cells" not in said.out


@pytest.fixture
def no_dart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DART", "none")
    monkeypatch.delenv("ZAPTOOLS_DART_PACKAGES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


ONE_CELL = ["--server", "python/ZapServer", "--scenario", "echo.null", "-n", "0"]


@pytest.mark.usefixtures("no_dart")
def test_a_peer_not_requested_by_name_is_shown_as_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = ["--client", "*[no]/*Client"]  # dart-io's and python's
    assert main(["run", *ONE_CELL, *clients, "--results", str(tmp_path)]) == 0
    first, why, second, *more = capsys.readouterr().out.splitlines()
    assert first.startswith("not run: dart-io: no Dart; to have it: ")
    assert why == "   DART=none declines one"
    assert second == "1 cells, about 1 s"
    assert first in more
    run = json.loads((tmp_path / "results.json").read_text("utf-8"))["run"]
    assert list(run["not_run"]) == ["dart-io/Client"]


@pytest.mark.usefixtures("no_dart")
@pytest.mark.parametrize("arguments", [["--client", "dart-io"], ["--require", "dart-io"]])
def test_a_peer_that_was_asked_for_by_name_must_run(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *ONE_CELL, *arguments, "--results", str(tmp_path)]) == 2
    assert "dart-io was asked for and cannot run: no Dart; to have it: " in capsys.readouterr().err


@pytest.mark.usefixtures("no_dart")
@pytest.mark.parametrize("more", [[], ["--client", "python/ZapConsumer"]])
@pytest.mark.parametrize("scenario", ["echo.null", "frames.ping.1"])  # the latter is the judge's
def test_a_pattern_of_which_nothing_can_run_is_status_2(
    scenario: str, more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--server", "python/ZapServer", "--scenario", scenario, "-n", "0"]
    results = ["--results", str(tmp_path)]
    assert main(["run", *chosen, "--client", "*-io/Client", *more, *results]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(
        "interop: nothing that --client '*-io/Client' asked for ran:\n  dart-io/Client: no Dart; "
    )
    assert "cells" not in said.out
    assert not list(tmp_path.iterdir())


DART_AND_PYTHON = ["--client", "*[no]/*Client"]
PYTHON_ALONE = ["--client", "python/ZapConsumer"]


@pytest.mark.usefixtures("no_dart")
@pytest.mark.parametrize("clients", [DART_AND_PYTHON, PYTHON_ALONE])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dart", "/no/dart"], "no dart: the argument gives '/no/dart'"),
        (["--dart", ""], "--dart is empty"),
        (["--dart", "/bin/sh", "--engine", "compose"], "--dart goes with --engine local"),
    ],
)
def test_an_argument_that_leads_nowhere_is_status_2_for_every_selection(
    arguments: list[str],
    says: str,
    clients: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", *ONE_CELL, *clients, *arguments, "--results", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.usefixtures("no_dart")
@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("DART", "no dart: $DART gives '/no/dart'"),
        ("ZAPTOOLS_DART_PACKAGES", "$ZAPTOOLS_DART_PACKAGES is '/no/dart', which is not a folder"),
    ],
)
def test_a_variable_that_leads_nowhere_is_status_2_where_a_dart_peer_was_chosen(
    variable: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, "/no/dart")
    assert main(["run", *ONE_CELL, *DART_AND_PYTHON, "--results", str(tmp_path)]) == 2
    assert says in capsys.readouterr().err
    # A variable is set once for every command: it is no word about a run without Dart.
    assert main(["run", *ONE_CELL, *PYTHON_ALONE, "--results", str(tmp_path)]) == 0


def test_an_argument_takes_the_place_of_a_variable_that_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DART", "/no/dart")
    dart = tmp_path / "dart"
    dart.write_text("#!/bin/sh\necho Dart SDK version: 0\n", "utf-8")
    dart.chmod(0o755)
    results = ["--dart", str(dart), "--results", str(tmp_path / "results")]
    main(["run", *ONE_CELL, *DART_AND_PYTHON, *results])
    assert "/no/dart" not in capsys.readouterr().err


def test_a_broken_deviations_file_is_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deviations.toml"
    path.write_text(
        '[[deviation]]\npeer = "pyton"\nrole = "server"\nscenario = "x"\nseen = "z"\ncause = "y"\n'
    )
    monkeypatch.setattr(deviations, "DEVIATIONS_FILE", path)
    monkeypatch.setattr(deviations, "load", lambda: deviations.parse(path.read_text("utf-8")))
    chosen = ["run", *QUICK, "--scenario", "echo.null", "--results", str(tmp_path / "results")]
    assert main(chosen) == 2
    assert "'pyton' names no server" in capsys.readouterr().err
    assert main([*chosen, "--no-deviations"]) == 0


@pytest.mark.parametrize(
    ("version", "digest", "options", "says"),
    [
        (None, "another", [], "sources changed since recorded: python (websockets {})\n"),
        (None, "another", ["--no-deviations"], ""),
        (None, "", [], ""),
        ("1.0", "another", [], ""),  # of another version they are others, of course
    ],
)
def test_a_green_run_with_other_sources_than_the_recorded_ones_says_so(
    version: str | None, digest: str, options: list[str], says: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path, now = tmp_path / "deviations.toml", metadata.version("websockets")
    sources = f'sources = {{ websockets = "{digest}" }}\n' if digest else ""
    path.write_text(
        f'[recorded.python]\nlibraries = {{ websockets = "{version or now}" }}\n{sources}'
    )
    monkeypatch.setattr(deviations, "DEVIATIONS_FILE", path)
    results = ["--results", str(tmp_path / "results")]
    assert main(["run", *QUICK, "--scenario", "echo.null", *results, *options]) == 0
    out = capsys.readouterr().out
    assert says.format(now) in out
    assert ("sources changed" in out) == bool(says)


def test_services_can_be_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INTEROP_PEERS", "python,rust")
    assert main(["run", "--engine", "compose", "--scenario", "echo.null"]) == 2
    assert "INTEROP_PEERS names 'rust', which is not a peer" in capsys.readouterr().err


def test_two_runs_do_not_write_into_one_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claimed(tmp_path):
        assert main(["run", *QUICK, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "another run writes there" in said.err
    assert "cells" not in said.out


def test_a_repeated_run_shows_where_the_time_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [*QUICK, "--scenario", "echo.null", "--results", str(tmp_path)]
    assert main(["run", *chosen, "--repeat", "2", "--durations", "--strict"]) == 0
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    assert (data["run"]["repeat"], data["run"]["strict"]) == (2, True)
    assert [run["run"] for run in data["cells"][0]["runs"]] == [1, 2]
    out = capsys.readouterr().out
    assert "time by scenario" in out
    assert "2 runs of cells: " in out


def test_a_run_that_ends_at_the_first_failure_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["--server", "mutant/event-name-key", "--client", "python/ZapConsumer", "-n", "0"]
    chosen = [*wrong, "--scenario", "malformed.*", "--scenario", "form.*", "--patience", "0.3"]
    assert main(["run", *chosen, "--fail-fast", "--at-once", "2", "--results", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    said = re.search(r"stopped: (\d+) of (\d+) runs of cells have a result: --fail-fast", out)
    assert said is not None
    assert 0 < int(said[1]) < int(said[2])
    assert out.index("the first unexpected result:") < out.index("A pair works if")
    assert "the testbed failed" not in out
    assert "**Stopped:** " in (tmp_path / "summary.md").read_text("utf-8")
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    assert (data["run"]["broken"], data["run"]["exit_status"]) == ("", 1)
    assert len(data["cells"]) == int(said[1])
    assert main(["compare", str(tmp_path), str(tmp_path)]) == 2
    assert "not a whole run" in capsys.readouterr().err


def test_cells_without_a_result_break_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "run_plan", lambda plan, **_: ([], 0.1, "interrupted"))
    chosen = [*QUICK, "--scenario", "echo.null", "--results", str(tmp_path)]
    assert main(["run", *chosen]) == 2
    assert "interrupted; 0 of 1 runs of cells have a result" in capsys.readouterr().out
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert data["run"]["broken"].startswith("interrupted; ")


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What is run, which here is nothing."""
    made: list[Plan] = []

    def run_plan(plan: Plan, **_: object) -> tuple[list[CellResult], float, str]:
        made.append(plan)
        return [], 0.1, ""

    monkeypatch.setattr(run, "run_plan", run_plan)
    return made


def test_what_the_engine_cannot_do_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = ["--results", str(tmp_path)]
    assert main(["run", *QUICK, *results, "--scenario", "e[cn]*[eu]*ll*"]) == 0
    out = capsys.readouterr().out
    assert "1 cells in" in out
    assert "not run: 2 scenarios, which inject faults into whole peers: only --engine docker" in out


@pytest.mark.parametrize("more", [[], ["--scenario", "echo.null", "--scenario", "order.*"]])
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([*QUICK, "--scenario", "engine.*"],
         "--scenario 'engine.*': --engine local can run none of the scenarios, which "),
        (["--server", "judge", "--client", "python", "--scenario", "rooms.members"],
         "--scenario 'rooms.members' has no cell between the chosen rows and columns"),
    ],
)  # fmt: skip
def test_a_scenario_without_a_cell_is_status_2_beside_others_too(
    arguments: list[str],
    says: str,
    more: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", *arguments, *more, "--results", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert not list(tmp_path.iterdir())


def test_the_judge_alone_has_no_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--server", "judge", "--client", "judge", "--results", str(tmp_path)]
    assert main(["run", *chosen]) == 2
    said = capsys.readouterr().err
    assert said == "interop: the chosen rows and columns have no cell with each other\n"


def test_a_subset_leaves_the_results_of_the_last_whole_run(
    tmp_path: Path,
    plans: list[Plan],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole, subset = tmp_path / "results", tmp_path / "results" / "subset"
    monkeypatch.setattr(run, "RESULTS", whole)
    monkeypatch.setattr(run, "SUBSET", subset)
    monkeypatch.setattr(Preparer, "command", lambda *_: ["python"])
    main(["run", "--versions", "all", "-n", "0"])
    assert f"\nresults: {whole}\n" in capsys.readouterr().out
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    for chosen in (["--server", "python"], ["--client", "*"], ["--scenario", "echo.*"]):
        main(["run", *chosen, "-n", "0"])
        said = f"results: {subset} (of what was chosen; those of the last whole run are in {whole})"
        assert said in capsys.readouterr().out
        assert {path.name for path in subset.iterdir()} == set(before)
    kept = {path.name: path.read_bytes() for path in whole.iterdir() if path != subset}
    assert kept == before
    main(["run", "--server", "python", "-n", "0", "--results", str(tmp_path / "own")])
    assert (tmp_path / "own" / "results.json").exists()


FULL = """
import resource, sys
from interop.cli import main
from interop.commands import run

def without_room(*arguments, **more):
    found = run_plan(*arguments, **more)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    return found

run_plan, run.run_plan = run.run_plan, without_room
sys.exit(main(sys.argv[1:]))
"""


def test_a_full_disk_costs_the_report_of_the_run_before_nothing(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    chosen = ["run", *QUICK, "--scenario", "echo.*", "--results", str(tmp_path)]
    assert main(chosen) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = subprocess.run(
        [sys.executable, "-c", FULL, *chosen], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"interop: {tmp_path}: File too large: nothing was written, and what was there before "
        "stays\n"
    )
    assert "- exit status 2\n" in done.stdout  # what was found is shown nevertheless
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_how_many_cells_run_at_once_is_said(tmp_path: Path, plans: list[Plan]) -> None:
    for more in ([], ["--at-once", "3"], ["--at-once", "3", "--verbose"]):
        main(["run", *QUICK, *more, "--results", str(tmp_path)])
    assert [plan.at_once for plan in plans] == [20, 3, 1]


def test_only_the_services_that_take_part_are_run(
    tmp_path: Path, plans: list[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEROP_PEERS", "python")
    rest = [*DART_AND_PYTHON, "--patience", "3", "--timeout", "4"]
    chosen = [*ONE_CELL, *rest, "--engine", "compose", "--results", str(tmp_path)]
    assert main(["run", *chosen]) == 2
    (plan,) = plans
    assert plan.addresses == {"python": Address("python", 7000)}
    assert (plan.patience, plan.timeout) == (3.0, 4.0)
    assert {api.peer for api in plan.clients} == {"python"}
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    reason = "its service was not selected (INTEROP_PEERS)"
    assert data["run"]["not_run"] == {"dart-io/Client": reason}


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
    monkeypatch.setattr("interop.runtimes.images.build", build)
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
    with pytest.raises(KeyboardInterrupt), engine_kind(engine).swept("r1"):
        raise KeyboardInterrupt
    assert docker.started[0].removed == (engine == "docker")


def test_what_cannot_be_removed_costs_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = FakeDocker()
    monkeypatch.setattr("interop.engines.docker.connect", lambda: docker)
    docker.create("n", driver="bridge", labels={LABEL: "r1"}).in_use = True
    with engine_kind("docker").swept("r1") as left:
        assert left == []
    assert left == ["it has active endpoints"]


def test_on_github_a_run_is_annotated_and_its_summary_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    mutant = ["--server", "mutant/event-name-key", "--client", "python/ZapConsumer", "-n", "0"]
    options = ["--scenario", "echo.null", "--results", str(tmp_path / "results")]
    assert main(["run", *mutant, *options, "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    first, *_, notice = shown = lines[lines.index(f"::{token}::") + 1 :]
    assert len(shown) == 2
    assert first.startswith("::error title=server mutant/event-name-key%3A 1 cell%2C 1 scenario")
    assert "%0Aculprit: server mutant/event-name-key (" in first
    assert "%0Aagain: python -m interop run --server mutant/event-name-key " in first
    assert notice.startswith("::notice title=zaptools interop::")
    assert page.read_bytes() == (tmp_path / "results" / "summary.md").read_bytes()
    assert not [line for line in lines[1 : lines.index(f"::{token}::")] if line.startswith("::")]


def test_on_github_what_prevents_a_run_is_an_error_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "--server", "pyton", "--format", "github"]) == 2
    said = capsys.readouterr()
    *_, end, error = said.out.splitlines()
    assert end.startswith("::")
    assert error.startswith("::error title=zaptools interop::--server 'pyton' names no server (")
    assert "'pyton' names no server" in said.err


FLAKY = """[[flaky]]
server = "mutant/event-name-key"
scenario = "echo.null"
cause = "a race"
until = {}
"""
MUTANT = ["--server", "mutant/event-name-key", "--client", "python/ZapConsumer", "-n", "0"]


def test_a_known_flaky_cell_that_fails_is_tolerated_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, results = tmp_path / "flaky.toml", tmp_path / "results"
    file.write_text(FLAKY.format("9999-12-31"), "utf-8")
    options = ["--scenario", "echo.null", "--known-flaky", str(file), "--fail-fast"]
    assert main(["run", *MUTANT, *options, "--results", str(results)]) == 0
    said = capsys.readouterr().out
    assert "0 unexpected" in said
    assert (
        "known flaky: echo.null (mutant/event-name-key <-> *): 1 of 1 cell failed, which is "
        "tolerated until 9999-12-31: a race\n"
        "   echo.null: mutant/event-name-key <-> python/ZapConsumer\n"
    ) in said
    assert "1 tolerated - exit status 0" in said
    data = json.loads((results / "results.json").read_text("utf-8"))
    jsonschema.validate(data, json.loads(SCHEMA_FILE.read_text("utf-8")))
    (cell,) = data["cells"]
    assert cell["verdict"] == "tolerated"
    assert cell["reason"].startswith("known to be flaky until 9999-12-31: a race [seen: ")
    assert f"--known-flaky {file}" in " ".join(data["run"]["options"])


def test_a_known_flaky_cell_is_an_error_after_its_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flaky.toml"
    file.write_text(FLAKY.format("2020-01-01"), "utf-8")
    options = ["--known-flaky", str(file), "--results", str(tmp_path / "results")]
    over = "echo.null (mutant/event-name-key <-> *): may not fail any more after 2020-01-01"
    assert main(["run", *MUTANT, "--scenario", "echo.null", *options]) == 1
    said = capsys.readouterr().out
    assert over in said
    assert "1 failed - exit status 1" in said
    # What passes, or is not run, does not hide it.
    assert main(["run", *QUICK, "--scenario", "echo.null", *options]) == 1
    said = capsys.readouterr().out
    assert over in said
    assert "1 passed - exit status 1" in said


def test_a_known_flaky_cell_that_does_not_exist_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flaky.toml"
    file.write_text(FLAKY.format("9999-12-31").replace("echo.null", "ehco.null"), "utf-8")
    options = ["--scenario", "echo.null", "--known-flaky", str(file)]
    assert main(["run", *QUICK, *options, "--results", str(tmp_path / "results")]) == 2
    said = capsys.readouterr().err
    assert f"--known-flaky {file}: entry 1: 'ehco.null' names no scenario (did you mean" in said
