"""One event to many connections: encoded once, framed once, and no receiver delays another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from .._arguments import shown
from ..connection.connection import OfferingTransport, WebSocketConnection
from ..protocol.codec import encode_event
from ..transport.transport import WebSocketTransport
from ..transport.writer import Writer, flush_all, text_frame

__all__ = ["BroadcastResult", "Exclude", "broadcast", "check_connection"]

Exclude: TypeAlias = WebSocketConnection | Iterable[WebSocketConnection | None] | None
"""The connections to leave out of a broadcast: one, several or none. None among several is ignored,
because `ConnectionRouter.get_connection` may return it."""


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """The outcome of a broadcast for each receiver.

    Attributes:
        sent: the connections whose send buffers have the event, or that keep it until the peer
            reads.
        failed: the connections that missed it, each with the error that
            `WebSocketConnection.send` would have raised: `SendTimeoutError` for one whose peer is
            too far behind in reading, `ConnectionClosedError` for one that ended meanwhile.
    """

    sent: list[WebSocketConnection] = field(default_factory=list)
    failed: dict[WebSocketConnection, BaseException] = field(default_factory=dict)


async def broadcast(
    connections: Iterable[WebSocketConnection],
    event_name: str,
    payload: Any = None,
    headers: Mapping[str, Any] | None = None,
    *,
    exclude: Exclude = None,
) -> BroadcastResult:
    """Send an event to each of `connections` that is open.

    The event is encoded once, and for server connections that do not compress its frame is the
    same bytes. A connection whose peer does not read delays no other, on a framework as on our own
    server: events are kept for it up to `Limits.backlog_bytes`, beyond which it misses them. Only a
    `Transport` of the application's own may make this wait, for all its connections at once.

    Args:
        connections: the receivers; each at most once.
        event_name: the event's name.
        payload: any JSON value. Default None.
        headers: an object. Default None, written as ``{}``.
        exclude: a connection, or some, to leave out. Default None.

    Raises:
        CodecError: the event cannot be written as JSON; it is sent to no connection.
        TypeError: `exclude` has something other than connections, such as an id.
    """
    left_out = _excluded(exclude)
    receivers = [c for c in connections if c.closed is None and c not in left_out]
    # Connections with different options for empty headers need two texts; encoded before
    # anything is sent, and also without a receiver.
    texts: dict[bool, tuple[bytes, bytes]] = {}
    for omit in {connection.omit_empty_headers for connection in receivers} or {False}:
        data = encode_event(event_name, payload, headers, omit_empty_headers=omit)
        texts[omit] = data, text_frame(data)
    result = BroadcastResult()
    waiting: dict[WebSocketConnection, Awaitable[None]] = {}
    unflushed: list[Writer] = []
    asyncio.get_running_loop().call_soon(flush_all, unflushed)
    turn = False
    for connection in receivers:
        data, frame = texts[connection.omit_empty_headers]
        transport = connection.transport
        try:
            if isinstance(transport, WebSocketTransport):
                turn = transport.writer.offer(data, frame, unflushed) or turn
            elif isinstance(transport, OfferingTransport):
                turn = transport.offer(data) or turn
            else:
                later = transport.send(data)
                if later is not None:
                    waiting[connection] = later
                    continue
        except Exception as exc:
            result.failed[connection] = exc
        else:
            result.sent.append(connection)
    if waiting:
        await _wait(waiting, result)
    elif turn or result.failed:
        # A loop of broadcasts must let the event loop write, and see which connections ended.
        await asyncio.sleep(0)
    return result


async def _wait(
    waiting: Mapping[WebSocketConnection, Awaitable[None]], result: BroadcastResult
) -> None:
    outcomes = await asyncio.gather(*waiting.values(), return_exceptions=True)
    for connection, outcome in zip(waiting, outcomes, strict=True):
        if isinstance(outcome, BaseException):
            result.failed[connection] = outcome
        else:
            result.sent.append(connection)


def check_connection(value: object, name: str = "connection", cure: str = "") -> None:
    """Raise TypeError unless `value`, the argument `name`, is a connection."""
    if isinstance(value, WebSocketConnection):
        return
    if not cure and hasattr(type(value), "connection"):  # an EventContext, a TestClient
        cure = "pass its connection"
    text = f"{name} must be a WebSocketConnection, not {shown(value)}"
    raise TypeError(f"{text}: {cure}" if cure else text)


def _excluded(exclude: Exclude) -> frozenset[WebSocketConnection]:
    if exclude is None:
        return frozenset()
    if isinstance(exclude, WebSocketConnection):
        return frozenset((exclude,))
    if isinstance(exclude, str) or not isinstance(exclude, Iterable):
        raise TypeError(f"exclude must be a connection or several, not {shown(exclude)}")
    left_out = [each for each in exclude if each is not None]
    for each in left_out:
        cure = "get_connection(id) returns one" if isinstance(each, str) else ""
        check_connection(each, "exclude", cure)
    return frozenset(left_out)
