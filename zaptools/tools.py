"""What the README of zaptools 0.5 imports from ``zaptools.tools``, which it did not have."""

from __future__ import annotations

from typing import Any, Protocol

from .connection.context import EventContext
from .handlers.register import EventRegister

__all__ = ["Connector", "EventContext", "EventRegister"]


class Connector(Protocol):
    """What each of `zaptools.connectors` is."""

    async def start(self) -> Any:
        """Serve the connection until it has ended."""
