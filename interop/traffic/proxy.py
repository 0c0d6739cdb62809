"""The proxy between a real application and a real server: what passes is recorded, and unchanged.

::

    client <── head, bytes ──> Passing <── head, bytes ──> server     a connection each
                                  └── a copy, read ──> Masks ──> Recorder

Of the request, Host and the target are changed as any proxy does; all other bytes pass as they are.
Each direction is read only as fast as the other side takes it. permessage-deflate passes too, and
the copy is inflated: without the offer the application would not do what it does without a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Literal

from ..check.endpoint import Endpoint, EndpointError
from ..records import OTHER, Role
from ..wire.frames import (
    BINARY,
    CLOSE,
    NO_CODE,
    PING,
    TEXT,
    FrameReader,
    Inflater,
    RawFrame,
    deflate_parameters,
)
from ..wire.http import Head, parse_head
from ..wire.passage import reset_on_close
from ..wire.raw import MAX_HEAD, Streams
from .masks import Masks
from .recording import Answered, Asked, Closed, Ended, Lost, Recorder, Said

__all__ = ["Proxy", "joined_target"]

_READ = 1 << 16
_DIAL = 10.0
"""Seconds for a connection to the server."""

_LONGEST = 64 << 20
"""Bytes of a message, as it passes and inflated, beyond which its connection is not recorded."""

_ANEW = frozenset(
    "host connection upgrade sec-websocket-key sec-websocket-version sec-websocket-accept "
    "sec-websocket-extensions content-length transfer-encoding keep-alive date".split()
)
"""Headers that each connection has anew, and no application chooses."""

_BAD_GATEWAY = (
    "HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
)


class Proxy:
    """Listens for applications, and connects each to the server.

    Args:
        upstream: the server.
        longest: bytes kept of a text.

    Attributes:
        port: where it listens.
        connections: how many WebSocket connections were asked for.
        events: how many messages were recorded.
        refused: why the server was not reached the last time, in words.
        lost: why connections were not recorded to their end.
    """

    def __init__(
        self, upstream: Endpoint, recorder: Recorder, masks: Masks, *, longest: int
    ) -> None:
        self.upstream = upstream
        self.recorder = recorder
        self.masks = masks
        self.longest = longest
        self.port = 0
        self.connections = 0
        self.events = 0
        self.refused = ""
        self.lost: set[str] = set()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        """Begin to listen.

        Raises:
            OSError: it cannot listen there.
        """
        self._server = await asyncio.start_server(self._accept, host, port, limit=MAX_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening, and end the connections, which are recorded up to here."""
        if self._server is not None:
            self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not by `start_server`: before Python 3.12 it reports a cancelled task as an error.
        task = asyncio.get_running_loop().create_task(self._pass((reader, writer)))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _pass(self, client: Streams) -> None:
        try:
            try:
                data = await client[0].readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
                return
            head = parse_head(data)
            # Another request passes too, but is not recorded.
            asks = "websocket" in (part.lower() for part in head.all("Upgrade"))
            copy = _Copy(self, 0)
            if asks:
                self.connections += 1
                copy = _Copy(self, self.connections)
            await _Passing(self.upstream, client, copy).run(head, keep=asks)
        finally:
            _abort(client)


class _Passing:
    """One connection of an application, and the one to the server that belongs to it."""

    def __init__(self, upstream: Endpoint, client: Streams, copy: _Copy) -> None:
        self._upstream = upstream
        self._copy = copy
        self._streams: dict[Role, Streams] = {"client": client}

    async def run(self, head: Head, *, keep: bool) -> None:
        """Pass everything until both sides have ended.

        Args:
            keep: whether the connection may be used again; else each request has its own.
        """
        target = joined_target(self._upstream.target, head.target)
        self._copy.asked(target, head.headers)
        try:
            server = await self._upstream.connect(_DIAL)
        except EndpointError as exc:
            await self._refuse(str(exc))
            return
        self._streams["server"] = server
        try:
            server[1].write(_rewritten(head, target, self._upstream.authority, keep=keep))
            await asyncio.gather(self._pump("client"), self._pump("server"))
            for _, writer in self._streams.values():  # what is written already still leaves
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
        except asyncio.CancelledError:
            self._copy.ended("proxy")
            raise
        finally:
            for each in self._streams.values():
                _abort(each)

    async def _refuse(self, why: str) -> None:
        """Answer in the place of a server that is not reached."""
        body = f"the recording proxy cannot reach the server: {why}\n".encode()
        self._copy.refused(why)
        _, writer = self._streams["client"]
        writer.write(f"{_BAD_GATEWAY}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    async def _pump(self, author: Role) -> None:
        """Pass what `author` writes, up to its end, which passes too."""
        reader, writer = self._streams[author][0], self._streams[OTHER[author]][1]
        try:
            while data := await reader.read(_READ):
                self._copy.feed(author, data)
                writer.write(data)
                await writer.drain()
        except OSError:
            # Whichever side it was, there is nothing to be said to the other one any more.
            self._copy.ended(author if reader.exception() else OTHER[author], reset=True)
            for streams in self._streams.values():
                _abort(streams, reset=True)
            return
        self._copy.ended(author)
        with contextlib.suppress(OSError, RuntimeError):
            if writer.can_write_eof():
                writer.write_eof()
            else:  # over TLS the end of one direction is the end of both
                await writer.drain()
                writer.close()
                await writer.wait_closed()


class _Copy:
    """Reads a copy of what passes on one connection, and records it; does neither for number 0."""

    def __init__(self, proxy: Proxy, number: int) -> None:
        self._proxy = proxy
        self._number = number
        self._recorder = proxy.recorder
        self._masks = proxy.masks.for_connection()
        self._answer = bytearray()  # the server's part of the handshake, until it is complete
        self._early = bytearray()  # what the client wrote until then
        self._readers: dict[Role, FrameReader] = {}  # once the handshake is done
        self._unread: dict[Role, int] = {"client": 0, "server": 0}  # bytes since the last message
        self._read = number > 0
        self._over = number == 0

    def asked(self, target: str, headers: Sequence[tuple[str, str]]) -> None:
        if self._read:
            masked = self._masks.headers(_chosen(headers))  # first: they may be in the target too
            target = self._masks.target(target)
            self._write(Asked(self._recorder.now(), self._number, target, masked))

    def refused(self, why: str) -> None:
        self._proxy.refused = why
        if self._read:
            self._write(Answered(self._recorder.now(), self._number, 502, proxy=True))
            self._read, self._over = False, True

    def feed(self, author: Role, data: bytes) -> None:
        """Read bytes that are about to pass."""
        if not self._read:
            return
        if self._readers:
            self._frames(author, data)
        elif author == "client":
            self._early += data
            if len(self._early) > _LONGEST:
                self._lose("the client wrote much before the server had answered")
        else:
            self._answer += data
            end = self._answer.find(b"\r\n\r\n")
            if end >= 0:
                self._answered(parse_head(bytes(self._answer[:end])), self._answer[end + 4 :])
            elif len(self._answer) > MAX_HEAD:
                self._lose(f"the server's answer does not end within {MAX_HEAD} bytes")

    def ended(self, author: Literal["client", "server", "proxy"], *, reset: bool = False) -> None:
        """Record which side ended the connection first."""
        if not self._over:
            self._over = True
            self._write(Ended(self._recorder.now(), self._number, author, reset))

    def _answered(self, head: Head, rest: bytearray) -> None:
        headers = self._masks.headers(_chosen(head.headers))
        self._write(Answered(self._recorder.now(), self._number, head.status, headers))
        if head.status != 101:
            self._read = False
            return
        agreed = head.all("Sec-WebSocket-Extensions")
        try:
            for side in OTHER:
                self._readers[side] = FrameReader(side, _inflater(side, agreed))
        except ValueError as exc:
            self._lose(f"the extension that was agreed on cannot be read: {exc}")
            return
        self._frames("client", bytes(self._early))
        self._frames("server", bytes(rest))
        self._early.clear()
        self._answer.clear()

    def _frames(self, author: Role, data: bytes) -> None:
        reader = self._readers[author]
        self._unread[author] += len(data)
        for found in reader.feed(data):
            if reader.errors:
                break
            self._unread[author] = 0
            self._frame(author, found)
        if self._unread[author] > _LONGEST:
            self._lose(f"the {author} wrote a message of more than {_LONGEST} bytes")
        elif reader.errors:
            self._lose(f"the {author} wrote {reader.errors[0]}")

    def _frame(self, author: Role, found: RawFrame) -> None:
        payload, now, number = found.payload, self._recorder.now(), self._number
        if found.opcode == CLOSE:
            reason = self._masks.value(payload[2:].decode("utf-8", "replace"))
            self._write(Closed(now, number, author, found.code or NO_CODE, reason))
        elif found.opcode in (TEXT, BINARY):
            self._proxy.events += 1
            text, cut = self._text(payload)
            kind: Literal["text", "binary"] = "text" if found.opcode == TEXT else "binary"
            self._write(Said(now, number, author, kind, len(payload), text, cut))
        else:
            kept: Literal["ping", "pong"] = "ping" if found.opcode == PING else "pong"
            self._write(Said(now, number, author, kept, len(payload)))

    def _text(self, payload: bytes) -> tuple[str | None, bool]:
        """Return what is kept of a message, and whether that is a part; None for no text at all."""
        try:
            text = self._masks.text(payload.decode())
        except UnicodeDecodeError:
            return None, False
        longest = self._proxy.longest
        return text[:longest], len(text) > longest

    def _lose(self, why: str) -> None:
        self._read = False
        self._proxy.lost.add(why)
        self._write(Lost(self._recorder.now(), why, self._number))
        self._early.clear()
        self._answer.clear()
        self._readers.clear()

    def _write(self, line: Asked | Answered | Said | Closed | Ended | Lost) -> None:
        self._recorder.write(line)


def _abort(streams: Streams, *, reset: bool = False) -> None:
    # Python 3.11.2: a TLS transport that has ended raises, also when it is asked for its socket.
    with contextlib.suppress(AttributeError):
        if reset:
            reset_on_close(streams[1].get_extra_info("socket"))
        streams[1].transport.abort()


def joined_target(upstream: str, asked: str) -> str:
    """Return the target to ask the server for: its own, then what the application asks for.

    An application that was told the server's whole address with another host asks for the path of
    that: it is not appended to itself.
    """
    base, _, of_server = upstream.partition("?")
    path, _, of_app = asked.partition("?")
    base = base.rstrip("/")
    if path in ("", "/"):
        path = base or "/"
    elif path != base and not path.startswith(f"{base}/"):
        path = base + path
    query = "&".join(part for part in (of_server, of_app) if part)
    return f"{path}?{query}" if query else path


def _rewritten(head: Head, target: str, authority: str, *, keep: bool) -> bytes:
    """Return the request as the server gets it."""
    method, version = head.line.partition(" ")[0], head.line.rpartition(" ")[2]
    lines = [f"{method} {target} {version}", f"Host: {authority}"]
    dropped = ("host",) if keep else ("host", "connection")
    lines += [f"{name}: {value}" for name, value in head.headers if name.lower() not in dropped]
    if not keep:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chosen(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _ANEW]


def _inflater(author: Role, agreed: Sequence[str]) -> Inflater | None:
    """Return what inflates the messages of `author`.

    Raises:
        ValueError: something else than permessage-deflate was agreed on.
    """
    if not agreed:
        return None
    (chosen,) = agreed
    return Inflater.agreed(author, deflate_parameters(chosen), longest=_LONGEST)
