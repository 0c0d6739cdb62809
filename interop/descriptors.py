"""File descriptors: of a process that has no more of them nothing can be said but just that."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
from typing import Any

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]  # looked at before each use

__all__ = ["CURE", "ENOUGH", "Shortage", "raise_limit", "tells_shortage"]

ENOUGH = 4096
"""Descriptors that a worker or a peer can use at most: 20 cells at the same time, of which one has
50 clients, and the tap two connections for each. macOS gives a process 256 to begin with."""

CURE = "raise the limit with ulimit -n, or run fewer cells at the same time (--at-once)"

_WORDS = re.compile("too many open files|EMFILE|ENFILE", re.IGNORECASE)
"""What the libraries of all peers write of it: Python, Dart and Go the C library's words, Node.js
also the name."""


def raise_limit(enough: int = ENOUGH) -> None:
    """Let this process and those that it starts have so many, or as many as it may."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = enough if hard == resource.RLIM_INFINITY else min(enough, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS may allow less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tells_shortage(text: str) -> bool:
    """Whether an error's text says that some process had no descriptor left."""
    return _WORDS.search(text) is not None


class Shortage:
    """Counts what failed in this process for want of a descriptor.

    Attributes:
        count: how often; a cell fails for it if it happened while the cell ran.
    """

    def __init__(self) -> None:
        self.count = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count what the loop tells its exception handler: `accept` failed, or the tap did."""

        def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            exc = context.get("exception")
            if isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE):
                self.count += 1
            # asyncio listens again after a second, also where that was closed meanwhile.
            elif not (self.count and "._start_serving" in str(context.get("message"))):
                loop.default_exception_handler(context)

        loop.set_exception_handler(handler)
