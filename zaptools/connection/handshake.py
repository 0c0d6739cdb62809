"""The opening handshake's request, as the application sees it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import parse_qsl

import msgspec

__all__ = [
    "NO_HANDSHAKE",
    "Handshake",
    "Headers",
    "are_lists_too_long",
    "choose_subprotocol",
    "header_block",
]

_LISTS = frozenset({"connection", "upgrade", "sec-websocket-extensions", "sec-websocket-protocol"})
_LIST_BYTES = 1 << 13
"""Bytes of these headers together. websockets 17 parses them in Python, at 0.5 µs a byte."""


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
