"""The command line: what it refuses, writes and answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import cli
from bench.catalog import PEERS
from bench.cli import main
from bench.report import BEGIN, END, page, summary
from bench.results import read, write

from .made import made_results


@pytest.fixture(autouse=True)
def own_core() -> Iterator[None]:
    """Give back the cores that a measurement leaves to others."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "ecko"], "no measure 'ecko'; there are: echo,"),
        (["--peers", "zaptools,picow"], "no peer 'picow'; there are: zaptools,"),
        (["--only", "receive", "--peers", "picows"], "there is no row of receive with picows"),
    ],
)
def test_a_mistyped_name_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "0"], "argument --rounds: invalid positive int value: '0'"),
        (["--rounds", "five"], "argument --rounds: invalid positive int value: 'five'"),
        (["--seconds", "-1"], "argument --seconds: invalid positive float value: '-1'"),
        (["--seconds", "nan"], "argument --seconds: invalid positive float value: 'nan'"),
        (["--loop", "trio"], "invalid choice: 'trio'"),
        (["echo"], "unrecognized arguments: echo"),
    ],
)
def test_a_wrong_argument_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_part_is_measured_and_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "RESULTS", tmp_path / "whole.json")
    monkeypatch.setattr(cli, "PARTIAL", tmp_path / "part.json")
    told: list[str] = []
    arguments = ["--only", "echo", "--peers", "zaptools,websockets", "--loop", "asyncio"]
    assert main([*arguments, "--quick", "--seconds", "0.02"], tell=told.append) == 0
    assert not (tmp_path / "whole.json").exists()
    results = read(tmp_path / "part.json")
    assert results.settings == {"rounds": 1, "seconds": 0.02, "whole": False}
    assert len(told) == 3
    assert "| reached |" in told[-1]
    assert told[-1].endswith(f"written: {tmp_path / 'part.json'}")


def test_a_failure_shows_in_table_and_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = PEERS["websockets"].__class__("websockets", "gone", "no_such_program.py")
    monkeypatch.setitem(PEERS, "websockets", gone)
    told: list[str] = []
    path = str(tmp_path / "results.json")
    arguments = ["--only", "echo", "--peers", "websockets", "--loop", "asyncio"]
    more = ["--rounds", "1", "--seconds", "0.02", "--results", path]
    assert main([*arguments, *more], tell=told.append) == 1
    assert "**Not measured:**" in told[-1]
    assert "no_such_program.py" in told[-1]
    assert [failure.key.peer for failure in read(Path(path)).outcome.failures] == ["websockets"]


def test_results_are_put_into_the_documents(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/speed.md"):
        (tmp_path / name).write_text(f"text\n{BEGIN}\n{END}\n")
    results = made_results()
    write(results, tmp_path / "results.json")
    arguments = ["--write-docs", "--docs", str(tmp_path)]
    assert main([*arguments, "--results", str(tmp_path / "results.json")]) == 0
    readme = f"text\n{BEGIN}\n{summary(results)}\n{END}\n"
    assert (tmp_path / "README.md").read_text("utf-8") == readme
    assert page(results) in (tmp_path / "docs" / "speed.md").read_text("utf-8")


def test_without_results_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--write-docs", "--results", str(tmp_path / "none.json")]) == 2
    assert "measure first" in capsys.readouterr().err


def test_the_documents_show_the_results_that_there_are() -> None:
    """No number in them is typed by hand."""
    documents = [cli.ROOT / "README.md", cli.ROOT / "docs" / "speed.md"]
    shown = [path.read_text("utf-8").split(BEGIN)[1].split(END)[0] for path in documents]
    if cli.RESULTS.exists():
        results = read(cli.RESULTS)
        assert shown == [f"\n{summary(results)}\n", f"\n{page(results)}\n"]
    else:
        assert shown == ["\nNot measured yet.\n"] * 2
