"""Ctrl-C in each command: it ends, without a traceback and without blame."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ..cells import cell, results

INTERRUPTED = """
import importlib, os, signal, sys
from interop.cli import main

place, name = sys.argv[1].split(":")
module = importlib.import_module(place)
before = getattr(module, name)

def interrupted(*arguments, **more):
    os.kill(os.getpid(), signal.SIGINT)
    return before(*arguments, **more)

setattr(module, name, interrupted)
status = main(sys.argv[2:])
print("status", status)
"""


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("interop.commands.run:known_peers", ["run"]),
        ("interop.run.runner:_check_whole", ["run"]),
        ("interop.run.runner:_check_whole", ["list"]),
        ("interop.run.runner:_check_whole", ["check", "ws://127.0.0.1:9/"]),
        ("interop.verdicts.deviations:load", ["deviations"]),
        ("interop.reports.results:decode", ["compare", "{folder}", "{folder}"]),
        ("interop.reports.results:decode", ["wire-diff", "{folder}"]),
        ("interop.reports.results:decode", ["show", "echo.null", "--results", "{folder}"]),
        ("interop.reports.results:decode", ["replay", "echo.null", "--results", "{folder}"]),
    ],
)
def test_a_command_ends_with_130_and_says_nothing(
    place: str, arguments: list[str], tmp_path: Path
) -> None:
    results(cell()).write(tmp_path)
    words = [word.format(folder=tmp_path) for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, place, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.splitlines()[-1:], done.stderr) == (["status 130"], "")
