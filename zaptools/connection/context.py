"""What a handler is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..protocol.codec import EventData
from .connection import WebSocketConnection
from .requests import reply_headers

__all__ = ["EventContext"]


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

    async def reply(self, payload: Any = None, headers: Mapping[str, Any] | None = None) -> None:
        """Send the reply to a request: an event of the same name that says which it answers.

        In an error handler this replies to the event whose handler raised.

        Args:
            payload: as for `WebSocketConnection.send`.
            headers: as there; ``requestId`` and ``replyTo`` among them are replaced. With
                ``replyError``, a text, the reply is an error, for which the requester gets a
                `RemoteError`; so does a `RemoteError` that the handler raises.

        Raises:
            NoRequestError: the event asks for no reply.
            CodecError, ConnectionClosedError, SendTimeoutError: as there.
        """
        event = self.event_data if self.source is None else self.source
        await self.connection.send(event.event_name, payload, reply_headers(event, headers))
