"""A server's answer to a client's opening request, as it comes (RFC 9112).

The status counts as soon as the head is there, whatever the body is like: a server that refuses
may say so in as many words as it wants. What is a 101 is `websockets.client`'s to judge.
"""

from __future__ import annotations

import re

from .._text import printable
from ..connection.handshake import are_lists_too_long

__all__ = ["Answer"]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: ([^\r\n]*))?")
_END = re.compile(rb"\r?\n\r?\n")  # RFC 9112, section 2.2: a bare LF may end a line
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_START = b"HTTP/1."

_BODY = 1024
"""Bytes of a body that are kept."""

_RAW = 8 * _BODY
"""Bytes of a body that are looked at: in tiny chunks it takes more of them."""


class Answer:
    """One answer.

    Args:
        head_bytes: longest head, those of the interim answers before it included.

    Attributes:
        status: its status; None until the head is there. 100 and 103, which may come before it,
            are read over (RFC 9110, section 15.2).
        reason: the reason phrase; may be empty.
        headers: the headers, names in lower case.
        head: the head as it came, with the empty line at its end.
        rest: what came behind the head of a 101.
    """

    __slots__ = ("_limit", "_raw", "_size", "head", "headers", "reason", "rest", "status")

    def __init__(self, head_bytes: int) -> None:
        self._limit = head_bytes
        self.status: int | None = None
        self.reason = ""
        self.headers: dict[str, str] = {}
        self.head = b""
        self.rest = b""
        self._raw = bytearray()
        self._size = 0  # of the heads up to now

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            ValueError: that is no answer of HTTP/1.1, or its head is too long.
        """
        if self.status is not None:
            self._raw += data[: _RAW - len(self._raw)]
            return
        start = max(0, len(self._raw) - 3)
        self._raw += data
        while self.status is None:
            if not _START.startswith(self._raw[: len(_START)]):
                raise ValueError(f"the server answered no HTTP/1.1: {self._first_line()}")
            end = _END.search(self._raw, start)
            size = self._size + (len(self._raw) if end is None else end.end())
            if size > self._limit:
                raise ValueError(
                    f"the head of the server's answer is longer than {self._limit} bytes"
                    " (Limits.head_bytes)"
                )
            if end is None:
                if b"\n" in self._raw:
                    self._parse_status()
                return
            self._size = size
            self.head = bytes(self._raw[: end.end()])
            status, self.reason = self._parse_status()
            del self._raw[: end.end()]
            start = 0
            if status >= 200 or status == 101:
                self.status = status
        fields = _fields(self.head)
        if self.status == 101 and are_lists_too_long(fields):
            raise ValueError("the lists in the head of the server's answer are too long")
        self.headers = dict(fields)
        if self.status == 101:
            self.rest = bytes(self._raw)
        del self._raw[_RAW:]

    def _first_line(self) -> str:
        return printable(bytes(self._raw[:256]).partition(b"\n")[0].strip().decode("latin-1"))

    def _parse_status(self) -> tuple[int, str]:
        found = _STATUS_LINE.match(self._raw)
        if found is None or self._raw[found.end()] not in b"\r\n":
            raise ValueError(f"the server answered no HTTP/1.1: {self._first_line()}")
        return int(found[1]), (found[2] or b"").decode("latin-1")

    @property
    def body(self) -> bytes:
        """The start of the body as far as it came, at most 1 KiB."""
        return self._read_body()[0][:_BODY]

    @property
    def is_complete(self) -> bool:
        """Whether nothing that comes can change `body`."""
        body, is_whole = self._read_body()
        return is_whole or len(body) >= _BODY or len(self._raw) >= _RAW

    def _read_body(self) -> tuple[bytes, bool]:
        """Return what came of the body, and whether that is all (RFC 9112, section 6.3)."""
        raw = bytes(self._raw)
        coding = self.headers.get("transfer-encoding")
        length = self.headers.get("content-length", "")
        if self.status in (204, 304):
            return b"", True
        if coding is not None:
            if coding.rpartition(",")[2].strip().lower() == "chunked":
                return _join_chunks(raw)
        elif length.isascii() and length.isdigit():
            size = int(length[:20])
            return raw[:size], len(raw) >= size
        return raw, False


def _fields(head: bytes) -> list[tuple[str, str]]:
    """Return the fields of a head as they are; what is none is left out."""
    lines = (line.partition(":") for line in head.decode("latin-1").splitlines()[1:])
    return [(name.strip().lower(), value.strip()) for name, mark, value in lines if mark]


def _join_chunks(raw: bytes) -> tuple[bytes, bool]:
    """Return what chunks hold, and whether the last one, or what is none, was met."""
    body, start = b"", 0
    while (found := _CHUNK.match(raw, start)) is not None:
        size = int(found[1], 16)
        if size == 0:
            return body, True
        body += raw[found.end() : found.end() + size]
        start = found.end() + size + 2
        if start > len(raw):
            return body, False
    return body, b"\n" in raw[start:]
