"""Detects a peer that has gone: pings, and a timeout for their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..limits import Limits

__all__ = ["Keepalive"]


class Keepalive:
    """The pings of one connection.

    Args:
        limits: `Limits.ping_interval` and `Limits.ping_timeout` are used.
        ping: sends a ping.
        give_up: called when the peer has sent nothing within the timeout after a ping.

    Attributes:
        heard: whether the peer has sent anything since the ping; set by the owner, cleared with
            the first ping after a check.
        reading_paused: the owner sets this while it does not read: silence means nothing then.
    """

    __slots__ = (
        "_check_timer",
        "_give_up",
        "_limits",
        "_loop",
        "_ping",
        "_timer",
        "heard",
        "reading_paused",
    )

    def __init__(
        self, limits: Limits, ping: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        self.heard = False
        self.reading_paused = False
        self._limits = limits
        self._ping = ping
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        # Calls `_tick`, which sends the next ping; None before `start` and after `stop`.
        self._timer: asyncio.TimerHandle | None = None
        # Calls `_check`, for the oldest ping that has not been checked; None if there is none.
        self._check_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send the first ping after the interval."""
        if self._limits.ping_interval is not None:
            self._timer = self._loop.call_later(self._limits.ping_interval, self._tick)

    def stop(self) -> None:
        """Stop the pings and their checks."""
        for timer in (self._timer, self._check_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._check_timer = None

    def _tick(self) -> None:
        self.start()
        if self._limits.ping_timeout is not None and self._check_timer is None:
            self.heard = False
            self._check_timer = self._loop.call_later(self._limits.ping_timeout, self._check)
        self._ping()

    def _check(self) -> None:
        self._check_timer = None
        if not self.heard and not self.reading_paused:
            self._give_up()
