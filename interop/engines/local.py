"""Peers as processes of this machine, on loopback. Each engine starts its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..control.contract import Address, ContractError, parse_ready
from ..errors import PeerDied, PeerHung, Unsupported
from .engine import Faults, ended

__all__ = ["LocalEngine"]

ROOT = Path(__file__).resolve().parents[2]

START_TIMEOUT = 180.0
"""Seconds for a peer to print READY. A bare Dart VM compiling from source took 6 s."""

END_TIMEOUT = 1.0
"""Seconds that a peer whose connection has ended gets to end too, before it counts as running."""

STOP_TIMEOUT = 3.0
"""Seconds for a peer to end once its stdin is closed; then it is killed."""


class LocalEngine:
    """Starts each peer's command at its first use, and again if it has ended."""

    def __init__(self, commands: Mapping[str, Sequence[str]], logs: Path | None = None) -> None:
        self._commands = commands
        self._logs = logs
        self._running: dict[str, _Process] = {}
        # All processes but those that `restart` ended: one that ended by itself has been replaced.
        self._started: list[_Process] = []
        self._locks: dict[str, asyncio.Lock] = {}  # one start of a peer at a time

    async def address(self, peer: str) -> Address:
        async with self._locks.setdefault(peer, asyncio.Lock()):
            running = self._running.get(peer)
            if running is None or not running.alive:
                running = self._running[peer] = await _Process.start(
                    peer, self._commands[peer], self._logs
                )
                self._started.append(running)
            return running.address

    async def tap_host(self, address: Address) -> str:
        return "127.0.0.1"

    async def restart(self, peer: str) -> None:
        async with self._locks.setdefault(peer, asyncio.Lock()):
            if process := self._running.pop(peer, None):
                self._started.remove(process)
                await process.stop()

    async def end(self, address: Address) -> str:
        found = [each for each in self._started if each.address is address]
        return await found[0].end() if found else ""

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

    def __init__(self, process: asyncio.subprocess.Process, address: Address, log: Path) -> None:
        self._process = process
        self._log = log
        self.address = address
        self._drain = asyncio.create_task(_discard(process.stdout))

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    @property
    def ended(self) -> str:
        """How it ended, for messages."""
        return ended(self._process.returncode)

    async def end(self) -> str:
        """Return in words how it ended, or that it has not, and where its log is."""
        with contextlib.suppress(TimeoutError):  # its connection may have ended before it has
            async with asyncio.timeout(END_TIMEOUT):
                await self._process.wait()
        how = "its process "
        if not self.alive:
            how += self.ended
        elif _is_stopped(self._process.pid):
            how += f"{self._process.pid} is stopped, as by SIGSTOP"
        else:
            how += f"{self._process.pid} runs"
        return how if self._log == Path(os.devnull) else f"{how}; its log: {self._log}"

    @classmethod
    async def start(cls, peer: str, command: Sequence[str], logs: Path | None) -> _Process:
        log = _log_file(peer, logs)
        arguments = ["--listen", "127.0.0.1:0", "--exit-with-stdin"]
        with log.open("ab") as stderr:
            before = stderr.tell()
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    *arguments,
                    cwd=ROOT,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    # Ctrl-C in a terminal is for the run, which ends its peers itself: one that
                    # ended first would be a failure in whatever cell it is used.
                    start_new_session=True,
                )
            except OSError as exc:
                raise PeerDied(f"cannot start {peer}: {command[0]}: {exc.strerror}") from exc
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT):
                line = (await process.stdout.readline()).decode("utf-8", "replace")
            host, port = parse_ready(line)
            return cls(process, Address(host, port), log)
        except BaseException as exc:  # cancellation too: nothing else holds the process yet
            await _end(process)
            why = f"{peer} did not start: "
            if isinstance(exc, TimeoutError):
                raise PeerHung(f"{why}printed no READY line{_tail(log, before)}") from exc
            if isinstance(exc, ContractError):
                end = "" if line else f", and it {ended(process.returncode)}"
                raise PeerDied(f"{why}{exc}{end}{_tail(log, before)}") from exc
            if isinstance(exc, ValueError):  # of `readline`
                raise PeerDied(f"{why}its first line is over 64 KiB{_tail(log, before)}") from exc
            raise

    async def stop(self) -> None:
        self._drain.cancel()
        await _end(self._process)


def _log_file(peer: str, logs: Path | None) -> Path:
    if logs is None:
        return Path(os.devnull)
    logs.mkdir(parents=True, exist_ok=True)
    return logs / f"{peer}.{os.getpid()}.log"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
    finally:  # also when cancelled
        if process.returncode is None:
            # `Process.kill` would first look whether it has ended, and with that take the exit
            # status from asyncio, which then complains of an unknown child on stderr.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()


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


def _tail(log: Path, start: int) -> str:
    """Return the last lines of a log after `start`; earlier ones are another process's."""
    with log.open(encoding="utf-8", errors="replace") as file:
        if log != Path(os.devnull):
            file.seek(start)
        lines = deque(file, maxlen=8)
    return "\n  " + "  ".join(lines).rstrip() + f"\n  (whole log: {log})" if lines else ""
