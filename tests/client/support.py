"""A client that writes down what is announced to it, and what tests of clients share."""

from __future__ import annotations

import asyncio
from typing import Any

from zaptools import ReconnectPolicy, ZapClientState, ZapConsumer
from zaptools.client.base import link_of

__all__ = ["BEGIN", "END", "FAILED", "Client", "NotingPolicy", "cut", "reconnects"]

BEGIN = ["CONNECTING", "ONLINE", "connected"]
END = ["OFFLINE", "disconnected"]
FAILED = ["CONNECTING", "OFFLINE"]


class Client(ZapConsumer):
    """Writes down its states, and the begin and end of its connections.

    Attributes:
        log: names of states, ``connected`` and ``disconnected``, in order; tests add to it.
    """

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.log: list[Any] = []
        self.on_connection_state_changed(lambda state: self.log.append(state.name))
        self.on_connected(lambda event: self.log.append("connected"))
        self.on_disconnected(lambda event: self.log.append("disconnected"))

    @property
    def state(self) -> ZapClientState:
        return self.current_connection_state


class NotingPolicy(ReconnectPolicy):
    """Writes down for which attempts in a row a client asks for a delay, from 0."""

    asked: list[int]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        object.__setattr__(self, "asked", [])  # the policy is frozen

    def delay(self, attempt: int) -> float:
        self.asked.append(attempt)
        return ReconnectPolicy.delay(self, attempt)


def reconnects() -> list[asyncio.Task[Any]]:
    """Return the tasks that reconnect a client by itself."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("reconnect to ")]


def cut(client: ZapConsumer) -> None:
    """End a client's connection at once, from its own side, as a network that fails does."""
    connection = link_of(client).latest
    assert connection is not None
    connection.transport.abort()
