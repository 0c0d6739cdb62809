"""What the measured servers share: options, the READY line, and the questions they answer.

A server is a script of its own, run in the environment of its library, so this module knows the
standard library alone. It prints ``READY {…}`` once it listens and then reads one command a line
from stdin: ``cpu``, ``memory`` and ``broadcast COUNT SECONDS`` (that many, so far apart). Each
is answered with one line of JSON. At the end of stdin it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.metadata
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

__all__ = ["PAYLOAD", "Options", "Server", "listener", "options", "run", "versions"]

PAYLOAD = {"user": "ada", "text": "x" * 40, "n": 12345}
"""What a broadcast carries: with its envelope an event of about 110 bytes."""


class Options(argparse.Namespace):
    """The command line of a server or client program."""

    loop: str
    deflate: bool
    core: int | None
    port: int
    count: int


def options() -> Options:
    """Read the command line, and move this process to its core."""
    # What a library prints belongs to the log, so that it cannot be taken for an answer.
    global _out
    _out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--core", type=int)
    parser.add_argument("--port", type=int, default=0, help="of the server, for a client")
    parser.add_argument("--count", type=int, default=0, help="events to receive, for a client")
    chosen = parser.parse_args(namespace=Options())
    if chosen.core is not None:
        os.sched_setaffinity(0, {chosen.core})
    _raise_file_limit()
    return chosen


_out = sys.stdout


def say(line: str) -> None:
    """Print a line for the measuring process."""
    _out.write(line + "\n")
    _out.flush()


def run(main: Callable[[], Awaitable[None]], loop: str) -> None:
    """Run `main` on the chosen event loop."""
    factory = None
    if loop == "uvloop":
        factory = importlib.import_module("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def listener() -> socket.socket:
    """Return a socket that listens on a free port, with room for a rush of connections."""
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of the packages that this environment has, and of Python."""
    found = {"python": sys.version.split()[0]}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def memory() -> int:
    """Return the bytes that belong to this process alone (USS); without /proc, the peak RSS."""
    gc.collect()
    try:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    except OSError:
        resource = importlib.import_module("resource")
        peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    private = [line.split() for line in lines if line.startswith("Private_")]
    return 1024 * sum(int(words[1]) for words in private)


def _raise_file_limit() -> None:
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows has no such limit
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """Answers the measuring process from within the server's event loop.

    Args:
        packages: whose versions to tell.
        broadcast: sends `PAYLOAD` to every connection, as the library's users would.
    """

    def __init__(
        self,
        *packages: str,
        broadcast: Callable[[], Awaitable[None] | None] | None = None,
    ) -> None:
        self._packages = packages
        self._broadcast = broadcast
        self._task: asyncio.Task[None] | None = None

    def ready(self, port: int) -> None:
        """Say where the server listens, and answer from now on. Called in the event loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), daemon=True).start()
        say("READY " + json.dumps({"port": port, "versions": versions(self._packages)}))

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(self._answer, line.split())
        os._exit(0)

    def _answer(self, command: list[str]) -> None:
        if command == ["cpu"]:
            say(json.dumps(time.process_time()))
        elif command == ["memory"]:
            say(json.dumps(memory()))
        elif command[0] == "broadcast" and self._broadcast is not None:
            count, pause = int(command[1]), float(command[2])
            self._task = asyncio.ensure_future(self._repeat(count, pause))
            say("null")
        else:
            say(json.dumps({"error": f"cannot {' '.join(command)}"}))

    async def _repeat(self, count: int, pause: float) -> None:
        assert self._broadcast is not None
        for _ in range(count):
            waiting = self._broadcast()
            if waiting is not None:
                await waiting
            await asyncio.sleep(pause)
