"""The interop app of `docs/peer-contract.md`, for server libraries with one connection object.

What differs between the libraries is how a connection sends and closes: `AppConnection`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

__all__ = ["EVENTS", "AppConnection", "handle"]

EVENTS = (
    "echo",
    "burst",
    "boom",
    "slow",
    "close-me",
    "whoami",
    "join",
    "leave",
    "to-room",
)


class AppConnection(Protocol):
    """What the app needs of a connection."""

    @property
    def id(self) -> str:
        """The library's id."""

    async def send(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event with the library's call."""

    async def close_with(self, code: int | None) -> str | None:
        """Close; return why not, if the library cannot close with that code."""


async def handle(name: str, connection: AppConnection, payload: Any, headers: Any) -> None:
    """Do what the app does for the event `name`."""
    if name == "echo":
        await connection.send("echo", payload, headers)
    elif name == "burst":
        for number in range(payload["count"]):
            await connection.send("tick", number, headers)
    elif name == "boom":
        raise RuntimeError("boom")
    elif name == "slow":
        await asyncio.sleep(payload["ms"] / 1000)
        await connection.send("slow", payload, headers)
    elif name == "close-me":
        refusal = await connection.close_with((payload or {}).get("code"))
        if refusal is not None:
            await _unsupported(name, refusal, connection, headers)
    elif name == "whoami":
        await connection.send("whoami", {"id": connection.id}, headers)
    else:
        await _unsupported(name, "the library has no rooms", connection, headers)


async def _unsupported(name: str, why: str, connection: AppConnection, headers: Any) -> None:
    await connection.send("unsupported", {"event": name, "why": why}, headers)
