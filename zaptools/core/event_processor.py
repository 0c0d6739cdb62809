"""The address of zaptools 0.5 for the loop of a connection over an adapter to a framework.

Use a connector where the framework has one: it keeps close codes and exact messages, which an
adapter of zaptools 0.5 does not carry.
"""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec

from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..connectors.carrier import Carrier
from ..connectors.socket import FrameworkSocket
from ..limits import Limits
from ..protocol.close import LOST, CloseInfo
from ..protocol.codec import EventData
from ..protocol.jsonpath import to_plain
from ..protocols import ConnectionAdapter
from .events import EventCaller

__all__ = ["EventProcessor"]


class EventProcessor:
    """Reads a connection's adapter and calls handlers.

    Args:
        connection: ``WebSocketConnection(id, adapter)``, with a
            `zaptools.protocols.ConnectionAdapter`.
        event_caller: calls the handlers.
    """

    def __init__(self, connection: WebSocketConnection, event_caller: EventCaller) -> None:
        self._connection = connection
        self._event_caller = event_caller
        self._socket = _AdapterSocket(cast(ConnectionAdapter, connection.transport))
        self._carrier = Carrier(self._socket, event_caller.book, Limits(), connection=connection)

    async def notify_connected(self) -> None:
        """Call the ``connected`` handler."""
        await self._notify("connected", {})

    async def notify_disconnected(self) -> None:
        """Call the ``disconnected`` handler."""
        await self._notify("disconnected", {})

    async def notify_error(self, event_name: str, error: str) -> None:
        """Call the ``error`` handler with a text about the event and the error."""
        await self._notify("error", f"An error occurred in the event {event_name!r}: {error}")

    async def intercept_data(self, data: dict[str, Any]) -> None:
        """Handle one parsed message. Errors go to the ``error`` handler; none is raised."""
        await self._handle(_to_text(data))

    async def receive_events(self) -> bool:
        """Handle the next message; return whether there was one."""
        message = await self._socket.receive()
        if isinstance(message, CloseInfo):
            return False
        await self._handle(message)
        return True

    async def start_event_stream(self) -> None:
        """Serve the connection; returns when it has ended and its last handler is done."""
        await self._carrier.run()

    async def _handle(self, message: str | bytes) -> None:
        dispatcher = self._carrier.dispatcher
        dispatcher.greeted = True  # `notify_connected` is the caller's business
        dispatcher.mailbox.put(message)
        await dispatcher.run()

    async def _notify(self, name: str, payload: Any) -> None:
        context = EventContext(EventData(name, payload), self._connection)
        await self._event_caller.trigger_event(context)


class _AdapterSocket(FrameworkSocket):
    def __init__(self, adapter: ConnectionAdapter) -> None:
        self._adapter = adapter

    async def receive(self) -> str | bytes | CloseInfo:
        try:
            data = await self._adapter.recv_json()
        except json.JSONDecodeError as exc:
            return exc.doc  # the dispatcher reports the text
        except Exception as exc:
            code = getattr(exc, "code", None)  # Starlette's WebSocketDisconnect has these
            reason = str(getattr(exc, "reason", "") or "")
            known = isinstance(code, int) and code != LOST.code
            return CloseInfo(cast(int, code), reason, "remote") if known else LOST
        return _to_text(data)

    async def write(self, text: str) -> None:
        event = json.loads(text)
        headers = event.get("headers", {})
        await self._adapter.send_event(event["eventName"], event["payload"], headers)

    async def close(self, code: int, reason: str) -> None:
        await self._adapter.close()


def _to_text(data: Any) -> str:
    """Return a value that an adapter has read as JSON text; it may come from MessagePack, say.

    Values that JSON does not have are converted as for sending. Where that fails the text is the
    value's `repr`, which is reported as no JSON.
    """
    try:
        return json.dumps(data, default=_to_builtins)
    except (TypeError, ValueError, RecursionError):
        return repr(data)


def _to_builtins(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=to_plain)
