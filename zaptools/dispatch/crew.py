"""Handlers of one connection that run at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .._tasks import spawn

__all__ = ["Crew"]

T = TypeVar("T")


class Crew:
    """Handlers that run at the same time, each in a task of its own.

    Args:
        size: the largest number of them.
        on_failure: called when one raises an error that ends the connection; `check` raises it.
    """

    __slots__ = ("_changed", "_failure", "_on_failure", "_size", "_tasks")

    def __init__(self, size: int, on_failure: Callable[[], None]) -> None:
        self._size = size
        self._on_failure = on_failure
        # The handlers that run.
        self._tasks: set[asyncio.Task[Any]] = set()
        # Done when one of them has ended, or by `wake`; None unless `wait_for_change` waits.
        self._changed: asyncio.Future[None] | None = None
        # The first error that ends the connection.
        self._failure: BaseException | None = None

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Whether one more handler may start."""
        return len(self._tasks) < self._size

    def start(self, handle: Callable[[T], Coroutine[Any, Any, None]], event: T) -> None:
        """Run ``handle(event)``."""
        task = spawn(self._run(handle, event))
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._end)

    async def _run(self, handle: Callable[[T], Coroutine[Any, Any, None]], event: T) -> None:
        try:
            await handle(event)
        except GeneratorExit:
            raise
        except BaseException as exc:  # the connection's own task raises it, from `check`
            self._failure = self._failure or exc
            self._on_failure()
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):  # these end the event loop
                raise

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it; `check` raises it
        self.wake()

    def check(self) -> None:
        """Raise the error of a handler that ends the connection, if there was one."""
        if self._failure is not None:
            raise self._failure

    def wake(self) -> None:
        """Wake the waiter of `wait_for_change`, if there is one."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def wait_for_progress(self, until_room: bool) -> bool:
        """Wait until a handler has ended, if any runs; return whether one did.

        Args:
            until_room: do not wait while one more may start.
        """
        self.check()
        if not self._tasks or (until_room and self.has_room):
            return False
        await self.wait_for_change()
        return True

    async def wait_for_change(self) -> None:
        """Wait until a handler has ended, or `wake` is called."""
        self._changed = asyncio.get_running_loop().create_future()
        try:
            await self._changed
        finally:
            self._changed = None

    async def stop(self) -> None:
        """Cancel them, and wait for their ends."""
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
