"""``python -m interop run --watch``: run, and run again whenever a file has changed.

Each run is a program of its own, with the same words: it and its peers have the code of its time.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from ..errors import TestbedError
from ..places import CHECKOUT
from ..records import CellResult
from ..reports.answer import joined
from ..reports.causes import counted
from ..reports.compare import compare
from ..reports.results import load
from ..signals import interruptible
from ..watch.files import Files
from .compare import print_verdicts
from .options import Stop

__all__ = ["watch"]

_PARTS = ("interop", "zaptools", "pyproject.toml")
"""What a run depends on, of this repository."""

_SHOWN_FILES = 3
_SHOWN_CHANGES = 20


def watch(arguments: argparse.Namespace, results: Path, console: Console) -> int:
    """Run again and again until Ctrl-C, and return the status of the last run.

    Args:
        results: where the runs write theirs.

    Raises:
        Stop: another option does not go with it.
        TestbedError: there is too much to watch.
    """
    for option in ("serve", "open", "shard"):
        given = getattr(arguments, option)
        if given is not None and given is not False:  # a port may be 0
            raise Stop(f"--watch and --{option} do not go together")
    files = Files(
        _roots(arguments),
        [path for path in (results, arguments.history) if path],
        outputs=_outputs(),
    )
    words = [sys.executable, "-m", "interop", *arguments.words, "--no-watch"]
    status, cells = 2, None
    with interruptible():
        try:
            while True:
                before = files.states()
                found, new = _run(words, results)
                status = found
                cells = _tell(cells, new, console)
                ends = f"exit status {status}; watching {counted(files.count, 'file')} until Ctrl-C"
                _say(console, ends)
                changed = files.changed(before)
                _say(console, f"\nchanged: {escape(_listed(changed))}")
        except KeyboardInterrupt:
            _say(console, f"exit status {status}, of the last run")
    return status


def _outputs() -> list[tuple[int, int]]:
    """Return device and number of the files that this program's words go to, as a log's."""
    found = []
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):  # one may be closed
            state = os.fstat(descriptor)
            if stat.S_ISREG(state.st_mode):
                found.append((state.st_dev, state.st_ino))
    return found


def _roots(arguments: argparse.Namespace) -> Sequence[Path]:
    own = [CHECKOUT / part for part in _PARTS] if CHECKOUT else [Path.cwd()]
    flaky = [arguments.known_flaky] if arguments.known_flaky else []
    return [*own, *arguments.peers, *arguments.deviations, *flaky]


def _run(words: Sequence[str], results: Path) -> tuple[int, list[CellResult] | None]:
    """Run once; return the status, and the cells if all of them have a result.

    Raises:
        KeyboardInterrupt: the run was interrupted, and has ended.
    """
    before = _written(results)
    # In a group of its own Ctrl-C does not reach it twice.
    group = {"process_group": 0} if os.name == "posix" else {}
    sys.stdout.flush()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, **group) as process:  # type: ignore[call-overload]  # of a dict
        interrupted = False
        while True:
            try:
                process.wait()
                break
            except KeyboardInterrupt:
                interrupted = True
                process.send_signal(signal.SIGINT)
    if interrupted:
        raise KeyboardInterrupt
    try:
        fresh = _written(results) != before
        return process.returncode, load(results, whole=True).cells if fresh else None
    except TestbedError:
        return process.returncode, None


def _written(results: Path) -> object:
    """Return what is another with every run that writes its results."""
    try:
        found = os.stat(results / "results.json")
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _tell(
    old: list[CellResult] | None, new: list[CellResult] | None, console: Console
) -> list[CellResult] | None:
    """Print which verdicts changed since the last whole run; return the cells of the last one."""
    if new is None:
        _say(console, "not a whole run: its verdicts are not compared")
        return old
    if old is not None and not print_verdicts(compare(old, new), console, _SHOWN_CHANGES):
        _say(console, "no verdict changed")
    return new


def _listed(paths: Sequence[Path]) -> str:
    here = Path.cwd()
    names = [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in paths]
    rest = len(names) - _SHOWN_FILES
    return joined([*names[:_SHOWN_FILES], *([f"{rest} more"] if rest > 0 else [])])


def _say(console: Console, words: str) -> None:
    console.print(words, highlight=False, soft_wrap=True)
    sys.stdout.flush()
