from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from interop.cli import main
from interop.commands import replay as command
from interop.control.contract import Address
from interop.engines.local import LocalEngine
from interop.errors import CannotRun
from interop.records import CellResult

from ..cells import results
from ..runs import run

SCENARIOS = ("echo.null", "lifecycle.reconnect", "rooms.members", "request.reply",
             "lifecycle.wrong-path", "frames.ping.1")  # fmt: skip


@pytest.fixture(scope="module")
def cells() -> list[CellResult]:
    """Real cells of this library with itself."""
    found, broken = run(scenarios=SCENARIOS)
    assert broken == ""
    return found


@pytest.fixture
def recorded(cells: list[CellResult], tmp_path: Path) -> Iterator[list[str]]:
    results(*cells).write(tmp_path)
    yield ["--results", str(tmp_path)]


@pytest.mark.parametrize("half", ["client", "server"])
@pytest.mark.parametrize("scenario", SCENARIOS[:-1])
def test_each_half_of_a_cell_replays_as_it_was(
    scenario: str, half: str, recorded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", scenario, "--half", half, *recorded]) == 0
    out = capsys.readouterr().out
    live = "python/ZapServer" if half == "client" else "python/ZapConsumer"
    pair = "python/ZapServer <-> python/ZapConsumer"
    assert out.startswith(f"the {half}'s half of {pair}, {scenario}, to {live}\nall ")
    assert out.endswith(" as recorded\n")


def test_another_implementation_may_be_asked(
    recorded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "echo.null", "--server", "python/AsgiApp", *recorded]) == 0
    assert "to python/AsgiApp\n" in capsys.readouterr().out
    assert main(["replay", "echo.null", "--client", "python/ZapSubscriber", *recorded]) == 0
    assert "the server's half of " in capsys.readouterr().out


def test_peers_obey_no_variable(
    recorded: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[str | None] = []
    address = LocalEngine.address

    async def looking(engine: LocalEngine, peer: str) -> Address:
        seen.append(os.environ.get("PYTHONWARNINGS"))
        return await address(engine, peer)

    monkeypatch.setattr(LocalEngine, "address", looking)
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    assert main(["replay", "echo.null", *recorded]) == 0
    assert ({*seen}, os.environ["PYTHONWARNINGS"]) == ({None}, "error")


def test_what_differs_is_status_1(
    cells: list[CellResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = (c for c in cells if c.scenario == "echo.null")
    frames = [
        replace(frame, text=frame.text.replace("null", "true"))
        if frame.author == "server"
        else frame
        for frame in cell.frames
    ]
    results(replace(cell, frames=frames)).write(tmp_path)
    assert main(["replay", "echo.null", "--results", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "frame 1: another value at $.payload: expected a boolean True, got null None\n" in out
    assert '   recorded text {"eventName":"echo","payload":true,"headers":{}}\n' in out
    assert '   came     text {"eventName":"echo","payload":null,"headers":{}}\n' in out
    assert out.endswith("4 as recorded, 1 not\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "nope: no such cell among 7: 'nope' is in none"),
        (["ZapServer"], "ZapServer: 6 cells; say which one:\n  python/ZapServer "),
        (["frames.ping.1", "judge/Raw", "ZapServer"], "the judge wrote its half byte by byte"),
        (["echo.null", "--server", "nope"], "--server 'nope' names no server; there are: "),
        (["echo.null", "--server", "python"], "'python' names several: python/ZapServer, "),
        (["echo.null", "--client", "python/ZapServer"], "names no client; there are: "),
        (["echo.null", "--results", "/nowhere"], "/nowhere: No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_is_status_2(
    arguments: list[str], words: str, recorded: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = arguments if "--results" in arguments else [*arguments, *recorded]
    assert main(["replay", *chosen]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("interop: ")
    assert words in captured.err
    assert captured.out == ""


def test_a_recorded_implementation_that_there_is_no_more(
    cells: list[CellResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results(replace(cells[0], server="python/Gone", scenario="x")).write(tmp_path)
    assert main(["replay", "x", "--results", str(tmp_path)]) == 2
    assert "the recorded 'python/Gone' names no server" in capsys.readouterr().err


def test_an_implementation_that_cannot_run(
    recorded: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unprepared:
        def command(self, *peer: object) -> list[str]:
            raise CannotRun("no network")

    monkeypatch.setattr(command, "Preparer", Unprepared)
    assert main(["replay", "echo.null", *recorded]) == 2
    assert "python/ZapServer cannot run: no network" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x", "--server", "a", "--client", "b"],
        ["x", "--half", "both"],
        ["x", "--patience", "0"],
    ],
)
def test_other_words_are_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["replay", *arguments])
    assert caught.value.code == 2
    assert "see: python -m interop replay --help" in capsys.readouterr().err
