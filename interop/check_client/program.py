"""The client program under test: a process of the user's command, and what it prints.

It runs in a session, and so in a process group, of its own, which is ended as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from .door import ClientError

__all__ = ["Program"]

_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

_KEPT = 1 << 16
"""Bytes that are kept of what it prints, the last ones."""

_DRAIN = 0.5
"""Seconds for reading what it had printed by its end."""


class Program:
    """One start of the program.

    Attributes:
        ended: set once it has ended by itself.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.ended = asyncio.Event()
        self._process = process
        self._stopped = False
        self._output = b""
        self._cut = False
        self._size = 0  # bytes that it has printed
        self._seen = 0  # of these, the ones before the last `pass_by`
        self._reading = asyncio.create_task(self._read())
        self._waiting = asyncio.create_task(self._wait())

    @classmethod
    async def start(cls, command: Sequence[str], variables: Mapping[str, str]) -> Program:
        """Start the program with these variables in its environment.

        Raises:
            ClientError: it cannot be started; says why.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise ClientError(f"cannot start {command[0]!r}: {exc.strerror}") from None
        return cls(process)

    @property
    def end(self) -> str:
        """How it ended by itself, in words; empty while it runs, and if it was stopped."""
        status = self._process.returncode
        if status is None or self._stopped:
            return ""
        if status >= 0:
            return f"ended with status {status}"
        return f"was ended by {_signal(-status)}"

    @property
    def killed(self) -> bool:
        """Whether a signal that was not sent from here ended it, as a crash does."""
        return (self._process.returncode or 0) < 0 and not self._stopped

    @property
    def failed(self) -> bool:
        """Whether it ended by itself, with another status than 0."""
        return bool(self._process.returncode) and not self._stopped

    def pass_by(self) -> None:
        """Leave what it has printed so far out of `output`: another scenario begins."""
        self._seen, self._cut = self._size, False

    def output(self, lines: int) -> list[str]:
        """Return the last lines that it printed since `pass_by`, on stdout or stderr."""
        size = min(self._size - self._seen, len(self._output))
        text = self._output[len(self._output) - size :]
        found = text.decode("utf-8", "replace").splitlines()
        left_out = ["…"] if self._cut or len(found) > lines else []
        return [*left_out, *found[-lines:]]

    async def stop(self) -> None:
        """End it and all processes of its group: by SIGTERM, and soon after by SIGKILL."""
        try:
            if self._process.returncode is None:
                self._stopped = True
                self._signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GRACE):
                        await self._process.wait()
        finally:  # also when cancelled
            self._signal(signal.SIGKILL)
            await self._process.wait()
            await asyncio.wait([self._reading], timeout=_DRAIN)
            self._reading.cancel()
            self._waiting.cancel()

    def _signal(self, number: signal.Signals) -> None:
        # The group outlives its leader while one of its processes runs.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _wait(self) -> None:
        await self._process.wait()
        self.ended.set()

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while data := await stream.read(_KEPT):
            self._size += len(data)
            self._cut = self._size - self._seen > _KEPT
            self._output = (self._output + data)[-_KEPT:]


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
