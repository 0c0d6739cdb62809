"""What ends a run from outside: Ctrl-C, SIGTERM, and SIGHUP when the terminal goes away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held", "interruptible"]

_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]

_ENOUGH = 3
"""Signals after which `held` holds no longer: whoever sends so many does not want the results."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let each of them interrupt the body as Ctrl-C does: with a `KeyboardInterrupt`."""
    with _handled(signal.default_int_handler):
        yield


@contextmanager
def held() -> Iterator[None]:
    """Let none of them end the body, which writes what is known; the third one does."""
    seen = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen >= _ENOUGH:
            raise KeyboardInterrupt

    with _handled(note):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread is told of a signal
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # What is ignored stays so: nohup ignores SIGHUP, and a shell the SIGINT of what it runs behind.
    taken = {number: was for number, was in before.items() if was not in (signal.SIG_IGN, None)}
    try:
        for number in taken:
            signal.signal(number, handler)
        yield
    finally:
        for number, was in taken.items():
            signal.signal(number, was)
