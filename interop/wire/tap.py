"""The tap: a relay between client and server that injects frames and causes faults on request.

Bytes pass through untouched, at once unless a fault was requested; a copy of them is read by the
judge's own `FrameReader`, permessage-deflate included, and recorded in the cell's log.
`Tap.inject` writes a frame of the judge's own towards one side.

::

    client <──> leg ── passage ──> leg <──> server     one TapConnection, two passages
                 └── FrameReader ──> Log    └── FrameReader ──> Log
"""

from __future__ import annotations

import asyncio
import contextlib
import errno

from ..control.contract import Address
from ..errors import TestbedError
from ..records import OTHER, Author, Role
from .frames import BINARY, TEXT, FrameReader, Inflater, deflate_parameters, frame, new_mask
from .http import Head, parse_head
from .log import Log
from .passage import Mode, Passage, reset_on_close

__all__ = ["Tap", "TapConnection", "agreed_inflater"]


class Tap:
    """A listening relay to one upstream server.

    Args:
        host: the address to listen on, and by which clients reach the tap.
        upstream: the server.
        tls: whether the server serves TLS, which is relayed unread.

    Attributes:
        log: records every frame relayed or injected.
        connections: the relayed connections, oldest first.
        acts: the faults caused that neither frames nor the end of a connection show.
        mode: how the bytes of future connections pass, in both directions.
    """

    def __init__(self, host: str, upstream: Address, log: Log, *, tls: bool = False) -> None:
        self.host = host
        self.port = 0  # the system's choice, once `start` has run
        self.upstream = upstream
        self.tls = tls
        self.log = log
        self.connections: list[TapConnection] = []
        self.acts: set[str] = set()
        self.mode: Mode = "at-once"
        self._server: asyncio.Server | None = None
        self._dials: set[asyncio.Task[None]] = set()

    async def start(self) -> Tap:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Stop listening, reset the open connections, and wait until they are gone."""
        if self._server is not None:
            self._server.close()
        dials = list(self._dials)
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for connection in self.connections:
            connection.reset()
            for leg in connection.legs.values():
                await leg.gone()

    def url(self, path: str) -> str:
        """Return the address at which a client reaches the server through the tap."""
        return f"{'wss' if self.tls else 'ws'}://{self.host}:{self.port}{path}"

    def inject(self, to: Role, data: str | bytes, *, connection: int = -1) -> None:
        """Write a message of the judge's own, in one frame, towards `to`.

        Args:
            to: the receiver.
            data: a text message, or a binary one as bytes.
            connection: index into `connections`; the newest by default.
        """
        self._connection(connection).inject(to, data)

    def cut(self, connection: int = -1) -> None:
        """End a connection on both sides with no close frame."""
        self._connection(connection).over("judge")
        self._connection(connection).cut()

    def reset(self, connection: int = -1) -> None:
        """End a connection on both sides with a TCP reset."""
        self.acts.add("reset")
        self._connection(connection).over("judge")
        self._connection(connection).reset()

    def half_close(self, author: Role) -> None:
        """End the stream of `author` on the newest connection; drop what it writes later."""
        newest = self._connection(-1)
        self.acts.add("half-close")
        newest.passages[author].finish()
        newest.mute.add(author)

    def passage(self, author: Role) -> Passage:
        """Return how the bytes that `author` writes pass through the newest connection."""
        self.acts.add("passage")
        return self._connection(-1).passages[author]

    def _connection(self, index: int) -> TapConnection:
        try:
            return self.connections[index]
        except IndexError:
            raise TestbedError(
                f"the tap has no connection {index}: no client has connected"
            ) from None

    def _accept(self) -> asyncio.Protocol:
        connection = TapConnection(self, len(self.connections) + 1)
        self.connections.append(connection)
        dial = asyncio.get_running_loop().create_task(connection.dial())
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)
        return connection.legs["client"]


class TapConnection:
    """One relayed TCP connection: a leg to each side, and a reader of what each side writes.

    Attributes:
        heads: each side's part of the handshake; None until it is complete.
        passages: how the bytes of each author pass.
        mute: the authors whose bytes are dropped.
        opened: when it was accepted, in seconds since the log began.
        ended_by: the side that ended it first, and when; None while it lasts.
    """

    def __init__(self, tap: Tap, number: int) -> None:
        self.tap = tap
        self.number = number
        self.opened = tap.log.elapsed()
        self.ended_by: tuple[Author, float] | None = None
        self.legs: dict[Role, _Leg] = {s: _Leg(self, s) for s in ("client", "server")}
        self.passages = {side: self._passage(side) for side in self.legs}
        self.mute: set[Role] = set()
        self.heads: dict[Role, bytes | None] = {"client": None, "server": None}
        # Bytes of the handshake, and those after it until the server has answered.
        self._buffers: dict[Role, bytearray] = {"client": bytearray(), "server": bytearray()}
        self._readers: dict[Role, FrameReader] = {}  # once the handshake is done

    @property
    def handshaken(self) -> bool:
        """Whether the server has answered the handshake with 101."""
        return bool(self._readers)

    def _passage(self, author: Role) -> Passage:
        to = self.legs[OTHER[author]]
        return Passage(to.write, to.write_eof, self.tap.mode)

    async def dial(self) -> None:
        upstream = self.tap.upstream
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.legs["server"], upstream.host, upstream.port)
        except OSError as exc:
            if exc.errno in (errno.EMFILE, errno.ENFILE):  # not the server's fault
                loop.call_exception_handler({"message": "the tap cannot connect", "exception": exc})
            self.cut()

    def forward(self, author: Role, data: bytes) -> None:
        if author not in self.mute:
            self.passages[author].feed(data)
        if not self.tap.tls:
            self._watch(author, data)

    def inject(self, to: Role, data: str | bytes) -> None:
        if not self.handshaken:
            raise TestbedError("cannot inject before the WebSocket handshake is done")
        if self.inside_message(OTHER[to]):
            raise TestbedError(f"cannot inject towards the {to} in the middle of a message")
        # Plain: permessage-deflate allows that at any time (RFC 7692, section 6).
        opcode, payload = (TEXT, data.encode()) if isinstance(data, str) else (BINARY, data)
        mask = new_mask() if to == "server" else None
        self.legs[to].write(frame(opcode, payload, mask=mask))
        self.tap.log.record(self.number, "judge", to, opcode, payload)

    def compressed(self, author: Role) -> int:
        """Return how many of the author's messages were compressed."""
        return self._readers[author].compressed

    def inside_message(self, author: Role) -> bool:
        """Whether `author` has begun a message and not ended it."""
        return self._readers[author].inside_message

    def cut(self) -> None:
        for leg in self.legs.values():
            leg.abort()

    def reset(self) -> None:
        for leg in self.legs.values():
            leg.reset()
        self.cut()

    def over(self, author: Author) -> None:
        """Note the side that ends it, unless one has already."""
        self.ended_by = self.ended_by or (author, self.tap.log.elapsed())

    def ended(self, author: Role, *, abruptly: bool) -> None:
        self.over(author)
        if abruptly:
            self.legs[OTHER[author]].abort()
        else:
            self.passages[author].finish()

    def _watch(self, author: Role, data: bytes) -> None:
        if self._readers:
            self._read(author, data)
            return
        buffer = self._buffers[author]
        buffer += data
        if self.heads[author] is None:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.heads[author] = bytes(buffer[: end + 4])
            del buffer[: end + 4]
        if author == "server" and (answer := parse_head(self.heads["server"] or b"")).status == 101:
            self._readers = {
                side: FrameReader(side, agreed_inflater(side, answer)) for side in self.legs
            }
            for side in self.legs:
                self._read(side, bytes(self._buffers.pop(side)))

    def _read(self, author: Role, data: bytes) -> None:
        """Record the frames up to the first broken one, after which frames may begin anywhere."""
        reader, log = self._readers[author], self.tap.log
        if reader.errors:
            return
        for found in reader.feed(data):
            if reader.errors:
                break
            log.record(self.number, author, OTHER[author], found.opcode, found.payload)
        log.frame_errors.extend((author, error) for error in reader.errors)


class _Leg(asyncio.Protocol):
    """One side's TCP connection. Bytes written before it is established are kept until then."""

    def __init__(self, connection: TapConnection, side: Role) -> None:
        self._connection = connection
        self._side: Role = side
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []  # written before the connection was established
        self._eof = False  # whether `write_eof` was called
        self._dead = False  # whether it has ended, or must end as soon as it is established
        self._lost = asyncio.Event()  # set when it has ended

    async def gone(self) -> None:
        """Wait until the connection has ended, if it was ever established."""
        if self._transport is not None:
            await self._lost.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._dead:
            transport.abort()
            return
        for data in self._waiting:
            transport.write(data)
        self._waiting.clear()
        if self._eof:
            transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._connection.forward(self._side, data)

    def eof_received(self) -> bool:
        self._connection.ended(self._side, abruptly=False)
        return not self._eof

    def connection_lost(self, exc: Exception | None) -> None:
        self._dead = True
        self._lost.set()
        self._connection.ended(self._side, abruptly=exc is not None)

    def pause_writing(self) -> None:
        self._connection.legs[OTHER[self._side]].reading(False)

    def resume_writing(self) -> None:
        self._connection.legs[OTHER[self._side]].reading(True)

    def reading(self, on: bool) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if on:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def write(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def write_eof(self) -> None:
        if self._eof:
            return
        self._eof = True
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # the peer may have reset it a moment ago
                self._transport.write_eof()

    def reset(self) -> None:
        """Make its end a TCP reset."""
        if self._transport is not None:
            reset_on_close(self._transport.get_extra_info("socket"))

    def abort(self) -> None:
        self._dead = True
        if self._transport is not None:
            self._transport.abort()


def agreed_inflater(author: Role, answer: Head) -> Inflater | None:
    """Return what inflates the messages of `author`, or None when the server agreed to nothing."""
    for chosen in answer.all("Sec-WebSocket-Extensions"):
        with contextlib.suppress(ValueError):  # an illegal answer: refusing it is up to the client
            return Inflater.agreed(author, deflate_parameters(chosen))
    return None
