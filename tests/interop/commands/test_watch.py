"""``run --watch``: real runs of a real peer, whose file changes and changes back."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.cli import main
from interop.records import CellResult

from ..cells import cell

OUTSIDE = Path(__file__).parents[1] / "outside"
SOUND = "client.send(json.dumps(event))"
BROKEN = 'client.send(json.dumps({**event, "payload": 1}))'
PAIR = ["--server", "python/ZapServer", "--client", "websocket-client"]
CELL = [*PAIR, "--scenario", "echo.objects"]
LONGEST = 100
"""Seconds until the whole of it is ended, where it does not end by itself."""


class Watched:
    """``run --watch`` in a process of its own."""

    def __init__(self, peers: Path, results: Path) -> None:
        words = ["run", "--watch", *CELL, "--peers", str(peers), "--results", str(results)]
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "interop", *words, "-n", "0", "--patience", "0.5"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._timer = threading.Timer(LONGEST, self.process.kill)
        self._timer.start()

    def until(self, words: str) -> str:
        """Return what it prints up to the line with these words."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
        raise AssertionError(f"it ended without {words!r}: {''.join(lines)}")

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to it alone; return its status, and what it printed at last."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate()
        return self.process.returncode, rest

    def close(self) -> None:
        self._timer.cancel()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def peer(tmp_path: Path) -> Path:
    """Return the file of a peer of another repository."""
    folder = tmp_path / "peers" / "websocket-client"
    folder.mkdir(parents=True)
    for name in ("peer.py", "peer.toml"):
        shutil.copy(OUTSIDE / name, folder)
    return folder / "peer.py"


@pytest.fixture
def watched(peer: Path, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(tmp_path / "peers", tmp_path / "r")
    try:
        yield made
    finally:
        made.close()


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_cell_turns_red_and_green_with_the_peers_file(watched: Watched, peer: Path) -> None:
    first = watched.until("until Ctrl-C")
    assert "exit status 0; watching " in first
    assert "newly" not in first

    change(peer, SOUND, BROKEN)
    red = watched.until("until Ctrl-C")
    assert f"changed: {peer}\n" in red
    assert "newly broken: 1\n   echo.objects, python/ZapServer <-> websocket-client/" in red
    assert "passed -> failed: " in red
    assert "exit status 1; watching " in red

    change(peer, BROKEN, SOUND)
    watched.until(f"changed: {peer}")
    watched.until("1 cells, about")  # the run is under way: what changes now is run afterwards
    (peer.parent / "more.py").write_text("")
    green = watched.until("until Ctrl-C")
    assert "newly fixed: 1\n   echo.objects, " in green
    assert "failed -> passed" in green
    assert "exit status 0; watching " in green

    assert f"changed: {peer.parent / 'more.py'}\n" in watched.until("changed: ")
    watched.until("1 cells, about")
    status, rest = watched.end(signal.SIGTERM)
    assert status == 0
    assert "the testbed failed: interrupted" in rest
    assert rest.endswith("exit status 0, of the last run\n")


class FakeFiles:
    """Files that change once, and then Ctrl-C comes."""

    count = 3

    def __init__(self, roots: object, ignored: object, *, outputs: object) -> None:
        self.left = 2

    def states(self) -> object:
        return {}

    def changed(self, before: object) -> list[Path]:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return [Path.cwd() / name for name in "abcde"]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ((0, [cell()]), "no verdict changed\nexit status 0; watching 3 files until Ctrl-C\n"),
        ((2, None), "not a whole run: its verdicts are not compared\nexit status 2; watching"),
        ((1, [cell("failed")]), "newly broken: 1\n   echo.null, python/ZapServer <-> dart@"),
    ],
)
def test_what_changed_is_said_after_each_run(
    second: tuple[int, list[CellResult] | None],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = iter([(0, [cell()]), second])
    monkeypatch.setattr("interop.commands.watch.Files", FakeFiles)
    monkeypatch.setattr("interop.commands.watch._run", lambda words, results: next(runs))
    assert main(["run", "--watch"]) == second[0]
    out = capsys.readouterr().out
    first, _, rest = out.partition("\nchanged: a, b, c and 2 more\n")
    assert first == "exit status 0; watching 3 files until Ctrl-C\n"
    assert rest.startswith(words)
    assert rest.endswith(f"\nexit status {second[0]}, of the last run\n")


def test_no_option_is_named_that_a_run_has_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"topic.{number}" for number in range(23)]
    green, red = ([cell(verdict, scenario=n) for n in names] for verdict in ("passed", "failed"))
    runs = iter([(0, green), (1, red)])
    monkeypatch.setattr("interop.commands.watch.Files", FakeFiles)
    monkeypatch.setattr("interop.commands.watch._run", lambda words, results: next(runs))
    assert main(["run", "--watch"]) == 1
    assert "\n   and 3 more\n" in capsys.readouterr().out


def test_the_file_that_it_writes_its_words_to_is_not_watched(tmp_path: Path) -> None:
    log = tmp_path / "watch.log"
    program = "import sys, interop.commands.watch as w; print(w._outputs(), file=sys.stderr)"
    with log.open("w") as file:
        told = subprocess.run(
            [sys.executable, "-c", program],
            stdout=file, stderr=subprocess.PIPE, text=True, check=True,
        ).stderr  # fmt: skip
    state = log.stat()
    assert told.strip() == repr([(state.st_dev, state.st_ino)])


@pytest.mark.parametrize("more", [["--serve"], ["--open"], ["--shard", "1/2"]])
def test_what_does_not_go_with_it(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--watch", *more]) == 2
    assert f"--watch and {more[0]} do not go together" in capsys.readouterr().err
