"""Where the judge listens for a client program: connections wait until a scenario takes them.

A program is not trusted: what waits is bounded, and so is what is read of a handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import ssl
from asyncio import StreamReader, StreamWriter
from collections import deque
from collections.abc import Sequence

from ..check.uncontrolled import BOUNDS
from ..control.patience import Patience
from ..errors import Disconnected, TestbedError
from ..wire.log import Log
from ..wire.raw import MAX_HEAD, RawConnection

__all__ = ["ClientError", "Door"]

_MOST_WAITING = 100
"""Connections that may wait at once."""


_NO_PAGE = (
    b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 50\r\n\r\n"
    b"The testbed waits here for the WebSocket of an app"
)
"""The answer to a browser or a curl with which a user tries whether the port can be reached."""


class ClientError(TestbedError):
    """A client program cannot be checked: it cannot be started, or never connects.

    Attributes:
        printed: the last lines that it printed; None where it was not started here.
    """

    def __init__(self, why: str, printed: Sequence[str] | None = None) -> None:
        super().__init__(why)
        self.printed = printed


class Door:
    """Listens for a client program.

    Args:
        tls: the context with which it serves ``wss``; None for ``ws``.

    Attributes:
        crowd: how the program exceeded the bounds, in words; empty until it does.
    """

    def __init__(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.host, self.port = host, port
        self.crowd = ""
        self._tls = tls
        self._waiting: deque[tuple[StreamReader, StreamWriter]] = deque()
        self._news = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def open(self) -> Door:
        """Listen.

        Raises:
            ClientError: the address cannot be listened on; says why.
        """
        try:
            self._server = await asyncio.start_server(
                self._accept, self.host, self.port, limit=MAX_HEAD, ssl=self._tls
            )
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            hint = " (another program has it)" if exc.errno == errno.EADDRINUSE else ""
            raise ClientError(f"cannot listen on {self.host}:{self.port}: {why}{hint}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def authority(self, host: str = "") -> str:
        """Return host and port as a URL has them; by default of the host that it listens on."""
        host = host or self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def url(self, path: str, host: str = "") -> str:
        """Return the URL with this path; see `authority`."""
        return f"{'wss' if self._tls else 'ws'}://{self.authority(host)}{path}"

    async def take(self, log: Log, patience: Patience) -> RawConnection:
        """Wait for a connection whose program is still there, and return it, its request read.

        Raises:
            Violation: the request is none, or does not come in time.
        """
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            streams = self._waiting.popleft()
            connection = RawConnection(log, "server", streams, patience, BOUNDS)
            try:
                await connection.read_head()
            except Disconnected:
                await connection.close(reset=False)
                continue
            except BaseException:  # a cancellation too: nothing else ends this connection
                await connection.close(reset=False)
                raise
            if _is_a_page(connection):
                connection.write(_NO_PAGE)
            elif not streams[0].at_eof():  # else it has given up since
                return connection
            await connection.close(reset=False)

    async def close(self) -> None:
        """Stop listening, and end the connections that wait."""
        if self._server is not None:
            for listening in self._server.sockets:  # see `RawServer.close`
                asyncio.get_running_loop().remove_reader(listening.fileno())
            await asyncio.sleep(0)
            self._server.close()
        await self.clear()

    async def clear(self) -> None:
        """End the connections that wait."""
        while self._waiting:
            _, writer = self._waiting.popleft()
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self.crowd = f"it makes connections without end: over {_MOST_WAITING} wait at once"
            writer.transport.abort()
            return
        self._waiting.append((reader, writer))
        self._news.set()


def _is_a_page(connection: RawConnection) -> bool:
    """Whether a request has nothing of a WebSocket's handshake: no client under test made it."""
    of_handshakes = ("Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version")
    return not any(connection.head.all(name) for name in of_handshakes)
