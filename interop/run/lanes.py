"""Several cells at a time in one worker, and a second run for the cells whose peer failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import PeerDied
from .cell import Ran

__all__ = ["Lanes"]

T = TypeVar("T")


@dataclass(eq=False)
class _Running(Generic[T]):
    """A cell that runs; `alone` says whether no other has run at the same time so far."""

    item: T
    alone: bool


class Lanes(Generic[T]):
    """Runs up to `count` cells at the same time.

    They share the worker's peers. When a peer dies or hangs, every cell that uses it fails with it,
    and at most one of them is the cause. So each of them runs again, alone, and that outcome
    counts. A peer that fails in none of them alone is reported too.

    ::

        add -> running -> finished
                  |           ^
                  v           | alone, in `drain`
               doubtful ------+     its peer failed, and other cells ran at the same time

    Args:
        count: how many; 1 runs each cell alone.
        run: runs a cell and returns its outcome.

    Attributes:
        finished: the finished cells with their outcomes; its reader empties it.
    """

    def __init__(self, count: int, run: Callable[[T], Awaitable[Ran]]) -> None:
        self.finished: list[tuple[T, Ran]] = []
        self._count = count
        self._run = run
        self._running: dict[asyncio.Task[None], _Running[T]] = {}
        # Outcomes that do not count; `drain` runs these cells again.
        self._doubtful: list[tuple[T, Ran]] = []
        # Set when a cell ends, cleared by `add` while there are `count` of them.
        self._room = asyncio.Event()
        # What `run` raised first; `drain` raises it.
        self._broken: BaseException | None = None

    async def add(self, item: T) -> None:
        """Start a cell, and return once there is room for another."""
        entry = _Running(item, alone=not self._running)
        for other in self._running.values():
            other.alone = False
        task = asyncio.get_running_loop().create_task(self._one(entry))
        self._running[task] = entry
        task.add_done_callback(self._done)
        while len(self._running) >= self._count:
            self._room.clear()
            await self._room.wait()
        if self._doubtful or self._broken:
            await self.drain()

    async def drain(self) -> None:
        """Wait for all cells, then run those again whose peer failed.

        Raises:
            BaseException: what `run` raised; a cell's own errors are in its outcome.
        """
        while self._running:
            await asyncio.wait(self._running)
        if self._broken is not None:
            raise self._broken
        doubtful, self._doubtful = self._doubtful, []
        failures = {peer: exc for _, ran in doubtful for peer, exc in ran.failed.items()}
        for item, _ in doubtful:
            ran = await self._run(item)
            self.finished.append((item, ran))
            for again in ran.failed:  # each explains one failure of that program
                same = (peer for peer in failures if _program(peer) == _program(again))
                failures.pop(next(same, ""), None)
        if failures:
            words = "; ".join(f"{_program(peer)} ({exc})" for peer, exc in failures.items())
            ran.teardown_error = ran.teardown_error or PeerDied(
                f"peers failed some of {len(doubtful)} cells that ran at the same time, "
                f"and none of them when it ran alone: {words}"
            )

    async def abandon(self) -> None:
        """Cancel all running cells; they have no outcome."""
        self._doubtful.clear()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _one(self, entry: _Running[T]) -> None:
        ran = await self._run(entry.item)
        known = self.finished if entry.alone or not ran.failed else self._doubtful
        known.append((entry.item, ran))

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._room.set()
        exc = None if task.cancelled() else task.exception()
        if not isinstance(exc, (KeyboardInterrupt, SystemExit)):  # these end the loop itself
            self._broken = self._broken or exc


def _program(peer: str) -> str:
    """Return the program of a peer that `Pool.started` named."""
    return peer.partition("#")[0]
