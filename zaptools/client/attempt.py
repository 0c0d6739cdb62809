"""One attempt of a client to connect, and the connection that it made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from ..connection.connection import WebSocketConnection
from ..connection.context import EventContext
from ..exceptions import ConnectError
from .opening import ClientTransport
from .reconnect import Backoff

__all__ = ["Attempt", "ClientConnection", "Offer"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # it has credentials
class Offer:
    """What one call of ``connect`` asks for, in its own attempt and in those that follow it.

    Attributes:
        protocols: subprotocols to offer. Default none.
        headers: headers to add to the request. Default none.
        backoff: how long to wait between attempts; None for a client that makes one only.
    """

    protocols: Sequence[str] = ()
    headers: Mapping[str, str] | None = None
    backoff: Backoff | None = None


class Attempt:
    """One attempt to connect, and the connection that it made.

    Two futures mark its way, and are done once each::

        begun ──> online ──> settled        the connection's end is told
          └───────> failed ──> settled      the failure is told

    Whatever awaits an attempt holds it, and so does its connection: the next one, which begins
    when this one is settled, is another object, and changes nothing of it.

    Attributes:
        url: where to.
        offer: what it asks for.
        online: done when the client is online; has the error if the attempt failed.
        settled: done when its failure is told, or the end of its connection.
        opening: the task that opens the connection; None before.
        transport: set when the handshake is done.
        connection: likewise.
        dismissed: how the application has ended it, in words: with ``disconnect``, or by
            cancelling ``connect``. It gets no transport any more then. None if it has not.
        ended: whether its connection has ended, and that is being told: a dismissal comes too
            late then to make ``connect`` fail, and only keeps the client from connecting again.
        hopeless: whether the client must not connect again by itself after it.
        online_since: when its connection was online, in the loop's time.
    """

    __slots__ = (
        "_is_withdrawn",
        "connection",
        "dismissed",
        "ended",
        "hopeless",
        "offer",
        "online",
        "online_since",
        "opening",
        "settled",
        "transport",
        "url",
    )

    def __init__(self, url: str, offer: Offer) -> None:
        loop = asyncio.get_running_loop()
        self.url = url
        self.offer = offer
        self.online: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[None] = loop.create_future()
        self.opening: asyncio.Task[None] | None = None
        self.transport: ClientTransport | None = None
        self.connection: ClientConnection | None = None
        self.dismissed: str | None = None
        self._is_withdrawn = False
        self.ended = False
        self.hopeless = False
        self.online_since = loop.time()

    @classmethod
    def of(cls, context: EventContext) -> Self:
        """Return the attempt that made the connection of a handler's context."""
        connection = context.connection
        assert isinstance(connection, ClientConnection)
        attempt = connection.attempt
        assert isinstance(attempt, cls)
        return attempt

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and no end of it in sight."""
        return self.connection is not None and self.connection.closed is None

    def dismiss(self, detail: str) -> None:
        """End it because the application wants it to end; a transport is the caller's to end."""
        self.dismissed = self.dismissed or detail
        self._is_withdrawn |= not self.ended
        if self.transport is None and self.opening is not None:
            self.opening.cancel()

    def succeed(self) -> None:
        """Say that the client is online, unless the attempt has failed."""
        if not self.online.done():
            self.online.set_result(None)

    def fail(self, error: Exception) -> None:
        """Say why the attempt has failed, unless it is known how it went."""
        if not self.online.done():
            self.online.set_exception(error)
            self.online.exception()  # there may be nothing that awaits it

    def settle(self) -> None:
        """Say that the end is told."""
        if not self.settled.done():
            self.settled.set_result(None)

    def dismissal(self) -> ConnectError:
        """Return the error for those that wait for an attempt which the application ended."""
        assert self.dismissed is not None
        return ConnectError(self.url, self.dismissed)

    async def wait(self) -> None:
        """Return when the client is online.

        Raises:
            ConnectError: the attempt failed, or `disconnect` was called.
        """
        await asyncio.shield(self.online)
        if self._is_withdrawn:  # when the client was online, but before the caller could know
            raise self.dismissal()


class ClientConnection(WebSocketConnection):
    """A client's connection.

    Attributes:
        attempt: what made it.
    """

    __slots__ = ("attempt",)

    def __init__(
        self, id: str, transport: ClientTransport, attempt: Attempt, *, omit_empty_headers: bool
    ) -> None:
        super().__init__(id, transport, omit_empty_headers=omit_empty_headers)
        self.attempt = attempt
