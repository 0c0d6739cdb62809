"""Writes frames: joined into few writes, in order, and within bounds.

::

    send, offer ──> frames ──(end of the loop's turn, `release`, or buffer full)──> socket
        │  the peer does not read: `pause`                                            ^
        └──────> line ──(the peer reads again: `resume`)──> frames ───────────────────┤
    write (pongs, close frames) ──> frames first, then at once ───────────────────────┘

`end` refuses further events, and lets the texts of broadcasts out of the line; `drop` forgets
everything: TCP has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Sequence

from websockets import frames
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side

from ..connection.connection import WebSocketConnection
from ..exceptions import ConnectionClosedError, SendTimeoutError
from ..limits import Limits
from ..protocol.close import CloseInfo
from .line import Line

__all__ = ["Writer", "flush_all", "text_frame"]

apply_mask = getattr(frames, "apply_mask")  # noqa: B009  # not exported; in C, where built


_HEADERS = [bytes((0x81, size)) for size in range(126)]


def _long_header(size: int) -> bytes:
    return b"\x81\x7e" + size.to_bytes(2) if size < 65536 else b"\x81\x7f" + size.to_bytes(8)


def text_frame(data: bytes) -> bytes:
    """Return the frame of a text message as a server sends it without extensions.

    A header of a few bytes and the text itself (RFC 6455, section 5.2): built here in 0.2 µs
    instead of 2 µs by `websockets.frames.Frame.serialize`. It is the same for every receiver.
    """
    size = len(data)
    return (_HEADERS[size] if size < 126 else _long_header(size)) + data


def _masked_frame(data: bytes) -> bytes:
    """Return the frame of a text message as a client sends it without extensions."""
    size = len(data)
    header = _HEADERS[size] if size < 126 else _long_header(size)
    mask = secrets.token_bytes(4)  # RFC 6455, section 10.3: unpredictable
    return b"".join((b"\x81", bytes((header[1] | 128,)), header[2:], mask, apply_mask(data, mask)))


class Writer:
    """Writes the frames of one connection to its socket.

    Frames of events are joined: those sent before the loop's next turn, or between `hold` and
    `release`, leave in one write. Frames of the protocol (pongs, close frames) are written at
    once, after them.

    While the peer does not read, sends and the events of broadcasts wait in one line: the order of
    sending is kept.

    Args:
        tcp: the socket's transport.
        protocol: the WebSocket's protocol, whose side and extensions the frames depend on.
        limits: `Limits.write_bytes`, `Limits.send_timeout` and `Limits.backlog_bytes` are used.

    Attributes:
        connection: the connection, whose end makes sends fail; None during the opening handshake.
        is_masking: whether frames are masked, as those of a client are.
        paused: whether events wait instead of being written: the peer does not read (`pause`), or
            the connection has ended (`end`).
    """

    __slots__ = (
        "_frames",
        "_has_ended",
        "_is_held",
        "_is_plain",
        "_limits",
        "_line",
        "_loop",
        "_peer_is_behind",
        "_pong",
        "_protocol",
        "_size",
        "_tcp",
        "_write_bytes",
        "connection",
        "is_masking",
        "paused",
    )

    def __init__(self, tcp: asyncio.Transport, protocol: Protocol, limits: Limits) -> None:
        self.connection: WebSocketConnection | None = None
        self._tcp = tcp
        self._protocol = protocol
        self._limits = limits
        # `Limits.write_bytes`: how many bytes of events are joined before they are written.
        self._write_bytes = limits.write_bytes
        self._loop = asyncio.get_running_loop()
        self.is_masking = protocol.side is Side.CLIENT
        # Whether frames are those of `text_frame`: not masked, and no extension changes them. Set
        # by `open`, when the extensions are known.
        self._is_plain = False
        # The last pong that could not be written because the peer does not read; see `write`.
        self._pong: bytes | None = None
        # The frames, or parts of frames, that the next `flush` writes, and their texts' size.
        self._frames: list[bytes] = []
        self._size = 0
        # Whether the owner will flush: between `hold` and `release`.
        self._is_held = False
        self.paused = False
        # Whether the peer does not read: between `pause` and `resume`.
        self._peer_is_behind = False
        # Set by `end`: `paused` stays True from then on.
        self._has_ended = False
        # The texts that wait for the peer to read; None for none, as on an idle connection.
        self._line: Line | None = None
        tcp.set_write_buffer_limits(high=limits.write_bytes)

    def open(self, connection: WebSocketConnection) -> None:
        """Begin: the opening handshake is done, and the extensions are known."""
        self.connection = connection
        self._is_plain = not self.is_masking and not self._protocol.extensions

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport.send`."""
        if self.paused:
            return self._send_later(data)
        # A task that sends endlessly gives the loop a turn with each full buffer. It must: a socket
        # that has failed accepts further writes, and only the loop tells of its end.
        return asyncio.sleep(0) if self._add(data) else None

    def offer(self, data: bytes, frame: bytes, unflushed: list[Writer]) -> bool:
        """Send one text message of a broadcast without waiting; True if that filled the buffer.

        Args:
            data: the text.
            frame: its `text_frame`, for connections whose frames are not masked and not changed
                by an extension.
            unflushed: this writer is appended if its flush is not scheduled yet, for `flush_all`:
                one callback of the loop for all receivers, instead of one each of 0.4 µs
                (measured).

        Raises:
            SendTimeoutError: the peer does not read, and `Limits.backlog_bytes` are queued for it.
            ConnectionClosedError: the connection has ended.
        """
        if self.paused:
            self._check_open()
            # The socket's buffer counts too (in `Writing.offer` a framework hides it). It is not
            # enough: uvloop's TLS transport reports an empty one.
            self._line = line = self._line or Line()
            unsent = self._size + line.size + self._tcp.get_write_buffer_size()
            if unsent > self._limits.backlog_bytes:
                raise SendTimeoutError(0, backlog=unsent)
            line.keep(data)
            return False
        if not self._is_plain:
            return self._add(data)
        if not self._frames:
            unflushed.append(self)
        self._frames.append(frame)
        self._size += len(data)
        if self._size <= self._write_bytes:
            return False
        self.flush()
        return True

    async def _send_later(self, data: bytes) -> None:
        self._check_open()
        if not self.paused:  # the peer read again before this was awaited
            self._add(data)
            return
        self._line = self._line or Line()
        await self._line.wait(data, self._limits.send_timeout)

    def _check_open(self) -> None:
        if self.connection is not None and self.connection.closed is not None:
            raise ConnectionClosedError(*self.connection.closed)

    def _add(self, data: bytes) -> bool:
        """Frame a text; True if that filled the buffer, which is then written."""
        frames = self._frames
        if not frames and not self._is_held:
            self._loop.call_soon(self.flush)
        size = len(data)
        if self._is_plain:
            if size < 126:
                frames.append(_HEADERS[size])
            else:
                frames.append(_long_header(size))
            frames.append(data)
        elif self._protocol.extensions:
            frame = Frame(Opcode.TEXT, data)
            frames.append(
                frame.serialize(mask=self.is_masking, extensions=self._protocol.extensions)
            )
        else:
            frames.append(_masked_frame(data))
        self._size += size
        if self._size <= self._write_bytes:
            return False
        self.flush()
        return True

    def hold(self) -> None:
        """Keep the frames of events until `release`.

        The caller runs handlers in between: this saves a callback of the loop for each batch of
        answers.
        """
        self._is_held = True

    def release(self) -> None:
        """Write the frames kept since `hold`."""
        self._is_held = False
        if self._frames:
            self.flush()

    def flush(self) -> None:
        """Write the joined frames."""
        frames = self._frames
        if not frames:
            return
        self._frames = []
        self._size = 0
        if not self._tcp.is_closing():
            self._tcp.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def write(self, writes: Sequence[bytes]) -> None:
        """Write the protocol's frames at once, after the events sent before.

        While the peer does not read, only the last pong is kept, for when it reads again: that one
        answers all pings (RFC 6455, section 5.5.3), and memory stays bounded.
        """
        if not writes:
            return
        self.flush()
        for data in writes:
            if self._tcp.is_closing():
                return
            if data != SEND_EOF:
                if data[0] & 0x0F == Opcode.PONG and self._is_peer_behind():
                    self._pong = data
                else:
                    self._tcp.write(data)
                continue
            self._pong = None
            if self._tcp.can_write_eof():
                with contextlib.suppress(OSError):  # the peer has gone: `connection_lost` follows
                    self._tcp.write_eof()
            else:
                self._tcp.close()

    def _is_peer_behind(self) -> bool:
        return self._peer_is_behind or self._tcp.get_write_buffer_size() > self._write_bytes

    def end(self, info: CloseInfo) -> None:
        """Accept no more events: the connection has ended, and `info` says how.

        Waiting sends fail now. The events of broadcasts were accepted, so they are written even
        while the peer does not read: the close frame follows, and nothing may be written after it.
        """
        self._has_ended = self.paused = True
        line, self._line = self._line, None
        if line is not None:
            line.fail(info)
            while (entry := line.pop()) is not None:
                self._add(entry[1])

    def drop(self) -> None:
        """Drop the frames that are not written."""
        self._pong = None
        self._frames = []
        self._size = 0

    def pause(self) -> None:
        """Make events wait: the peer does not read."""
        self.paused = self._peer_is_behind = True

    def resume(self) -> None:
        """Send the waiting events in order: the peer reads again."""
        self._peer_is_behind = False
        pong, self._pong = self._pong, None
        if pong is not None and not self._tcp.is_closing():
            self._tcp.write(pong)
        if self._has_ended:
            return
        self.paused = False
        if self._line is not None:
            while not self.paused and (entry := self._line.pop()) is not None:
                sent, data = entry
                self._add(data)
                if sent is not None:
                    sent.set_result(None)
            self._line = self._line or None


def flush_all(writers: list[Writer]) -> None:
    """Flush each of `writers`. If one raises, the loop reports it, and flushes the rest later."""
    try:
        while writers:
            writers.pop().flush()
    finally:
        if writers:
            asyncio.get_running_loop().call_soon(flush_all, writers)
