"""Where defects are inserted: one session's own server or client, and their connections.

Objects are changed, never the library's classes or modules: other sessions of the same process use
the library as it is.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from interop.peers.python.client import ClientApi
from interop.peers.python.server import ServerRole
from zaptools.client.base import link_of
from zaptools.connection import WebSocketConnection
from zaptools.handlers.book import HandlerBook
from zaptools.transport import WebSocketTransport
from zaptools.transport.writer import text_frame

__all__ = [
    "ClientSeam",
    "Message",
    "Seam",
    "ServerSeam",
    "event_of",
    "override",
    "per_connection",
    "reads",
    "rewrites",
    "text_of",
    "writes",
]

Message = str | bytes
"""A message that a connection reads: text as str, a binary message as bytes."""

Hook = Callable[[Any], None]
"""Takes a connection's `WebSocketTransport`, whose parts the defects replace."""


def override(thing: Any, **methods: Callable[..., Any] | property) -> Any:
    """Replace methods or properties of one object; return the class with the original ones."""
    base = type(thing)
    thing.__class__ = type(base.__name__, (base,), {"__slots__": (), **methods})
    return base


class Seam:
    """The connections of one session.

    Attributes:
        made: called with each connection's transport: a server's before it reads, a client's once
            its handshake is done.
        opened: called with it once the handshake is done, before the first message is handled; its
            ``connection`` and ``dispatcher`` are set.
    """

    def __init__(self) -> None:
        self.made: list[Hook] = []
        self.opened: list[Hook] = []

    def take(self, transport: WebSocketTransport) -> None:
        """Install the hooks in a new connection's transport."""

        def begin(transport: Any, connection: WebSocketConnection, dispatcher: Any) -> None:
            transport.connection, transport.dispatcher = connection, dispatcher
            for hook in self.opened:
                hook(transport)
            base.open(transport, connection, dispatcher)

        base = override(transport, open=begin)
        for hook in self.made:
            hook(transport)


class _Transports(set[Any]):
    """The transports of a server, each of which is passed to a hook when it is added."""

    def __init__(self, take: Hook) -> None:
        super().__init__()
        self._take = take

    def add(self, transport: Any) -> None:
        super().add(transport)
        self._take(transport)


class ServerSeam(Seam):
    """A server that does not listen yet.

    Attributes:
        role: the peer's session, which has the rooms.
        server: a `zaptools.ZapServer`.
        book: its handlers, registered.
        tls: the context with which it is to serve TLS; None for none.
    """

    def __init__(
        self, role: ServerRole, server: Any, book: HandlerBook, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__()
        self.role: Any = role
        self.server = server
        self.book = book
        self.tls = tls
        server.roster.transports = _Transports(self.take)

    def set_up(self, **changes: Any) -> None:
        """Change the settings of the server's connections."""
        base: Any = type(self.server)
        settings = property(lambda server: replace(base.settings.fget(server), **changes))
        override(self.server, settings=settings)


class ClientSeam(Seam):
    """A client that has no handlers yet and is not connected.

    Attributes:
        api: the peer's adapter of the client.
        client: a `zaptools.ZapConsumer` or `zaptools.ZapSubscriber`.
        link: its link.
        book: its handlers.
    """

    def __init__(self, api: ClientApi) -> None:
        super().__init__()
        self.api: Any = api
        self.client: Any = api.client
        self.link: Any = link_of(api.client)
        self.book: HandlerBook = self.link.book
        opener = self.link.opener

        async def open_and_take(url: str, begin: Hook, **options: Any) -> Any:
            def take(transport: Any) -> None:
                self.take(transport)
                begin(transport)

            return await opener(url, take, **options)

        self.link.opener = open_and_take


# --- What a connection writes and reads ---------------------------------------------------


def per_connection(hook: Hook) -> Callable[[Seam], None]:
    """Return a defect of each connection, installed once it is open."""
    return lambda seam: seam.opened.append(hook)


def writes(make: Callable[[], Callable[[bytes], Iterable[bytes]]]) -> Callable[[Seam], None]:
    """Return a defect of what is written.

    Args:
        make: called for each connection; returns a function from one text to the texts sent.
    """

    def hook(transport: Any) -> None:
        change = make()

        def send(writer: Any, data: bytes) -> Awaitable[None] | None:
            sends = [base.send(writer, text) for text in change(data)]
            waiting = [each for each in sends if each is not None]
            return _in_turn(waiting) if waiting else None

        def offer(writer: Any, data: bytes, frame: bytes, unflushed: list[Any]) -> bool:
            texts = change(data)
            return any([base.offer(writer, each, text_frame(each), unflushed) for each in texts])

        base = override(transport.writer, send=send, offer=offer)

    return per_connection(hook)


async def _in_turn(waiting: Iterable[Awaitable[None]]) -> None:
    for each in waiting:
        await each


def rewrites(change: Callable[[dict[str, Any]], object], **load: Any) -> Callable[[Seam], None]:
    """Return a defect of what is written: `change` alters the event's object in place.

    Args:
        load: arguments of `json.loads`.
    """

    def rewrite(data: bytes) -> Iterable[bytes]:
        event = json.loads(data, **load)
        change(event)
        yield text_of(event)

    return writes(lambda: rewrite)


def reads(make: Callable[[Any], Callable[[Message], Iterable[Message]]]) -> Callable[[Seam], None]:
    """Return a defect of what is read.

    Args:
        make: called with each connection's transport; returns the function from a message to
            those that are handled.
    """

    def hook(transport: Any) -> None:
        change = make(transport)

        def feed(dispatcher: Any, messages: list[Message]) -> None:
            base.feed(dispatcher, [new for old in messages for new in change(old)])

        base = override(transport.dispatcher, feed=feed)

    return per_connection(hook)


def event_of(message: Message) -> dict[str, Any]:
    """Return a message's object; an empty one if the message is not an object."""
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def text_of(event: dict[str, Any]) -> bytes:
    """Return an event's text as the library writes it."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
