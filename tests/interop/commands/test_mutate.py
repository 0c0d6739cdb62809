from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interop.cli import main
from interop.mutate.peers import PeerFound, PeerRunner
from interop.mutate.population import population, sample
from tests.interop.strays import strays
from tests.support import PATIENCE


def test_the_changes_of_a_module_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "--list", "--module", "connection.ids"]) == 0
    out = capsys.readouterr().out
    assert "zaptools.connection.ids ConnectionIds.release: self._taken.discard(id) -> pass\n" in out
    assert " changes, " in out.splitlines()[-1]


# Of the two that the seed draws, `echo.null` finds one.
TWO = ["mutate", "--module", "connection.ids", "--scenario", "echo.null", "--sample", "2",
       "--seed", "33"]  # fmt: skip


def test_a_sample_is_run_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mutate.json"
    assert main([*TWO, "--at-least", "51", "--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert "; 2 run, seed 33\n" in out
    assert "caught 1 of 2 (50.0 %): 1 by a red cell\nsurvived 1; no cell runs 0 of these" in out
    assert "\nculprit: right 1 of 1 (100.0 %), wrong 0, unknown 0" in out
    line = next(line for line in out.splitlines() if line.endswith("[remove] no cell is red"))
    assert line.startswith("zaptools/connection/ids.py:")
    assert "\n  - self._taken.discard(id)\n  + pass\n" in out
    data = json.loads(file.read_text("utf-8"))
    caught, survived = data["changes"]
    assert (caught["outcome"], caught["by"]) == (
        "red",
        "python@changed/ZapServer python/ZapConsumer echo.null",
    )
    assert (survived["outcome"], survived["function"]) == ("survived", "ConnectionIds.release")
    assert (data["seed"], data["caught_percent"], data["cells"]) == (33, 50.0, 2)
    assert caught["culprit"] == "right"
    assert data["possible"] - data["excluded"] >= 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--module", "romos"], "--module 'romos' names none of"),
        (["--module", "transport.readr"], "(did you mean 'transport.reader'?)"),
        (["--scenario", "ecko"], "'ecko' names no scenario (did you mean 'echo.*'?)"),
        (["--peer", "node", "--module", "rooms.*"], "--module and --tests concern changes of the"),
        (["--peer", "node", "--tests"], "--module and --tests concern changes of the library"),
    ],
)
def test_a_choice_of_nothing_is_an_error(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mutate", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--at-least", "101"], ["--at-least", "x"], ["--sample", "0"], ["--all", "--list"]],
)
def test_a_wrong_option_is_an_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["mutate", *arguments])
    capsys.readouterr()


# Of the three that the seed draws, the first is an endless loop; `echo.null` finds no other.
LOOP = ["--module", "dispatch.dispatcher", "--module", "protocol.close", "--scenario", "echo.null",
        "--sample", "3", "--seed", "19520"]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_was_found(number: signal.Signals, tmp_path: Path) -> None:
    """Two workers, one of which looks for a change that hangs; all end, and nothing complains."""
    first, *_ = sample(population(["dispatch.dispatcher", "protocol.close"]), 3, 19520)
    assert (first.function, first.after) == ("Dispatcher.drain", "continue")
    file = tmp_path / "mutate.json"
    with subprocess.Popen(
        [sys.executable, "-m", "interop", "mutate", *LOOP, "--json", str(file)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        printed = ""
        while " of 3: survived" not in printed:
            line = process.stdout.readline()
            assert line, process.communicate()
            printed += line
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == ""
    words = re.search(r"^interrupted: (\d+) of 3 changes ran$", out, re.M)
    assert words is not None
    data = json.loads(file.read_text("utf-8"))
    assert data["interrupted"]
    assert len(data["changes"]) == int(words[1]) >= 1
    assert list(tmp_path.iterdir()) == [file]
    assert strays(tmp_path) == []


def test_the_changes_of_a_peer_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "--list", "--peer", "node"]) == 0
    out = capsys.readouterr().out
    assert "\nnode/client.mjs: MESSAGE_BYTES = 1 << 24; -> MESSAGE_BYTES = 1 << 16;\n" in out
    assert " of them not to be seen" in out.splitlines()[-1]


def test_a_peer_without_changes_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "--peer", "nod"]) == 2
    assert "--peer 'nod' names none of: node," in capsys.readouterr().err


def test_an_interrupt_before_any_change_of_a_peer_ran_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(runner: PeerRunner, changes: object) -> list[PeerFound]:
        raise KeyboardInterrupt

    monkeypatch.setattr(PeerRunner, "run", interrupted)
    file = tmp_path / "mutate.json"
    assert main(["mutate", "--peer", "python", "--sample", "2", "--json", str(file)]) == 130
    assert "\ninterrupted: 0 of 2 changes ran\n" in capsys.readouterr().out
    data = json.loads(file.read_text("utf-8"))
    assert (data["interrupted"], data["caught_percent"], data["changes"]) == (True, 0.0, [])


def test_a_peer_that_cannot_run_is_told_and_an_error_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE", "/no/such/node")
    assert main(["mutate", "--peer", "node", "--scenario", "echo.null"]) == 2
    out, err = capsys.readouterr()
    assert "not run: node: " in out
    assert "none of the chosen peers can run here" in err
