"""A server or client under measurement, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from .errors import MeasureError

__all__ = ["Program"]

_END = None


class Program:
    """Runs a program below ``bench/peers``, as a context manager.

    Args:
        command: the program and its arguments.
        environment: variables to add.
        timeout: seconds that a start and an answer may take. Default 60.

    Attributes:
        port: where it listens; 0 for a client.
        versions: what it runs with.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> None:
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._timeout = timeout
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.port = 0
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready.

        Raises:
            MeasureError: it cannot be started, ends before, or takes too long.
        """
        self._log = tempfile.TemporaryFile()  # closed in __exit__
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=self._environment,
                text=True,
            )
        except OSError as exc:
            self._log.close()
            raise MeasureError(f"the program cannot be started: {exc}") from exc
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            line = self.line()
            if not line.startswith("READY "):
                raise MeasureError(f"it printed {line!r} instead of READY")
        except MeasureError:
            self.__exit__(None, None, None)
            raise
        told = json.loads(line.removeprefix("READY "))
        self.port, self.versions = told["port"], told["versions"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what could not be written any more
                    pipe.close()
        self._log.close()

    def ask(self, *words: object) -> Any:
        """Send a command and return the answer.

        Raises:
            MeasureError: it cannot do that, has ended, or does not answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise self._ended() from None
        answer = json.loads(self.line())
        if isinstance(answer, dict) and "error" in answer:
            raise MeasureError(f"the program {answer['error']}")
        return answer

    def line(self) -> str:
        """Return the next line that it prints.

        Raises:
            MeasureError: it has ended, or prints nothing for too long.
        """
        try:
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            raise MeasureError(f"the program said nothing for {self._timeout:.0f} s") from None
        if line is _END:
            self._lines.put(_END)
            raise self._ended()
        return line

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(_END)

    def _ended(self) -> MeasureError:
        status = self._process.wait(self._timeout)
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip()
        return MeasureError(f"the program ended with status {status}:\n{words[-1500:]}")
