from __future__ import annotations

import subprocess
import sys

import pytest

from interop.cli import main
from interop.commands import listing


def test_no_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_the_commands_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for command in (
        "run",
        "list",
        "dart-packages",
        "deviations",
        "compare",
        "wire-diff",
        "check",
        "record",
        "replay",
    ):
        assert f"\n    {command}" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            "check ws://h --eco x",
            "check: error: unrecognized arguments: --eco x (did you mean '--e",
        ),
        (
            "gate --clinets=x ws://h",
            "gate: error: unrecognized arguments: --clinets=x (did you mea",
        ),
        ("gate", "gate: error: one of the arguments URL --server is required\n"),
        ("gate ws://h --server ws://h", "gate: error: argument --server: not allowed with"),
        ("check ws://h --wrong", "check: error: unrecognized arguments: --wrong\n"),
    ],
)
def test_a_usage_error_names_the_command_and_what_is_meant(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"python -m interop {says}")
    assert said.splitlines()[1:] == [f"see: python -m interop {words.split()[0]} --help"]


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "known_peers", interrupted)
    assert main(["list"]) == 130


def test_an_unexpected_error_is_status_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(arguments: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/plan.json")

    monkeypatch.setattr(listing, "known_peers", full)
    assert main(["list"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        "interop: the testbed failed: OSError: [Errno 28] No space left on device"
    )
    assert "(test_cli.py:" in err
    assert err.count("\n") == 1


def test_a_python_without_asserts_runs_nothing() -> None:
    command = [sys.executable, "-O", "-m", "interop", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("interop: python -O leaves out the asserts")
