"""What ends a run from outside, and what it does not end."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import AbstractContextManager

import pytest

from interop.signals import held, interruptible

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


@pytest.mark.parametrize("handled", [held, interruptible])
def test_what_is_ignored_stays_so_and_all_is_as_before_at_the_end(
    handled: type[AbstractContextManager[None]],
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
