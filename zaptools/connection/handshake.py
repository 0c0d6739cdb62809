"""The opening handshake: its request as a handler sees it, and what an application may put into it.

An application names subprotocols, origins and headers; they are checked where they are passed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from .._arguments import shown

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
"""Bytes of these headers together. websockets 17 parses them in Python, at 0.5 µs a byte."""

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
"""What the opening handshake itself says (RFC 6455, section 4.1), and how to say it then."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Headers(Mapping[str, str]):
    """The headers of a request; names in any case. They come and go through it in lower case.

    A header that came more than once is one value, its parts joined by ``", "`` (RFC 9110,
    section 5.2), those of ``Cookie`` by ``"; "`` (RFC 6265, section 5.4).
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
    """The request that opened a connection. It cannot be changed.

    Attributes:
        path: the path, percent-decoded.
        query_string: what followed the ``?``, as it came; empty if there was none.
        client: the client's address and port; None where it has none, as on a Unix socket.
        subprotocol: the subprotocol that was agreed on; None if none was.
        header_block: the headers as they came, lines of ``name: value``. One string, because it
            is kept for each connection (0.5 KiB) and seldom looked at; `headers` is made from it.
    """

    path: str = ""
    query_string: str = ""
    client: tuple[str, int] | None = None
    subprotocol: str | None = None
    header_block: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded; of several with one name, the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    @property
    def headers(self) -> Headers:
        """The headers; made anew from `header_block` at each use."""
        lines = self.header_block.decode("latin-1").split("\r\n")
        return Headers(
            (name, value) for name, _, value in (line.partition(": ") for line in lines) if name
        )


NO_HANDSHAKE = Handshake()
"""What stands for the request where there was none."""


def header_block(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as one string of lines; see `Handshake.header_block`."""
    return b"".join(b"%b: %b\r\n" % pair for pair in pairs)


def are_lists_too_long(fields: Iterable[tuple[str, str]]) -> bool:
    """Tell whether the headers of a handshake that are lists are longer than any honest ones."""
    return sum(len(value) for name, value in fields if name.lower() in _LISTS) > _LIST_BYTES


def choose_subprotocol(ours: Sequence[str], offered: Sequence[str]) -> str | None:
    """Return the first of `ours` that is offered too; None when there is none."""
    return next((name for name in ours if name in offered), None)


def check_subprotocols(names: Sequence[str] | None) -> list[str]:
    """Return the names of subprotocols (RFC 6455, section 4.1).

    Raises:
        TypeError: they are no sequence of strings.
        ValueError: one is no token, or there twice.
    """
    found = _strings(() if names is None else names, "subprotocols")
    for name in found:
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"a subprotocol is a token, unlike {name!r}")
    if len(set(found)) < len(found):
        raise ValueError(f"a subprotocol is named twice: {found!r}")
    return found


def check_origins(origins: Sequence[str | None] | None) -> list[str | None] | None:
    """Return the origins; None is any.

    Raises:
        TypeError: they are no sequence of strings and None.
    """
    if origins is None:
        return None
    return _strings(origins, "origins", none=True)


def check_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers of a request.

    Raises:
        TypeError: a name or a value is no string.
        ValueError: a name is no token, or there twice (names have no case), or one of the
            handshake's own, or a value has a control
            character or one beyond Latin-1, which is what a field may have (RFC 9110, section
            5.5).
    """
    # None of these errors quotes a value: it may be a secret.
    if headers is not None and not isinstance(headers, Mapping):
        given = type(headers).__name__ if isinstance(headers, Iterable) else shown(headers)
        cure = "write {'Name': 'value'}"
        raise TypeError(f"headers must be a Mapping or None, not {given}: {cure}")
    pairs = [] if headers is None else list(headers.items())  # a multidict's may be alike
    found: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if not isinstance(name, str):
            raise TypeError(f"a header's name must be a str, not {type(name).__name__}")
        if not isinstance(value, str):
            kind = type(value).__name__
            raise TypeError(f"the value of the header {shown(name)} must be a str, not {kind}")
        if _TOKEN.fullmatch(name) is None:
            raise ValueError(f"a header's name is a token, unlike {name!r}")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name} has a control character")
        if name.lower() in _OWNED:
            hint = _OWNED[name.lower()]
            raise ValueError(f"the header {name} is the opening handshake's own{hint}")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError as exc:
            raise ValueError(
                f"the header {name} has a character at {exc.start} that no header may have: "
                "encode it, as with urllib.parse.quote"
            ) from None  # whose words would quote the value, which may be a secret
        if name.lower() in seen:
            raise ValueError(f"the header {name} is there twice, and one would be lost: join them")
        seen.add(name.lower())
        found[name] = value
    return found


def _strings(values: Iterable[Any], what: str, *, none: bool = False) -> list[Any]:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        cure = ""
        if isinstance(values, Mapping):  # its keys would be taken, and its values lost
            cure = "; headers go into headers="
        elif isinstance(values, str):
            cure = f"; for one, write [{values!r}]"
            if re.match(r"(?i)wss?:", values):
                raise TypeError(f"{what} are a sequence of strings: the URL is the client's own")
        raise TypeError(f"{what} are a sequence of strings, unlike {shown(values)}{cure}")
    found = list(values)
    for value in found:
        if not isinstance(value, str) and not (none and value is None):
            cure = "; headers go into headers=" if isinstance(value, tuple) else ""
            raise TypeError(f"{what} are strings, unlike {type(value).__name__}{cure}")
    return found
