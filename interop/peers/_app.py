"""The interop app of `docs/peer-contract.md`, for server libraries with one connection object.

The libraries differ in how a connection sends and closes, which `AppConnection` hides.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

__all__ = ["EVENTS", "AppConnection", "AppRooms", "client_answer", "handle"]

EVENTS = (
    "echo",
    "burst",
    "boom",
    "slow",
    "close-me",
    "whoami",
    "answer",
    "fail",
    "join",
    "leave",
    "to-room",
    "broadcast",
    "ask-back",
)


_NO_REQUESTS = "the library sends no requests"


class AppConnection(Protocol):
    """A connection as the app needs it."""

    @property
    def id(self) -> str:
        """The library's id."""

    async def send(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event with the library's call."""

    async def close_with(self, code: int | None) -> str | None:
        """Close; if the library cannot close with that code, return why instead."""

    async def broadcast(
        self, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> str | None:
        """Send an event to all connections; if the library cannot, return why instead."""


class AppRooms(Protocol):
    """A library's rooms as the app needs them, for one connection."""

    def join(self, room: str) -> None:
        """Join a room."""

    def leave(self, room: str) -> None:
        """Leave a room."""

    async def send(
        self, room: str, event: str, payload: Any, headers: Any, *, exclude_self: bool
    ) -> None:
        """Send an event to a room's members."""


def _error_reply(headers: Any) -> dict[str, Any]:
    """Return the headers of an error reply, made by hand, to a request with `headers`."""
    return {"replyTo": headers["requestId"], "replyError": "the handler failed"}


def client_answer(name: str, payload: Any, headers: Any) -> tuple[str, Any, dict[str, Any]] | None:
    """Return the event that a client's application answers an event with, all by hand.

    Returns:
        Its name, payload and headers; None where the contract asks for no answer.
    """
    if name == "mirror":
        return "mirrored", payload, headers
    if name == "ask-back":
        return "unsupported", {"event": name, "why": _NO_REQUESTS}, headers
    if not isinstance(headers, dict) or headers.get("requestId") is None:
        return None
    if name == "answer":
        return name, payload, {"replyTo": headers["requestId"]}
    return (name, {}, _error_reply(headers)) if name == "fail" else None


async def handle(
    name: str,
    connection: AppConnection,
    payload: Any,
    headers: Any,
    rooms: AppRooms | None = None,
) -> None:
    """Handle the event `name`; `rooms` is None where the library has none."""
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
    elif name == "answer":
        await connection.send("answer", payload, {"replyTo": headers["requestId"]})
    elif name == "fail":
        if (headers or {}).get("requestId") is not None:
            await connection.send("fail", {}, _error_reply(headers))
    elif name == "broadcast":
        exclude_self = payload.get("exclude-self", False)
        event, content = payload["event"], payload["payload"]
        refusal = await connection.broadcast(event, content, headers, exclude_self=exclude_self)
        if refusal is not None:
            await _unsupported(name, refusal, connection, headers)
    elif name == "ask-back":
        await _unsupported(name, _NO_REQUESTS, connection, headers)
    elif rooms is None:
        await _unsupported(name, "the library has no rooms", connection, headers)
    elif name == "join":
        rooms.join(payload["room"])
        await connection.send("joined", payload, headers)
    elif name == "leave":
        rooms.leave(payload["room"])
        await connection.send("left", payload, headers)
    else:
        exclude_self = payload.get("exclude-self", False)
        event, content = payload["event"], payload["payload"]
        await rooms.send(payload["room"], event, content, headers, exclude_self=exclude_self)


async def _unsupported(name: str, why: str, connection: AppConnection, headers: Any) -> None:
    await connection.send("unsupported", {"event": name, "why": why}, headers)
