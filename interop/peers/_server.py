"""What the server roles of the Python peers share: the server's life, names, and reports."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from interop.peers._control import Failure, PeerSession

__all__ = ["BaseServerRole", "pem_file", "tls_context"]


@contextlib.contextmanager
def pem_file(pem: str) -> Iterator[str]:
    """Keep a certificate and its key in a file, since Python loads them from files alone."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(pem)
        file.flush()
        yield file.name


def tls_context(pem: str | None) -> ssl.SSLContext | None:
    """Return the TLS context of a server with this certificate and key, if it has one."""
    if pem is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pem_file(pem) as path:
        context.load_cert_chain(path)
    return context


class _Server(Protocol):
    async def stop(self) -> None:
        """Stop as a user would."""

    async def kill(self) -> None:
        """Stop at once; it may have been stopped."""


class BaseServerRole(PeerSession):
    """A server's session. The library's objects are `Any`: there are two libraries of that name."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.server: _Server | None = None  # set by ``serve``, until the session is torn down
        self.greeting: Sequence[Mapping[str, Any]] = ()  # what the connected handler sends
        self.at_connect: Mapping[str, Any] | None = None  # the event that it then does as told
        self.at_disconnect: Mapping[str, Any] | None = None  # likewise the disconnected handler
        self._names: dict[Any, str] = {}  # of every connection that was reported
        self._connections: dict[str, Any] = {}  # the same the other way round

    def find(self, conn: str) -> Any:
        """Return the connection of that name.

        Raises:
            Failure: there is none.
        """
        if conn not in self._connections:
            raise Failure(f"no connection {conn!r}")
        return self._connections[conn]

    def name(self, connection: Any) -> str:
        """Return the connection's name: by object, since the library's ids are under test."""
        if connection not in self._names:
            name = self._names[connection] = str(len(self._names) + 1)
            self._connections[name] = connection
        return self._names[connection]

    async def op_stop(self) -> None:
        if self.server is None:
            raise Failure("there is no server")
        await self.server.stop()

    async def op_push(self, conn: str, event: str, payload: Any = None, **more: Any) -> None:
        await self.find(conn).send(event, payload, **more)

    async def on_connected(self, ctx: Any) -> None:
        """Handle ``connected``."""
        self.notify("connected", conn=self.name(ctx.connection))
        for sent in self.greeting:
            await ctx.connection.send(sent["event"], sent["payload"], sent["headers"])
        await self.act(ctx, self.at_connect)

    async def act(self, ctx: Any, asked: Mapping[str, Any] | None) -> None:
        """Do what the interop app does at that event, if there is one."""
        if asked is not None:
            await self.app(ctx, asked["event"], asked["payload"], {})

    async def app(self, ctx: Any, name: str, payload: Any, headers: Any) -> None:
        """Do what the interop app does at an event of the context's connection."""
        raise NotImplementedError

    def report(self, ctx: Any, via: str = "named") -> None:
        """Report an event that came to its handler, or to the catch-all."""
        self.notify(
            "event",
            conn=self.name(ctx.connection),
            name=ctx.event_name,
            payload=ctx.payload,
            headers=ctx.headers,
            via=via,
        )

    async def teardown(self) -> None:
        await super().teardown()
        if self.server is not None:
            await self.server.kill()
            self.server = None
        # Timers that are still to come hold the session, and not what it had.
        self._names.clear()
        self._connections.clear()
