"""What a connection writes: frames joined into few writes, in order, and no more than fits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side

from .connection import WebSocketConnection
from .exceptions import ConnectionClosedError, SendTimeoutError
from .limits import Limits

__all__ = ["Outbox", "flush_all", "text_frame"]


def text_frame(data: bytes) -> bytes:
    """Return the frame of a text message as a server sends it without an extension.

    A header of a few bytes and the text itself (RFC 6455, section 5.2): built here in 0.2 µs
    instead of 2 µs by `websockets.frames.Frame.serialize`. It is the same for every receiver.
    """
    size = len(data)
    if size < 126:
        return bytes((0x81, size)) + data
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2) + data
    return b"\x81\x7f" + size.to_bytes(8) + data


class Outbox:
    """The way from frames to a socket.

    Frames of events are joined: all that is sent before the loop's next turn leaves in one
    write. What the protocol writes (pongs, close frames) goes out at once, behind them.

    Args:
        tcp: the socket's transport.
        protocol: the WebSocket's protocol, whose side and extensions the frames depend on.
        limits: `Limits.write_bytes`, `Limits.send_timeout` and `Limits.backlog_bytes` are used.

    Attributes:
        connection: whose end makes waiting sends fail; None during the opening handshake.
    """

    __slots__ = (
        "_frames",
        "_limits",
        "_loop",
        "_plain",
        "_pong",
        "_protocol",
        "_size",
        "_tcp",
        "_waiter",
        "connection",
    )

    def __init__(self, tcp: asyncio.Transport, protocol: Protocol, limits: Limits) -> None:
        self.connection: WebSocketConnection | None = None
        self._tcp = tcp
        self._protocol = protocol
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._plain = False
        self._pong: bytes | None = None
        self._frames: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        tcp.set_write_buffer_limits(high=limits.write_bytes)

    def open(self, connection: WebSocketConnection) -> None:
        """Begin: the handshake is done, and with it the choice of extensions."""
        self.connection = connection
        self._plain = self._protocol.side is Side.SERVER and not self._protocol.extensions

    def send(self, data: bytes) -> Awaitable[None] | None:
        """Send one text message; see `zaptools.connection.Transport.send`."""
        if self._waiter is not None:
            return self._send_later(data)
        # Who sends without end gives the loop its turn with each buffer full of data. It must:
        # a socket that has failed takes what is written, and only the loop tells of its end.
        return asyncio.sleep(0) if self._add(data) else None

    def offer(self, data: bytes, frame: bytes, unflushed: list[Outbox]) -> bool:
        """Send one text message of a broadcast without waiting; True when that filled the buffer.

        Args:
            data: the text.
            frame: its `text_frame`, used where this connection's would be the same.
            unflushed: takes this outbox if its flush is not scheduled yet, for `flush_all`: one
                call of the loop's for all receivers instead of one each, of 0.4 µs (measured).

        Raises:
            SendTimeoutError: the peer does not read, and `Limits.backlog_bytes` wait for it.
        """
        if self._waiter is not None:
            unsent = self._size + self._tcp.get_write_buffer_size()
            if unsent > self._limits.backlog_bytes:
                raise SendTimeoutError(0)
        if not self._plain:
            return self._add(data)
        if not self._frames:
            unflushed.append(self)
        self._frames.append(frame)
        return self._is_full(len(data))

    async def _send_later(self, data: bytes) -> None:
        timeout = self._limits.send_timeout
        try:
            async with asyncio.timeout(timeout):
                while self._waiter is not None:
                    await asyncio.shield(self._waiter)
        except TimeoutError:
            assert timeout is not None
            raise SendTimeoutError(timeout) from None
        if self.connection is not None and self.connection.closed is not None:
            raise ConnectionClosedError(*self.connection.closed)
        self._add(data)

    def _add(self, data: bytes) -> bool:
        """Frame a text; True when that filled the buffer, which is then written."""
        if self._plain:
            return self._append(text_frame(data), len(data))
        frame = Frame(Opcode.TEXT, data).serialize(
            mask=self._protocol.side is Side.CLIENT, extensions=self._protocol.extensions
        )
        return self._append(frame, len(data))

    def _append(self, frame: bytes, size: int) -> bool:
        if not self._frames:
            self._loop.call_soon(self.flush)
        self._frames.append(frame)
        return self._is_full(size)

    def _is_full(self, more: int) -> bool:
        """Count what was added, and write all if that is enough."""
        self._size += more
        if self._size <= self._limits.write_bytes:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Write what waits to be joined."""
        frames = self._frames
        if not frames:
            return
        self._frames = []
        self._size = 0
        if not self._tcp.is_closing():
            self._tcp.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def write(self, writes: list[bytes]) -> None:
        """Write what the protocol wants written, at once, behind all that was sent.

        While the peer does not read, of its pongs only the last is kept, for when it reads
        again: that one answers for all (RFC 6455, section 5.5.3), and takes no more memory.
        """
        if not writes:
            return
        self.flush()
        for data in writes:
            if self._tcp.is_closing():
                return
            if data != SEND_EOF:
                if data[0] & 0x0F == Opcode.PONG and self._is_unread():
                    self._pong = data
                else:
                    self._tcp.write(data)
                continue
            self._pong = None
            if self._tcp.can_write_eof():
                self._tcp.write_eof()
            else:
                self._tcp.close()

    def _is_unread(self) -> bool:
        return self._tcp.get_write_buffer_size() > self._limits.write_bytes

    def drop(self) -> None:
        """Forget what is not written."""
        self._pong = None
        self._frames = []
        self._size = 0

    def pause(self) -> None:
        """Make sends wait: the peer does not read."""
        self._waiter = self._loop.create_future()

    def resume(self) -> None:
        """Let the sends that wait go on, or find that the connection has ended."""
        pong, self._pong = self._pong, None
        if pong is not None and not self._tcp.is_closing():
            self._tcp.write(pong)
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def flush_all(outboxes: list[Outbox]) -> None:
    """Flush each of `outboxes`. If one raises, which is for the loop to report, the rest follow."""
    try:
        while outboxes:
            outboxes.pop().flush()
    finally:
        if outboxes:
            asyncio.get_running_loop().call_soon(flush_all, outboxes)
