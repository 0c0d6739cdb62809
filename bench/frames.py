"""Frames as the load generator needs them: built once, and counted rather than read.

The generator has its own few lines instead of a library's, so that it costs far less than any of
the servers that it measures. Facts are those of RFC 6455, section 5.2, and RFC 7692, section 7.2.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

__all__ = ["BINARY", "CLOSE", "PING", "PONG", "TEXT", "Counter", "deflate", "frame"]

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

_MASK = b"\x37\xfa\x21\x3d"
"""The masking key of every frame: the example of RFC 6455, section 5.7."""

_TAIL = b"\x00\x00\xff\xff"


def deflate(data: bytes) -> bytes:
    """Return `data` compressed for one message, with no reference to earlier ones.

    Any receiver of permessage-deflate takes it, whatever was agreed about contexts.
    """
    compressor = zlib.compressobj(wbits=-15)
    text = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return text.removesuffix(_TAIL)


def frame(opcode: int, data: bytes, *, mask: bool, compressed: bool = False) -> bytes:
    """Return a whole message as one frame.

    Args:
        opcode: `TEXT` or another of this module's.
        data: the payload, compressed already if it is to be.
        mask: whether a client sends it.
        compressed: whether to set the bit that says so (RSV1).
    """
    first = 0x80 | opcode | (0x40 if compressed else 0)
    bit = 0x80 if mask else 0
    size = len(data)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8)
    return head + _MASK + _masked(data) if mask else head + data


def _masked(data: bytes) -> bytes:
    key = (_MASK * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(key)).to_bytes(len(data))


class Counter:
    """Counts the messages in a stream of unmasked frames, without looking into them.

    Args:
        on_control: gets opcode and payload of each control frame, and of each text message of
            one byte: engine.io's heartbeat.
    """

    __slots__ = ("_on_control", "_rest", "_skip", "_skipped")

    def __init__(self, on_control: Callable[[int, bytes], None]) -> None:
        self._on_control = on_control
        self._rest = b""
        self._skip = self._skipped = 0

    def feed(self, data: bytes) -> int:
        """Return how many messages end in `data`."""
        if self._skip:
            if len(data) < self._skip:
                self._skip -= len(data)
                return 0
            position, count = self._skip, self._skipped
            self._skip = 0
        else:
            position = count = 0
            if self._rest:
                data, self._rest = self._rest + data, b""
        end = len(data)
        while end - position >= 2:
            first, size = data[position], data[position + 1]
            start = position + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                if start > end:
                    break
                size = int.from_bytes(data[position + 2 : start])
            final = 1 if first & 0x88 == 0x80 else 0
            if size > end - start:
                if first & 0x08 or size == 1:
                    break
                self._skip, self._skipped = size - (end - start), final
                return count
            position = start + size
            if first & 0x08 or size == 1:
                self._on_control(first & 0x0F, data[start:position])
            else:
                count += final
        self._rest = data[position:]
        return count
