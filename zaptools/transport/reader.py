"""What a connection reads: from bytes to whole messages.

`websockets.protocol` parses frames, and judges them; it takes 3 µs for each (measured). Nearly
all frames are of one kind that needs no judgement: a whole, final, uncompressed text frame that
lies in what was read. Those are taken here, in 0.6 µs; all others go to the protocol, one by one,
so that both always agree on where a frame begins.
"""

from __future__ import annotations

from typing import cast

from websockets import frames
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State

__all__ = ["Inbox", "split_head"]

apply_mask = getattr(frames, "apply_mask")  # noqa: B009  # not exported; in C, where built

_TEXT_FRAME = 0x81
"""The first byte of a text frame: final, no extension's bits (RFC 6455, section 5.2)."""

_KEEP = 1 << 16
"""Longest text frame whose beginning is kept here until the rest comes: keeping it costs a copy."""

_PIECE = 1024
"""Bytes of a compressed connection that are inflated at once.

DEFLATE makes at most 1032 bytes of one: what waits for handlers exceeds its mark by 1 MiB at
most, whatever a read brings, instead of by 256 MiB.
"""

_FRAMES = 4096
"""Frames that are taken at once: 2 to 3 ms, since one of the dear kinds counts as `_DEAR`."""

_DEAR = 16
"""How many plain text frames take as long as one frame that the protocol parses."""

_CLOSE_FRAME = 0x88
"""The first byte of a close frame."""

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_OPCODES = frozenset(Opcode)


def split_head(tail: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Divide `data` behind the end of an HTTP head, which is an empty line (RFC 9112, section 2.1).

    Args:
        tail: the third value of the call for what came before `data`; at first empty.
        data: what came.

    Returns:
        What belongs to the head, what comes behind it, and the next tail.
    """
    found = (tail + data).find(b"\r\n\r\n")
    if found < 0:
        return data, b"", (tail + data)[-3:]
    end = found + 4 - len(tail)
    return data[:end], data[end:], b""


class Inbox:
    """The way from a socket to messages, once the opening handshake is done.

    Args:
        protocol: the WebSocket's protocol. What it wants written, and how its state changes, is
            the caller's to see to after each `take`.

    Attributes:
        pieces: what came and has not been looked at; take it with ``take(b"")``.
    """

    __slots__ = (
        "_first",
        "_fragments",
        "_has_failed",
        "_is_compressed",
        "_is_fast",
        "_key",
        "_limit",
        "_protocol",
        "_rest",
        "_skip",
        "_text",
        "pieces",
    )

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._is_compressed = bool(protocol.extensions)
        # An extension may do anything to a frame; at DEBUG the protocol logs each.
        self._is_fast = not protocol.extensions and not protocol.debug
        self._first = 128 if protocol.side is Side.SERVER else 0  # the mask's bit
        self._key = 4 if protocol.side is Side.SERVER else 0  # the mask's size
        self._limit = protocol.max_message_size
        self.pieces = bytearray()
        self._rest = b""  # the beginning of a frame that the protocol has not seen
        self._skip = 0  # bytes to come of a frame that the protocol has begun to read
        self._fragments: bytearray | None = None
        self._text = True
        self._has_failed = False  # what came was no UTF-8: nothing is taken any more

    def take(self, data: bytes) -> list[str | bytes]:
        """Return the messages that come next in what came, `data` at its end.

        As many as take no long time; a text that is not UTF-8 ends them. Text comes as str; bytes
        are a binary message.
        """
        messages: list[str | bytes] = []
        if self.pieces or self._is_compressed:
            self.pieces += data
            size = _PIECE if self._is_compressed else len(self.pieces)
            data = bytes(self.pieces[:size])
            del self.pieces[:size]
        if self._rest:
            data, self._rest = self._rest + data, b""
        start = 0
        if self._skip:
            start = min(self._skip, len(data))
            self._skip -= start
            self._give(data[:start], messages)
        end = len(data)
        dear = 0
        while start < end:
            if self._is_over():
                self._give(data[start:], messages)
                break
            if self._is_fast and not self._has_failed and self._protocol.current_size is None:
                # No message in fragments is under way.
                start = self._take_texts(data, start, messages)
                if start == end:
                    break
            if dear * _DEAR + len(messages) >= _FRAMES:
                self.pieces[:0] = data[start:]
                break
            start = self._take_other(data, start, messages)
            dear += 1
        return messages

    def _is_over(self) -> bool:
        """Whether the protocol only drops what it is given."""
        protocol = self._protocol
        return protocol.close_rcvd is not None or protocol.parser_exc is not None

    def receive_eof(self) -> None:
        """Take the end of the stream."""
        self.pieces.clear()
        if self._rest and not self._protocol.reader.eof:
            self._protocol.receive_data(self._rest)
            self._rest = b""
        self._protocol.receive_eof()

    def _take_texts(self, data: bytes, start: int, messages: list[str | bytes]) -> int:
        """Take whole text frames, all in UTF-8; return where what is none begins."""
        end = len(data)
        first, key = self._first, self._key
        limit = end if self._limit is None else self._limit
        for _ in range(_FRAMES - len(messages)):
            if end - start < 2 or data[start] != _TEXT_FRAME:
                break
            size = data[start + 1] ^ first
            body = start + 2 + key
            if size > 125:
                if size > 127:  # masked the wrong way
                    break
                more = 2 if size == 126 else 8
                body += more
                if body > end:
                    break
                size = int.from_bytes(data[start + 2 : start + 2 + more])
            stop = body + size
            if stop > end or size > limit:
                break
            try:
                if key:
                    text = apply_mask(data[body:stop], data[body - 4 : body])
                    messages.append(str(text, "utf-8"))
                else:
                    messages.append(str(data[body:stop], "utf-8"))
            except UnicodeDecodeError:
                break
            start = stop
        return start

    def _take_other(self, data: bytes, start: int, messages: list[str | bytes]) -> int:
        """Take the frame at `start`, or as much of it as has come; return where the next begins."""
        end = len(data)
        size, stop = self._measure(data, start)
        if stop <= end and size >= 0:
            if data[start] == _CLOSE_FRAME:
                # It may come between fragments (RFC 6455, section 5.5), for which websockets 17
                # fails the connection.
                self._protocol.current_size = None
            self._give(data[start:stop], messages)
            return stop
        if size < 0:  # its header is not whole
            if self._is_fault(data, start):
                self._give(data[start:], messages)
            else:
                self._rest = data[start:]
        elif (
            data[start + 1] & 128 == self._first
            and (self._limit is None or size <= self._limit - (self._protocol.current_size or 0))
            and (
                (data[start] == _CLOSE_FRAME and size <= 125)
                or (
                    data[start] == _TEXT_FRAME
                    and size <= _KEEP
                    and self._protocol.current_size is None
                )
            )
        ):
            self._rest = data[start:]
        else:
            self._skip = stop - end
            self._give(data[start:], messages)
        return end

    def _measure(self, data: bytes, start: int) -> tuple[int, int]:
        """Return the payload's size and the end of the frame at `start`.

        The size is -1 while that is not to be known.
        """
        if len(data) - start < 2:
            return -1, start
        size = data[start + 1] & 127
        more = {126: 2, 127: 8}.get(size, 0)
        body = start + 2 + more + self._key
        if body > len(data):
            return -1, start
        if more:
            size = int.from_bytes(data[start + 2 : start + 2 + more])
        return size, body + size

    def _is_fault(self, data: bytes, start: int) -> bool:
        """Whether the protocol would refuse the part of a header at `start` without the rest."""
        head = data[start:]
        if len(head) < 2:
            return False
        if head[0] & 0x0F not in _OPCODES or head[1] & 128 != self._first:
            return True
        size = head[1] & 127
        more = {126: 2, 127: 8}.get(size, 0)
        if self._limit is None or len(head) < 2 + more:
            return False
        if more:
            size = int.from_bytes(head[2 : 2 + more])
        return size > self._limit - (self._protocol.current_size or 0)

    def _give(self, data: bytes, messages: list[str | bytes]) -> None:
        """Have the protocol read, and add the messages that this completes."""
        protocol = self._protocol
        protocol.receive_data(data)
        frames = cast("list[Frame]", protocol.events_received())
        if self._has_failed:
            return
        try:
            for frame in frames:
                opcode = frame.opcode
                if opcode is Opcode.TEXT and frame.fin:
                    messages.append(str(frame.data, "utf-8"))
                elif opcode in _DATA:
                    self._add_fragment(frame, messages)
        except UnicodeDecodeError as exc:
            # RFC 6455, sections 8.1 and 7.4.1: this fails the connection, with 1007.
            self._has_failed = True
            if protocol.state is State.OPEN:
                protocol.fail(CloseCode.INVALID_DATA, f"{exc.reason} at byte {exc.start}")

    def _add_fragment(self, frame: Frame, messages: list[str | bytes]) -> None:
        """Take a part of a message, or a binary one; websockets leaves joining them to us."""
        if frame.opcode is not Opcode.CONT:
            self._text = frame.opcode is Opcode.TEXT
            self._fragments = bytearray()
        assert self._fragments is not None
        self._fragments += frame.data
        if frame.fin:
            whole, self._fragments = bytes(self._fragments), None
            messages.append(whole.decode() if self._text else whole)
