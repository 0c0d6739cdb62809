"""How tasks start, and which exceptions end them."""

from __future__ import annotations

import asyncio
import sys

import pytest

from zaptools._tasks import ends_task, spawn


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
