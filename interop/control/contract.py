"""The control protocol between the testbed and a peer, without I/O.

``docs/peer-contract.md`` is the same contract in words. This module imports the standard library
alone, so that a peer in an environment of its own can use it.

A control connection carries newline-delimited JSON. `encode` makes one line; `LineDecoder` splits
the bytes that arrive into lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "CONTRACT_VERSION",
    "MAX_LINE",
    "NOTIFICATIONS",
    "Address",
    "ContractError",
    "LineDecoder",
    "Notification",
    "Reply",
    "Request",
    "encode",
    "parse_message",
    "parse_ready",
    "parse_request",
]

CONTRACT_VERSION = 1

MAX_LINE = 64 * 1024 * 1024
"""Longest line accepted, in bytes: room for a 16 MiB payload with every character escaped."""

NOTIFICATIONS = frozenset(
    {"connected", "disconnected", "event", "state", "ended", "error", "uncaught"}
)


class ContractError(Exception):
    """A line breaks the contract.

    Attributes:
        what: the rule that it breaks.
        line: the line, or its beginning.
    """

    def __init__(self, what: str, line: bytes | str = b"") -> None:
        self.what = what
        self.line = line
        super().__init__(what, line)

    def __str__(self) -> str:
        return f"{self.what}: {self.line[:120]!r}" if self.line else self.what


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Request:
    """The testbed's request: an operation with its arguments."""

    id: int
    op: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "op": self.op, **self.args}


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's answer. Exactly one of `ok`, `error`, `unsupported` is set."""

    id: int
    ok: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    unsupported: str | None = None

    @property
    def outcome(self) -> str:
        """``ok``, ``unsupported``, or the kind of error."""
        if self.error is not None:
            return str(self.error.get("kind"))
        return "ok" if self.unsupported is None else "unsupported"

    def to_json(self) -> dict[str, Any]:
        if self.ok is not None:
            return {"id": self.id, "ok": self.ok}
        if self.error is not None:
            return {"id": self.id, "error": self.error}
        return {"id": self.id, "unsupported": self.unsupported}


@dataclass(frozen=True, slots=True)
class Notification:
    """A peer's report, unasked: `on` names it, `data` holds the other keys."""

    on: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"on": self.on, **self.data}


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder().raw_decode
"""Takes half as long as `json.loads` on short lines, which most are."""


def encode(message: Request | Reply | Notification) -> bytes:
    """Return `message` as one line of JSON, with its newline.

    Raises:
        ContractError: a value in it has no JSON form, as NaN and Infinity have none.
    """
    try:
        text = _encode(message.to_json())
    except (TypeError, ValueError) as exc:
        raise ContractError(f"not encodable as JSON ({exc})", repr(message)) from exc
    return text.encode("ascii") + b"\n"


def parse_request(line: bytes) -> Request:
    """Parse a line that a peer received.

    Raises:
        ContractError: not JSON, not an object, or `id` or `op` missing or of the wrong type.
    """
    obj = _object(line)
    if type(obj.get("id")) is not int:
        raise ContractError("a request needs an integer 'id'", line)
    if not isinstance(obj.get("op"), str):
        raise ContractError("a request needs a string 'op'", line)
    return Request(obj.pop("id"), obj.pop("op"), obj)


def parse_message(line: bytes) -> Reply | Notification:
    """Parse a line that the testbed received.

    Raises:
        ContractError: neither a well-formed reply nor a known notification.
    """
    obj = _object(line)
    if "on" in obj:
        on = obj.pop("on")
        if on not in NOTIFICATIONS:
            raise ContractError(f"unknown notification {on!r}", line)
        return Notification(on, obj)
    if type(obj.get("id")) is not int:
        raise ContractError("neither a notification ('on') nor a reply (integer 'id')", line)
    kinds = {"ok": dict, "error": dict, "unsupported": str}
    present = [kind for kind in kinds if kind in obj]
    if len(present) != 1:
        raise ContractError("a reply needs exactly one of ok, error, unsupported", line)
    kind = present[0]
    if not isinstance(obj[kind], kinds[kind]):
        raise ContractError(f"reply key {kind!r} must be of type {kinds[kind].__name__}", line)
    return Reply(obj["id"], **{kind: obj[kind]})


def parse_ready(line: str) -> tuple[str, int]:
    """Parse ``READY HOST PORT``, the line that a peer prints once it listens.

    Raises:
        ContractError: the line has another form.
    """
    match line.split():
        case ["READY", host, port] if port.isascii() and port.isdigit():
            return host, int(port)
    raise ContractError("expected 'READY HOST PORT' on stdout", line)


class LineDecoder:
    """Splits a byte stream into lines."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._begun = bytearray()  # the line whose newline has not arrived
        self._max_line = max_line

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take `data` and yield each line that it completes, without its newline; no blank ones.

        Raises:
            ContractError: a line is longer than the limit.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = bytes(self._begun) + lines[0]
            self._begun.clear()
        self._begun += rest
        yield from filter(bytes.strip, lines)
        if len(self._begun) > self._max_line:
            raise ContractError(
                f"line longer than {self._max_line} bytes", bytes(self._begun[:120])
            )


def _object(line: bytes) -> dict[str, Any]:
    try:
        text = str(line, "utf-8").strip(" \t\r\n")  # `json` would guess the encoding of bytes
        obj, end = _decode(text)
        if end != len(text):
            raise ValueError(f"extra data at character {end}")
    except (ValueError, RecursionError) as exc:
        raise ContractError(f"not JSON ({exc})", line) from exc
    if not isinstance(obj, dict):
        raise ContractError("not a JSON object", line)
    return obj
