"""Peers as processes of this machine, on loopback. Each engine starts its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..control.contract import Address, ContractError, parse_ready
from ..errors import PeerDied, PeerHung, Unsupported
from ..places import working_folder
from .engine import Faults, ended

__all__ = ["LocalEngine", "exited", "kill_group", "release"]

START_TIMEOUT = 180.0
"""Seconds for a peer to print READY. A bare Dart VM compiling from source took 6 s."""

END_TIMEOUT = 1.0
"""Seconds that a peer whose connection has ended gets to end too, before it counts as running."""

STOP_TIMEOUT = 3.0
"""Seconds for a peer to end once its stdin is closed; then it is killed."""

_LOOK = 0.01
"""Seconds between two looks whether a process has ended."""

TAIL_BYTES = 4096
"""The end of a peer's stderr that is kept for the message when it does not start."""


class LocalEngine:
    """Starts each peer's command at its first use, and again if it has ended.

    Args:
        start_timeout: seconds for a peer to print READY; by default `START_TIMEOUT`.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        logs: Path | None = None,
        start_timeout: float | None = None,
    ) -> None:
        self._commands = commands
        self._logs = logs
        self._start_timeout = start_timeout
        self._running: dict[str, _Process] = {}
        # All processes but those that `restart` ended: one that ended by itself has been replaced.
        self._started: list[_Process] = []
        self._locks: dict[str, asyncio.Lock] = {}  # one start of a peer at a time

    async def address(self, peer: str) -> Address:
        async with self._locks.setdefault(peer, asyncio.Lock()):
            running = self._running.get(peer)
            if running is None or not running.alive:
                running = self._running[peer] = await _Process.start(
                    peer, self._commands[peer], self._logs, self._start_timeout or START_TIMEOUT
                )
                self._started.append(running)
            return running.address

    async def tap_host(self, address: Address) -> str:
        return "127.0.0.1"

    def last_address(self, peer: str) -> Address | None:
        """Return where `peer` was started last, also if it has ended; None if it never was."""
        process = self._running.get(peer)
        return process.address if process is not None else None

    def pid(self, peer: str) -> int | None:
        """Return the id of the process that runs `peer`; None if none does."""
        process = self._running.get(peer)
        return process.pid if process is not None and process.alive else None

    async def restart(self, peer: str) -> None:
        async with self._locks.setdefault(peer, asyncio.Lock()):
            if process := self._running.pop(peer, None):
                self._started.remove(process)
                await process.stop()

    async def end(self, address: Address) -> str:
        found = [each for each in self._started if each.address is address]
        return await found[0].end() if found else ""

    def last_lines(self, address: Address) -> str:
        """Return the end of what the peer at `address` wrote to its stderr, indented lines.

        Args:
            address: what `address` returned for it, the same object.
        """
        return "".join(each.last_lines for each in self._started if each.address is address)

    def faults(self) -> Faults:
        raise Unsupported(
            "engine local does nothing to a peer, a process of this machine; --engine docker does"
        )

    async def close(self) -> None:
        gone = [f"{p} {each.ended}" for p, each in self._running.items() if not each.alive]
        await asyncio.gather(*(process.stop() for process in self._running.values()))
        self._running.clear()
        if gone:
            raise PeerDied(f"peers ended by themselves while no cell used them: {'; '.join(gone)}")


class _Process:
    """One peer process. It ends when its stdin is closed, and is killed if it does not."""

    def __init__(self, process: asyncio.subprocess.Process, address: Address, log: _Log) -> None:
        self._process = process
        self._log = log
        self.address = address
        self._drain = asyncio.create_task(_discard(process.stdout))

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> str:
        """How it ended, for messages."""
        return ended(self._process.returncode)

    @property
    def last_lines(self) -> str:
        """The end of its stderr, on lines of their own."""
        return self._log.tail

    async def end(self) -> str:
        """Return in words how it ended, or that it has not, and where its log is."""
        with contextlib.suppress(TimeoutError):  # its connection may have ended before it has
            async with asyncio.timeout(END_TIMEOUT):
                await exited(self._process)
        how = "its process "
        if not self.alive:
            how += self.ended
            await self._log.end()
        elif _is_stopped(self.pid):
            how += f"{self.pid} is stopped, as by SIGSTOP"
        else:
            how += f"{self.pid} runs"
        return f"{how}; its log: {self._log.where}" if self._log.where else how

    @classmethod
    async def start(
        cls, peer: str, command: Sequence[str], logs: Path | None, within: float
    ) -> _Process:
        arguments = ["--listen", "127.0.0.1:0", "--exit-with-stdin"]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                *arguments,
                cwd=working_folder(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Ctrl-C in a terminal is for the run, which ends its peers itself: one that ended
                # first would be a failure in whatever cell it is used.
                start_new_session=True,
            )
        except OSError as exc:
            raise PeerDied(f"cannot start {peer}: {command[0]}: {exc.strerror}") from exc
        assert process.stdout is not None
        assert process.stderr is not None
        log = _Log(process.stderr, logs and logs / f"{peer}.{os.getpid()}.log")
        try:
            async with asyncio.timeout(within):
                line = (await process.stdout.readline()).decode("utf-8", "replace")
            host, port = parse_ready(line)
            return cls(process, Address(host, port), log)
        except BaseException as exc:  # cancellation too: nothing else holds the process yet
            await _end(process)
            await log.end()
            release(process)
            why = f"{peer} did not start: "
            if isinstance(exc, TimeoutError):
                raise PeerHung(f"{why}printed no READY line within {within:g} s{log.tail}") from exc
            if isinstance(exc, ContractError):
                end = "" if line else f", and it {ended(process.returncode)}"
                raise PeerDied(f"{why}{exc}{end}{log.tail}") from exc
            if isinstance(exc, ValueError):  # of `readline`
                raise PeerDied(f"{why}its first line is over 64 KiB{log.tail}") from exc
            raise

    async def stop(self) -> None:
        self._drain.cancel()
        await _end(self._process)
        await self._log.end()
        release(self._process)


class _Log:
    """Keeps what a peer writes to its stderr in a file, as far as that can be written.

    The peer itself writes into a pipe. On a full disk its own writes would fail, as errors of its
    library: the Python and Dart peers reported them as exceptions that escaped, and Node hung.

    Args:
        stderr: the peer's.
        path: the file to append to, or None for none.
    """

    def __init__(self, stderr: asyncio.StreamReader, path: Path | None) -> None:
        self._path = path
        self._failure = ""  # why not all of it is in the file
        self._last = b""
        self._task = asyncio.create_task(self._keep(stderr))

    @property
    def where(self) -> str:
        """The file's name, for messages; empty if there is to be none."""
        if self._path is None or not self._failure:
            return str(self._path or "")
        return f"{self._path} (not all of it: {self._failure})"

    @property
    def tail(self) -> str:
        """The last lines, on lines of their own."""
        lines = self._last.decode("utf-8", "replace").splitlines(keepends=True)[-8:]
        whole = f"\n  (whole log: {self.where})" if self.where else ""
        return "\n  " + "  ".join(lines).rstrip() + whole if lines else ""

    async def end(self) -> None:
        """Return once all of it is kept, of a peer that has ended; what it started may not have."""
        await asyncio.wait([self._task], timeout=END_TIMEOUT)
        self._task.cancel()

    async def _keep(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(65536):
            self._last = (self._last + data)[-TAIL_BYTES:]
            try:
                self._write(data)
            except OSError as exc:
                self._failure = str(exc.strerror)

    def _write(self, data: bytes) -> None:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(data)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await exited(process)
    finally:  # also when cancelled
        await kill_group(process)


async def exited(process: asyncio.subprocess.Process) -> int:
    """Return a process's exit status as soon as it has one.

    `Process.wait` waits for the ends of its pipes too, in some versions of Python, and those are
    held by each process that it started and left behind.
    """
    while process.returncode is None:  # noqa: ASYNC110  # asyncio offers no event of it
        await asyncio.sleep(_LOOK)
    return process.returncode


async def kill_group(process: asyncio.subprocess.Process) -> None:
    """End a process that leads a group, and with it what it started: the group outlives it."""
    # `Process.kill` would first look whether it has ended, and with that take the exit status
    # from asyncio, which then complains of an unknown child on stderr.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await exited(process)


def release(process: asyncio.subprocess.Process) -> None:
    """Close the pipes of a process that has ended: what it left behind may hold them for ever."""
    process._transport.close()  # type: ignore[attr-defined]  # asyncio has no other way


async def _discard(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(65536):
        pass


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; False where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[:1] == ["T"]  # the name before it may hold anything
