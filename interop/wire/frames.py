"""WebSocket frames byte by byte (RFC 6455, section 5): any form written, only the legal ones read.

What an implementation's own code would never write, the judge must be able to; and what it reads
of the judged, it reads without mercy. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEFLATE",
    "PING",
    "PONG",
    "TEXT",
    "FrameReader",
    "Inflater",
    "RawFrame",
    "close_payload",
    "deflate_parameters",
    "deflated",
    "frame",
    "legal_code",
    "new_mask",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

DEFLATE = 4
"""The reserved bit RSV1, which marks a compressed message (RFC 7692, section 6)."""

_TAIL = b"\x00\x00\xff\xff"

_SHORT = 1000
"""Bytes up to which one large number is masked sooner than a table of bytes applied."""


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = None,
    form: Literal[7, 16, 64] | None = None,
    announce: int | None = None,
) -> bytes:
    """Return one frame.

    Args:
        rsv: the three reserved bits as a number; RSV1 is 4.
        mask: the masking key; None for an unmasked frame.
        form: bits of the length; by default the shortest that holds it.
        announce: the length to write instead of the payload's own.
    """
    length = len(payload) if announce is None else announce
    form = form or (7 if length < 126 else 16 if length < 1 << 16 else 64)
    masked = 0 if mask is None else 0x80
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if form == 7:
        head += bytes([masked | length])
    elif form == 16:
        head += bytes([masked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", length)
    return head + payload if mask is None else head + mask + _masked(payload, mask)


def close_payload(code: int, reason: str | bytes = b"") -> bytes:
    """Return the payload of a close frame."""
    return struct.pack("!H", code) + (reason.encode() if isinstance(reason, str) else reason)


def legal_code(code: int) -> bool:
    """Whether a close frame may carry the code (RFC 6455, section 7.4, and its registry)."""
    return code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code <= 4999


def deflated(payload: bytes, bits: int = 15) -> bytes:
    """Return a message compressed by itself, as RFC 7692 section 7.2.1 says."""
    writer = zlib.compressobj(wbits=-bits)
    return (writer.compress(payload) + writer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater:
    """Decompresses the messages of one direction.

    Args:
        bits: the window that was agreed on, 8 to 15.
        takeover: whether a message may refer to the ones before it.
    """

    def __init__(self, bits: int = 15, *, takeover: bool = True) -> None:
        self._bits = bits
        self._takeover = takeover
        self._reader = zlib.decompressobj(-bits)

    def message(self, payload: bytes) -> bytes:
        """Return a message's content.

        Raises:
            ValueError: it cannot be decompressed with what was agreed on.
        """
        if not self._takeover:
            self._reader = zlib.decompressobj(-self._bits)
        parts, rest = [], payload + _TAIL
        try:
            while rest:  # in small pieces, since zlib looks back as far as one piece reaches
                parts.append(self._reader.decompress(rest, 256))
                rest = self._reader.unconsumed_tail
            return b"".join(parts)
        except zlib.error as exc:
            raise ValueError(f"a compressed message cannot be inflated: {exc}") from exc


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame as it was on the wire, unmasked."""

    fin: bool
    rsv: int
    opcode: int
    mask: bytes | None
    payload: bytes
    form: int

    @property
    def code(self) -> int | None:
        """A close frame's code; None when it has none."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None


class FrameReader:
    """Takes what one side wrote; yields its messages and control frames, whole and checked.

    Args:
        masked: whether this side has to mask its frames: the client has, the server must not.
        inflater: what was agreed on for permessage-deflate; None when nothing was.

    Attributes:
        faults: every rule that was broken, in words.
        masks: the masking keys that were seen.
    """

    def __init__(self, *, masked: bool, inflater: Inflater | None = None) -> None:
        self.faults: list[str] = []
        self.masks: list[bytes] = []
        self.compressed = 0
        self._masked = masked
        self._inflater = inflater
        self._buffer = bytearray()
        self._parts: list[RawFrame] = []
        self._closed = False

    def feed(self, data: bytes) -> Iterator[RawFrame]:
        """Yield each message (its fragments put together) and control frame that is now whole."""
        self._buffer += data
        while (found := self._next()) is not None:
            self._check(found)
            if found.opcode >= 8:
                yield found
            elif (message := self._message(found)) is not None:
                yield message

    def _next(self) -> RawFrame | None:
        data = self._buffer
        if len(data) < 2:
            return None
        masked, length, form, at = bool(data[1] & 0x80), data[1] & 0x7F, 7, 2
        if length >= 126:
            form, size = (16, 2) if length == 126 else (64, 8)
            if len(data) < at + size:
                return None
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        mask = bytes(data[at : at + 4]) if masked else None
        at += 4 if masked else 0
        if len(data) < at + length:
            return None
        payload = bytes(data[at : at + length])
        first = data[0]
        del data[: at + length]
        if mask is not None:
            payload = _masked(payload, mask)
        return RawFrame(bool(first & 0x80), first >> 4 & 7, first & 15, mask, payload, form)

    def _check(self, found: RawFrame) -> None:
        fault = self.faults.append
        if self._closed:
            fault("a frame after the close frame")
        if (found.mask is not None) != self._masked:
            fault("an unmasked frame of a client" if self._masked else "a masked frame of a server")
        if found.mask is not None:
            self.masks.append(found.mask)
        if found.opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            fault(f"the reserved opcode {found.opcode}")
        may = DEFLATE if self._inflater is not None and found.opcode in (TEXT, BINARY) else 0
        if found.rsv & ~may:
            fault(f"reserved bits {found.rsv:03b}")
        length = len(found.payload)
        if found.form != (7 if length < 126 else 16 if length < 1 << 16 else 64):
            fault(f"the length {length} in {found.form} bits, which is not its shortest form")
        if found.opcode >= 8 and (length > 125 or not found.fin):
            fault("a control frame longer than 125 bytes, or in fragments")
        if found.opcode == CLOSE:
            self._check_close(found)

    def _check_close(self, found: RawFrame) -> None:
        self._closed = True
        if len(found.payload) == 1:
            self.faults.append("a close frame with half a code")
        elif found.code is not None and not legal_code(found.code):
            self.faults.append(f"a close frame with the code {found.code}")
        if not _is_text(found.payload[2:]):
            self.faults.append("a close reason that is not UTF-8")

    def _message(self, found: RawFrame) -> RawFrame | None:
        if (found.opcode == CONTINUATION) != bool(self._parts):
            self.faults.append(
                "a new message within another one's fragments"
                if self._parts
                else "a continuation of nothing"
            )
            self._parts.clear()
        self._parts.append(found)
        if not found.fin:
            return None
        first, payload = self._parts[0], b"".join(part.payload for part in self._parts)
        self._parts.clear()
        if first.rsv & DEFLATE and self._inflater is not None:
            self.compressed += 1
            try:
                payload = self._inflater.message(payload)
            except ValueError as exc:
                self.faults.append(str(exc))
        if first.opcode == TEXT and not _is_text(payload):
            self.faults.append("a text message that is not UTF-8")
        return RawFrame(True, first.rsv, first.opcode, first.mask, payload, first.form)


def deflate_parameters(value: str) -> Mapping[str, str | None]:
    """Return the parameters of one ``permessage-deflate`` element; a name without value has None.

    Raises:
        ValueError: it is another extension, or a parameter is there twice.
    """
    name, *parts = (part.strip() for part in value.split(";"))
    if name.lower() != "permessage-deflate":
        raise ValueError(f"not permessage-deflate: {value!r}")
    found: dict[str, str | None] = {}
    for part in parts:
        key, equals, given = (text.strip() for text in part.partition("="))
        if key in found:
            raise ValueError(f"{key} is there twice: {value!r}")
        found[key] = given.strip('"') if equals else None
    return found


def new_mask() -> bytes:
    """Return a masking key."""
    return os.urandom(4)


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    if size > _SHORT:
        data = bytearray(payload)
        for at, key in enumerate(mask):
            data[at::4] = data[at::4].translate(_table(key))
        return bytes(data)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


@functools.cache
def _table(key: int) -> bytes:
    return bytes(byte ^ key for byte in range(256))


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
