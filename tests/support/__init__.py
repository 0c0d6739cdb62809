"""What tests share: scaled time, an in-memory transport, and peers that speak raw frames."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["MS", "PATIENCE", "until", "within"]

MS = 0.001 * float(os.environ.get("ZAPTOOLS_TEST_TIME_SCALE", "1"))
"""One millisecond, stretched on slow machines by ``ZAPTOOLS_TEST_TIME_SCALE``."""

PATIENCE = 120_000 * MS
"""How long to wait for what must come. Never waited out in a test that passes.

On a busy machine a process that imports all frameworks takes more than 10 s to be ready.
"""

T = TypeVar("T")


async def within(awaitable: Awaitable[T], seconds: float = PATIENCE) -> T:
    """Await with a bound, so that a hang is a failure."""
    async with asyncio.timeout(seconds):
        return await awaitable


async def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for a condition of which nobody tells."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 # what it asks about sets no event
            await asyncio.sleep(MS)
