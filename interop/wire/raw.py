"""The judge's end of a connection: it writes any bytes, and checks every frame that it reads.

::

    RawServer.accept() ─┐ a client under test
                        ├─> handshake: read_head, write ──> start ──> frames ──> close
    an open socket ─────┘ a server under test                         ended: the other side's end

Frames in both directions are recorded in the cell's log.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.trsock import TransportSocket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..control.patience import Patience
from ..errors import Disconnected, Violation
from ..records import OTHER, Role
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Inflater,
    RawFrame,
    close_payload,
    frame,
    new_mask,
)
from .http import Head, parse_head
from .log import Log
from .passage import reset_on_close
from .rules import OPCODES, event_text, read_event

__all__ = ["MAX_HEAD", "Bounds", "RawConnection", "RawServer", "Streams", "take_small_segments"]

_READ = 1 << 18
MAX_HEAD = 1 << 16
"""The most bytes that a handshake may have."""

_ANY = {TEXT, BINARY, CLOSE, PING, PONG}

_SEGMENT = 1400
_SMALL_BUFFER = 1 << 15

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that the other side may write on one connection, after its handshake."""

    frames: int
    bytes: int


class RawConnection:
    """The judge's end of a connection to the side under test.

    Args:
        log: records every frame.
        side: the side that the judge is.

    Attributes:
        head: the other side's part of the handshake.
        frames: the messages and control frames that it has written since.
        reader: checks them; `None` until the handshake is done.
        bounds: reading stops beyond these; None where the other side is under control.
        flood: how the other side exceeded the bounds, in words; empty until it does.
        patience: how long to wait for what must come.
        ended: set once the other side has ended the TCP connection.
    """

    def __init__(
        self,
        log: Log,
        side: Role,
        streams: Streams,
        patience: Patience,
        bounds: Bounds | None = None,
    ) -> None:
        self.bounds = bounds
        self.flood = ""
        self.side: Role = side
        self.other = OTHER[side]
        self.patience = patience
        self.head = Head("", ())
        self.frames: list[RawFrame] = []
        self.ended = asyncio.Event()
        self.reader: FrameReader | None = None
        self.streams = streams
        # Kept, since a TLS transport that has ended raises when it is asked for it.
        self._socket: socket.socket | None = streams[1].get_extra_info("socket")
        self._log = log
        self._news = asyncio.Event()  # set at every read, and at the end
        self._resumed = asyncio.Event()  # cleared between `pause` and `resume`
        self._resumed.set()
        self._taken = 0  # the index behind the last frame that `next` returned
        self._pongs = False  # whether each ping is answered at once
        self._reading: asyncio.Task[None] | None = None  # reads frames, from `start` to `close`

    async def read_head(self) -> Head:
        """Read the other side's part of the handshake.

        Raises:
            Violation: the connection ended, or the time was over, before it was complete.
        """
        try:
            async with self.patience.limit():
                data = await self.streams[0].readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as exc:
            self._log.record_handshake(self.other, self.side, exc.partial)
            self._log.record_end(self.other, self.side, reset=False)
            verb = "answered" if self.other == "server" else "wrote"
            after = f"after {exc.partial[:120]!r}" if exc.partial else f"and {verb} nothing"
            raise Disconnected(f"the {self.other} ended the connection {after}") from None
        except TimeoutError:
            raise Violation(
                f"the {self.other} wrote no handshake",
                within=self.patience,
                missing="handshake",
                author=self.other,
            ) from None
        except asyncio.LimitOverrunError:
            raise Violation(
                f"the {self.other} wrote a handshake that does not end within {MAX_HEAD} bytes"
            ) from None
        except OSError as exc:
            self._log.record_end(self.other, self.side, reset=True)
            raise Disconnected(f"the {self.other} reset the connection: {exc}") from None
        self._log.record_handshake(self.other, self.side, data)
        self.head = parse_head(data)
        return self.head

    def start(self, inflater: Inflater | None = None, *, pongs: bool = False) -> None:
        """Begin to read frames, once the handshake is done.

        Args:
            pongs: whether to answer each ping at once.
        """
        self._pongs = pongs
        self.reader = FrameReader(self.other, inflater)
        self._reading = asyncio.create_task(self._read(self.reader))

    def write(self, *parts: bytes) -> None:
        """Write bytes in one go, unless the connection is closing."""
        if not self.streams[1].is_closing():
            data = b"".join(parts)
            if self.reader is None and not (self.side == "client" and self.head.line):
                self._log.record_handshake("judge", self.other, data)
            self.streams[1].write(data)

    def frame(self, opcode: int, payload: bytes | str = b"", **form: Any) -> bytes:
        """Return a frame, masked if this side must; `form` as for `interop.wire.frames.frame`."""
        if isinstance(payload, str):
            payload = payload.encode()
        if self.side == "client":
            form.setdefault("mask", new_mask())
        return frame(opcode, payload, **form)

    def send(self, opcode: int, payload: bytes | str = b"", **form: Any) -> None:
        """Write one frame, and record it."""
        data = payload.encode() if isinstance(payload, str) else payload
        self._log.record(1, "judge", self.other, opcode, data)
        self.write(self.frame(opcode, payload, **form))

    def send_event(
        self, name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Write an event in one frame."""
        self.send(TEXT, event_text(eventName=name, payload=payload, headers=headers or {}))

    def send_close(self, code: int, reason: str = "") -> None:
        """Write a close frame."""
        self.send(CLOSE, close_payload(code, reason))

    def fragments(self, parts: Sequence[bytes], opcode: int = TEXT) -> list[bytes]:
        """Return the frames of one message with these fragments."""
        last = len(parts) - 1
        return [
            self.frame(CONTINUATION if at else opcode, part, fin=at == last)
            for at, part in enumerate(parts)
        ]

    async def next(self, *kinds: int) -> RawFrame:
        """Return the next frame of these opcodes, skipping others; each is returned once.

        Raises:
            Violation: there was none in time, or the connection ended.
        """
        at = self._taken
        if at >= len(self.frames) or self.frames[at].opcode not in kinds:
            at = await self.find(at, *kinds)
        self._taken = max(self._taken, at + 1)
        return self.frames[at]

    async def find(self, start: int, *kinds: int) -> int:
        """Return the index of the first frame of these opcodes from `start` on; it consumes none.

        Raises:
            Violation: there was none in time, or the connection ended.
        """
        at = start

        def look() -> int | None:
            nonlocal at
            while at < len(self.frames):
                if self.frames[at].opcode in kinds:
                    return at
                at += 1
            if self.ended.is_set():
                raise Violation(
                    f"the {self.other} ended the connection and wrote no {_named(kinds)}frame",
                    seen=f"it wrote {self._brief()}",
                    missing=f"{_named(kinds)}frame",
                    author=self.other,
                )
            return None

        if (found := await self.patience.until(self._news, look)) is not None:
            return found
        raise Violation(
            f"the {self.other} wrote no {_named(kinds)}frame",
            within=self.patience,
            seen=f"it wrote {self._brief()}",
            missing=f"{_named(kinds)}frame",
            author=self.other,
        )

    def soon(self, *kinds: int) -> asyncio.Task[RawFrame]:
        """Return the task of `next`."""
        task = asyncio.create_task(self.next(*kinds))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def next_event(self, name: str) -> Any:
        """Return the next event of that name; see `next_message`."""
        while True:
            message = await self.next_message()
            if message["eventName"] == name:
                return message

    async def next_message(self) -> dict[str, Any]:
        """Return the next text message's object; a payload that is absent is null.

        Raises:
            Violation: the other side wrote none within the patience, or what is no event.
        """
        return {"payload": None, **read_event((await self.next(TEXT)).payload, self.other)}

    async def failed(self, *codes: int) -> None:
        """Check that the other side fails the connection, with one of these codes if any is given.

        Raises:
            Violation: it does not end the connection, or with another code, or with none.
        """
        if not codes:
            await self._until_ended()
            return
        closed = await self.next(CLOSE)
        if closed.code not in codes:
            raise Violation(
                f"the {self.other} closed with {closed.code or 'no code'}, not with "
                + " or ".join(map(str, codes))
            )

    async def _until_ended(self) -> None:
        """Wait for a close frame or the end of the connection."""

        def ended() -> bool | None:
            return self.ended.is_set() or any(f.opcode == CLOSE for f in self.frames) or None

        if not await self.patience.until(self._news, ended):
            raise Violation(
                f"the {self.other} did not end the connection",
                within=self.patience,
                missing="end of the connection",
                author=self.other,
            )

    async def closing(self) -> RawFrame:
        """Return the close frame once there is one, without consuming it.

        Raises:
            Violation: the connection ended with none, or nothing happened.
        """
        await self._until_ended()
        for found in self.frames:
            if found.opcode == CLOSE:
                return found
        raise Violation(
            f"the {self.other} ended the connection with no close frame (1006)",
            missing="close frame",
            author=self.other,
        )

    async def tcp_ended(self) -> None:
        """Wait until the other side has ended the TCP connection."""
        if not await self.patience.until(self._news, lambda: self.ended.is_set() or None):
            raise Violation(
                f"the {self.other} did not end the TCP connection",
                within=self.patience,
                missing="end of the TCP connection",
                author=self.other,
            )

    def end_tcp(self) -> None:
        """End the TCP connection after the bytes written before."""
        self.streams[1].close()

    def pause(self, *, small_buffer: bool = False) -> None:
        """Read nothing from now on, so that the other side's buffers fill up.

        Args:
            small_buffer: whether to read no byte more, and to keep the system's own buffer small:
                each byte that is read still lets the other side's system buffer more.
        """
        self._resumed.clear()
        if small_buffer:
            self._reads().pause_reading()
            self.keep_buffer_small()

    def keep_buffer_small(self) -> None:
        """Keep the system's own buffer small, also while reading."""
        self._set_buffer(_SMALL_BUFFER)

    def resume(self) -> None:
        """Read again."""
        if not self._reads().is_reading():
            self._set_buffer(_READ)
            self._reads().resume_reading()
        self._resumed.set()

    def _reads(self) -> asyncio.ReadTransport:
        transport: asyncio.BaseTransport = self.streams[1].transport
        assert isinstance(transport, asyncio.ReadTransport)
        return transport

    def _set_buffer(self, size: int) -> None:
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def abort(self, *, reset: bool = False) -> None:
        """End the connection with no close frame; `reset` with a TCP reset."""
        if reset:
            reset_on_close(self._socket)
        with contextlib.suppress(AttributeError):  # Python 3.11.2: one over TLS that has ended
            self.streams[1].transport.abort()

    async def close(self, *, reset: bool = True) -> None:
        """Stop reading and free the connection.

        Args:
            reset: whether to end the connection with a reset, if it has not ended. After a close
                the system keeps its port for a minute, and of many such it is slow to find a free
                one.
        """
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        self.abort(reset=reset)
        with contextlib.suppress(OSError):
            await self.streams[1].wait_closed()

    async def _read(self, reader: FrameReader) -> None:
        errors = size = 0
        reset = False
        try:
            while not self.flood and (data := await self.streams[0].read(_READ)):
                await self._resumed.wait()
                size += len(data)
                for found in reader.feed(data):
                    if self._flooded(size):
                        break
                    self.frames.append(found)
                    self._log.record(1, self.other, self.side, found.opcode, found.payload)
                    if found.opcode == PING and self._pongs:
                        self.send(PONG, found.payload)
                for error in reader.errors[errors:]:
                    self._log.frame_errors.append((self.other, error))
                errors = len(reader.errors)
                self._news.set()
                self._flooded(size)
        except OSError:
            reset = True
        if not self.flood:
            self._log.record_end(self.other, self.side, reset=reset)
        self.ended.set()
        self._news.set()

    def _flooded(self, size: int) -> bool:
        """Whether `size` bytes, or the frames so far, exceed the bounds; notes it in `flood`."""
        bounds = self.bounds
        if bounds is not None and (len(self.frames) >= bounds.frames or size > bounds.bytes):
            self.flood = (
                f"the {self.other} writes without end: over {bounds.frames} frames or "
                f"{bounds.bytes} bytes on one connection"
            )
        return bool(self.flood)

    def _brief(self) -> str:
        shown = [f"{_named([f.opcode])}{f.payload[:60]!r}" for f in self.frames[-4:]]
        return ", ".join(shown) or "nothing"


class RawServer:
    """Listens for the client under test, whose handshakes the scenario answers.

    Args:
        tls: the context with which it serves ``wss``; None for ``ws``.
        small_segments: whether connections take small segments; see `take_small_segments`.
    """

    def __init__(
        self,
        host: str,
        log: Log,
        patience: Patience,
        tls: ssl.SSLContext | None = None,
        *,
        small_segments: bool = False,
    ) -> None:
        self.host = host
        self.tls = tls
        self.log = log
        self.patience = patience
        self.port = 0
        self._small_segments = small_segments
        self._arrived: asyncio.Queue[RawConnection] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = None  # keeps the port while nothing listens there
        self._made: list[RawConnection] = []
        self._closed = False  # set by `close`: a connection may have been on its way

    async def start(self) -> RawServer:
        self._server = await asyncio.start_server(
            self._accept, self.host, 0, limit=MAX_HEAD, ssl=self.tls
        )
        for listening in self._server.sockets if self._small_segments else ():
            take_small_segments(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop_listening(self) -> None:
        """Let the system refuse connections to this port until `listen_again`."""
        assert self._server is not None
        self._server.close()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((self.host, self.port))

    async def listen_again(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, sock=self._held, limit=MAX_HEAD, ssl=self.tls
        )
        self._held = None

    def url(self, path: str = "/ws") -> str:
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}{path}"

    @property
    def accepted(self) -> int:
        """How many connections have come."""
        return len(self._made)

    async def accept(self, within: Patience | None = None) -> RawConnection:
        """Return the next connection, with its request read.

        Args:
            within: how long to wait for it; by default the patience of this server.

        Raises:
            Violation: none came.
        """
        within = within or self.patience
        try:
            async with within.limit():
                connection = await self._arrived.get()
        except TimeoutError:
            raise Violation("the client did not connect", within=within) from None
        await connection.read_head()
        return connection

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            # A client that reconnects by itself may be on its way. Before Python 3.12 a server that
            # is closed between accepting a socket and making its transport loses the socket, open.
            for listening in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(0)  # until the tasks of accepted sockets are begun
            self._server.close()
        if self._held is not None:
            self._held.close()
        for connection in self._made:
            await connection.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            writer.transport.abort()
            return
        connection = RawConnection(self.log, "server", (reader, writer), self.patience)
        self._made.append(connection)
        self._arrived.put_nowait(connection)


def take_small_segments(own: socket.socket | TransportSocket) -> None:
    """Let the connections of a socket that is not connected yet take small TCP segments.

    The other side's system then buffers about 0.5 MB of what is not read, where it buffers 4 MB in
    the large segments of a loopback connection (measured on Linux 6.18).
    """
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)


def _named(opcodes: Sequence[int]) -> str:
    """Return the opcodes' names and a space, as before ``frame``; nothing where any will do."""
    if _ANY.issubset(opcodes):
        return ""
    return " or ".join(OPCODES.get(opcode, f"opcode {opcode}") for opcode in opcodes) + " "
