"""The base of the server and the client under test: a session, and a patience."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..control.contract import Notification
from ..control.patience import Patience
from ..control.session import Session
from ..errors import Unsupported, Violation

__all__ = ["SETUP_PATIENCE", "BaseRole"]

SETUP_PATIENCE = 5.0
"""Seconds for the steps of a scenario that are not judged. Where a failure is expected, the
patience for the judged step is shorter."""

_QUIET_ROUNDS = 3
"""Round trips without a notification after which the peers count as settled."""

_MAX_ROUNDS = 200
"""Round trips after which `BaseRole.settle` gives up on peers that keep reporting."""

_ROUND_PAUSE = 0.005
"""Seconds between those round trips."""


class BaseRole:
    """One side under test.

    Args:
        patience: how long to wait for what must come; the pace is the sessions'.

    Attributes:
        api: its row or column.
        session: the control connection to its peer.
        sessions: those of the whole cell, the server's first; shared by all roles of the cell.
        patience: how long to wait for what must come, at the pace of all those peers.
    """

    def __init__(self, session: Session, patience: Patience, sessions: list[Session]) -> None:
        self.api = session.api
        self.session = session
        self.sessions = sessions
        self.patience = replace(patience, pace=sessions)

    async def wait(
        self, on: str, where: Callable[[Notification], bool] = lambda _: True, *, what: str = ""
    ) -> Notification:
        """Wait for a notification; see `Session.wait`."""
        return await self.session.wait(on, where, within=self.patience, what=what)

    def exclude_from_pace(self, side: str) -> None:
        """Stop waiting for answers of this peer, if it is of `side`: it is about to get a fault."""
        if self.api.role == side:
            self.sessions[:] = [each for each in self.sessions if each is not self.session]

    async def settle(self) -> None:
        """Wait long enough for notifications that should not come.

        Returns after several round trips with each peer of the cell in which none reported
        anything, or after many if they keep reporting.
        """
        quiet, reported = 0, -1
        for _ in range(_MAX_ROUNDS):
            if quiet == _QUIET_ROUNDS:
                break
            await asyncio.gather(*(session.check_alive() for session in self.sessions))
            await asyncio.sleep(_ROUND_PAUSE)
            self.session.waited += _ROUND_PAUSE
            now = sum(len(session.notifications) for session in self.sessions)
            quiet, reported = (quiet + 1 if now == reported else 0), now

    def check_supported(self, op: str, name: str, payload: Any) -> None:
        """Check that what the application sent is not its refusal of an event.

        Raises:
            Unsupported: it is; the reason is the application's.
            Violation: it is, and gives no reason.
        """
        if name != "unsupported":
            return
        why = payload.get("why") if isinstance(payload, dict) else None
        if not why or not isinstance(why, str):
            raise Violation("unsupported says no why", api=self.api, seen=repr(payload)[:120])
        raise Unsupported(why, api=self.api, op=op)

    def count(self, on: str, **equal: Any) -> int:
        """Return how many notifications `on` had these values."""
        return self.session.count(on, lambda n: all(n.data.get(k) == v for k, v in equal.items()))
