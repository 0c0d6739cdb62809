"""Runs as a whole: workers, the catalogue, and what is said when pytest itself cannot go on."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from interop.catalog import CatalogError
from interop.engines.engine import Engine
from interop.errors import TestbedError
from interop.records import CellResult, PeerRecord, encode
from interop.reports import results
from interop.run import runner
from interop.run.plan import Plan
from interop.run.runner import Collector, in_short, load_catalogue, run_plan

from ..runs import CLIENT, PYTHON, SERVER, run

SCENARIOS = """
import os, pytest
from interop.scenarios.scenario import scenario
from interop.roles.server import Server

@pytest.mark.parametrize("name", ["a", "b", "c"])
@scenario("fine", "It does nothing.")
async def test_fine(server: Server, name: str) -> None:
    pass

@scenario("bad", "It ends its process.")
async def test_bad(server: Server) -> None:
    {bad}
"""


def run_file(
    tmp_path: Path, bad: str, workers: int, text: str = SCENARIOS, **more: Any
) -> tuple[list[CellResult], str]:
    # A name of its own: pytest imports a module's name once.
    path = tmp_path / f"test_{uuid.uuid4().hex}.py"
    path.write_text(text.replace("{bad}", bad), "utf-8")
    plan = Plan("local", (SERVER,), (CLIENT,), commands={"python": PYTHON}, **more)
    cells, _, broken = run_plan(
        plan, workers=workers, progress=lambda count, cell: None, scenarios=path
    )
    return cells, broken


@pytest.mark.parametrize(("workers", "at_once"), [(2, 1), (0, 4), (2, 4)])
def test_workers_bring_the_same_cells_home(workers: int, at_once: int) -> None:
    chosen = ("echo.null", "echo.floats", "headers.*", "time.idle", "amount.ten-thousand")
    alone, _ = run(scenarios=chosen)
    shared, broken = run(workers=workers, scenarios=chosen, at_once=at_once)
    assert broken == ""

    def verdicts(cells: list[CellResult]) -> list[tuple[str, str, str]]:
        return sorted((cell.server, cell.scenario, cell.verdict) for cell in cells)

    assert verdicts(shared) == verdicts(alone)
    assert len(alone) > 5


def test_the_catalogue_has_ids_rules_and_both_severities() -> None:
    catalogue = load_catalogue()
    assert len(catalogue) >= 90
    assert {facts.severity for facts in catalogue.values()} == {"must", "should"}
    for name, facts in catalogue.items():
        assert name.startswith(facts.id)
        assert facts.rule.endswith("."), name
        for parameter in facts.should:
            assert f"{facts.id}.{parameter}" in catalogue


class Report:
    """What a pytest report holds for the collector."""

    nodeid = "test_x.py::test_y"
    when = "call"
    failed = True
    longreprtext = "SyntaxError"
    user_properties = [("interop-teardown", "test_x.py::test_z: RuntimeError: too late")]  # noqa: RUF012  # a stand-in


def test_what_goes_wrong_outside_of_cells_breaks_the_run() -> None:
    collector = Collector(lambda count, cell: pytest.fail("no cell"))
    collector.pytest_runtest_logreport(Report())  # type: ignore[arg-type]  # a stand-in
    collector.pytest_collectreport(Report())  # type: ignore[arg-type]  # a stand-in
    collector.pytest_internalerror("INTERNALERROR")
    crashed = Report()
    crashed.when = "???"
    collector.pytest_runtest_logreport(crashed)  # type: ignore[arg-type]  # a stand-in
    assert collector.problems == [
        "tearing down test_x.py::test_z: RuntimeError: too late",
        "collecting test_x.py::test_y: SyntaxError",
        "INTERNALERROR",
        "test_x.py::test_y: SyntaxError",
    ]
    assert collector.finished == []


def test_a_peer_that_changes_between_workers_breaks_the_run() -> None:
    collector = Collector(lambda count, cell: pytest.fail("no cell"))

    def tell(digest: str) -> None:
        report = Report()
        report.when = "call"
        peer = PeerRecord("Dart", "3.7.3", {"zap": "0.3.0"}, {"zap": digest})
        report.user_properties = [("interop-peers", encode({"zap/Server": peer}).decode())]
        collector.pytest_runtest_logreport(report)  # type: ignore[arg-type]  # a stand-in

    tell("0f")
    tell("0f")
    assert collector.problems == []
    tell("1e")
    (problem,) = collector.problems
    assert problem.startswith("zap/Server changed during the run: ")
    assert collector.peers["zap/Server"].sources == {"zap": "0f"}


def test_the_peers_tell_what_they_are_made_of() -> None:
    peers: dict[str, PeerRecord] = {}
    plan = Plan(
        "local", (SERVER,), (CLIENT,), commands={"python": PYTHON}, scenarios=("echo.null",)
    )
    run_plan(plan, workers=1, progress=lambda count, cell: None, peers=peers)
    assert list(peers) == [CLIENT.id, SERVER.id]
    for peer in peers.values():
        assert peer.libraries["zaptools"]
        assert peer.sources.keys() == peer.libraries.keys()
        assert len(set(peer.sources.values())) == len(peer.sources)  # not of nothing


def test_what_goes_wrong_after_a_cell_breaks_the_run_and_costs_no_cell(tmp_path: Path) -> None:
    cells, broken = run_file(tmp_path, "server.session.close = None", workers=0)
    assert {cell.verdict for cell in cells} == {"passed"}
    assert len(cells) == 4
    assert "tearing down " in broken
    assert "TypeError: 'NoneType' object is not callable (pool.py:" in broken


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_engine_that_does_not_close_breaks_the_run_and_costs_no_cell(
    workers: int, tmp_path: Path
) -> None:
    late = (
        "    from interop.engines.local import LocalEngine; close = LocalEngine.close\n"
        "    async def late(e): LocalEngine.close = close; await close(e); raise OSError('late')\n"
        "    LocalEngine.close = late\n"
    )
    # Of two workers the one that has the last cell is still busy when the other one's engine fails.
    text = SCENARIOS.replace("    pass\n", late)
    busy = "import asyncio; await asyncio.sleep(1)"
    cells, broken = run_file(tmp_path, busy, workers, text=text)
    assert {cell.verdict for cell in cells} == {"passed"}
    assert len(cells) == 4
    assert "OSError: late" in broken


def test_an_engine_that_cannot_be_made_is_looked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Plan] = []

    def make(plan: Plan) -> Engine:
        made.append(plan)
        raise TestbedError("no engine here")

    monkeypatch.setattr(Plan, "make_engine", make)
    cells, broken = run_file(tmp_path, "pass", workers=0)
    assert {(cell.verdict, cell.reason) for cell in cells} == {
        ("error", "TestbedError: no engine here")
    }
    assert (len(cells), len(made), broken) == (4, 1, "")


def test_a_run_keeps_no_cell_alive(tmp_path: Path) -> None:
    bad = (
        "import gc; from interop.wire.tap import Tap; gc.collect()\n"
        "    assert sum(isinstance(each, Tap) for each in gc.get_objects()) <= 2"
    )
    # The first three fail, each with a traceback that holds its tap; what is left is the last
    # one's, which `sys.last_value` leads to, and the cell's own that looks.
    fine = SCENARIOS.replace("    pass\n", "    assert not server.sessions\n").replace(
        "server: Server, name: str", "server: Server, tap: object, name: str"
    )
    cells, _ = run_file(tmp_path, bad, workers=0, text=fine)
    assert {cell.scenario: cell.verdict for cell in cells} == {
        "fine.a": "failed",
        "fine.b": "failed",
        "fine.c": "failed",
        "bad": "passed",
    }


def test_a_run_in_this_process_leaves_the_environment_as_it_was(tmp_path: Path) -> None:
    before = dict(os.environ)
    run_file(tmp_path, "pass", workers=0)
    assert dict(os.environ) == before


def test_a_run_takes_no_plugin_that_happens_to_be_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for before in (None, "", "1"):
        if before is None:
            monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        else:
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", before)
        bad = "import sys; assert 'pytest_asyncio' not in sys.modules"
        cells, broken = run_file(tmp_path, bad, workers=1)
        assert broken == ""
        assert {cell.verdict for cell in cells} == {"passed"}
        assert os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") == before


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PYTEST_ADDOPTS", "-k fine"),
        ("PYTEST_ADDOPTS", "--no-such-option"),
        ("PYTEST_PLUGINS", "no_such_plugin"),
        ("PYTHONWARNINGS", "ignore"),
    ],
)
def test_a_run_obeys_nothing_but_its_own_arguments(
    variable: str, value: str, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n", "utf-8")
    (tmp_path / "conftest.py").write_text("collect_ignore_glob = ['*']\n", "utf-8")
    monkeypatch.setenv(variable, value)
    cells, broken = run_file(tmp_path, f"assert {variable!r} not in os.environ", workers)
    assert broken == ""
    assert [cell.verdict for cell in cells] == ["passed"] * 4
    assert os.environ[variable] == value


def test_the_environment_takes_nothing_out_of_the_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = load_catalogue()
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k echo")
    assert load_catalogue() == whole


def test_what_pytest_leaves_out_breaks_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As it would with an option that reached it by a way that is not known yet.
    run_pytest = pytest.main

    def with_option(arguments: list[str], plugins: list[object]) -> int:
        return run_pytest([*arguments, "-k", "fine"], plugins)

    monkeypatch.setattr(pytest, "main", with_option)
    cells, broken = run_file(tmp_path, "pass", workers=0)
    assert len(cells) == 3
    assert broken.startswith("pytest left out 1 tests, ")
    with pytest.raises(CatalogError, match="pytest left out "):
        load_catalogue()


def test_a_catalogue_that_is_not_whole_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run_pytest = pytest.main

    def with_option(arguments: list[str], plugins: list[object]) -> int:
        missing = str(runner.SCENARIOS / "test_values.py")
        return run_pytest([*arguments, "--ignore", missing], plugins)

    monkeypatch.setattr(pytest, "main", with_option)
    with pytest.raises(CatalogError, match=r"collected \d+ of \d+ scenarios; test_\w+ is missing"):
        load_catalogue()


def test_ctrl_c_while_scenarios_are_collected_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupting:
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_finish(self) -> None:
            raise KeyboardInterrupt

    run_pytest = pytest.main

    def interrupted(arguments: list[str], plugins: list[object]) -> int:
        return run_pytest(arguments, [*plugins, Interrupting()])

    monkeypatch.setattr(pytest, "main", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_catalogue()


def test_a_testbed_that_breaks_in_each_cell_says_so_in_short() -> None:
    assert in_short(["a", "b", "c", "d", "e"]) == "a; b; c; d; e"
    assert in_short([f"cell {n}" for n in range(7)]).endswith("cell 4; and 2 more")


def test_a_fault_in_explaining_costs_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(cells: object) -> None:
        raise KeyError("payload")

    monkeypatch.setattr(runner, "name_culprits", fails)
    cells, broken = run_file(tmp_path, "pass", workers=0)
    assert len(cells) == 4
    assert broken == "explaining the red cells: KeyError: 'payload'"


MASKS = """
import os, signal, sys
if "sys.stdin.readline" in str(sys.orig_argv):  # of execnet, which starts the workers
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with open(os.path.join(os.path.dirname(__file__), f"{os.getpid()}.mask"), "w") as file:
        file.write(str(sorted(each.name for each in blocked)))
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no such call here")
def test_the_worker_in_place_of_one_that_crashed_starts_without_signals_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(MASKS, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run_file(tmp_path, "os._exit(1)", workers=1)
    found = [path.read_text("utf-8") for path in tmp_path.glob("*.mask")]
    assert found == 2 * ["['SIGHUP', 'SIGINT', 'SIGTERM']"]


def test_a_worker_that_crashes_costs_its_cell_alone(tmp_path: Path) -> None:
    cells, broken = run_file(tmp_path, "os._exit(1)", workers=2)
    assert sorted(cell.scenario for cell in cells) == ["fine.a", "fine.b", "fine.c"]
    assert "crashed while running" in broken
    assert "test_bad" in broken


@pytest.mark.parametrize("at_once", [1, 3])
def test_an_interrupted_run_keeps_what_is_finished(at_once: int, tmp_path: Path) -> None:
    wait = "import asyncio; await asyncio.sleep(0.2)\n    "
    for bad in (f"{wait}raise KeyboardInterrupt", f"{wait}os.kill(os.getpid(), 15); {wait}"):
        cells, broken = run_file(tmp_path, bad, workers=0, at_once=at_once)
        assert [cell.scenario for cell in cells] == ["fine.a", "fine.b", "fine.c"]
        assert broken == "interrupted"


def logging(log: Path, text: str = SCENARIOS, *, together: int = 1) -> str:
    """Let each of the three cells say when it begins and when it ends, after so many have begun."""
    return text.replace(
        "    pass\n",
        f"    import asyncio\n    with open({str(log)!r}, 'a+') as file:\n"
        "        print(name, end='', file=file, flush=True)\n"
        "        begun = 0\n"
        f"        while begun < {together}:\n"
        "            await asyncio.sleep(0.05)\n"
        "            file.seek(0)\n"
        "            begun = sum(map(str.isalpha, file.read()))\n"
        "        print('.', end='', file=file, flush=True)\n",
    )


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_cells_run_at_the_same_time(at_once: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = logging(log, together=at_once)
    cells, _ = run_file(tmp_path, "pass", workers=0, text=text, at_once=at_once)
    assert {cell.verdict for cell in cells} == {"passed"}
    seen = log.read_text("utf-8")
    assert sorted(seen) == sorted("abc...")
    running = list(itertools.accumulate(-1 if each == "." else 1 for each in seen))
    assert max(running) == at_once


def test_of_cells_that_are_much_work_one_runs_at_a_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = logging(log).replace('"It does nothing."', '"It does much.", needs="load"')
    run_file(tmp_path, "pass", workers=0, text=text, at_once=3)
    assert log.read_text("utf-8") == "a.b.c."


def test_what_takes_long_is_begun_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    bad = f"with open({str(log)!r}, 'a') as file: print('bad ', end='', file=file)"
    text = logging(log).replace('"bad"', '"time.bad"')
    run_file(tmp_path, bad, workers=0, text=text)
    assert log.read_text("utf-8") == "bad a.b.c."


def test_a_peer_that_a_cell_ends_spoils_no_other_that_uses_it(tmp_path: Path) -> None:
    text = SCENARIOS.replace(
        "    pass\n", "    import asyncio; await asyncio.sleep(0.3); await server.settle()\n"
    )
    bad = "server.session.start('x', {'op': 5}); await server.settle()"
    cells, broken = run_file(tmp_path, bad, workers=0, text=text, at_once=4)
    assert {cell.scenario: cell.verdict for cell in cells} == {
        "fine.a": "passed",
        "fine.b": "passed",
        "fine.c": "passed",
        "bad": "error",
    }
    assert broken == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_killed_peer_is_named_and_the_other_side_is_not_at_fault(tmp_path: Path) -> None:
    bad = (
        "import gc; from interop.engines.local import LocalEngine\n"
        "    engines = [e for e in gc.get_objects() if isinstance(e, LocalEngine)]\n"
        "    pids = [pid for e in engines if (pid := e.pid('python')) is not None]\n"
        "    for pid in pids: os.kill(pid, 9)\n"
        "    assert False, 'the client saw the end'"
    )
    cells, broken = run_file(tmp_path, bad, workers=1)
    found = {cell.scenario: cell for cell in cells}
    assert found["bad"].verdict == "error"
    died = "PeerDied: server python/ZapServer: the peer closed its control connection"
    assert found["bad"].reason.startswith(died)
    assert "; the scenario ended with: the client saw the end" in found["bad"].reason
    assert found["bad"].culprit is None
    assert broken == ""


def test_a_cell_in_which_descriptors_ran_out_is_the_testbeds(tmp_path: Path) -> None:
    bad = (
        "import asyncio, errno; short = OSError(errno.EMFILE, 'no more')\n"
        "    told = {'message': 'accept', 'exception': short}\n"
        "    asyncio.get_running_loop().call_exception_handler(told)\n"
        "    "
    )
    for more, verdict in (("assert False, 'nobody came'", "error"), ("pass", "passed")):
        cells, _ = run_file(tmp_path, bad + more, workers=0)
        found = {cell.scenario: cell for cell in cells}
        assert found["bad"].verdict == verdict
        assert found["bad"].culprit is None
        if verdict == "error":
            reason = found["bad"].reason
            assert reason.startswith("a process had no file descriptor left; raise the limit")
            assert "nobody came" in reason


def test_a_peers_end_that_no_cell_repeats_breaks_the_run(tmp_path: Path) -> None:
    ended = str(tmp_path / "ended")
    text = SCENARIOS.replace("    pass\n", "    import asyncio; await asyncio.sleep(0.3)\n")
    bad = (
        f"once = not os.path.exists({ended!r}); os.close(os.open({ended!r}, os.O_CREAT))\n"
        "    if once: server.session.start('x', {'op': 5}); await server.settle()"
    )
    cells, broken = run_file(tmp_path, bad, workers=0, text=text, at_once=4)
    assert {cell.verdict for cell in cells} == {"passed"}
    # How many it failed depends on whether the others ended before its program did.
    assert re.search("peers failed some of [1-4] cells that ran at the same time", broken)
    assert "alone: python (server python/ZapServer: the peer closed its control" in broken


@pytest.mark.parametrize(
    "bad",
    [
        "pytest.fail('no good')",
        "pytest.skip('no good')",
        "pytest.exit('no good')",
        "raise SystemExit('no good')",
        "import asyncio; raise asyncio.CancelledError('no good')",
    ],
)
def test_what_is_no_common_exception_costs_its_cell_alone(bad: str, tmp_path: Path) -> None:
    cells, broken = run_file(tmp_path, bad, workers=0, at_once=3)
    assert broken == ""
    found = {cell.scenario: (cell.verdict, cell.reason) for cell in cells}
    assert found["bad"][0] == "error"
    assert "no good" in found["bad"][1]
    assert len(found) == 4


@pytest.mark.parametrize(("workers", "at_once"), [(0, 1), (0, 4), (1, 4)])
def test_a_coroutine_never_awaited_breaks_the_run_and_costs_no_cell(
    workers: int, at_once: int, tmp_path: Path
) -> None:
    for bad in ("import asyncio; it = [asyncio.sleep(0)]; it.append(it)", "open(os.devnull)"):
        cells, broken = run_file(tmp_path, bad, workers, at_once=at_once)
        assert {cell.verdict for cell in cells} == {"passed"}
        assert len(cells) == 4
        assert "never awaited" in broken or "unclosed file" in broken


def test_pytests_own_output_says_what_the_verdicts_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "test_shown.py"
    text = SCENARIOS.replace("{bad}", "assert server is None, 'it is there'")
    lack = "    if name == 'b':\n        raise Unsupported('engine x cannot')\n"
    text = text.replace("    pass\n", lack).replace(
        "import os", "from interop.errors import Unsupported\nimport os"
    )
    path.write_text(text, "utf-8")
    plan = Plan("local", (SERVER,), (CLIENT,), commands={"python": PYTHON})
    run_plan(plan, workers=0, progress=lambda count, cell: None, verbose=True, scenarios=path)
    shown = capsys.readouterr().out
    assert "1 failed, 2 passed, 1 skipped" in shown
    assert "AssertionError: it is there" in shown
    assert ", in test_bad\n" in shown


def test_cells_that_an_interrupt_ends_still_have_their_peers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = SCENARIOS.replace(
        "    pass\n",
        "    import asyncio\n    try: await asyncio.sleep(9)\n    finally:\n"
        f"        await server.settle()\n        with open({str(log)!r}, 'a') as file:\n"
        "            file.write(name)\n",
    )
    bad = "import asyncio; await asyncio.sleep(0.2); raise KeyboardInterrupt"
    cells, broken = run_file(tmp_path, bad, workers=0, text=text, at_once=4)
    assert (cells, broken) == ([], "interrupted")
    assert sorted(log.read_text("utf-8")) == ["a", "b", "c"]


def test_a_run_of_another_thread_leaves_signals_alone(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[tuple[list[CellResult], str]] = []
    thread = threading.Thread(target=lambda: found.append(run_file(tmp_path, "pass", 0)))
    thread.start()
    thread.join()
    assert found[0][1] == ""
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupt_while_scenarios_are_collected_blames_none_of_them(
    workers: int, tmp_path: Path
) -> None:
    interrupt = "\nimport signal; os.kill(os.getpid(), signal.SIGINT)\n"
    cells, broken = run_file(tmp_path, "pass", workers, text=SCENARIOS + interrupt)
    assert (cells, broken) == ([], "interrupted")


@pytest.mark.parametrize(
    "ended",
    [
        [signal.SIGINT],
        [signal.SIGINT, signal.SIGINT],
        [signal.SIGTERM],
        pytest.param(
            [getattr(signal, "SIGHUP", 0)],
            marks=pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here"),
        ),
    ],
)
def test_what_ends_a_run_still_lets_it_write_its_results(
    ended: list[signal.Signals], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "interop", "run", "-n", "1", "--results", str(tmp_path)]
    chosen = ["--server", "python/ZapServer", "--client", "python/ZapConsumer"]
    with subprocess.Popen(
        [*command, *chosen],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert " cells, about " in process.stdout.readline()
        assert " cells, 0 unexpected" in process.stdout.readline()
        for each in ended:
            os.killpg(process.pid, each)
        out, err = process.communicate()
    assert "the testbed failed: interrupted" in out
    assert err == ""
    assert process.returncode == 2
    cells = results.read(tmp_path)
    assert 0 < len(cells) < len(load_catalogue())
    assert {path.name for path in tmp_path.iterdir()} == {
        "results.json",
        "junit.xml",
        "report.html",
        "summary.md",
    }


@pytest.mark.parametrize(
    ("workers", "bad", "verdict"),
    [
        (0, "assert server is None", "failed"),
        (1, "raise OSError('no')", "error"),
        (2, "assert server is None", "failed"),
    ],
)
def test_the_first_unexpected_result_may_end_the_run(
    workers: int, bad: str, verdict: str, tmp_path: Path
) -> None:
    many = SCENARIOS.replace('["a", "b", "c"]', "range(500)")
    text = many.replace('"fine"', '"one"', 1).replace("    pass\n", f"    {bad}\n")
    cells, broken = run_file(tmp_path, "pass", workers, text, fail_fast=True, at_once=4)
    assert broken == ""
    assert 0 < len(cells) < 100
    assert {cell.verdict for cell in cells} - {"passed"} == {verdict}


def test_a_cell_whose_runs_differ_is_flaky(tmp_path: Path) -> None:
    ran = str(tmp_path / "ran")
    bad = (
        f"first = not os.path.exists({ran!r}); os.close(os.open({ran!r}, os.O_CREAT)); assert first"
    )
    cells, broken = run_file(tmp_path, bad, 0, repeat=3)
    assert broken == ""
    assert {cell.scenario: (cell.verdict, cell.pass_rate) for cell in cells} == {
        "fine.a": ("passed", 1.0),
        "fine.b": ("passed", 1.0),
        "fine.c": ("passed", 1.0),
        "bad": ("flaky", 0.333),
    }
    assert [run.verdict for run in cells[-1].runs] == ["passed", "failed", "failed"]


def test_where_the_time_went_is_in_each_cell(tmp_path: Path) -> None:
    cells, _ = run_file(tmp_path, "await server.settle()", workers=0)
    for cell in cells:
        assert cell.setup_ms > 0
        assert cell.teardown_ms > 0
        assert (cell.waited_ms > 0) is (cell.scenario == "bad")
