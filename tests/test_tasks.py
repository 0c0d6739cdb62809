"""What is done to tasks and coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.support import until, within
from zaptools._tasks import begin, is_cancelled, spawn


async def waits(future: asyncio.Future[int], log: list[Any]) -> None:
    log.append("begun")
    try:
        log.append(await future)
        await asyncio.sleep(0)
    except ValueError as exc:
        log.append(exc)
        await asyncio.sleep(0)
    finally:
        log.append("ended")


def rest(coro: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    left = begin(coro)
    assert left is not None
    return left


class TestBegin:
    async def test_what_never_waits(self) -> None:
        log: list[str] = []

        async def quick() -> None:
            log.append("done")

        assert begin(quick()) is None
        assert log == ["done"]

    async def test_what_fails_at_once(self) -> None:
        async def fails() -> None:
            raise KeyError

        with pytest.raises(KeyError):
            begin(fails())

    async def test_the_rest(self) -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        log: list[Any] = []
        left = rest(waits(future, log))
        assert log == ["begun"]
        future.set_result(7)
        await left
        assert log == ["begun", 7, "ended"]

    async def test_an_exception(self) -> None:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        log: list[Any] = []
        left = rest(waits(future, log))
        future.set_exception(ValueError("x"))
        await left
        assert repr(log) == "['begun', ValueError('x'), 'ended']"

    async def test_cancelling(self) -> None:
        log: list[Any] = []
        left = rest(waits(asyncio.get_running_loop().create_future(), log))
        task = asyncio.create_task(left)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["begun", "ended"]

    async def test_a_time_limit(self) -> None:
        log: list[Any] = []
        left = rest(waits(asyncio.get_running_loop().create_future(), log))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await left
        assert log == ["begun", "ended"]

    async def test_closing(self) -> None:
        log: list[Any] = []
        left = rest(waits(asyncio.get_running_loop().create_future(), log))
        left.send(None)
        left.close()
        assert log == ["begun", "ended"]


async def test_is_cancelled() -> None:
    seen: list[bool] = []

    async def work() -> None:
        seen.append(is_cancelled())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(is_cancelled())

    task = spawn(work())
    await until(lambda: seen)
    task.cancel()
    await within(task)
    assert seen == [False, True]
