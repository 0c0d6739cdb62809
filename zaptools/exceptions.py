"""Every error that zaptools raises, in one tree.

::

    Exception
    └── ZapError
        ├── CodecError (ValueError)            text that is no event, or an event with no text
        ├── RegistrationError (TypeError)      a handler or a name that cannot be registered
        ├── PayloadError (ValueError)          a payload that is not what a handler declares
        ├── ReservedEventError                 a client sent an event with a lifecycle name
        ├── NoRequestError                     a reply to an event that asks for none
        ├── RemoteError                        the reply to a request is an error
        ├── ConnectionClosedError              send or close after the connection's end
        ├── SendTimeoutError (TimeoutError)    the peer did not read for too long
        ├── NotConnectedError                  a client was asked to send while not connected
        ├── OfflineQueueFullError              as many sends as may wait for a connection do
        ├── AlreadyConnectedError              a client was asked to connect twice
        ├── ConnectError                       no connection came about
        │   ├── InvalidUrlError (ValueError)   the URL is not a WebSocket URL
        │   ├── ConnectTimeoutError (TimeoutError)
        │   └── HandshakeError                 the server answered, but not with a WebSocket
        ├── NameTakenError (ValueError)        a name or an id that must be unique is not
        ├── BufferOverflowError                a stream's reader fell too far behind
        ├── ServerStateError                   a server was started twice
        └── WrongThreadError (RuntimeError)    what blocks was called in the event loop's thread

Facts are attributes; the words are made from them when an error is shown. Every
error can be pickled and copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._text import clip, printable, redact

if TYPE_CHECKING:  # it is made of these
    from .protocol.codec import EventData

__all__ = [
    "AlreadyConnectedError",
    "BufferOverflowError",
    "CloseSide",
    "CodecError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "HandshakeError",
    "InvalidUrlError",
    "NameTakenError",
    "NoRequestError",
    "NotConnectedError",
    "OfflineQueueFullError",
    "PayloadError",
    "RegistrationError",
    "RemoteError",
    "ReservedEventError",
    "SendTimeoutError",
    "ServerStateError",
    "WrongThreadError",
    "ZapError",
]

CloseSide: TypeAlias = Literal["local", "remote"] | None
"""Which side began the closing; None when the connection was lost without one."""

_CLIP = 80


def _restore(cls: type[ZapError], args: tuple[Any, ...], state: dict[str, Any]) -> ZapError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError.__new__, which TimeoutError has, does not set them
    error.__dict__.update(state)
    return error


class ZapError(Exception):
    """The root: ``except ZapError`` catches whatever this library raises on its own account."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class CodecError(ZapError, ValueError):
    """A message that is no event, or a value that has no place in one.

    Attributes:
        reason: what is wrong, for programs: ``"not-json"``, ``"not-utf8"``, ``"not-object"``,
            ``"event-name"``, ``"headers"``, ``"duplicate-key"``, ``"binary"``, ``"number"``,
            ``"surrogate"``, ``"nesting"`` or ``"type"``.
        where: a path like ``$.payload.a[2]``, of which more than 200 characters are cut off, or
            the offset in bytes where the text stops being JSON. A path in a text is looked for
            when it, or the detail, is first asked for; of several problems it is an outermost's.
        text: the start of what was to be decoded; empty when encoding.
        detail: what is wrong, in words; cut off like `where`.
    """

    def __init__(
        self, reason: str, *, where: str | int = "$", text: str = "", detail: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = clip(text, _CLIP)
        self._where = printable(where) if isinstance(where, str) else where
        self._detail = printable(detail)
        self._search: Callable[[], tuple[str, str, str] | None] | None = None

    @property
    def where(self) -> str | int:
        self._locate()
        return self._where

    @property
    def detail(self) -> str:
        self._locate()
        return self._detail

    def _locate(self) -> None:
        """Look for the place, which takes longer than to know that there is a problem."""
        search, self._search = self._search, None
        found = search() if search is not None else None
        if found is not None:
            _, where, detail = found
            self._where, self._detail = printable(where), printable(detail)

    def __str__(self) -> str:
        where = f"byte {self.where}" if isinstance(self.where, int) else self.where
        words = f"{self.reason} at {where}"
        if self.detail:
            words += f": {self.detail}"
        return f"{words} (in {self.text!r})" if self.text else words


class RegistrationError(ZapError, TypeError):
    """A handler that cannot be called, or not be awaited, or a name that is no string.

    Attributes:
        what: ``"handler"``, ``"middleware"``, ``"event name"`` or ``"room name"``.
        value: what was given instead.
        detail: what is wrong with it, or what to do, in words; empty where its type says it all.
    """

    def __init__(self, what: str, value: object, detail: str = "") -> None:
        super().__init__(what, value, detail)
        self.what = what
        self.value = value
        self.detail = detail

    def __str__(self) -> str:
        is_name = self.what.endswith(" name")
        if self.detail and not is_name:
            name = getattr(self.value, "__qualname__", None) or repr(self.value)
            return f"{self.what} {name}: {self.detail}"
        need = "a string" if is_name else "a callable"
        if self.what == "handler" and callable(self.value):
            need = "a plain function or a coroutine function"
        words = f"{self.what} must be {need}, not {self.value!r}"
        return f"{words}: {self.detail}" if self.detail else words


class PayloadError(ZapError, ValueError):
    """An event's payload is not what the event's handler declares; the handler was not called.

    Attributes:
        event_name: the event's name.
        path: where in the payload, like ``$.address.zip``; ``$`` is the payload itself.
        reason: what is wrong there, in words.

    Of `path` and `reason` more than 200 characters are cut off, and what is not printable in
    them is escaped: they may have keys of the payload in them.
    """

    def __init__(self, event_name: str, path: str, reason: str) -> None:
        path, reason = printable(path), printable(reason)
        super().__init__(event_name, path, reason)
        self.event_name = event_name
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"the payload of {clip(self.event_name)!r}: {self.reason} at {self.path}"


class ReservedEventError(ZapError):
    """A client sent ``connected``, ``disconnected`` or ``error``; no handler was called for it.

    Attributes:
        event_name: the reserved name that came.
    """

    def __init__(self, event_name: str) -> None:
        super().__init__(event_name)
        self.event_name = event_name

    def __str__(self) -> str:
        return f"the peer sent an event with the reserved name {clip(self.event_name)!r}"


class NoRequestError(ZapError):
    """Somebody wanted to reply to an event that is no request: it has no ``requestId`` header.

    Attributes:
        event_name: the event's name.
    """

    def __init__(self, event_name: str) -> None:
        super().__init__(event_name)
        self.event_name = event_name

    def __str__(self) -> str:
        name = clip(self.event_name)
        return f"the event {name!r} is no request: its headers have no requestId"


class RemoteError(ZapError):
    """The reply to a request is an error: the handler at the other side failed, or refused.

    `WebSocketConnection.request` and that of the clients raise it. A handler may raise one of its
    own to refuse a request: ``raise RemoteError("out of stock")`` is no failure, neither told to
    the error handler nor logged; the requester gets an error with that text.

    Attributes:
        message: what went wrong, in words, as the peer sent it.
        reply: the whole reply, an `EventData`; None in an error that a handler has made.
    """

    def __init__(self, message: str, *, reply: EventData | None = None) -> None:
        super().__init__(message)
        self.message = str(message)
        self.reply = reply

    @property
    def event_name(self) -> str:
        """The event's name; empty in an error that a handler has made."""
        return "" if self.reply is None else self.reply.event_name

    @property
    def headers(self) -> dict[str, Any]:
        """The reply's headers; empty in an error that a handler has made."""
        return {} if self.reply is None else self.reply.headers

    def __str__(self) -> str:
        words = printable(self.message, 1000)
        if self.reply is None:
            return words
        return f"the peer's reply to {clip(self.event_name)!r} is an error: {words}"


class ConnectionClosedError(ZapError):
    """The connection has ended, or its closing has begun.

    Attributes:
        code: the close code (RFC 6455, section 7.4): of the side that began the closing; 1005
            when its close frame had none, 1006 when the connection was lost without one.
        reason: the close reason; may be empty.
        by: ``"local"`` or ``"remote"``, whoever began the closing; None when the connection
            was lost.
    """

    def __init__(self, code: int, reason: str = "", by: CloseSide = None) -> None:
        super().__init__(code, reason, by)
        self.code = code
        self.reason = reason
        self.by = by

    def __str__(self) -> str:
        who = {"local": "closed by this side", "remote": "closed by the peer", None: "lost"}
        words = f"connection {who[self.by]}, code {self.code}"
        return f"{words}: {printable(self.reason)}" if self.reason else words


class SendTimeoutError(ZapError, TimeoutError):
    """The peer did not read, and the send gave up waiting. Nothing of the event was written.

    Attributes:
        seconds: how long the send waited.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"the peer read nothing for {self.seconds:g} s"


class NotConnectedError(ZapError):
    """A client that is not connected was asked to send."""

    def __str__(self) -> str:
        return "the client is not connected"


class OfflineQueueFullError(ZapError):
    """A client that keeps what it is to send until it can be sent keeps as much as it may.

    It is not connected; or it is, and what waited has not all gone out yet.

    Attributes:
        limit: how many events it may keep.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.limit} events wait to be sent already, as many as offline_limit allows: "
            "send less while the client is offline, or allow more"
        )


class AlreadyConnectedError(ZapError):
    """A client that is connected, connecting, or not done with its last connection, was asked to
    connect.

    Attributes:
        url: what it is connected to; secrets left out, as in `ConnectError`.
        detail: what to do instead, in words, when its last connection is in the way; else empty.
    """

    def __init__(self, url: str, detail: str = "") -> None:
        url = redact(url)
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        if self.detail:
            return f"the client cannot connect to {self.url} yet: {self.detail}"
        return f"the client is already connected, or connecting, to {self.url}"


class ConnectError(ZapError):
    """No connection came about.

    Attributes:
        url: where the client wanted to connect; user and password, and the values of the
            query, are ``***``.
        detail: why not, in words; the cause, if there is one, is ``__cause__``. More than 200
            characters are cut off, and what is not printable is escaped.
    """

    def __init__(self, url: str, detail: str) -> None:
        url, detail = redact(url), printable(detail)
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        return f"cannot connect to {self.url}: {self.detail}"


class InvalidUrlError(ConnectError, ValueError):
    """The URL is not a WebSocket URL (``ws://`` or ``wss://``), or no host has such a name."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The connection or its handshake took longer than the open timeout."""


class HandshakeError(ConnectError):
    """The server answered, but not with a WebSocket handshake that holds.

    Attributes:
        status: the HTTP status; None when the answer was no HTTP, or a wrong 101.
        headers: the answer's headers, names in lower case.
        body: the start of the answer's body, at most 1 KiB, as far as it came soon.
        negotiation: whether the answer was a 101 with a subprotocol or an extension that was not
            offered.
    """

    def __init__(
        self,
        url: str,
        detail: str,
        *,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        negotiation: bool = False,
    ) -> None:
        super().__init__(url, detail)
        self.negotiation = negotiation
        self.status = status
        self.headers = headers or {}
        self.body = body[:1024]


class NameTakenError(ZapError, ValueError):
    """A name or an id that must be unique is in use; nothing was replaced.

    Attributes:
        what: ``"room name"``, ``"connection id"``, ``"event name"`` or ``"handler"``.
        name: which.
    """

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return f"the {self.what} {clip(self.name)!r} is taken"


class BufferOverflowError(ZapError):
    """A stream whose policy is ``"raise"`` held as many events as it may, and one more came.

    Attributes:
        size: how many it may hold.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"the stream's reader is more than {self.size} events behind"


class ServerStateError(ZapError):
    """A server was asked for something that its state does not allow.

    Attributes:
        detail: what, in words.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class WrongThreadError(ZapError, RuntimeError):
    """A call that blocks until the event loop is done with it came from the loop's own thread."""

    def __str__(self) -> str:
        return "this blocks the event loop that it waits for: await send() there"
