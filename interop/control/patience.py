"""How long to wait for what must come: in time that passes only while the peers keep up.

On a busy machine a second is not what it is on an idle one, and a peer that gets no processor
says nothing of its library. So time is counted in short steps, and a step counts only once every
peer concerned has answered a question that was put after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from ..errors import TestbedError

__all__ = ["Patience", "Peer"]

T = TypeVar("T")

STEP = 0.05
"""Seconds of a step. Most of what is waited for comes within the first, and costs nothing."""


class Peer(Protocol):
    """What a peer is asked through: its control connection."""

    async def check_alive(self) -> None:
        """Return once the peer has answered."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A time to wait.

    Attributes:
        seconds: how long, as long as the peers answer at once.
        pace: the peers whose pace counts; with none of them it is plain time.
    """

    seconds: float
    pace: Sequence[Peer] = ()

    def at_least(self, seconds: float) -> Patience:
        """Return this patience, or one of so many seconds if that is more."""
        return replace(self, seconds=max(self.seconds, seconds))

    def times(self, factor: float) -> Patience:
        """Return a patience so many times as long."""
        return replace(self, seconds=self.seconds * factor)

    def __str__(self) -> str:
        return f"{self.seconds:g} s"

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Let the body take no longer.

        Raises:
            TimeoutError: it did, or a peer stopped answering.
        """
        loop = asyncio.get_running_loop()
        counting: list[asyncio.Task[None]] = []
        over = False

        def count() -> None:
            counting.append(loop.create_task(self._count(expire)))

        def expire() -> None:
            # A cancelled count goes on here all the same when a peer has died in that very moment:
            # the error of its answer takes the place of the cancellation.
            if not over:
                until.reschedule(0)

        async with asyncio.timeout(None) as until:
            first = loop.call_later(min(STEP, self.seconds), count)
            try:
                yield
            finally:
                over = True
                first.cancel()
                for task in counting:
                    task.cancel()

    async def until(self, news: asyncio.Event, found: Callable[[], T | None]) -> T | None:
        """Return what `found` finds, looking again at any `news`; None when the time is over."""
        if (got := found()) is not None:
            return got
        with contextlib.suppress(TimeoutError):
            async with self.limit():
                while True:
                    news.clear()
                    await news.wait()
                    if (got := found()) is not None:
                        return got
        return found()  # what came with the peers' last answers has come in time

    async def _count(self, expire: Callable[[], None]) -> None:
        left = self.seconds - STEP
        with contextlib.suppress(TestbedError):  # whoever waits finds out what became of it
            await self._ask()
            while left > 0:
                await asyncio.sleep(min(STEP, left))
                left = round(left - STEP, 9)
                await self._ask()
        expire()

    async def _ask(self) -> None:
        await asyncio.gather(*(peer.check_alive() for peer in self.pace))
