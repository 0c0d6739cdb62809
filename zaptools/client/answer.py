"""The parser of a server's answer to a client's opening request (RFC 9112).

The status counts as soon as the head is complete, whatever body follows: a refusal may be of any
length. Whether a 101 is valid is left to `websockets.client`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .._text import printable
from ..connection.handshake import are_lists_too_long

__all__ = ["Answer"]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: ([^\r\n]*))?")
_END = re.compile(rb"\r?\n\r?\n")  # RFC 9112, section 2.2: a bare LF may end a line
_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_START = b"HTTP/1."

_BODY = 1024
"""Bytes of a body that are kept."""

_RAW_BODY = 8 * _BODY
"""Bytes of an encoded body that are read: more than `_BODY`, since chunks may be tiny."""


class Answer:
    """One answer.

    Args:
        head_bytes: the longest head, those of the interim answers before it included.

    Attributes:
        status: its status; None until the head is complete. Interim answers before it, 100 and
            103, are skipped (RFC 9110, section 15.2).
        reason: the reason phrase; may be empty.
        headers: the headers, names in lower case.
        head: the head as received, with the empty line at its end.
        rest: the bytes received after the head of a 101.
    """

    __slots__ = ("_limit", "_raw", "_size", "head", "headers", "reason", "rest", "status")

    def __init__(self, head_bytes: int) -> None:
        self._limit = head_bytes
        self.status: int | None = None
        self.reason = ""
        self.headers: dict[str, str] = {}
        self.head = b""
        self.rest = b""
        self._raw = bytearray()  # the incomplete head; after it, the encoded body
        self._size = 0  # of the complete heads, in bytes

    def feed(self, data: bytes) -> None:
        """Parse the bytes received next.

        Raises:
            ValueError: they are no answer of HTTP/1.1, or its head is too long.
        """
        if self.status is not None:
            self._raw += data[: _RAW_BODY - len(self._raw)]
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
        del self._raw[_RAW_BODY:]

    def _first_line(self) -> str:
        return printable(bytes(self._raw[:256]).partition(b"\n")[0].strip().decode("latin-1"))

    def _parse_status(self) -> tuple[int, str]:
        found = _STATUS_LINE.match(self._raw)
        if found is None or self._raw[found.end()] not in b"\r\n":
            raise ValueError(f"the server answered no HTTP/1.1: {self._first_line()}")
        return int(found[1]), (found[2] or b"").decode("latin-1")

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again; None if it does not say.

        It says so with 429 and 503, as seconds or as a date (RFC 9110, section 10.2.3; RFC 6585,
        section 4). A date that is over is 0.
        """
        value = self.headers.get("retry-after", "").strip()
        if self.status not in (429, 503) or not value:
            return None
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if date.tzinfo is None:  # "-0000": its zone is not known
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())

    @property
    def body(self) -> bytes:
        """The start of the body as received so far, at most 1 KiB."""
        return self._read_body()[0][:_BODY]

    @property
    def is_complete(self) -> bool:
        """Whether `body` is final."""
        body, is_whole = self._read_body()
        return is_whole or len(body) >= _BODY or len(self._raw) >= _RAW_BODY

    def _read_body(self) -> tuple[bytes, bool]:
        """Return the body received so far, and whether it is whole (RFC 9112, section 6.3)."""
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
    """Return the header fields of a head; lines without a colon are skipped."""
    # As bytes: in a str, U+0085 ends a line too, and is one byte of many characters of UTF-8.
    lines = (line.partition(b":") for line in head.split(b"\n")[1:])
    return [
        (name.strip().lower().decode("latin-1"), value.strip().decode("latin-1"))
        for name, mark, value in lines
        if mark
    ]


def _join_chunks(raw: bytes) -> tuple[bytes, bool]:
    """Return the content of the chunks, and whether the last one, or a malformed one, was met."""
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
