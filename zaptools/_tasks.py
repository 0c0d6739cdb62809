"""Tasks and coroutines: how they start, and which exceptions end them."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context
from types import CoroutineType, coroutine
from typing import Any

__all__ = ["begin", "call", "ends_task", "spawn"]


def spawn(
    coroutine: Coroutine[Any, Any, None], context: Context | None = None
) -> asyncio.Task[None]:
    """Start a task; from Python 3.12 on it runs at once, until it first has to wait.

    Args:
        coroutine: the coroutine.
        context: the context in which it runs. Default None: a copy of the current one.

    Raises:
        KeyboardInterrupt, SystemExit: the coroutine raised it before it first had to wait.
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True, context=context)
    else:  # before Python 3.12
        return loop.create_task(coroutine, context=context)


async def call(function: Callable[[Any], Any], argument: Any) -> None:
    """Call a function that may be sync or async, and await it if need be."""
    result = function(argument)
    if result is not None and inspect.isawaitable(result):
        await result


def ends_task(error: BaseException) -> bool:
    """Return whether `error` ends this task, and is not a failure of the code that raised it.

    A CancelledError ends it if this task itself was cancelled, and not if the task awaited
    something else that was cancelled.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, (GeneratorExit, KeyboardInterrupt, SystemExit))


def begin(awaitable: Awaitable[None]) -> Coroutine[Any, Any, None] | None:
    """Run a coroutine, or another awaitable, in this task until it has to wait.

    Most sends never wait. For those this saves the time limit around the remainder (3 µs of the
    60 µs that an echo takes on uvicorn).

    Returns:
        None when it is done, else the remainder, to be awaited.
    """
    coro: Coroutine[Any, Any, None]
    coro = awaitable if type(awaitable) is CoroutineType else _wait_for(awaitable)
    try:
        awaited = coro.send(None)
    except StopIteration:
        return None
    return _remainder(coro, awaited)


async def _wait_for(awaitable: Awaitable[None]) -> None:
    await awaitable


async def _remainder(coro: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _drive(coro, awaited)


@coroutine
def _drive(coro: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    try:
        while True:
            try:
                answer = yield awaited
            except GeneratorExit:
                coro.close()
                raise
            except BaseException as exc:  # also CancelledError: the coroutine handles it
                awaited = coro.throw(exc)
            else:
                awaited = coro.send(answer)
    except StopIteration:
        return
