"""Timeouts of waits, in time that passes only while the peers keep up.

On a busy machine a peer that gets no processor time says nothing about its library. So time is
counted in short steps, and a step counts only after every peer concerned has answered a request
that was sent after it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from ..errors import TestbedError

__all__ = ["SHORT", "Patience", "Peer"]

T = TypeVar("T")

STEP = 0.05
"""Seconds in a step. Most waits end within the first, before any peer is asked."""

SHORT = 0.2
"""Seconds to wait where a failure is expected: a working peer has long answered by then, and a
missing answer must not cost the full patience in every cell."""


class Peer(Protocol):
    """A peer's control connection."""

    async def check_alive(self) -> None:
        """Return when the peer has answered."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Patience:
    """A time to wait.

    Attributes:
        seconds: how long while the peers answer at once.
        pace: the peers whose answers make time pass; without any it is wall-clock time.
        failing: whether a failure is expected by now, so that `short` is long enough. It is asked
            at each step, so that it shortens waits that are under way.
        short: how long to wait then.
    """

    seconds: float
    pace: Sequence[Peer] = ()
    failing: Callable[[], bool] = _never
    short: float = SHORT

    @property
    def now(self) -> float:
        """How many seconds to wait, as far as is known by now."""
        return min(self.seconds, self.short) if self.failing() else self.seconds

    def at_least(self, seconds: float) -> Patience:
        """Return this patience, extended to `seconds` if it is shorter, failing or not."""
        return replace(self, seconds=max(self.seconds, seconds), short=max(self.short, seconds))

    def unless_failing(self, seconds: float) -> Patience:
        """Return this patience, extended to `seconds` if it is shorter, unless failing."""
        return replace(self, seconds=max(self.seconds, seconds))

    def times(self, factor: float) -> Patience:
        """Return a patience `factor` times as long."""
        return replace(self, seconds=self.seconds * factor, short=self.short * factor)

    def __str__(self) -> str:
        return f"{self.now:g} s"

    @asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """Bound the time that the body takes.

        Raises:
            TimeoutError: it took longer, or a peer stopped answering.
        """
        loop = asyncio.get_running_loop()
        counting: list[asyncio.Task[None]] = []
        over = False

        def count() -> None:
            counting.append(loop.create_task(self._count(expire)))

        def expire() -> None:
            # A cancelled `_count` still gets here if a peer died at that moment: the error of its
            # answer replaces the cancellation.
            if not over:
                until.reschedule(0)

        async with asyncio.timeout(None) as until:
            first = loop.call_later(min(STEP, self.now), count)
            try:
                yield
            finally:
                over = True
                first.cancel()
                for task in counting:
                    task.cancel()

    async def until(self, news: asyncio.Event, found: Callable[[], T | None]) -> T | None:
        """Return what `found` finds, trying again at each `news`; None when time is up."""
        if (got := found()) is not None:
            return got
        with contextlib.suppress(TimeoutError):
            async with self.limit():
                while True:
                    news.clear()
                    await news.wait()
                    if (got := found()) is not None:
                        return got
        return found()  # what arrived with the peers' last answers arrived in time

    async def _count(self, expire: Callable[[], None]) -> None:
        counted = STEP
        with contextlib.suppress(TestbedError):  # the waiting caller meets the error itself
            await self._ask()
            while (remaining := round(self.now - counted, 9)) > 0:
                await asyncio.sleep(min(STEP, remaining))
                counted += STEP
                await self._ask()
        expire()

    async def _ask(self) -> None:
        await asyncio.gather(*(peer.check_alive() for peer in self.pace))
