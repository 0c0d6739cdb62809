"""The opening handshake: its request as a handler sees it, and what an application may put into it.

An application names subprotocols, origins and headers; they are checked where they are passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

from .._arguments import check_strings, shown

__all__ = [
    "NO_HANDSHAKE",
    "Handshake",
    "Headers",
    "are_lists_too_long",
    "check_headers",
    "check_origins",
    "check_subprotocols",
    "choose_subprotocol",
    "header_block",
]

_LISTS = frozenset({"connection", "upgrade", "sec-websocket-extensions", "sec-websocket-protocol"})
_LIST_BYTES = 1 << 13
"""Most bytes of these headers together: websockets 17 parses them in Python, at 0.5 µs a byte."""

_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_OWNED = {
    "connection": "",
    "upgrade": "",
    "content-length": "",
    "transfer-encoding": "",
    "sec-websocket-key": "",
    "sec-websocket-version": "",
    "sec-websocket-accept": "",
    "sec-websocket-protocol": ": pass the subprotocols as such",
    "sec-websocket-extensions": ": pass compression='deflate'",
}
"""Headers of the opening handshake itself (RFC 6455, section 4.1), and what to pass instead."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(Mapping[str, str]):
    """The headers of a request. Names are looked up in any case, and iterated in lower case.

    A repeated header is one value, its parts joined by ``", "`` (RFC 9110, section 5.2), those of
    ``Cookie`` by ``"; "`` (RFC 6265, section 5.4).
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for given, value in pairs:
            name = given.lower()
            if name in self._values:
                glue = "; " if name == "cookie" else ", "
                value = f"{self._values[name]}{glue}{value}"
            self._values[name] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """The request that opened a connection; immutable.

    Attributes:
        path: the path, percent-decoded.
        query_string: the query, without the ``?`` and not decoded; empty if there was none.
        client: the client's address and port; None where it has none, as on a Unix socket.
        subprotocol: the negotiated subprotocol; None without one.
        header_block: the headers as received, lines of ``name: value``. One string, because it is
            kept for each connection (0.5 KiB) and seldom read; `headers` parses it.
    """

    path: str = ""
    query_string: str = ""
    client: tuple[str, int] | None = None
    subprotocol: str | None = None
    header_block: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; of several with one name, the last one."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def headers(self) -> Headers:
        """The headers; parsed from `header_block` at each use."""
        lines = self.header_block.decode("latin-1").split("\r\n")
        return Headers(
            (name, value) for name, _, value in (line.partition(": ") for line in lines) if name
        )


NO_HANDSHAKE = Handshake()
"""The handshake of a connection without a request, as on a client's side."""


def header_block(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers in the form of `Handshake.header_block`."""
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs)


def are_lists_too_long(fields: Iterable[tuple[str, str]]) -> bool:
    """Return whether the headers of a handshake that are lists exceed 8 KiB together."""
    return sum(len(value) for name, value in fields if name.lower() in _LISTS) > _LIST_BYTES


def choose_subprotocol(ours: Sequence[str], offered: Sequence[str]) -> str | None:
    """Return the first of `ours` that is offered too; None if there is none."""
    return next((name for name in ours if name in offered), None)


def check_subprotocols(names: Sequence[str] | None) -> list[str]:
    """Return the names of subprotocols as a list (RFC 6455, section 4.1).

    Raises:
        TypeError: they are not several strings.
        ValueError: one is not a token, or is there twice.
    """
    if isinstance(names, str) and re.match(r"(?i)wss?:", names):
        raise TypeError("subprotocols must be an iterable of str: the client has the URL")
    cure = "headers go into headers="
    found = [] if names is None else check_strings(names, "subprotocols", pairs=cure)
    for name in found:
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"subprotocols must be tokens, got {name!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"subprotocols must be different, got {found!r}")
    return found


def check_origins(origins: Sequence[str | None] | None) -> list[str | None] | None:
    """Return the origins as a list; None, which allows any, as None.

    Raises:
        TypeError: they are not several strings and None.
    """
    return None if origins is None else check_strings(origins, "origins", none=True)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers of a request as a dict.

    Raises:
        TypeError: a name or a value is not a string.
        ValueError: a name is not a token, is there twice (case does not matter), or is one of the
            handshake's own; or a value has a control character or one beyond Latin-1, which is all
            that a field may have (RFC 9110, section 5.5).
    """
    # None of these errors quotes a value: it may be a secret.
    if headers is not None and not isinstance(headers, Mapping):
        given = type(headers).__name__ if isinstance(headers, Iterable) else shown(headers)
        cure = "write {'Name': 'value'}"
        raise TypeError(f"headers must be a Mapping or None, not {given}: {cure}")
    pairs = [] if headers is None else list(headers.items())  # a multidict may repeat a name
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"the name of a header must be a str, not {type(name).__name__}")
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"the value of the header {shown(name)} must be a str, not {kind}")
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"the name of a header must be a token, got {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name} must not have a control character")
        if name.lower() in _OWNED:
            hint = _OWNED[name.lower()]
            raise ValueError(f"the header {name} is set by the opening handshake itself{hint}")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError as exc:
            raise ValueError(
                f"the header {name} must be Latin-1, and character {exc.start} is not: "
                "encode it, for example with urllib.parse.quote"
            ) from None  # its text would quote the value
        if name.lower() in seen:
            raise ValueError(f"the header {name} is there twice: join the values")
        seen.add(name.lower())
        found[name] = value
    return found
