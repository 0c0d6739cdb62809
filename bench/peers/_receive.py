"""What the measured clients share: they count the events that they get, and tell how long it took.

A client prints ``READY {…}`` with its versions, connects, lets a fifth of the events pass and
then takes the time of the rest: one line of JSON with the events a second, its own share of a
core meanwhile, and the CPU seconds that it spent since READY.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from _serve import Options, options, run, say, versions

__all__ = ["Meter", "start"]


class Meter:
    """Counts events.

    Attributes:
        done: set when the last event was counted.
    """

    def __init__(self, count: int) -> None:
        self._count = 0
        self._first = count // 5
        self._last = self._first + count
        self._began = self._cpu = 0.0
        self._cpu_ready = time.process_time()
        self.done = asyncio.Event()

    def tick(self) -> bool:
        """Count one; True at the last."""
        self._count += 1
        if self._count == self._first:
            self._began, self._cpu = time.perf_counter(), time.process_time()
        elif self._count == self._last:
            took = time.perf_counter() - self._began
            cpu = time.process_time() - self._cpu
            rate = (self._last - self._first) / took
            spent = time.process_time() - self._cpu_ready
            say(json.dumps({"rate": rate, "cpu": cpu / took, "spent": spent}))
            self.done.set()
            return True
        return False


def start(receive: Callable[[str, Meter, Options], Awaitable[None]], *packages: str) -> None:
    """Run a client; `receive` gets the server's address and ends after the last event."""
    chosen = options()
    say("READY " + json.dumps({"port": 0, "versions": versions(packages)}))

    async def main() -> None:
        await receive(f"ws://127.0.0.1:{chosen.port}/", Meter(chosen.count), chosen)

    run(main, chosen.loop)
