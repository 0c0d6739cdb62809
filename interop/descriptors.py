"""File-descriptor limits, and recognizing when they run out."""

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

__all__ = ["CURE", "MIN_LIMIT", "Shortage", "raise_limit", "tells_shortage"]

MIN_LIMIT = 4096
"""The most descriptors that a worker or a peer uses: for 20 cells at a time, one of which has 50
clients, with two connections each through the tap. macOS allows a process 256 by default."""

CURE = "raise the limit with ulimit -n, or run fewer cells at the same time (--at-once)"

_WORDS = re.compile("too many open files|EMFILE|ENFILE", re.IGNORECASE)
"""The messages that peers' runtimes give for it: Python, Dart and Go use the C library's, Node.js
the name as well."""


def raise_limit(minimum: int = MIN_LIMIT) -> None:
    """Raise the soft limit of this process and its children to `minimum`, or to the hard limit."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = minimum if hard == resource.RLIM_INFINITY else min(minimum, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS may allow less than it reports
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tells_shortage(text: str) -> bool:
    """Whether an error's text says that a process ran out of descriptors."""
    return _WORDS.search(text) is not None


class Shortage:
    """Counts failures in this process for want of a descriptor.

    Attributes:
        count: the number so far; a cell during which it rises is an error.
    """

    def __init__(self) -> None:
        self.count = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count failures that reach the loop's exception handler: of `accept`, or of the tap."""

        def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            exc = context.get("exception")
            if isinstance(exc, OSError) and exc.errno in (errno.EMFILE, errno.ENFILE):
                self.count += 1
            # asyncio listens again after a second, even on a listener that was closed meanwhile.
            elif not (self.count and "._start_serving" in str(context.get("message"))):
                loop.default_exception_handler(context)

        loop.set_exception_handler(handler)
