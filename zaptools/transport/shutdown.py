"""Ends connections and servers with their event loop, where the application closed neither.

``asyncio.run`` cancels all tasks and then closes the asynchronous generators that are not
exhausted (`asyncio.loop.shutdown_asyncgens`). For each loop with connections one such generator
waits here. A task would not do: a program that closes its loop by hand would see it reported as
pending.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Protocol
from weakref import WeakValueDictionary

__all__ = ["Shutdown"]

_GRACE = 1.0
"""Seconds that members have to end when aborted, and again when cancelled."""


class Member(Protocol):
    """A connection or a server."""

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when it has ended."""
        ...

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that still runs, if there is one."""

    def abort(self) -> None:
        """End without waiting for anything."""


class Shutdown:
    """The members that end with one event loop. Lives as long as one of them refers to it."""

    __slots__ = ("__weakref__", "_generator", "_members")

    def __init__(self) -> None:
        self._members: set[Member] = set()
        self._generator = _wait(self._members)
        _step(self._generator.__anext__())

    @staticmethod
    def join(loop: asyncio.AbstractEventLoop, member: Member) -> Shutdown:
        """End `member` with `loop`, the running one. The member keeps the returned object."""
        shutdown = _all.get(id(loop))
        if shutdown is None:
            shutdown = _all[id(loop)] = Shutdown()
        shutdown._members.add(member)
        return shutdown

    def leave(self, member: Member) -> None:
        """Remove `member`: it has ended."""
        if member in self._members:
            self._members.remove(member)
            if not self._members:
                _step(self._generator.aclose())


# By the id of the loop. The generator refers to the loop: while the value lives, no other loop has
# that id.
_all: WeakValueDictionary[int, Shutdown] = WeakValueDictionary()


def _step(awaitable: Any) -> None:
    """Run an awaitable that does not wait for anything."""
    with contextlib.suppress(StopIteration):
        awaitable.send(None)


def _report(error: Exception, member: Member) -> None:
    report = {"message": f"{member!r} could not be ended", "exception": error}
    asyncio.get_running_loop().call_exception_handler(report)


async def _wait(members: set[Member]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        _all.pop(id(asyncio.get_running_loop()), None)
        ending = list(members)
        members.clear()  # `leave` does nothing from now on
        for member in ending:
            try:
                member.abort()
            except Exception as exc:  # a bug in this library; the other members end all the same
                _report(exc, member)
        for _ in range(2):
            waits = [member.over for member in ending if not member.over.done()]
            if waits:
                await asyncio.wait(waits, timeout=_GRACE)
            for member in ending:
                if member.task is not None:
                    member.task.cancel()
