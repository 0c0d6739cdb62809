"""Reads messages: from the bytes of a socket to whole messages.

`websockets.protocol` parses and validates frames, which takes 3 µs for each (measured). Nearly all
frames are of one kind that needs no validation: a final, uncompressed text frame of which every
byte has arrived. Those are parsed here, in 0.6 µs. All others go to the protocol one by one, so
that both always agree on where a frame begins.
"""

from __future__ import annotations

from typing import cast

from websockets import frames
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from ..protocol.close import INVALID_TEXT
from .compression import read_past_final_blocks

__all__ = ["Reader", "split_head"]

apply_mask = getattr(frames, "apply_mask")  # noqa: B009  # not exported; in C, where built

_TEXT_FRAME = 0x81
"""The first byte of a text frame: final, no extension bits (RFC 6455, section 5.2)."""

_KEEP_BYTES = 1 << 16
"""Longest text frame whose beginning is kept here until the rest arrives: keeping it is a copy."""

_INFLATE_BYTES = 1024
"""Bytes of a compressed connection that are inflated at once.

DEFLATE expands a byte to at most 1032: so the messages that wait for handlers exceed
`Limits.queue_bytes` by 1 MiB at most, whatever one read brings, instead of by 256 MiB.
"""

_FRAMES_PER_TAKE = 4096
"""Frames that one `Reader.take` parses: 2 to 3 ms, since a slow one counts as `_SLOW_FRAME`."""

_SLOW_FRAME = 16
"""The cost of a frame that the protocol parses, in plain text frames."""

_CLOSE_FRAME = 0x88
"""The first byte of a close frame."""

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_OPCODES = frozenset(Opcode)


def split_head(tail: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """Split `data` after the end of an HTTP head, which is an empty line (RFC 9112, section 2.1).

    Args:
        tail: the third value of the call for the preceding data; at first empty.
        data: the bytes that arrived.

    Returns:
        The bytes of the head, the bytes after it, and the next tail.
    """
    found = (tail + data).find(b"\r\n\r\n")
    if found < 0:
        return data, b"", (tail + data)[-3:]
    end = found + 4 - len(tail)
    return data[:end], data[end:], b""


class Reader:
    """Turns the bytes of a socket into messages, once the opening handshake is done.

    Args:
        protocol: the WebSocket's protocol. After each `take` the caller writes its `data_to_send`,
            and handles changes of its state.

    Attributes:
        unparsed: received bytes that exceeded the share of one `take`; ``take(b"")`` continues
            with them.
    """

    __slots__ = (
        "_fragments",
        "_has_failed",
        "_is_compressed",
        "_is_fast",
        "_is_text",
        "_key_size",
        "_limit",
        "_mask_bit",
        "_protocol",
        "_rest",
        "_skip",
        "unparsed",
    )

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        read_past_final_blocks(protocol.extensions)
        # Whether permessage-deflate was agreed on.
        self._is_compressed = bool(protocol.extensions)
        # Whether plain text frames are parsed here. Not with an extension, which may change any
        # frame, nor at DEBUG, where the protocol logs each.
        self._is_fast = not protocol.extensions and not protocol.debug
        # The bit of a frame's second byte that says that it is masked, as frames to a server are.
        self._mask_bit = 128 if protocol.side is Side.SERVER else 0
        # The size of the masking key in a frame's header.
        self._key_size = 4 if protocol.side is Side.SERVER else 0
        # `Limits.message_bytes`; None for no limit.
        self._limit = protocol.max_message_size
        self.unparsed = bytearray()
        # The beginning of an incomplete frame that the protocol has not been given.
        self._rest = b""
        # The number of bytes to come of a frame whose beginning the protocol has been given.
        self._skip = 0
        # The data of a fragmented message that is under way; None between messages.
        self._fragments: bytearray | None = None
        # Whether the message in `_fragments` is text.
        self._is_text = True
        # Set by a text that is not UTF-8: the connection has failed, and no message is returned
        # any more.
        self._has_failed = False

    def take(self, data: bytes) -> list[str | bytes]:
        """Return the next messages in the received bytes, the last of which are `data`.

        Parses up to `_FRAMES_PER_TAKE` frames, and leaves the others in `unparsed`. A text that is
        not UTF-8 ends the messages. Text is returned as str; bytes are a binary message.
        """
        messages: list[str | bytes] = []
        if self.unparsed or self._is_compressed:
            self.unparsed += data
            size = _INFLATE_BYTES if self._is_compressed else len(self.unparsed)
            data = bytes(self.unparsed[:size])
            del self.unparsed[:size]
        if self._rest:
            data, self._rest = self._rest + data, b""
        start = 0
        if self._skip:
            start = min(self._skip, len(data))
            self._skip -= start
            self._give(data[:start], messages)
        end = len(data)
        slow = 0
        while start < end:
            if self._is_over():
                self._give(data[start:], messages)
                break
            if self._is_fast and not self._has_failed and self._protocol.current_size is None:
                # No fragmented message is under way.
                start = self._take_texts(data, start, messages)
                if start == end:
                    break
            if slow * _SLOW_FRAME + len(messages) >= _FRAMES_PER_TAKE:
                self.unparsed[:0] = data[start:]
                break
            start = self._take_other(data, start, messages)
            slow += 1
        return messages

    def _is_over(self) -> bool:
        """Whether the protocol drops all further data."""
        protocol = self._protocol
        return protocol.close_rcvd is not None or protocol.parser_exc is not None

    def receive_eof(self) -> None:
        """Handle EOF."""
        self.unparsed.clear()
        if self._rest and not self._protocol.reader.eof:
            self._protocol.receive_data(self._rest)
            self._rest = b""
        self._protocol.receive_eof()

    def _take_texts(self, data: bytes, start: int, messages: list[str | bytes]) -> int:
        """Parse complete text frames, all in UTF-8; return where the first other frame begins."""
        end = len(data)
        mask_bit, key_size = self._mask_bit, self._key_size
        limit = end if self._limit is None else self._limit
        for _ in range(_FRAMES_PER_TAKE - len(messages)):
            if end - start < 2 or data[start] != _TEXT_FRAME:
                break
            size = data[start + 1] ^ mask_bit
            body = start + 2 + key_size
            if size > 125:
                if size > 127:  # the mask bit is wrong for this side
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
                if key_size:
                    text = apply_mask(data[body:stop], data[body - 4 : body])
                    messages.append(str(text, "utf-8"))
                else:
                    messages.append(str(data[body:stop], "utf-8"))
            except UnicodeDecodeError:
                break
            start = stop
        return start

    def _take_other(self, data: bytes, start: int, messages: list[str | bytes]) -> int:
        """Have the protocol parse the frame at `start`, or the part of it that has arrived.

        Return where the next frame begins.
        """
        end = len(data)
        size, stop = self._measure(data, start)
        if stop <= end and size >= 0:
            if data[start] == _CLOSE_FRAME:
                # It may come between fragments (RFC 6455, section 5.5), for which websockets 17
                # fails the connection.
                self._protocol.current_size = None
            self._give(data[start:stop], messages)
            return stop
        if size < 0:  # its header is incomplete
            if self._is_fault(data, start):
                self._give(data[start:], messages)
            else:
                self._rest = data[start:]
        elif (
            data[start + 1] & 128 == self._mask_bit
            and (self._limit is None or size <= self._limit - (self._protocol.current_size or 0))
            and (
                (data[start] == _CLOSE_FRAME and size <= 125)
                or (
                    data[start] == _TEXT_FRAME
                    and size <= _KEEP_BYTES
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

        The size is -1 if its header is incomplete.
        """
        if len(data) - start < 2:
            return -1, start
        size = data[start + 1] & 127
        more = {126: 2, 127: 8}.get(size, 0)
        body = start + 2 + more + self._key_size
        if body > len(data):
            return -1, start
        if more:
            size = int.from_bytes(data[start + 2 : start + 2 + more])
        return size, body + size

    def _is_fault(self, data: bytes, start: int) -> bool:
        """Whether the protocol would refuse the incomplete header at `start` as it is."""
        head = data[start:]
        if len(head) < 2:
            return False
        if head[0] & 0x0F not in _OPCODES or head[1] & 128 != self._mask_bit:
            return True
        size = head[1] & 127
        more = {126: 2, 127: 8}.get(size, 0)
        if self._limit is None or len(head) < 2 + more:
            return False
        if more:
            size = int.from_bytes(head[2 : 2 + more])
        return size > self._limit - (self._protocol.current_size or 0)

    def _give(self, data: bytes, messages: list[str | bytes]) -> None:
        """Give `data` to the protocol, and add the messages that this completes."""
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
                protocol.fail(INVALID_TEXT, f"{exc.reason} at byte {exc.start}")

    def _add_fragment(self, frame: Frame, messages: list[str | bytes]) -> None:
        """Add a fragment, or a binary message; websockets does not join fragments."""
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
            self._fragments = bytearray()
        assert self._fragments is not None
        self._fragments += frame.data
        if frame.fin:
            whole, self._fragments = bytes(self._fragments), None
            messages.append(whole.decode() if self._is_text else whole)
