"""stdout and stderr that cannot be written to, or not all of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from interop.cli import main
from interop.output import Output, Terminal, outputs

RUN = [sys.executable, "-m", "interop", "run", "--server", "python/ZapServer", "-n", "0",
       "--client", "python/ZapConsumer", "--scenario", "echo.*"]  # fmt: skip


def count(folder: Path) -> int:
    return len(json.loads((folder / "results.json").read_text("utf-8"))["cells"])


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_a_report_fits_every_encoding(encoding: str, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    command = [*RUN, "--results", str(tmp_path / "日本")]
    done = subprocess.run(command, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding)
    assert "17 cells in " in out
    assert r"\u65e5\u672c" in out
    assert "servers down, clients across" in out
    assert r"\u25" not in out


def test_a_reader_that_has_enough_does_not_end_the_run(tmp_path: Path) -> None:
    command = [*RUN, "--results", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert count(tmp_path) == 17


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_end_the_run(closed: str, tmp_path: Path) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *RUN, "--results", str(tmp_path)]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert count(tmp_path) == 17


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="nothing here is always full")
@pytest.mark.parametrize("full", ["stdout", "stderr"])
def test_output_that_cannot_be_written_is_status_2(full: str, tmp_path: Path) -> None:
    streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # What ends with an error has something to say on stderr.
    chosen = [] if full == "stdout" else ["--require", "nobody"]
    with Path("/dev/full").open("w") as device:
        done = subprocess.run(
            [*RUN, *chosen, "--results", str(tmp_path)],
            text=True,
            check=False,
            **{**streams, full: device},
        )
    assert done.returncode == 2
    if full == "stdout":
        assert done.stderr == "interop: stdout: No space left on device\n"
        assert count(tmp_path) == 17


class Failing(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_what_fails_once_is_tried_no_more() -> None:
    output = Output(Failing())
    assert output.write("abc") == 3
    assert output.write("abc") == 3
    output.flush()
    assert not output.isatty()
    assert output.failure is not None
    assert output.failure.errno == 28
    flushing = Output(Failing())
    flushing.flush()
    assert flushing.failure is not None


def test_a_reader_that_is_gone_is_no_failure() -> None:
    there, here = os.pipe()
    os.close(there)
    with os.fdopen(here, "w") as stream:
        output = Output(stream)
        output.write("x")
        output.flush()
        assert output.failure is None
        output.write("x")
        stream.write("what is buffered fails no more")


def test_streams_are_as_before_at_the_end() -> None:
    before = sys.stdout, sys.stderr
    with outputs() as found:
        assert (sys.stdout, sys.stderr) == found
        assert sys.stdout.encoding == before[0].encoding
    assert (sys.stdout, sys.stderr) == before


def test_no_control_characters_of_others_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = io.StringIO()
    console = Terminal(file=out, force_terminal=True, width=40, color_system="standard")
    console.print("[red]a\x1b[2J\rb\x9b31m\u202ec[/]\nd", soft_wrap=True, highlight=False)
    table = Table()
    table.add_row("e\x1b]0;title\x07")
    console.print(table)
    text = out.getvalue()
    assert "\x1b[31ma\\x1b[2Jb\\x9b31m\\u202ec\x1b[0m\nd\n" in text  # rich drops the \r itself
    assert "e\\x1b]0;t" in text  # as wide as rich takes it to be
    assert not {"\r", "\x07", "\x9b", "\u202e"} & set(text)


def test_nor_in_a_complaint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "\x1b[2J", "\x1b[2J"]) == 2
    assert "\\x1b[2J" in (err := capsys.readouterr().err)
    assert "\x1b" not in err
