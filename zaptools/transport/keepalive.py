"""Whether the peer is still there: pings, and the patience for their answers."""

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
        give_up: called when the peer was silent for the timeout after a ping.

    Attributes:
        heard: set by the owner whenever anything comes from the peer.
        deaf: True while the owner does not read, so that silence says nothing.
    """

    __slots__ = ("_check_timer", "_give_up", "_limits", "_loop", "_ping", "_timer", "deaf", "heard")

    def __init__(
        self, limits: Limits, ping: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        self.heard = False
        self.deaf = False
        self._limits = limits
        self._ping = ping
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._check_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send the first ping after the interval."""
        if self._limits.ping_interval is not None:
            self._timer = self._loop.call_later(self._limits.ping_interval, self._tick)

    def stop(self) -> None:
        """Send no more pings."""
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
        if not self.heard and not self.deaf:
            self._give_up()
