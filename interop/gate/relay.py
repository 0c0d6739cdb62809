"""Lets a client that knows no credentials connect to the user's server, and reads what passes.

A client connects to it in plain; it dials the endpoint, with TLS where that has it, and gives the
handshake the endpoint's host, path and headers, which not every library can set itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from ..check.endpoint import Endpoint, EndpointError
from ..check.remote import Pace
from ..records import OTHER, Role
from ..wire.frames import FrameReader
from ..wire.http import Head, parse_head
from ..wire.log import Log
from ..wire.raw import MAX_HEAD, Streams
from ..wire.tap import agreed_inflater

__all__ = ["Relay"]

_READ = 1 << 16

_MOST = 20_000
"""Frames after which a connection is ended: what it does by then is no use to a client."""

_REPLACED = ("host", "origin")
"""Headers of a library's handshake that name the relay."""


class Relay:
    """A listening relay to the endpoint.

    Attributes:
        log: records every frame.
        refused: why the endpoint could not be reached, or how it answered a handshake that it did
            not accept; empty where it always did.
    """

    def __init__(self, endpoint: Endpoint, patience: float, pace: Pace) -> None:
        self.endpoint = endpoint
        self.log = Log()
        self.refused = ""
        self._patience = patience
        self._pace = pace
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=MAX_HEAD)
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address for clients."""
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        task = asyncio.create_task(self._relay((reader, writer), self._count))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, client: Streams, number: int) -> None:
        server: Streams | None = None
        try:
            asked = await client[0].readuntil(b"\r\n\r\n")
            await self._pace.turn()
            server = await self.endpoint.connect(self._patience)
            server[1].write(self._request(parse_head(asked)))
            answered = await server[0].readuntil(b"\r\n\r\n")
            client[1].write(answered)
            head = parse_head(answered)
            if head.status != 101:
                self.refused = head.line
            readers: Mapping[Role, FrameReader] = {
                "client": FrameReader("client", agreed_inflater("client", head)),
                "server": FrameReader("server", agreed_inflater("server", head)),
            }
            # No group of tasks: its error would hide that of the connection.
            await asyncio.gather(
                self._pump("client", client, server, readers, number),
                self._pump("server", server, client, readers, number),
            )
        except EndpointError as exc:
            self.refused = str(exc)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # either side ended the connection
        finally:
            for _, writer in filter(None, (client, server)):
                with contextlib.suppress(Exception):
                    writer.transport.abort()

    def _request(self, asked: Head) -> bytes:
        """Return the client's handshake, addressed to the endpoint."""
        own = dict(self.endpoint.headers)
        left_out = {*_REPLACED, *(name.lower() for name in own)}
        kept = [pair for pair in asked.headers if pair[0].lower() not in left_out]
        lines = [("Host", self.endpoint.authority), *kept, *own.items()]
        text = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"GET {self.endpoint.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")

    async def _pump(
        self,
        author: Role,
        source: Streams,
        target: Streams,
        readers: Mapping[Role, FrameReader],
        number: int,
    ) -> None:
        while len(self.log.frames) < _MOST and (data := await source[0].read(_READ)):
            target[1].write(data)
            for found in readers[author].feed(data):
                self.log.record(number, author, OTHER[author], found.opcode, found.payload)
            await target[1].drain()
        with contextlib.suppress(OSError, RuntimeError):  # TLS cannot end one direction alone
            target[1].write_eof()
