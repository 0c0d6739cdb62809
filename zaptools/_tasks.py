"""Tasks: how they start, and which exceptions end them."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

__all__ = ["ends_task", "spawn"]


def spawn(coroutine: Any) -> asyncio.Task[None]:
    """Start a task; from Python 3.12 on it runs at once, up to where it first has to wait."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)
    return asyncio.get_running_loop().create_task(coroutine)


def ends_task(error: BaseException) -> bool:
    """Whether `error` says that this task is to end, and is nobody's failure.

    A CancelledError does when it is this task that is cancelled, and not when the task awaited
    something that somebody cancelled.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit))
