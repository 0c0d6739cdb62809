"""The file of a recording: JSON lines, each written when it happens.

Its form is `interop/recording.schema.json`, which is generated from the types here::

    python -m interop.traffic.recording > interop/recording.schema.json

Secrets are masked before a line is made (`interop.traffic.masks`): nothing unmasked reaches the
file. A line is written whole or, if the program is killed in the middle of it, is the last one.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from ..errors import TestbedError
from ..records import Role

__all__ = [
    "FORMAT",
    "Answered",
    "Asked",
    "Begun",
    "Closed",
    "Ended",
    "Line",
    "Lost",
    "Recorder",
    "Recording",
    "Said",
    "Stopped",
    "load",
    "schema",
]

FORMAT = 1
"""The version of the form. One that only gains members stays the same."""


class _Line(Struct, frozen=True, omit_defaults=True, tag_field="on"):
    """What all lines have.

    Attributes:
        t: seconds since the recording began.
    """

    t: float


class Begun(_Line, frozen=True, tag="begun"):
    """The first line.

    Attributes:
        format: the version of this form.
        upstream: the server that was recorded, without its query.
        path: its path.
        at: when, in UTC.
    """

    format: int
    upstream: str
    path: str
    at: str


class Asked(_Line, frozen=True, tag="asked"):
    """A client asked for a WebSocket connection.

    Attributes:
        c: the connection's number, from 1.
        target: path and query as they were sent to the server, masked.
        headers: names and values in order, masked, without those that each connection has anew.
    """

    c: int
    target: str
    headers: list[tuple[str, str]]


class Answered(_Line, frozen=True, tag="answered"):
    """The server answered.

    Attributes:
        status: 101 if there is a connection. A refusal's body is not recorded.
        proxy: whether the proxy answered, since the server was not reached.
    """

    c: int
    status: int
    headers: list[tuple[str, str]] = []
    proxy: bool = False


class Said(_Line, frozen=True, tag="said"):
    """A message, or a ping or pong, as a whole and inflated.

    Attributes:
        author: the side that wrote it.
        length: its bytes.
        text: the text, masked. Of a binary message there is one if it is UTF-8, since nothing else
            can be masked; of a ping or pong there is none.
        cut: whether the text is only the beginning.
    """

    c: int
    author: Role
    kind: Literal["text", "binary", "ping", "pong"]
    length: int
    text: str | None = None
    cut: bool = False


class Closed(_Line, frozen=True, tag="closed"):
    """A close frame.

    Attributes:
        code: 1005 if it had none.
        reason: masked.
    """

    c: int
    author: Role
    code: int
    reason: str = ""


class Ended(_Line, frozen=True, tag="ended"):
    """The TCP connection ended.

    Attributes:
        author: the side that ended it; ``proxy`` if the recording was ended first.
        reset: whether it was reset.
    """

    c: int
    author: Literal["client", "server", "proxy"]
    reset: bool = False


class Lost(_Line, frozen=True, tag="lost"):
    """From here on nothing is recorded.

    Attributes:
        why: the reason.
        c: the connection concerned; 0 for all.
    """

    why: str
    c: int = 0


class Stopped(_Line, frozen=True, tag="stopped"):
    """The last line, if the recording was ended and not killed."""


Line = Begun | Asked | Answered | Said | Closed | Ended | Lost | Stopped


class Recorder:
    """Writes a recording.

    Args:
        path: the file, which must not exist; its owner alone may read it.
        limit: bytes after which nothing more is written.

    Attributes:
        failure: why lines were lost, in words; empty if none were.
        lines: how many lines were written.

    Raises:
        TestbedError: it cannot be made, or is there already.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.failure = ""
        self.lines = 0
        self._left = limit
        self._began = time.monotonic()
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            raise TestbedError(f"{path} is there already: name another file") from None
        except OSError as exc:
            raise TestbedError(f"{path}: {exc.strerror}") from None

    def begin(self, upstream: str, path: str) -> None:
        """Write the first line."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.write(Begun(self.now(), FORMAT, upstream, path, at))

    def now(self) -> float:
        """Return the seconds since the recording began."""
        return round(time.monotonic() - self._began, 6)

    def write(self, line: Line) -> None:
        """Write a line, unless lines were lost before: there are no gaps."""
        if self.failure:
            return
        try:
            data = _encoded(line)
            if len(data) > self._left:
                self.failure = "the recording has reached its limit (--limit)"
                data = _encoded(Lost(self.now(), self.failure))
            self._left -= len(data)
            self.lines += 1
            while data:  # a disk that is almost full takes a part
                data = data[os.write(self._file, data) :]
        except OSError as exc:
            self.failure = f"{self.path}: {exc.strerror}"

    def close(self) -> None:
        """Write the last line, and close the file."""
        self.write(Stopped(self.now()))
        os.close(self._file)


def _encoded(line: Line) -> bytes:
    return _encoder.encode(line) + b"\n"


class Recording(Struct, frozen=True):
    """What a file holds.

    Attributes:
        lines: with their numbers in the file, from 1.
        whole: whether it has its last line.
    """

    begun: Begun
    lines: Sequence[tuple[int, Line]]
    whole: bool


def load(path: Path) -> Recording:
    """Read a recording.

    Raises:
        TestbedError: there is no such file, or it is no recording of this format.
    """
    try:
        written = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise TestbedError(f"{path}: {exc.strerror}") from None
    *whole, partial = written
    _check_first(path, whole)
    lines: list[tuple[int, Line]] = []
    for number, data in enumerate(whole, 1):
        try:
            lines.append((number, _decoder.decode(data)))
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise TestbedError(f"{path}:{number}: no line of a recording: {exc}") from None
    (_, first), *rest = lines
    if not isinstance(first, Begun):
        raise TestbedError(f"{path}:1: a recording begins with a line 'begun'")
    return Recording(first, rest, not partial and bool(rest) and isinstance(rest[-1][1], Stopped))


def _check_first(path: Path, lines: Sequence[bytes]) -> None:
    """Check that it is a recording at all, of a format that can be read."""
    try:
        first = json.loads(lines[0]) if lines else None
    except (ValueError, RecursionError):
        first = None
    if not isinstance(first, dict) or "format" not in first:
        raise TestbedError(f"{path} is no recording: its first line names no format")
    if first["format"] != FORMAT:
        raise TestbedError(
            f"{path} has the format {first['format']!r}; this version reads {FORMAT}"
        )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a line."""
    (root,), found = msgspec.json.schema_components([Line], ref_template="#/$defs/{name}")
    for each in found.values():
        each["description"] = inspect.cleandoc(each.get("description", ""))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "zaptools interop: a line of a recording",
        **root,
        "$defs": found,
    }


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)

if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
