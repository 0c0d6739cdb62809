"""Frameworks on loopback, for tests of connectors."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from aiohttp import web
from sanic import Sanic

from . import until

__all__ = [
    "AioHttpServer",
    "SanicServer",
    "Uvicorn",
    "aiohttp_server",
    "sanic_server",
    "sanic_serving",
    "uvicorned",
]

_numbers = itertools.count()


class Uvicorn:
    """A running uvicorn."""

    def __init__(self, app: Any, **options: Any) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        options.setdefault("log_level", "critical")
        self.server = uvicorn.Server(uvicorn.Config(app, **options))
        self.task = asyncio.create_task(self.server._serve(sockets=[self._listener]))

    async def stop(self) -> None:
        self.server.should_exit = True
        await self.task


@asynccontextmanager
async def uvicorned(app: Any, **options: Any) -> AsyncIterator[Uvicorn]:
    """Run an ASGI application under uvicorn."""
    options.setdefault("timeout_graceful_shutdown", 1)
    running = Uvicorn(app, **options)
    try:
        await until(lambda: running.server.started or running.task.done())
        yield running
    finally:
        await running.stop()


class AioHttpServer:
    """A running aiohttp application."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self.runner = runner
        self.port = port

    async def stop(self) -> None:
        await self.runner.cleanup()


@asynccontextmanager
async def aiohttp_server(
    endpoint: Callable[[web.Request], Awaitable[web.StreamResponse]], **options: Any
) -> AsyncIterator[AioHttpServer]:
    """Run an aiohttp application whose ``/ws`` is `endpoint`."""
    app = web.Application()
    app.router.add_get("/ws", endpoint)
    runner = web.AppRunner(app, shutdown_timeout=1, **options)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    running = AioHttpServer(runner, listener.getsockname()[1])
    try:
        yield running
    finally:
        await running.stop()


class SanicServer:
    """A running Sanic application."""

    def __init__(self, app: Any, server: Any, port: int) -> None:
        self.app = app
        self.server = server
        self.port = port

    async def stop(self) -> None:
        """Do what Sanic's own worker does when it stops."""
        if self.server is None:
            return
        server, self.server = self.server, None
        # Sanic's close() also waits, from Python 3.12.1 on, until all clients have gone.
        server.server.close()
        for connection in list(server.connections):
            connection.close_if_idle()
        self.cancel()
        await asyncio.gather(*self.app.websocket_tasks, return_exceptions=True)
        self.app.shutdown_tasks(0)
        Sanic.unregister_app(self.app)

    def cancel(self) -> None:
        for task in list(self.app.websocket_tasks):
            task.cancel()


@asynccontextmanager
async def sanic_server(
    endpoint: Callable[[Any, Any], Awaitable[None]], **options: Any
) -> AsyncIterator[SanicServer]:
    """Run a Sanic application whose ``/ws`` is `endpoint`; `options` are its route's."""
    app: Any = Sanic(f"test{next(_numbers)}", configure_logging=False)
    app.add_websocket_route(endpoint, "/ws", **options)
    async with sanic_serving(app) as running:
        yield running


@asynccontextmanager
async def sanic_serving(app: Any) -> AsyncIterator[SanicServer]:
    """Run a Sanic application."""
    app.config.TOUCHUP = False  # it rewrites Sanic's own code, once a process
    listener = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(sock=listener, return_asyncio_server=True)
    await server.startup()
    await server.start_serving()
    running = SanicServer(app, server, listener.getsockname()[1])
    try:
        yield running
    finally:
        await running.stop()
