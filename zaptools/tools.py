"""The names that the README of zaptools 0.5 imports from here; 0.5 had no such module."""

from __future__ import annotations

from typing import Any, Protocol

from .connection.context import EventContext
from .handlers.register import EventRegister

__all__ = ["Connector", "EventContext", "EventRegister"]


class Connector(Protocol):
    """The protocol of each connector in `zaptools.connectors`."""

    async def start(self) -> Any:
        """Serve the connection until it has ended."""
