"""The request and the answer of the opening handshake (RFC 6455, section 4), in any form. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["KEY", "Head", "accept_key", "answer", "parse_head", "request"]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""The key of RFC 6455, section 1.3."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_STATUS = re.compile("[0-9]{3}")


@dataclass(frozen=True, slots=True)
class Head:
    """A request or response without its body.

    Attributes:
        line: its first line.
        headers: names and values, in order.
    """

    line: str
    headers: Sequence[tuple[str, str]]

    @property
    def status(self) -> int:
        """A response's status; 0 when there is none."""
        words = self.line.split(" ")
        return int(words[1]) if len(words) > 1 and _STATUS.fullmatch(words[1]) else 0

    @property
    def target(self) -> str:
        """A request's target, path and query."""
        words = self.line.split(" ")
        return words[1] if len(words) > 1 else ""

    def all(self, name: str) -> list[str]:
        """Return every element of a header whose value is a list, over all its lines."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return [part.strip() for value in values for part in value.split(",") if part.strip()]

    def one(self, name: str) -> str | None:
        """Return the value of a header that appears exactly once; None otherwise."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if len(values) == 1 else None


def parse_head(data: bytes) -> Head:
    """Parse a request or response up to the empty line that ends its headers."""
    line, *rest = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (text.partition(":") for text in rest)
    return Head(line, [(name.strip(), value.strip()) for name, _, value in pairs])


def accept_key(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` that answers a key."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def request(
    *,
    host: str,
    path: str = "/ws",
    method: str = "GET",
    version: str = "HTTP/1.1",
    headers: Mapping[str, str | None] | None = None,
    extra: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return a client's handshake.

    Args:
        headers: replace the usual ones of the same name; None removes one.
        extra: appended as they are.
    """
    usual = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    return _head(f"{method} {path} {version}", usual, headers, extra)


def answer(
    asked: Head,
    *,
    status: str = "101 Switching Protocols",
    headers: Mapping[str, str | None] | None = None,
    extra: Iterable[tuple[str, str]] = (),
) -> bytes:
    """Return a server's answer to a request; the arguments as for `request`."""
    usual = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": accept_key(asked.one("Sec-WebSocket-Key") or ""),
    }
    return _head(f"HTTP/1.1 {status}", usual, headers, extra)


def _head(
    line: str,
    usual: Mapping[str, str],
    changed: Mapping[str, str | None] | None,
    extra: Iterable[tuple[str, str]],
) -> bytes:
    pairs = {**usual, **(changed or {})}
    lines = [line, *(f"{name}: {value}" for name, value in pairs.items() if value is not None)]
    lines += [f"{name}: {value}" for name, value in extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
