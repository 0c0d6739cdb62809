"""Ports for programs that cannot listen on port 0, and ports at which nothing listens."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

__all__ = ["free_port", "refusing_port"]


def free_port() -> int:
    """Return a port that is free, and that the system does not give away a moment later.

    It is below the ports that outgoing connections and port 0 get: on a busy machine one of those
    is taken again before the program listens on it.
    """
    system = random.SystemRandom()  # pytest's workers may have the same seed
    while True:
        port = system.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port at which nothing listens, nor will: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])
