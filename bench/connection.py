"""One connection of the load generator."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from .errors import MeasureError
from .frames import CLOSE, PING, PONG, TEXT, Counter, deflate, frame
from .wires import Wire

__all__ = ["Connection", "connect", "connected", "request"]

_TIMEOUT = 30.0
"""Seconds that a connection may take to open, and a first answer to come."""

_ERROR_TEXT = 120


def request(port: int, wire: Wire, *, deflated: bool = False) -> bytes:
    """Return the opening handshake; its key is the example of RFC 6455, section 1.3."""
    lines = [
        f"GET {wire.target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    if deflated:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
    return "\r\n".join([*lines, "", ""]).encode()


class Connection(asyncio.Protocol):
    """Opens, has one event echoed and compared, and from then on only counts.

    Args:
        port: the server's.
        wire: how it wants events.
        deflated: whether to agree on permessage-deflate, and compress.

    Attributes:
        opened: done when events may be sent; fails with `MeasureError`.
        lost: done when the connection has ended or is about to, with the reason.
        ended: done when it has ended.
        on_messages: gets the number of messages that each read brought.
    """

    def __init__(self, port: int, wire: Wire, *, deflated: bool = False) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.on_messages: Callable[[int], None] = _nothing
        self._port = port
        self._wire = wire
        self._deflated = deflated
        self._inflater = zlib.decompressobj(wbits=-15)
        self._buffer = b""
        self._upgraded = False
        self._expected: Any = None
        self._answer: asyncio.Future[None] | None = None
        self._counter: Counter | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(request(self._port, self._wire, deflated=self._deflated))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection was lost" if exc is None else f"the connection: {exc}")
        self.ended.set_result(None)

    def encode(self, text: bytes) -> bytes:
        """Return the frame of a text message."""
        data = deflate(text) if self._deflated else text
        return frame(TEXT, data, mask=True, compressed=self._deflated)

    def data_received(self, data: bytes) -> None:
        if self._counter is not None:
            count = self._counter.feed(data)
            if count:
                self.on_messages(count)
            return
        self._buffer += data
        try:
            self._open_and_check()
        except (ValueError, zlib.error) as exc:
            self._fail(str(exc))
            self.transport.abort()

    async def check(self, payload: Any) -> None:
        """Have one event echoed, compare, and only count from then on.

        Raises:
            MeasureError: there is no answer, or another.
        """
        self._expected = payload
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(self.encode(self._wire.event("echo", payload)))
        await _within(self._answer, "no answer to an echo")
        self.count()

    def count(self) -> None:
        """Only count from now on."""
        self._counter = Counter(self._control)
        rest, self._buffer = self._buffer, b""
        if rest:
            self.data_received(rest)

    # While it opens: messages are read whole

    def _open_and_check(self) -> None:
        if not self._upgraded:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = rest
            self._upgrade(head)
        while self._counter is None:
            message = self._next_message()
            if message is None:
                return
            self._take(message)

    def _upgrade(self, head: bytes) -> None:
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ValueError(f"the handshake was answered with {head[:_ERROR_TEXT]!r}")
        if (b"permessage-deflate" in head.lower()) != self._deflated:
            raise ValueError("the server does not agree on permessage-deflate as it should")
        self._upgraded = True
        self._proceed(None)

    def _take(self, text: bytes) -> None:
        if not self.opened.done():
            self._proceed(text)
        elif self._answer is None or self._answer.done():
            raise ValueError(f"an unexpected message: {text[:_ERROR_TEXT]!r}")
        elif self._wire.payload(text) != self._expected:
            raise ValueError(f"another answer than what was sent: {text[:_ERROR_TEXT]!r}")
        else:
            self._answer.set_result(None)

    def _proceed(self, text: bytes | None) -> None:
        reply, is_open = self._wire.opening(text)
        if reply is not None:
            self.transport.write(self.encode(reply))
        if is_open:
            self.opened.set_result(None)

    def _next_message(self) -> bytes | None:
        """Take a message off the buffer; it must be one frame, as all these servers send it."""
        data = self._buffer
        if len(data) < 2:
            return None
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start])
        if len(data) < start + size:
            return None
        payload, self._buffer = data[start : start + size], data[start + size :]
        if data[0] & 0x08 or payload == self._wire.heartbeat != b"":
            self._control(data[0] & 0x0F, payload)
            return self._next_message()
        if not data[0] & 0x80:
            raise ValueError("the server sends a message in fragments")
        return self._inflater.decompress(payload + b"\0\0\xff\xff") if data[0] & 0x40 else payload

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(frame(PONG, payload, mask=True))
        elif opcode == TEXT and payload == self._wire.heartbeat:
            self.transport.write(self.encode(self._wire.pulse))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2]) if payload else 1005
            self._fail(f"the server closed with {code} {payload[2:].decode(errors='replace')}")

    def _fail(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)
        for waiting in (self.opened, self._answer):
            if waiting is not None and not waiting.done():
                waiting.set_exception(MeasureError(why))
                waiting.exception()  # its waiter may have gone


async def connect(port: int, wire: Wire, *, deflated: bool = False) -> Connection:
    """Open a connection.

    Raises:
        MeasureError: it cannot be opened.
    """
    loop = asyncio.get_running_loop()
    try:
        transport, connection = await loop.create_connection(
            lambda: Connection(port, wire, deflated=deflated), "127.0.0.1", port
        )
    except OSError as exc:
        raise MeasureError(f"the server cannot be reached: {exc}") from exc
    try:
        await _within(connection.opened, "the connection does not open")
    except BaseException:  # cancellation too: a caller without the connection cannot drop it
        transport.abort()
        raise
    return connection


@asynccontextmanager
async def connected(
    count: int, port: int, wire: Wire, *, deflated: bool = False, at_once: int = 16
) -> AsyncIterator[list[Connection]]:
    """Open `count` connections, `at_once` of them at a time, and drop them at the end.

    Raises:
        MeasureError: one of them cannot be opened.
    """
    opened: list[Connection] = []
    try:
        while len(opened) < count:
            some = min(at_once, count - len(opened))
            tries = [connect(port, wire, deflated=deflated) for _ in range(some)]
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            opened += [each for each in outcomes if isinstance(each, Connection)]
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        yield opened
    finally:
        for connection in opened:
            connection.transport.abort()
        for connection in opened:
            await connection.ended


async def _within(waiting: asyncio.Future[None], why: str) -> None:
    try:
        await asyncio.wait_for(waiting, _TIMEOUT)
    except TimeoutError:
        raise MeasureError(f"{why} within {_TIMEOUT:.0f} s") from None


def _nothing(count: int) -> None:
    """The counter before a load sets one."""
