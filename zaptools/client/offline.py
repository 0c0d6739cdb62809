"""The events that a client sends while it is not connected: refused, queued, or dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Literal, TypeAlias

from .._arguments import check_choice, check_count
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

_RETRY_DELAY = 0.05
"""Seconds before an event that the server did not read in time is sent again."""


class OfflineSends:
    """The sends that wait for a connection, oldest first.

    A send that is under way when its connection ends comes back here after sends that were called
    later: each send has a number, by which it is put in its place.

    Args:
        policy: what `take` does.
        limit: the number of events that may wait.

    Attributes:
        keeps: whether `take` queues an event.
        dropped: the number of events that were lost: by the policy ``"drop"``, and by `drop`.

    Raises:
        TypeError: `limit` is no int.
        ValueError: there is no such policy, or `limit` is less than 1.
    """

    __slots__ = ("_flushing", "_limit", "_number", "_policy", "_waiting", "dropped", "keeps")

    def __init__(self, policy: Offline, limit: int) -> None:
        check_choice(policy, "offline", _POLICIES)
        check_count(limit, "offline_limit")
        self._policy = policy
        self._limit = limit
        self.keeps = policy == "queue"  # no property: every send of a client reads it
        # The task that sends the waiting events, held here because the loop holds tasks weakly.
        self._flushing: asyncio.Task[None] | None = None
        # The numbers of the sends and their encoded events, by number. `drop` replaces the deque,
        # so that a flush which is under way removes no event that was added later.
        self._waiting: deque[tuple[int, bytes]] = deque()
        # The number of the last send.
        self._number = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def refuses(self) -> bool:
        """Whether `take` raises."""
        return self._policy == "raise"

    def next_number(self) -> int:
        """Return the number for a send that begins now."""
        self._number += 1
        return self._number

    def take(self, data: bytes, number: int | None = None) -> None:
        """Refuse, queue or drop an event, as the policy says.

        Args:
            data: the encoded event.
            number: the send's number, if it began before now. Default None.

        Raises:
            NotConnectedError: the policy is ``"raise"``.
            OfflineQueueFullError: the policy is ``"queue"``, and the limit is reached.
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
        """Drop the waiting events, and return their number."""
        count = len(self._waiting)
        self.dropped += count
        self._waiting = deque()
        return count

    def flush(self, transport: ClientTransport) -> asyncio.Task[None] | None:
        """Start to send the events that wait, and those that are taken meanwhile.

        Returns:
            The task that sends; None if no event waits.
        """
        if not self._waiting:
            return None
        self._flushing = spawn(self._flush(transport))
        return self._flushing

    async def _flush(self, transport: ClientTransport) -> None:
        waiting, connection = self._waiting, transport.connection
        while waiting and connection is not None and connection.is_open:
            try:
                pause = transport.send(waiting[0][1])
                if pause is not None:
                    await pause
            except SendTimeoutError:  # no caller waits for this send
                await asyncio.sleep(_RETRY_DELAY)
            except ConnectionClosedError:
                return
            else:
                waiting.popleft()
