"""Output streams that never fail a run: closed pipes, full disks, unprintable characters."""

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

__all__ = ["Output", "Terminal", "outputs", "printable", "say"]

_GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)
"""Errors of writing to a reader that has gone: `head` has its lines, the terminal was closed.
Nothing reads the lost output."""


class Output:
    """A text stream that drops what it cannot write, and remembers why.

    Characters outside the stream's encoding are written as escapes.

    Attributes:
        failure: the error that lost output, or None; a reader that has gone is no error.
    """

    def __init__(self, stream: TextIO) -> None:
        self.failure: OSError | None = None
        self._stream = stream
        self._open = True
        with contextlib.suppress(AttributeError, OSError):  # a replacement in tests may lack it
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
        # Buffers are flushed when the interpreter ends, which must not fail then.
        with contextlib.suppress(OSError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


def printable(text: str) -> str:
    """Return a text with all characters escaped that are neither printable nor line ends.

    Texts of peers and servers could move the cursor, and so hide or forge results.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class Terminal(Console):
    """A console that escapes control characters in the texts that it prints."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control is None:
                yield Segment(printable(segment.text), segment.style)
            else:
                yield segment


def say(console: Console, line: str) -> None:
    """Print a line of markup as it is: it is not wrapped, and nothing in it is highlighted."""
    console.print(line, highlight=False, soft_wrap=True)


@contextmanager
def outputs() -> Iterator[tuple[Output, Output]]:
    """Replace `sys.stdout` and `sys.stderr` by an `Output` each."""
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
    """Return a stream to nowhere in place of one that was closed before the program started.

    It takes the descriptor's number: otherwise the next opened file would get it, and with it the
    output of child processes.
    """
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        if null > 2:
            os.close(null)
    os.set_inheritable(number, True)
    return os.fdopen(number, "w", encoding="utf-8", closefd=False)
