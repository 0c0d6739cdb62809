"""Peers that speak RFC 6455 frame by frame, over websockets' sans-I/O protocols."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, Protocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from . import tls, within

__all__ = ["RawPeer", "http", "raw_client", "raw_server"]


class RawPeer:
    """One end of a connection, under a test's control.

    Attributes:
        protocol: its protocol; write its frames with `flush`.
        request: on a server's side, the request that came.
        answers: whether what the protocol wants written, pongs and close frames, is written.
        unread: frames that have arrived and that `next` has not returned.
    """

    def __init__(
        self, protocol: Protocol, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.protocol = protocol
        self.request: Request | None = None
        self.answers = True
        self.reader = reader
        self.writer = writer
        self.unread: deque[Any] = deque()

    def pause_reading(self) -> None:
        """Read nothing, as a peer does whose program is busy."""
        self._tcp.pause_reading()

    def resume_reading(self) -> None:
        self._tcp.resume_reading()

    @property
    def _tcp(self) -> asyncio.Transport:
        tcp = self.writer.transport
        assert isinstance(tcp, asyncio.Transport)
        return tcp

    def accept(self) -> None:
        """On a server's side, do the opening handshake; `flush` writes it."""
        assert isinstance(self.protocol, ServerProtocol) and self.request is not None
        self.protocol.send_response(self.protocol.accept(self.request))

    def flush(self) -> None:
        """Write, in one piece, what the protocol has to send."""
        data = b"".join(write for write in self.protocol.data_to_send() if write != SEND_EOF)
        if data:
            self.writer.write(data)

    def send(self, *texts: str | bytes, close: int | None = None) -> None:
        """Write text messages, and then a close frame, in one piece."""
        for text in texts:
            self.protocol.send_text(text.encode() if isinstance(text, str) else text)
        if close is not None:
            self.protocol.send_close(close)
        self.flush()

    def event(self, name: str, payload: Any = None, headers: dict[str, Any] | None = None) -> None:
        """Write an event."""
        self.send(json.dumps({"eventName": name, "payload": payload, "headers": headers or {}}))

    async def next(self) -> Any:
        """Return the next frame, request or response; None at the end of the stream."""
        while not self.unread:
            data = await within(self.reader.read(1 << 16))
            if not data:
                return None
            self.protocol.receive_data(data)
            self.unread.extend(self.protocol.events_received())
            if self.answers:
                self.flush()
        return self.unread.popleft()

    async def frame(self, opcode: Opcode) -> Frame:
        """Return the next frame, which must be of this kind.

        Pings are passed over, unless one is asked for: on a busy machine a test may take longer
        than their interval.
        """
        frame = await self._past_pings(opcode)
        assert isinstance(frame, Frame), f"expected {opcode.name}, got {frame!r}"
        assert frame.opcode is opcode, f"expected {opcode.name}, got {frame}"
        return frame

    async def _past_pings(self, wanted: Opcode | None = None) -> Any:
        while isinstance(event := await self.next(), Frame) and event.opcode is Opcode.PING:
            if wanted is Opcode.PING:
                break
        return event

    async def text(self) -> dict[str, Any]:
        """Return the next frame's event."""
        frame = await self.frame(Opcode.TEXT)
        decoded: dict[str, Any] = json.loads(bytes(frame.data))
        return decoded

    async def closed(self) -> Close:
        """Return what the next frame, a close frame, says."""
        return Close.parse((await self.frame(Opcode.CLOSE)).data)

    async def eof(self) -> None:
        """Wait for the end of the stream; nothing else may come."""
        event = await self._past_pings()
        assert event is None, f"expected the end, got {event}"

    def drop(self) -> None:
        """End TCP with a reset, as a crash would."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.writer.transport.abort()


@asynccontextmanager
async def raw_client(
    port: int,
    path: str = "/",
    *,
    extensions: Sequence[Any] | None = None,
    receive_buffer: int | None = None,
    **options: Any,
) -> AsyncIterator[RawPeer]:
    """Connect to a server on loopback, the opening handshake included.

    Args:
        receive_buffer: bytes of the kernel's buffer for what arrives. Default None: its own choice.
    """
    uri = parse_uri(f"ws://127.0.0.1:{port}{path}")
    protocol = ClientProtocol(uri, extensions=extensions, max_size=None, **options)
    context = tls.client_context() if tls.everywhere else None
    where: dict[str, Any] = {"host": "127.0.0.1", "port": port}
    if receive_buffer is not None:
        tcp = socket.socket()
        tcp.setblocking(False)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(tcp, ("127.0.0.1", port))
        where = {"sock": tcp, "server_hostname": "127.0.0.1" if tls.everywhere else None}
    reader, writer = await asyncio.open_connection(**where, ssl=context)
    peer = RawPeer(protocol, reader, writer)
    protocol.send_request(protocol.connect())
    peer.flush()
    try:
        response = await peer.next()
        assert isinstance(response, Response) and response.status_code == 101, response
        yield peer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def raw_server(
    script: Callable[[RawPeer], Awaitable[None]], *, accept: bool = True, **options: Any
) -> AsyncIterator[int]:
    """Listen on loopback and run `script` for each connection; the value is the port.

    Args:
        script: what to do with a connection.
        accept: whether the opening handshake is done before the script starts; else the script
            gets the peer when the request has come.
        options: arguments of `websockets.server.ServerProtocol`.
    """
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        protocol = ServerProtocol(max_size=None, **options)
        peer = RawPeer(protocol, reader, writer)
        try:
            peer.request = await peer.next()
            assert isinstance(peer.request, Request)
            if accept:
                peer.accept()
                peer.flush()
            await script(peer)
        except asyncio.CancelledError:
            pass  # the test is over
        except Exception as exc:
            failures.append(exc)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if failures:
        raise failures[0]


async def http(port: int, request: bytes) -> bytes:
    """Send raw bytes to a server, and return all that it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await within(reader.read())
    finally:
        writer.transport.abort()
