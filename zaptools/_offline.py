"""What becomes of the events that a client is to send while it is not connected."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, TypeAlias

from ._arguments import check_count
from ._opening import ClientTransport
from ._tasks import spawn
from .exceptions import (
    ConnectionClosedError,
    NotConnectedError,
    OfflineQueueFullError,
    SendTimeoutError,
)

__all__ = ["Offline", "OfflineSends"]

Offline: TypeAlias = Literal["raise", "queue", "drop"]
"""What a send does while there is no connection."""

_POLICIES = ("raise", "queue", "drop")

_AGAIN = 0.05
"""Seconds until what a server did not read in time is offered to it again."""


class OfflineSends:
    """The sends that wait for a connection, oldest first.

    Args:
        policy: what `take` does.
        limit: how many may wait.

    Attributes:
        waiting: the encoded events that wait.
        dropped: how many were lost: by the policy ``"drop"``, and with `drop`.

    Raises:
        TypeError: `limit` is no int.
        ValueError: there is no such policy, or `limit` is less than 1.
    """

    __slots__ = ("_flushing", "_limit", "_policy", "dropped", "waiting")

    def __init__(self, policy: Offline, limit: int) -> None:
        if policy not in _POLICIES:
            raise ValueError(f"offline must be one of {', '.join(_POLICIES)}, not {policy!r}")
        check_count(limit, "offline_limit")
        self._policy = policy
        self._limit = limit
        self._flushing: asyncio.Task[None] | None = None
        self.waiting: deque[bytes] = deque()
        self.dropped = 0

    @property
    def refuses(self) -> bool:
        """Whether `take` takes nothing."""
        return self._policy == "raise"

    def take(self, data: bytes) -> None:
        """Do with an encoded event what the policy says.

        Raises:
            NotConnectedError: the policy is ``"raise"``.
            OfflineQueueFullError: as many as may wait do.
        """
        if self._policy == "raise":
            raise NotConnectedError
        if self._policy == "drop":
            self.dropped += 1
        elif len(self.waiting) >= self._limit:
            raise OfflineQueueFullError(self._limit)
        else:
            self.waiting.append(data)

    def drop(self) -> int:
        """Forget what waits, and return how many that were."""
        count = len(self.waiting)
        self.dropped += count
        self.waiting = deque()  # what is on its way keeps the old one
        return count

    def flush(self, transport: ClientTransport) -> None:
        """Begin to send what waits. What is taken meanwhile follows it."""
        if self.waiting:
            self._flushing = spawn(self._flush(transport))

    async def _flush(self, transport: ClientTransport) -> None:
        waiting, connection = self.waiting, transport.connection
        while waiting and connection is not None and connection.is_open:
            try:
                pause = transport.send(waiting[0])
                if pause is not None:
                    await pause
            except SendTimeoutError:  # nobody waits for it, so it may wait on
                await asyncio.sleep(_AGAIN)
            except ConnectionClosedError:
                return
            else:
                waiting.popleft()
