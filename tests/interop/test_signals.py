"""What ends a run from outside, and what it does not end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Coroutine
from contextlib import AbstractContextManager
from typing import Any

import pytest

from interop.signals import delivered_later, held, interruptible
from tests.support import PATIENCE

ENDING = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("number", ENDING)
def test_each_interrupts_as_ctrl_c_does(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_two_are_held_and_the_third_is_not(number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible(), held():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), ENDING[0])
        there = True
        os.kill(os.getpid(), number)
        there = False
    assert there


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", ENDING)
def test_signals_cut_off_nothing_in_a_loop(number: signal.Signals, count: int) -> None:
    done = []

    def callback() -> None:
        for _ in range(count):
            os.kill(os.getpid(), number)
        done.append("callback")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(callback)
        try:
            await asyncio.sleep(PATIENCE)
        finally:
            await asyncio.sleep(0)
            done.append("clean-up")

    with asyncio.Runner() as runner, interruptible() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(runner, main())
        assert done == ["callback", "clean-up"]
        assert interrupts.run(runner, asyncio.sleep(0, "the next")) == "the next"


def test_a_third_signal_ends_a_loop_that_is_blocked() -> None:
    seen = 0

    async def main() -> None:
        nonlocal seen
        for _ in range(9):
            seen += 1
            os.kill(os.getpid(), signal.SIGTERM)

    with asyncio.Runner() as runner, interruptible() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(runner, main())
    assert seen == 3


def test_a_signal_before_the_first_step_cancels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with asyncio.Runner() as runner, interruptible() as interrupts:
        run = runner.run

        def late(coroutine: Coroutine[Any, Any, Any]) -> Any:
            os.kill(os.getpid(), signal.SIGTERM)
            return run(coroutine)

        monkeypatch.setattr(runner, "run", late)
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(runner, asyncio.sleep(PATIENCE))


def test_a_signal_in_the_last_step_is_not_lost() -> None:
    async def main() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with asyncio.Runner() as runner, interruptible() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(runner, main())


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no such call here")
@pytest.mark.parametrize("number", ENDING)
def test_signals_can_wait(number: signal.Signals) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        with delivered_later():
            signal.raise_signal(number)  # to this thread: another one would take a process's
            done.append("body")
        done.append("behind")
    assert done == ["body"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no such call here")
def test_a_process_takes_signals_that_came_while_it_was_started() -> None:
    code = (
        "import sys; from interop.signals import delivered\n"
        "print('here', flush=True); sys.stdin.readline(); print('still here', flush=True)\n"
        "try: delivered(); print('not interrupted')\nexcept KeyboardInterrupt: print('interrupted')"
    )
    with (
        delivered_later(),
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate("\n")[0] == "still here\ninterrupted\n"


def test_what_cancels_itself_is_not_interrupted() -> None:
    async def main() -> None:
        raise asyncio.CancelledError

    with asyncio.Runner() as runner, interruptible() as interrupts:
        with pytest.raises(asyncio.CancelledError):
            interrupts.run(runner, main())


@pytest.mark.parametrize("handled", [held, interruptible])
def test_what_is_ignored_stays_so_and_all_is_as_before_at_the_end(
    handled: type[AbstractContextManager[object]],
) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with handled():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_leaves_them_alone() -> None:
    found: list[object] = []

    def look() -> None:
        with held():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [before]
