"""uvicorn as a peer runs it: one server of several in a process, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from interop.peers._control import Failure
from interop.peers._server import pem_file

__all__ = ["UvicornServer"]

_POLL = 0.005
"""Seconds between looks at whether uvicorn has started: it has no event for that."""


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class UvicornServer:
    """One application, served on a free port.

    Args:
        app: the ASGI application.
        host: the address to listen on.
        tls: the certificate and its key, as PEM text, with which it serves TLS; None for none.
        settings: those of `uvicorn.Config`.
    """

    def __init__(self, app: Any, host: str, tls: str | None = None, **settings: Any) -> None:
        self._listener = socket.create_server((host, 0))
        if tls is None:
            config = uvicorn.Config(app, **settings)
        else:
            with pem_file(tls) as path:
                config = uvicorn.Config(app, ssl_certfile=path, **settings)
                config.load()
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None  # once `start` was called

    async def start(self) -> int:
        """Start, and return the port.

        Raises:
            Failure: uvicorn ended instead.
        """
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started:
            if self._serving.done():
                raise Failure("uvicorn did not start")
            await asyncio.sleep(_POLL)
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop as a user would: connections may end by themselves for a while."""
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def kill(self) -> None:
        """Stop at once; it may have been stopped."""
        self._server.force_exit = True
        await self.stop()
        if self._server.started:
            await self._server.lifespan.shutdown()  # which uvicorn leaves out then
