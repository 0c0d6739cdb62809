"""Handlers that run at the same time: how many, how they end, and what they fail with."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import pytest

from tests.support import within
from zaptools.dispatch.crew import Crew

T = TypeVar("T")
Task: TypeAlias = asyncio.Task[Any]


class Fatal(BaseException):
    pass


def start(crew: Crew, handler: Callable[[T], Coroutine[Any, Any, None]], event: T) -> Task:
    """Start a handler, and return its task."""
    before = asyncio.all_tasks()
    crew.start(handler, event)
    (task,) = asyncio.all_tasks() - before
    return task


class TestCrew:
    async def test_one_that_never_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """From Python 3.12 on it has ended when `start` returns."""

        def begin(coroutine: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
            with pytest.raises(StopIteration):
                coroutine.send(None)
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

        async def handler(number: int) -> None:
            ended.append(number)

        monkeypatch.setattr("zaptools.dispatch.crew.spawn", begin)
        ended: list[int] = []
        crew = Crew(1, lambda: pytest.fail("failed"))
        crew.start(handler, 1)
        assert ended == [1] and crew.has_room and not len(crew)

    @pytest.mark.skipif(sys.version_info >= (3, 12), reason="tasks begin at once")
    async def test_one_cancelled_before_it_began(self) -> None:
        crew = Crew(1, lambda: pytest.fail("failed"))
        task = start(crew, asyncio.sleep, 3600)
        task.cancel()
        await asyncio.wait([task])
        assert not crew
        crew.check()

    async def test_room_and_change(self) -> None:
        gate = asyncio.Event()
        crew = Crew(2, lambda: pytest.fail("failed"))
        ended: list[int] = []

        async def handler(number: int) -> None:
            await gate.wait()
            ended.append(number)

        crew.start(handler, 1)
        assert len(crew) == 1 and crew.has_room
        crew.start(handler, 2)
        assert len(crew) == 2 and not crew.has_room
        changed = asyncio.create_task(crew.wait_for_change())
        await asyncio.sleep(0)
        crew.wake()
        crew.wake()
        await within(changed)
        crew.wake()  # without a waiter
        gate.set()
        while crew:
            await within(crew.wait_for_change())
        crew.check()
        assert ended == [1, 2]

    async def test_stopping(self) -> None:
        """One that takes its time with its ending is waited for."""
        crew = Crew(2, lambda: None)
        log: list[str] = []

        async def slow(_: int) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                log.append("ended")

        crew.start(slow, 0)
        crew.start(asyncio.sleep, 3600)
        await asyncio.sleep(0)
        await within(crew.stop())
        assert log == ["ended"] and not crew
        await crew.stop()

    async def test_the_first_failure_counts(self) -> None:
        failures: list[int] = []
        crew = Crew(2, lambda: failures.append(1))

        async def fail(number: int) -> None:
            await asyncio.sleep(0)
            raise Fatal(number)

        crew.start(fail, 1)
        crew.start(fail, 2)
        while crew:
            await within(crew.wait_for_change())
        with pytest.raises(Fatal, match="1"):
            crew.check()
        assert failures == [1, 1]

    def test_an_interruption_ends_the_loop(self) -> None:
        crew = Crew(2, lambda: None)

        async def interrupt(_: int) -> None:
            await asyncio.sleep(0)
            raise KeyboardInterrupt

        async def main() -> None:
            crew.start(interrupt, 0)
            await asyncio.Event().wait()

        loop = asyncio.new_event_loop()
        try:
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(main())
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        finally:
            loop.close()

    async def test_one_that_is_thrown_away(self) -> None:
        """As a task is with its event loop: that is no failure of the handler."""
        crew = Crew(2, lambda: pytest.fail("failed"))
        task = start(crew, asyncio.sleep, 3600)
        await asyncio.sleep(0)
        coroutine = task.get_coro()
        assert isinstance(coroutine, Coroutine)
        coroutine.close()
        crew.check()
        task.cancel()
        await asyncio.wait([task])
