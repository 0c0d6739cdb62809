"""Every error that zaptools raises, in one tree.

::

    Exception
    └── ZapError
        ├── CodecError (ValueError)            a text is not an event, or a value not JSON
        ├── RegistrationError (TypeError)      a handler or a name cannot be registered
        ├── PayloadError (ValueError)          a payload does not have the type a handler declares
        ├── ReservedEventError                 a client sent an event with a lifecycle name
        ├── NoRequestError                     a reply to an event that is not a request
        ├── RemoteError                        the reply to a request is an error
        ├── ConnectionClosedError              a send or close after the connection's end
        ├── SendTimeoutError (TimeoutError)    the peer does not read, or not fast enough
        ├── NotConnectedError                  a send by a client that is not connected
        ├── OfflineQueueFullError              the offline send queue is full
        ├── AlreadyConnectedError              a second connect of one client
        ├── ConnectError                       a connection could not be opened
        │   ├── InvalidUrlError (ValueError)   the URL is not a WebSocket URL
        │   ├── ConnectTimeoutError (TimeoutError)
        │   ├── ProxyError                     there is no way through the proxy
        │   └── HandshakeError                 the server's answer is not a WebSocket handshake
        ├── NameTakenError (ValueError)        a name or an id is in use
        ├── BufferOverflowError                a stream's reader fell too far behind
        ├── ServerStateError                   a call that the server's state does not allow
        └── WrongThreadError (RuntimeError)    a blocking call in the event loop's own thread

Facts are attributes; `__str__` makes the words. Every error can be pickled and copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from ._text import clip, printable, redact

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
    "ProxyError",
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
"""Characters of a refused text that a `CodecError` keeps."""


class _Event(Protocol):
    """An event, for a `RemoteError`: `EventData` is defined on top of this module."""

    event_name: str
    payload: Any
    headers: dict[str, Any]

    def to_dict(self) -> dict[str, Any]: ...


def _restore(cls: type[ZapError], args: tuple[Any, ...], state: dict[str, Any]) -> ZapError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError.__new__, which TimeoutError has, does not set them
    error.__dict__.update(state)
    return error


class ZapError(Exception):
    """The root: ``except ZapError`` catches every error that this library defines."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.__dict__.copy())


class CodecError(ZapError, ValueError):
    """A message is not an event, or a value cannot be written as JSON.

    Args:
        reason: see below.
        where: see below. Default ``"$"``, the event's object.
        text: the text that was refused, of which the start is kept.
        detail: see below.
        search: finds the problem's reason, path and detail; called when `where` or `detail` is
            first read, because finding a place takes longer than noticing the problem. Default
            None: `where` and `detail` are final.

    Attributes:
        reason: the kind of problem, for programs: ``"not-json"``, ``"not-utf8"``, ``"not-object"``,
            ``"event-name"``, ``"headers"``, ``"duplicate-key"``, ``"binary"``, ``"number"``,
            ``"surrogate"``, ``"nesting"`` or ``"type"``.
        where: a path like ``$.payload.a[2]``, clipped to 200 characters, or the offset in bytes
            where the text stops being JSON. Of several problems it is one of the outermost.
        text: the start of the refused text, 80 characters; empty when encoding.
        detail: an explanation, clipped like `where`.
    """

    def __init__(
        self,
        reason: str,
        *,
        where: str | int = "$",
        text: str = "",
        detail: str = "",
        search: Callable[[], tuple[str, str, str] | None] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.text = clip(text, _CLIP)
        # As passed, until `_search` has found a better place.
        self._where = printable(where) if isinstance(where, str) else where
        self._detail = printable(detail)
        # Unset by its only call.
        self._search = search

    @property
    def where(self) -> str | int:
        self._locate()
        return self._where

    @property
    def detail(self) -> str:
        self._locate()
        return self._detail

    def _locate(self) -> None:
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
    """A handler that cannot be called as one, or a name that is not a string.

    Attributes:
        what: ``"handler"``, ``"middleware"``, ``"event name"`` or ``"room name"``.
        value: the argument.
        detail: what is wrong with it, or how to correct it; empty where its type is the reason.
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
        need = "a str" if is_name else "a callable"
        if self.what == "handler" and callable(self.value):
            need = "a plain function or a coroutine function"
        words = f"{self.what} must be {need}, not {self.value!r}"
        return f"{words}: {self.detail}" if self.detail else words


class PayloadError(ZapError, ValueError):
    """An event's payload does not have the type that its handler declares; it was not called.

    Attributes:
        event_name: the event's name.
        path: where in the payload, like ``$.address.zip``; ``$`` is the payload itself.
        reason: an explanation.

    `path` and `reason` are clipped to 200 characters and escaped where they are not printable:
    they may contain keys of the payload.
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
    """A client sent ``connected``, ``disconnected`` or ``error``; no handler was called.

    Attributes:
        event_name: the reserved name.
    """

    def __init__(self, event_name: str) -> None:
        super().__init__(event_name)
        self.event_name = event_name

    def __str__(self) -> str:
        return f"the peer sent an event with the reserved name {clip(self.event_name)!r}"


class NoRequestError(ZapError):
    """A reply to an event that is not a request: its headers have no ``requestId``.

    Attributes:
        event_name: the event's name.
    """

    def __init__(self, event_name: str) -> None:
        super().__init__(event_name)
        self.event_name = event_name

    def __str__(self) -> str:
        name = clip(self.event_name)
        return f"the event {name!r} is not a request: its headers have no requestId"


class RemoteError(ZapError):
    """The reply to a request is an error: the peer's handler failed, or refused.

    `WebSocketConnection.request` and the clients' `request` raise it. A handler may raise one to
    refuse a request: ``raise RemoteError("out of stock")`` is not a failure, so it is neither
    logged nor passed to the error handler; the requester gets an error with that text.

    Attributes:
        message: the explanation that the peer sent.
        reply: the whole reply, an `EventData`; None in an error that a handler raised itself.
    """

    def __init__(self, message: str, *, reply: _Event | None = None) -> None:
        super().__init__(message)
        self.message = str(message)
        self.reply = reply

    @property
    def event_name(self) -> str:
        """The event's name; empty in an error that a handler raised itself."""
        return "" if self.reply is None else self.reply.event_name

    @property
    def headers(self) -> dict[str, Any]:
        """The reply's headers; empty in an error that a handler raised itself."""
        return {} if self.reply is None else self.reply.headers

    def __str__(self) -> str:
        words = printable(self.message, 1000)
        if self.reply is None:
            return words
        return f"the peer's reply to {clip(self.event_name)!r} is an error: {words}"


class ConnectionClosedError(ZapError):
    """The connection has ended, or its closing has begun.

    Attributes:
        code: the close code (RFC 6455, section 7.4) of the side that began the closing; 1005 when
            its close frame had none, 1006 when the connection was lost without one.
        reason: the close reason; may be empty.
        by: the side that began the closing, ``"local"`` or ``"remote"``; None when the
            connection was lost.
    """

    def __init__(self, code: int, reason: str = "", by: CloseSide = None) -> None:
        super().__init__(code, reason, by)
        self.code = code
        self.reason = reason
        self.by = by

    def __str__(self) -> str:
        how = {"local": "closed by this side", "remote": "closed by the peer", None: "lost"}
        words = f"connection {how[self.by]}, code {self.code}"
        return f"{words}: {printable(self.reason)}" if self.reason else words


class SendTimeoutError(ZapError, TimeoutError):
    """A send waited too long for the peer to read. No part of the event was written.

    A broadcast does not wait: it fails for a peer that does not read and for which more than
    `Limits.backlog_bytes` are unsent.

    Attributes:
        seconds: the time that the send waited; 0 for a broadcast.
        backlog: the number of bytes that were unsent when a broadcast failed; None for a send.
    """

    def __init__(self, seconds: float, *, backlog: int | None = None) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.backlog = backlog

    def __str__(self) -> str:
        if self.backlog is not None:
            return f"the peer does not read, and {self.backlog} bytes are unsent (backlog_bytes)"
        if self.seconds == 0:
            return "the peer does not read, and send_timeout is 0"
        return f"the peer read nothing for {self.seconds:g} s"


class NotConnectedError(ZapError):
    """A send by a client that is not connected."""

    def __str__(self) -> str:
        return "the client is not connected"


class OfflineQueueFullError(ZapError):
    """The offline send queue is full.

    The client is not connected, or it is and has not yet sent the whole queue.

    Attributes:
        limit: the number of events that the queue holds.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"the offline send queue is full: {self.limit} events wait to be sent; "
            "send fewer while the client is offline, or raise offline_limit"
        )


class AlreadyConnectedError(ZapError):
    """A connect by a client that is connected, connecting, or still ending its last connection.

    Attributes:
        url: the URL of that connection, redacted as in `ConnectError`.
        detail: what to do first, while the last connection is ending; else empty.
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
    """A connection could not be opened.

    Attributes:
        url: the URL; user and password, and the values of the query, are ``***``.
        detail: an explanation, clipped to 200 characters and escaped where it is not printable;
            the cause, if there is one, is ``__cause__``.
    """

    def __init__(self, url: str, detail: str) -> None:
        url, detail = redact(url), printable(detail)
        super().__init__(url, detail)
        self.url = url
        self.detail = detail

    def __str__(self) -> str:
        return f"cannot connect to {self.url}: {self.detail}"


class InvalidUrlError(ConnectError, ValueError):
    """The URL is not a WebSocket URL (``ws://`` or ``wss://``), or its host name is malformed."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The connection or its handshake took longer than the open timeout."""


class ProxyError(ConnectError):
    """There is no way to the server through the proxy.

    Attributes:
        status: the HTTP status with which the proxy refused; None where there is none.
    """

    def __init__(self, url: str, detail: str, *, status: int | None = None) -> None:
        super().__init__(url, detail)
        self.status = status


class HandshakeError(ConnectError):
    """The server's answer is not a valid WebSocket handshake.

    Attributes:
        status: the HTTP status; None when the answer was not HTTP, or an invalid 101.
        headers: the answer's headers, names in lower case.
        body: the start of the answer's body, at most 1 KiB, as far as it arrived in time.
        negotiation: whether the answer was a 101 with a subprotocol or an extension that was not
            offered.
        retry_after: seconds after which the server wants to be asked again, as it says with 429 and
            503, in the header ``Retry-After``; a date that is over is 0. None if it does not say.
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
        retry_after: float | None = None,
    ) -> None:
        super().__init__(url, detail)
        self.negotiation = negotiation
        self.retry_after = retry_after
        self.status = status
        self.headers = headers or {}
        self.body = body[:1024]


class NameTakenError(ZapError, ValueError):
    """A name or an id that must be unique is in use; nothing was replaced.

    Attributes:
        what: the kind: ``"room name"``, ``"connection id"``, ``"event name"`` or ``"handler"``.
        name: the name or id.
    """

    def __init__(self, what: str, name: str) -> None:
        super().__init__(what, name)
        self.what = what
        self.name = name

    def __str__(self) -> str:
        return f"the {self.what} {clip(self.name)!r} is taken"


class BufferOverflowError(ZapError):
    """An event arrived at a stream that was full and whose policy is ``"raise"``.

    Attributes:
        size: the number of events that the stream holds.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"the stream's reader is more than {self.size} events behind"


class ServerStateError(ZapError):
    """A call that the server's state does not allow.

    Attributes:
        detail: an explanation.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class WrongThreadError(ZapError, RuntimeError):
    """A call that blocks until the event loop has handled it, in the loop's own thread."""

    def __str__(self) -> str:
        return "this call would block the event loop that it waits for: await send() instead"
