"""stdout and stderr that no run stumbles over, whatever is behind them or is written to them."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["Output", "Terminal", "outputs", "printable"]

_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""What writing fails with when there is no reader any more: `head` has its lines, the terminal was
closed. What is missing then is missed by nobody."""


class Output:
    """A text stream that drops what cannot be written, and remembers why.

    What the stream's encoding has no character for is written as an escape.

    Attributes:
        failure: why output is missing that somebody may miss, or None.
    """

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None
        self._stream = stream
        self._open = True
        with contextlib.suppress(AttributeError, OSError):  # what tests put there may lack it
            stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # TextIOWrapper's

    def write(self, text: str) -> int:
        if self._open:
            try:
                self._stream.write(text)
            except OSError as exc:
                self._fail(exc)
        return len(text)

    def flush(self) -> None:
        if self._open:
            try:
                self._stream.flush()
            except OSError as exc:
                self._fail(exc)

    def isatty(self) -> bool:
        return self._open and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _fail(self, exc: OSError) -> None:
        self._open = False
        if exc.errno not in _GONE:
            self.failure = exc
        # What is still in buffers is flushed when the interpreter ends, and must not fail then.
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def printable(text: str) -> str:
    """Return a text whose characters are all printable or line ends, the others escaped.

    What peers and servers wrote is in it: they could move the cursor, and hide or forge results.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class Terminal(Console):
    """A console that prints no control characters but its own."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control is None:
                yield Segment(printable(segment.text), segment.style)
            else:
                yield segment


@contextmanager
def outputs() -> Iterator[tuple[Output, Output]]:
    """Let `sys.stdout` and `sys.stderr` be an `Output` each."""
    before = sys.stdout, sys.stderr
    streams = [
        stream if stream is not None else _opened(number)
        for number, stream in enumerate(before, start=1)
    ]
    out, err = (Output(stream) for stream in streams)
    sys.stdout, sys.stderr = out, err
    try:
        yield out, err
    finally:
        out.flush()
        err.flush()
        sys.stdout, sys.stderr = before


def _opened(number: int) -> TextIO:
    """Return a stream to nowhere in the place of one that was closed before the start.

    It takes the descriptor's number, lest the next thing that is opened get it, and with it
    whatever a child writes to its own.
    """
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        if null > 2:
            os.close(null)
    os.set_inheritable(number, True)
    return os.fdopen(number, "w", encoding="utf-8", closefd=False)
