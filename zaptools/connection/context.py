"""`EventContext`: the argument of a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..protocol.codec import EventData
from .connection import WebSocketConnection
from .requests import reply_headers

__all__ = ["EventContext"]


class EventContext(msgspec.Struct, eq=False):
    """The argument of a handler.

    Attributes:
        event_data: the event. For a lifecycle handler an event of that name, whose payload is
            ``{}``, or for ``error`` an explanation.
        connection: the connection of the event.
        error: in an error handler, the exception; else None.
        source: in an error handler, the event whose handler raised; None when the message was
            not an event.
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
        """The event's headers; empty if it has none."""
        return self.event_data.headers

    async def reply(self, payload: Any = None, headers: Mapping[str, Any] | None = None) -> None:
        """Reply to a request: send an event of the same name, with the request's id.

        In an error handler this replies to the event whose handler raised.

        Args:
            payload: as for `WebSocketConnection.send`.
            headers: as for it; ``requestId`` and ``replyTo`` among them are replaced. With
                ``replyError``, a text, the reply is an error, and the requester's call raises
                `RemoteError`; a `RemoteError` that the handler raises has the same effect.

        Raises:
            NoRequestError: the event is not a request.
            CodecError, ConnectionClosedError, SendTimeoutError: as for
                `WebSocketConnection.send`.
        """
        event = self.event_data if self.source is None else self.source
        await self.connection.send(event.event_name, payload, reply_headers(event, headers))
