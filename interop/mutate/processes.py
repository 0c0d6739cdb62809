"""Runs child processes in several threads, until one call ends all of them.

Each child is the leader of a process group, which is killed as a whole. Peers are in groups of
their own, and one in an endless loop does not see that its stdin ends: a child's descendants have
its folder for temporary files, by which they are found (on Linux) and killed too.

Threads that poll, rather than an event loop: a signal reaches the main thread alone, so that it can
never cut off the start or the end of a child half-way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..places import ROOT

__all__ = ["Ended", "Processes", "Stopped"]


_POLL = 0.03
"""Seconds between two looks at a child."""


class Stopped(Exception):
    """`Processes.stop` was called: nothing runs any more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended.

    Attributes:
        printed: what it wrote to stdout.
        log: what it wrote to stderr.
        status: its exit status.
        timed_out: why it was killed: it printed nothing for too long, or took too long; else empty.
        mark: what the file holds at whose appearance it was killed; else empty.
    """

    printed: str = ""
    log: str = ""
    status: int = 0
    timed_out: str = ""
    mark: str = ""
    seconds: float = 0.0


class Processes:
    """Runs children, from any thread.

    Args:
        folder: an empty folder for their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stop = threading.Event()
        self._lock = threading.Lock()
        # How many folders there are in `folder`.
        self._count = 0

    def stop(self) -> None:
        """Kill all children; `run` raises `Stopped` from now on."""
        self._stop.set()

    def new_folder(self) -> Path:
        with self._lock:
            self._count += 1
            folder = self._folder / str(self._count)
        folder.mkdir()
        return folder

    def run(
        self, module: Sequence[str], *, limit: float, silence: float, mark: Path | None = None
    ) -> Ended:
        """Run a Python module until it ends, is killed, or there is a file `mark`.

        Args:
            module: its name and its arguments.
            limit: seconds after which it is killed.
            silence: seconds without output after which it is killed.

        Raises:
            Stopped: `stop` was called.
        """
        folder = self.new_folder()
        out, err = folder / "out", folder / "err"
        began = time.monotonic()
        if self._stop.is_set():
            raise Stopped
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, "TMPDIR": str(folder)},
                start_new_session=True,
            )
        try:
            timed_out = self._wait(process, out, mark, limit, silence)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()  # from here on it starts no more
            _kill_descendants(folder)
        return Ended(
            printed=out.read_text("utf-8", "replace"),
            log=err.read_text("utf-8", "replace"),
            status=process.returncode,
            timed_out=timed_out,
            mark=mark.read_text("utf-8", "replace") if mark is not None and mark.exists() else "",
            seconds=time.monotonic() - began,
        )

    def _wait(
        self,
        process: subprocess.Popen[bytes],
        out: Path,
        mark: Path | None,
        limit: float,
        silence: float,
    ) -> str:
        """Wait until a child ends or has to; return why it took too long, if it did."""
        began = heard = time.monotonic()
        size = 0
        while process.poll() is None and not (mark is not None and mark.exists()):
            if self._stop.wait(_POLL):
                raise Stopped
            now = time.monotonic()
            if (printed := out.stat().st_size) != size:
                heard, size = now, printed
            if now - began > limit:
                return f"took over {limit:.0f} s"
            if now - heard > silence:
                return f"nothing happened for {silence:.0f} s"
        return ""


def _kill_descendants(folder: Path) -> None:
    """Kill all processes that have a folder for temporary files; return when there are none."""
    variable = f"TMPDIR={folder}".encode()
    while _kill_those_with(variable):
        time.sleep(_POLL)  # a killed process ends a moment later


def _kill_those_with(variable: bytes) -> bool:
    """Kill processes; return whether there were any. One that has ended has no environment."""
    found = False
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or there is none any more
            if variable in (process / "environ").read_bytes().split(b"\0"):
                found = True
                os.kill(int(process.name), signal.SIGKILL)
    return found
