"""Which clients get a connection: the application decides before the handshake is answered.

`zaptools.handlers.admission` asks the application.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from http.cookies import SimpleCookie
from types import SimpleNamespace
from typing import Self, TypeAlias

import msgspec

from .._arguments import check_kind, shown
from .handshake import Handshake, check_headers

__all__ = ["Admission", "HandshakeRequest", "Refuse"]


class Refuse(Exception):
    """The answer to a client that gets no connection; a function of `on_handshake` raises it.

    Args:
        status: the HTTP status, from 300 to 599. Default 403.
        body: the body: a str is sent as UTF-8 and ``text/plain``, bytes as they are. Default: the
            status in words.
        headers: headers of the answer, ``WWW-Authenticate`` of a 401 for example. Default none.

    Attributes:
        status: as given.
        body: the body's bytes.
        headers: the answer's headers, the body's type among them.

    Raises:
        TypeError: an argument is of a wrong type.
        ValueError: HTTP has no such status to refuse with, or a header is not allowed.
    """

    def __init__(
        self,
        status: int = 403,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, body, headers)
        check_kind(status, int, "status")
        if status < 300 or status not in set(HTTPStatus):
            raise ValueError(f"status must be one of HTTP's from 300 on, got {status!r}")
        if body is None:
            body = f"{HTTPStatus(status).phrase}.\n"
        if not isinstance(body, (str, bytes)):
            raise TypeError(f"body must be a str, bytes or None, not {shown(body)}")
        given = check_headers(headers)
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = given
        if isinstance(body, str) and "content-type" not in map(str.lower, given):
            self.headers = {"Content-Type": "text/plain; charset=utf-8", **given}

    def __str__(self) -> str:
        return f"{self.status} {HTTPStatus(self.status).phrase}"


class HandshakeRequest(Handshake, frozen=True, kw_only=True):
    """A client's request for a connection, which has not been answered.

    Attributes:
        subprotocols: those that the client offers, in its order of preference.
        state: becomes `WebSocketConnection.state`; put into it what handlers need.
    """

    subprotocols: Sequence[str] = ()
    state: SimpleNamespace = msgspec.field(default_factory=SimpleNamespace)

    @classmethod
    def of(cls, handshake: Handshake, offered: Sequence[str] | None = None) -> Self:
        """Return the request of a handshake.

        Args:
            handshake: its other attributes.
            offered: the subprotocols. Default None: those in the headers.
        """
        if offered is None:
            listed = handshake.headers.get("sec-websocket-protocol", "").split(",")
            offered = [name for name in map(str.strip, listed) if name]
        return cls(subprotocols=offered, **msgspec.structs.asdict(handshake))

    @property
    def cookies(self) -> dict[str, str]:
        """The values of the cookies, by name (RFC 6265, section 5.4); of several with one name, the
        last one.
        """
        # One by one: SimpleCookie drops all of them for one that it cannot parse, such as JSON.
        decode = SimpleCookie().value_decode
        parts = (part.partition("=") for part in self.headers.get("cookie", "").split(";"))
        return {name.strip(): decode(value.strip())[0] for name, mark, value in parts if mark}


Admission: TypeAlias = Callable[[HandshakeRequest], Awaitable[None] | None]
"""A function, sync or async, that returns nothing, or raises `Refuse`."""
