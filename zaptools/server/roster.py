"""The connections of one server, their ids, and how all of them are closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ..connection.connection import WebSocketConnection
from ..connection.ids import ConnectionIds, IdStrategy

__all__ = ["ClosableTransport", "Roster"]


class ClosableTransport(Protocol):
    """The part of a connection's transport that a roster uses."""

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when TCP has ended and the last handler is done."""
        ...

    @property
    def is_caller(self) -> bool:
        """Whether a handler of this connection is the caller, or may be waiting for it."""
        ...

    def start_close(self, code: int, reason: str) -> None:
        """Begin the closing without waiting for its end."""

    def cancel(self) -> None:
        """End the connection and its handlers without waiting for anything."""


class Roster:
    """The connections of one server.

    A connection is here in three parts, each for a time of its own::

        TCP accepted ──> handshake answered ──> open ──> closed ──> last handler done
        transports ─────────────────────────────────────────────────────────────────>
                         ids ───────────────────────────────────────────────────────>
                                                connections ────────────────────────>

    Args:
        ids: the ids in use, those of other servers with the same register among them.
        grace: seconds that handlers have to end once they are cancelled. Default 1.

    Attributes:
        ids: as given.
        connections: the connections whose opening handshake is done, by id.
        transports: the transports, also of connections whose opening handshake is not done.
        is_open: whether the server takes new connections.
    """

    __slots__ = ("_grace", "connections", "ids", "is_open", "transports")

    def __init__(self, ids: ConnectionIds, *, grace: float = 1.0) -> None:
        self._grace = grace
        self.ids = ids
        self.connections: dict[str, WebSocketConnection] = {}
        self.transports: set[ClosableTransport] = set()
        self.is_open = False

    def claim_id(self, strategy: IdStrategy) -> str:
        """Return the id of a connection that is about to be open; see `ConnectionIds.claim`."""
        return self.ids.claim(strategy)

    def enter(self, id: str, connection: WebSocketConnection) -> None:
        """Add a connection that is open. Its id has been claimed."""
        self.connections[id] = connection

    def leave(self, id: str) -> None:
        """Remove a connection, and let another one have its id. Does nothing if it has left."""
        if self.connections.pop(id, None) is not None:
            self.ids.release(id)

    @property
    def has_caller(self) -> bool:
        """Whether a handler of one of the connections is the caller, or may be waiting for it."""
        return any(each.is_caller for each in self.transports)

    async def close(self, code: int, seconds: float | None) -> None:
        """Close every connection with `code`, and wait for their ends; see `wait_over`.

        One whose handler is the caller is closed too, but not waited for.
        """
        transports = list(self.transports)
        for transport in transports:
            transport.start_close(code, "")
        await self._wait_over([each for each in transports if not each.is_caller], seconds)

    async def wait_over(self, seconds: float | None) -> None:
        """Wait for the ends of connections that are closing, and of their handlers.

        Args:
            seconds: how long they may take; then TCP is dropped and handlers are cancelled. None
                is no bound.
        """
        await self._wait_over(list(self.transports), seconds)

    async def _wait_over(
        self, transports: Sequence[ClosableTransport], seconds: float | None
    ) -> None:
        late = await _wait([each.over for each in transports], seconds)
        if late:
            for transport in transports:
                if transport.over in late:
                    transport.cancel()
            await _wait(late, self._grace)


async def _wait(
    waits: Sequence[asyncio.Future[None]], seconds: float | None
) -> Sequence[asyncio.Future[None]]:
    """Return those of `waits` that are not done in time."""
    if not waits:
        return ()
    _, late = await asyncio.wait(waits, timeout=seconds)
    return list(late)
