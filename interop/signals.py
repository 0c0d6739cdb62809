"""Signals that end a run: Ctrl-C, SIGTERM, and SIGHUP when the terminal goes away."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

__all__ = ["Interrupts", "delivered", "delivered_later", "held", "interruptible"]

T = TypeVar("T")

_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]

_MAX_SIGNALS = 3
"""Signals after which even the writing of results ends: the sender does not want them."""


class Interrupts:
    """Turns signals into `KeyboardInterrupt`, or into the cancellation of what it runs.

    Outside of `run` a signal raises `KeyboardInterrupt` where the program is. Inside it cancels the
    coroutine, and `run` raises `KeyboardInterrupt` at its end. An event loop is not made for an
    exception between any two instructions: a peer that was being started was left running, tasks
    were lost before their first step, and clean-ups ended half-way. `asyncio.Runner` has the same
    care, for SIGINT alone.
    """

    def __init__(self) -> None:
        self._inside = False  # `run` is under way
        self._task: asyncio.Task[Any] | None = None  # what it runs, once that has begun
        self._seen = 0  # signals since it began

    def run(self, runner: asyncio.Runner, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the result of `coroutine`, which a signal cancels.

        Raises:
            KeyboardInterrupt: a signal came, whether the coroutine was done by then or not.
        """
        self._seen, self._task, self._inside = 0, None, True
        try:
            result = runner.run(self._begin(coroutine))
        except asyncio.CancelledError:
            if not self._seen:
                raise
        finally:
            self._inside = False
        if self._seen:
            raise KeyboardInterrupt
        return result

    async def _begin(self, coroutine: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        if self._seen:  # it came before the task was known
            self._cancel()
        return await coroutine

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._seen += 1
        if not self._inside or self._seen >= _MAX_SIGNALS:
            raise KeyboardInterrupt
        if self._seen == 1:
            self._cancel()


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Let each signal interrupt the body as Ctrl-C does: with a `KeyboardInterrupt`."""
    interrupts = Interrupts()
    with _handled(interrupts._handle):
        yield interrupts


@contextmanager
def held() -> Iterator[None]:
    """Ignore the first two signals while results are written; the third ends the body."""
    seen = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen >= _MAX_SIGNALS:
            raise KeyboardInterrupt

    with _handled(note):
        yield


@contextmanager
def delivered_later() -> Iterator[None]:
    """Let signals to this thread, and to the processes that it starts in the body, wait.

    Here they come at the end of the body; such a process gets them when it calls `delivered`. So
    Ctrl-C in a terminal, which reaches all processes, cannot end one half-way through its start.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def delivered() -> None:
    """Let the signals come that `delivered_later` made wait: they can be handled from now on."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # Keep ignored signals ignored: SIGHUP under nohup, SIGINT in a background job of a shell.
    taken = {number: was for number, was in before.items() if was not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, handler)
        yield
    finally:
        for number, was in taken.items():
            signal.signal(number, was)
