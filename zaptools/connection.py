"""One connection as the application sees it, and what its handlers get.

Nothing here knows how bytes travel: a shell (the server's, a client's, a framework's) gives a
`Transport`, and feeds a `zaptools._dispatcher.Dispatcher`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from types import SimpleNamespace
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from ._closing import CloseInfo, check_close
from ._groups import Member
from .exceptions import ConnectionClosedError
from .handshake import NO_HANDSHAKE, Handshake
from .protocol import EventData, encode_event

__all__ = ["CloseInfo", "EventContext", "Transport", "WebSocketConnection", "new_id"]


class Transport(Protocol):
    """What carries a connection's messages."""

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message, UTF-8. Returns None when done, else what to await.

        Messages leave in the order of the calls. What is returned takes no longer than
        `zaptools.Limits.send_timeout`: a broadcast awaits it for all its receivers at once, and
        so takes as long as the slowest of them.

        Raises (or the awaitable does):
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer does not read; nothing was sent.
        """

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, and return when both sides have, or the close timeout is over."""

    def abort(self) -> None:
        """End the connection at once, waiting for nothing."""


def new_id() -> str:
    """Return a new connection id, ``zpt-<uuid4>``: the form that all implementations use."""
    return f"zpt-{uuid4()}"


class WebSocketConnection(Member):
    """One connection of a server.

    Attributes:
        id: ``zpt-<uuid4>``.
        handshake: the request that opened it; an empty one on a client's side.
        closed: how the connection ended; None while it is open.
    """

    __slots__ = (
        "__weakref__",
        "_omit_empty_headers",
        "_state",
        "_transport",
        "closed",
        "handshake",
        "id",
    )

    def __init__(
        self,
        id: str,
        transport: Transport,
        *,
        handshake: Handshake = NO_HANDSHAKE,
        omit_empty_headers: bool = False,
    ) -> None:
        super().__init__()
        self.id = id
        self.handshake = handshake
        self.closed: CloseInfo | None = None
        self._transport = transport
        self._omit_empty_headers = omit_empty_headers
        self._state: SimpleNamespace | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {'open' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether `send` may succeed."""
        return self.closed is None

    @property
    def state(self) -> SimpleNamespace:
        """A place for the application's own data about this connection."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event.

        Returns once the event is in the send buffer; waits while that is full, because the peer
        does not read.

        Raises:
            CodecError: the event cannot be written as JSON; nothing is sent.
            ConnectionClosedError: the connection has ended.
            SendTimeoutError: the peer did not read for too long; nothing of the event is sent.
        """
        data = encode_event(
            event_name, payload, headers, omit_empty_headers=self._omit_empty_headers
        )
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        waiting = self._transport.send(data)
        if waiting is not None:
            await waiting

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection. Events that are not yet handled are dropped.

        Args:
            code: the close code. Default 1000, normal closure (RFC 6455, section 7.4.1).
            reason: at most 123 bytes in UTF-8. Default empty.

        Returns when the peer has closed too, or after the close timeout.

        Raises:
            ConnectionClosedError: the connection has ended already.
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        await self._transport.close(code, reason)


class EventContext(msgspec.Struct, eq=False):
    """What a handler gets.

    Attributes:
        event_data: the event. For lifecycle handlers one with that name; its payload is ``{}``,
            or for ``error`` a text that says what happened.
        connection: where it came from.
        error: in an error handler, the exception; else None.
        source: in an error handler, the event whose handler raised; None when the message was
            no event.
    """

    event_data: EventData
    connection: WebSocketConnection
    error: BaseException | None = None
    source: EventData | None = None

    @property
    def event_name(self) -> str:
        """The event's name."""
        return self.event_data.event_name

    @property
    def payload(self) -> Any:
        """The event's payload."""
        return self.event_data.payload

    @property
    def headers(self) -> dict[str, Any]:
        """The event's headers; empty when it had none."""
        return self.event_data.headers
