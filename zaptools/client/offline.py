"""What becomes of the events that a client is to send while it is not connected."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, TypeAlias

from .._arguments import check_count
from .._tasks import spawn
from ..exceptions import (
    ConnectionClosedError,
    NotConnectedError,
    OfflineQueueFullError,
    SendTimeoutError,
)
from .opening import ClientTransport

__all__ = ["Offline", "OfflineSends"]

Offline: TypeAlias = Literal["raise", "queue", "drop"]
"""What a send does while there is no connection."""

_POLICIES = ("raise", "queue", "drop")

_AGAIN = 0.05
"""Seconds until what a server did not read in time is offered to it again."""


class OfflineSends:
    """The sends that wait for a connection, oldest first.

    A send that is under way when its connection ends comes back here after sends that were called
    later: each has a number, and its place among them is that.

    Args:
        policy: what `take` does.
        limit: how many may wait.

    Attributes:
        keeps: whether `take` keeps what it takes.
        dropped: how many were lost: by the policy ``"drop"``, and with `drop`.

    Raises:
        TypeError: `limit` is no int.
        ValueError: there is no such policy, or `limit` is less than 1.
    """

    __slots__ = ("_flushing", "_limit", "_number", "_policy", "_waiting", "dropped", "keeps")

    def __init__(self, policy: Offline, limit: int) -> None:
        if policy not in _POLICIES:
            raise ValueError(f"offline must be one of {', '.join(_POLICIES)}, not {policy!r}")
        check_count(limit, "offline_limit")
        self._policy = policy
        self._limit = limit
        self.keeps = policy == "queue"  # no property: each send of a client asks for it
        self._flushing: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._number = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> list[bytes]:
        """The encoded events that wait."""
        return [data for _, data in self._waiting]

    @property
    def refuses(self) -> bool:
        """Whether `take` takes nothing."""
        return self._policy == "raise"

    def next_number(self) -> int:
        """Return the number of a send that is called now."""
        self._number += 1
        return self._number

    def take(self, data: bytes, number: int | None = None) -> None:
        """Do with an encoded event what the policy says.

        Args:
            data: the event.
            number: what `next_number` returned when the send was called. Default None: now.

        Raises:
            NotConnectedError: the policy is ``"raise"``.
            OfflineQueueFullError: as many as may wait do.
        """
        if self._policy == "raise":
            raise NotConnectedError
        if self._policy == "drop":
            self.dropped += 1
        elif len(self._waiting) >= self._limit:
            raise OfflineQueueFullError(self._limit)
        else:
            number = number or self.next_number()
            place = len(self._waiting)
            while place and self._waiting[place - 1][0] > number:
                place -= 1
            self._waiting.insert(place, (number, data))

    def drop(self) -> int:
        """Forget what waits, and return how many that were."""
        count = len(self._waiting)
        self.dropped += count
        self._waiting = deque()  # what is on its way keeps the old one
        return count

    def flush(self, transport: ClientTransport) -> None:
        """Begin to send what waits. What is taken meanwhile follows it."""
        if self._waiting:
            self._flushing = spawn(self._flush(transport))

    async def _flush(self, transport: ClientTransport) -> None:
        waiting, connection = self._waiting, transport.connection
        while waiting and connection is not None and connection.is_open:
            try:
                pause = transport.send(waiting[0][1])
                if pause is not None:
                    await pause
            except SendTimeoutError:  # nobody waits for it, so it may wait on
                await asyncio.sleep(_AGAIN)
            except ConnectionClosedError:
                return
            else:
                waiting.popleft()
