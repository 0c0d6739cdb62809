"""`ConnectionRouter`: connections by id, as the published Python package has them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from .._arguments import check_kind
from ..connection.connection import WebSocketConnection, join_group, leave_group
from ..exceptions import CodecError, ZapError
from .broadcast import BroadcastResult, Exclude, broadcast, check_connection

__all__ = ["ConnectionRouter"]

logger = logging.getLogger(__name__)

_BY_ID = "get_connection(id) returns it"


class ConnectionRouter:
    """Connections by id: the API of the published Python package.

    A connection that ends is removed after its ``disconnected`` handler, unless the handler has
    removed it.
    """

    def __init__(self) -> None:
        self._connections: dict[str, WebSocketConnection] = {}

    def add_connection(self, connection: WebSocketConnection) -> None:
        """Add a connection, in place of an earlier one with the same id.

        Raises:
            ConnectionClosedError: the connection has ended, and its handlers are done.
            TypeError: `connection` is not a connection.
        """
        check_connection(connection)
        join_group(connection, self)
        self._connections[connection.id] = connection

    def remove_connection(self, connection: WebSocketConnection) -> None:
        """Remove a connection. Does nothing if it is not here.

        Raises:
            TypeError: `connection` is not a connection.
        """
        check_connection(connection, cure=_BY_ID if isinstance(connection, str) else "")
        if self._connections.get(connection.id) is connection:
            del self._connections[connection.id]
            leave_group(connection, self)

    def member_ended(self, connection: WebSocketConnection) -> None:
        """Remove a connection that has ended: the connection calls this."""
        self.remove_connection(connection)

    def get_connection(self, id: str | None) -> WebSocketConnection | None:
        """Return the connection with that id; None if there is none, or `id` is None.

        Raises:
            TypeError: `id` is not a string.
        """
        if id is None:
            return None
        check_kind(id, str, "id")
        return self._connections.get(id)

    def get_all_connections(self) -> list[WebSocketConnection]:
        """Return the present connections."""
        return list(self._connections.values())

    async def broadcast(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        exclude: Exclude = None,
    ) -> BroadcastResult:
        """Send an event to all connections; see `Room.send`.

        Raises:
            CodecError: the event cannot be written as JSON; it is sent to no connection.
        """
        connections = self._connections.values()
        return await broadcast(connections, event_name, payload, headers, exclude=exclude)

    async def send_to_connection(
        self,
        connection_id: str | None,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
    ) -> bool:
        """Send an event to the connection with that id, if there is one.

        Returns:
            Whether it was sent: False when there is no such connection, or sending failed.

        Raises:
            CodecError: the event cannot be written as JSON.
            TypeError: `connection_id` is not a string.
        """
        if connection_id is None:
            return False
        check_kind(connection_id, str, "connection_id")
        connection = self._connections.get(connection_id)
        if connection is None:
            return False
        try:
            await connection.send(event_name, payload, headers)
        except CodecError:
            raise
        except ZapError as exc:  # the connection has ended, or its peer does not read
            logger.info("%s: sending %r failed: %s", connection_id, event_name, exc)
            return False
        except Exception as exc:
            logger.error("%s: sending %r failed", connection_id, event_name, exc_info=exc)
            return False
        return True
