"""What ends when the event loop does, though nobody closed it.

``asyncio.run`` cancels what runs and then closes the asynchronous generators that are not
exhausted (`asyncio.loop.shutdown_asyncgens`). One of those waits here for each loop with
connections: no task, which would be reported as pending by who closes a loop by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Protocol
from weakref import WeakValueDictionary

__all__ = ["Shutdown"]

_GRACE = 1.0
"""Seconds to end by itself, and once more to end when cancelled."""


class Mortal(Protocol):
    """What is ended."""

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when it has ended."""

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """What still runs, if anything does."""

    def abort(self) -> None:
        """End, and wait for nothing."""


class Shutdown:
    """Those who end with one event loop. Lives as long as one of them holds it."""

    __slots__ = ("__weakref__", "_generator", "_members")

    def __init__(self) -> None:
        self._members: set[Mortal] = set()
        self._generator = _wait(self._members)
        _step(self._generator.__anext__())

    @staticmethod
    def join(loop: asyncio.AbstractEventLoop, member: Mortal) -> Shutdown:
        """End `member` with `loop`, the running one. The member keeps what this returns."""
        shutdown = _all.get(id(loop))
        if shutdown is None:
            shutdown = _all[id(loop)] = Shutdown()
        shutdown._members.add(member)
        return shutdown

    def leave(self, member: Mortal) -> None:
        """Say that `member` has ended."""
        if member in self._members:
            self._members.remove(member)
            if not self._members:
                _step(self._generator.aclose())


# By the loop's id: the generator knows its loop, so that while the value lives the id is its own.
_all: WeakValueDictionary[int, Shutdown] = WeakValueDictionary()


def _step(awaitable: Any) -> None:
    """Run what has nothing to wait for."""
    with contextlib.suppress(StopIteration):
        awaitable.send(None)


def _report(error: Exception, member: Mortal) -> None:
    report = {"message": f"{member!r} could not be ended", "exception": error}
    asyncio.get_running_loop().call_exception_handler(report)


async def _wait(members: set[Mortal]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        _all.pop(id(asyncio.get_running_loop()), None)
        there = list(members)
        members.clear()  # nobody leaves any more
        for member in there:
            try:
                member.abort()
            except Exception as exc:  # a fault in here; the others end all the same
                _report(exc, member)
        for _ in range(2):
            waits = [member.over for member in there if not member.over.done()]
            if waits:
                await asyncio.wait(waits, timeout=_GRACE)
            for member in there:
                if member.task is not None:
                    member.task.cancel()
