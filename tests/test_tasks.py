"""How tasks start, and which exceptions end them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any

import pytest

from zaptools._tasks import begin, ends_task, spawn


async def test_spawn() -> None:
    log: list[int] = []

    async def work() -> None:
        log.append(1)
        await asyncio.sleep(0)
        log.append(2)

    task = spawn(work())
    assert log == ([1] if sys.version_info >= (3, 12) else [])
    await task
    assert log == [1, 2]


@pytest.mark.parametrize("kind", [GeneratorExit, KeyboardInterrupt, SystemExit])
async def test_what_ends_any_task(kind: type[BaseException]) -> None:
    assert ends_task(kind())


@pytest.mark.parametrize("kind", [ValueError, BaseException])
async def test_what_is_a_failure(kind: type[BaseException]) -> None:
    assert not ends_task(kind())


async def test_cancelling() -> None:
    assert not ends_task(asyncio.CancelledError())  # of something that this task awaited
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    assert ends_task(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    task.uncancel()  # in this order: from Python 3.13 on it calls off what is not yet raised


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
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        assert begin(done) is None
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
