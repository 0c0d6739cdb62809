"""WebSocket frames byte by byte (RFC 6455, section 5): writes any form, accepts the legal ones.

`frame` writes what no implementation would. `FrameReader` is the judge's only reader, of its own
connections and of the tap's: it shares no code with `websockets` or `wsproto`, which the judged
are built on, and it names every rule that is broken. Pure: bytes in, bytes out.
"""

from __future__ import annotations

import functools
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..records import Role
from .rules import OPCODES

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "DEFLATE",
    "NO_CODE",
    "PING",
    "PONG",
    "TEXT",
    "Deflater",
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

NO_CODE = 1005
"""Stands for the code of a close frame that has none (RFC 6455, section 7.1.5)."""

_TAIL = b"\x00\x00\xff\xff"

_WINDOW = 15
"""Bits of the largest window that deflate has, and of the usual one."""

_PIECE = 256
"""Bytes inflated at once where the window is smaller: zlib lets a message refer to anything that
the same call has written, however small the window."""

_LARGE_PIECE = 1 << 16
"""Bytes inflated at once where the length is bounded."""

_SHORT = 1000
"""Payloads up to this size, in bytes, are masked faster as one large number than by a table."""


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
        announce: the length to announce instead of the payload's own.
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
    """Return a message compressed on its own (RFC 7692, section 7.2.1)."""
    return Deflater(bits).message(payload)


class Deflater:
    """Compresses the messages of one direction.

    Args:
        bits: the window that was agreed on, 9 to 15.
        takeover: whether a message refers to the ones before it.
    """

    def __init__(self, bits: int = _WINDOW, *, takeover: bool = True) -> None:
        self._bits = bits
        self.takeover = takeover
        self._writer = zlib.compressobj(wbits=-bits)

    @classmethod
    def agreed(cls, author: Role, parameters: Mapping[str, str | None]) -> Deflater:
        """Return the one for what `author` writes after a server's answer with these parameters."""
        bits = int(parameters.get(f"{author}_max_window_bits") or _WINDOW)
        return cls(bits, takeover=f"{author}_no_context_takeover" not in parameters)

    def message(self, payload: bytes) -> bytes:
        """Return a message compressed."""
        if not self.takeover:
            self._writer = zlib.compressobj(wbits=-self._bits)
        return (self._writer.compress(payload) + self._writer.flush(zlib.Z_SYNC_FLUSH))[
            : -len(_TAIL)
        ]

    def alone(
        self, payload: bytes, *, level: int = -1, strategy: int = 0, words: bytes = b""
    ) -> bytes:
        """Return a message compressed on its own, in one way of several.

        Args:
            words: what it may refer to, as if it had come before.
        """
        writer = zlib.compressobj(level, wbits=-self._bits, strategy=strategy, zdict=words)
        return (writer.compress(payload) + writer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]

    def final(self, payload: bytes) -> bytes:
        """Return a message whose last block but one is marked as the final one (7.2.3.4)."""
        writer = zlib.compressobj(wbits=-self._bits)
        return writer.compress(payload) + writer.flush(zlib.Z_FINISH) + b"\0"

    def in_blocks(self, payload: bytes, size: int) -> bytes:
        """Return a message in blocks, each of `size` bytes of the payload (7.2.3.5)."""
        writer = zlib.compressobj(wbits=-self._bits)
        pieces = [payload[at : at + size] for at in range(0, len(payload), size)]
        return b"".join(
            writer.compress(piece) + writer.flush(zlib.Z_SYNC_FLUSH) for piece in pieces
        )[: -len(_TAIL)]


class Inflater:
    """Decompresses the messages of one direction.

    Args:
        bits: the window that was agreed on, 8 to 15.
        takeover: whether a message may refer to the ones before it.
        longest: bytes that a message may have; 0 for any number.
    """

    def __init__(self, bits: int = _WINDOW, *, takeover: bool = True, longest: int = 0) -> None:
        self._bits = bits
        self._takeover = takeover
        self._longest = longest
        self._reader = zlib.decompressobj(-bits)  # holds the window between messages

    @classmethod
    def agreed(
        cls, author: Role, parameters: Mapping[str, str | None], *, longest: int = 0
    ) -> Inflater:
        """Return the one for what `author` writes after a server's answer with these parameters.

        Raises:
            ValueError: the window is not one of 8 to 15 bits.
        """
        bits = int(parameters.get(f"{author}_max_window_bits") or _WINDOW)
        takeover = f"{author}_no_context_takeover" not in parameters
        return cls(bits, takeover=takeover, longest=longest)

    def message(self, payload: bytes) -> bytes:
        """Return a message's content.

        Raises:
            ValueError: it does not inflate with the agreed parameters, or is too long.
        """
        if not self._takeover:
            self._reader = zlib.decompressobj(-self._bits)
        data = payload + _TAIL
        try:
            if self._bits == _WINDOW and not self._longest:
                return self._reader.decompress(data)
            found, left = [], self._longest
            for piece in self._in_pieces(data):
                found.append(piece)
                left -= len(piece)
                if self._longest and left < 0:
                    raise ValueError(f"a compressed message of more than {self._longest} bytes")
            return b"".join(found)
        except zlib.error as exc:
            raise ValueError(f"a compressed message cannot be inflated: {exc}") from exc

    def _in_pieces(self, data: bytes) -> Iterator[bytes]:
        size = _PIECE if self._bits != _WINDOW else _LARGE_PIECE
        for at in range(0, len(data), size):
            rest = data[at : at + size]
            while rest:
                yield self._reader.decompress(rest, size)
                rest = self._reader.unconsumed_tail


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One frame, unmasked, or one message put together from its fragments."""

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


class _Header(NamedTuple):
    """What precedes a frame's payload."""

    fin: bool
    rsv: int
    opcode: int
    mask: bytes | None
    length: int
    form: int


class FrameReader:
    """Reads what one side wrote; yields its messages and control frames, whole and checked.

    Args:
        author: the side that wrote it: the client has to mask its frames, the server must not.
        inflater: inflates compressed messages; None unless permessage-deflate was agreed on.

    Attributes:
        errors: every broken rule, in words. An error in a frame's header is reported before the
            payload has arrived.
        masks: the masking keys, in order.
        compressed: the number of compressed messages.
    """

    def __init__(self, author: Role, inflater: Inflater | None = None) -> None:
        self.errors: list[str] = []
        self.masks: list[bytes] = []
        self.compressed = 0
        self._masked = author == "client"
        self._inflater = inflater
        self._buffer = bytearray()  # bytes received and not parsed yet
        self._header: _Header | None = None  # of a frame whose payload is incomplete
        self._parts: list[RawFrame] = []  # the fragments so far of an incomplete message
        self._closed = False  # whether the close frame was read

    @property
    def inside_message(self) -> bool:
        """Whether a frame, or a message of several, has begun and not yet ended."""
        return bool(self._buffer or self._header or self._parts)

    def feed(self, data: bytes) -> Iterator[RawFrame]:
        """Yield each message, its fragments joined, and each control frame that is now complete."""
        self._buffer += data
        while (found := self._next()) is not None:
            if found.opcode == CLOSE:
                self._check_close(found)
            if found.opcode >= 8:
                yield found
            elif (message := self._message(found)) is not None:
                yield message

    def _next(self) -> RawFrame | None:
        header = self._header
        if header is None:
            header = self._header = self._read_header()
            if header is None:
                return None
            self._check_header(header)
        fin, rsv, opcode, mask, length, form = header
        data = self._buffer
        if len(data) < length:
            return None
        payload = bytes(data[:length])
        del data[:length]
        self._header = None
        return RawFrame(
            fin, rsv, opcode, mask, payload if mask is None else _masked(payload, mask), form
        )

    def _read_header(self) -> _Header | None:
        data = self._buffer
        if len(data) < 2:
            return None
        first, second = data[0], data[1]
        length, form, end = second & 0x7F, 7, 2
        if length >= 126:
            form, end = (16, 4) if length == 126 else (64, 10)
            length = int.from_bytes(data[2:end], "big")
        mask: bytes | None = None
        if second & 0x80:
            mask, end = bytes(data[end : end + 4]), end + 4
        if len(data) < end:
            return None
        del data[:end]
        return _Header(bool(first & 0x80), first >> 4 & 7, first & 15, mask, length, form)

    def _check_header(self, header: _Header) -> None:
        fin, rsv, opcode, mask, length, form = header
        error = self.errors.append
        if self._closed and opcode <= CLOSE:  # pings and pongs may follow (5.5.1, 5.5.2)
            error("a second close frame" if opcode == CLOSE else "a data frame after a close frame")
        if (mask is not None) != self._masked:
            error("an unmasked frame of a client" if self._masked else "a masked frame of a server")
        if mask is not None:
            self.masks.append(mask)
        if opcode not in OPCODES:
            error(f"the reserved opcode {opcode}")
        if rsv & ~(DEFLATE if self._inflater is not None and opcode in (TEXT, BINARY) else 0):
            error(f"reserved bits {rsv:03b}")
        if form > 7 and length < (126 if form == 16 else 1 << 16):
            error(f"the length {length} in {form} bits, which is not its shortest form")
        if length >> 63:
            error("a length whose highest bit is set")
        if opcode >= 8 and (length > 125 or not fin):
            error("a control frame longer than 125 bytes, or in fragments")

    def _check_close(self, found: RawFrame) -> None:
        self._closed = True
        if len(found.payload) == 1:
            self.errors.append("a close frame with half a code")
        elif found.code is not None and not legal_code(found.code):
            self.errors.append(f"a close frame with the code {found.code}")
        if not _is_text(found.payload[2:]):
            self.errors.append("a close reason that is not UTF-8")

    def _message(self, found: RawFrame) -> RawFrame | None:
        if (found.opcode == CONTINUATION) != bool(self._parts):
            self.errors.append(
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
                self.errors.append(str(exc))
        if first.opcode == TEXT and not _is_text(payload):
            self.errors.append("a text message that is not UTF-8")
        return RawFrame(True, first.rsv, first.opcode, first.mask, payload, first.form)


def deflate_parameters(value: str) -> Mapping[str, str | None]:
    """Return the parameters of one ``permessage-deflate`` element; a name without value has None.

    Raises:
        ValueError: it is another extension, or repeats a parameter.
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
