"""`AsgiApp` and `FastApiConnector`, under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket

from interop.peers._control import Failure
from interop.peers.python.hosts import GRACE, Options, Uncaught, above, no_origins
from zaptools import EventRegister
from zaptools.asgi import AsgiApp
from zaptools.connectors import FastApiConnector

__all__ = ["AsgiHost", "FastApiHost"]


class _Uvicorn(uvicorn.Server):
    """One of several servers in a process: signals are the process's own business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class AsgiHost:
    """`AsgiApp` under uvicorn."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        no_origins(options)
        self._listener = socket.create_server((host, 0))
        config = uvicorn.Config(
            self._app(register, path, uncaught, options),
            log_config=None,  # the process has its own, and uvicorn would set up loggers each time
            timeout_graceful_shutdown=GRACE,
            ws_ping_interval=options.limits.ping_interval,
            ws_ping_timeout=options.limits.ping_timeout,
            ws_max_size=above(options.limits.message_bytes),
        )
        self._server = _Uvicorn(config)
        self._serving: asyncio.Task[None] | None = None

    def _app(self, register: EventRegister, path: str, uncaught: Uncaught, options: Options) -> Any:
        return AsgiApp(register, path=path, subprotocols=options.protocols, limits=options.limits)

    async def start(self) -> int:
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started:
            if self._serving.done():
                raise Failure("uvicorn did not start")
            await asyncio.sleep(0.005)  # it tells nobody
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def kill(self) -> None:
        self._server.force_exit = True
        await self.stop()
        await self._server.lifespan.shutdown()  # which uvicorn leaves out then


class FastApiHost(AsgiHost):
    """`FastApiConnector` under uvicorn."""

    def _app(self, register: EventRegister, path: str, uncaught: Uncaught, options: Options) -> Any:
        async def serve(websocket: WebSocket) -> None:
            try:
                await FastApiConnector.plug_and_start(
                    register, websocket, subprotocols=options.protocols, limits=options.limits
                )
            except Exception as exc:
                uncaught(exc, "FastApiConnector raised")
                raise

        app = FastAPI(openapi_url=None)  # no routes beside the app's
        app.state.serve = serve
        app.add_api_websocket_route(path, _endpoint)
        return app


async def _endpoint(websocket: WebSocket) -> None:
    """One for all applications: FastAPI reads an endpoint's source to know where it is."""
    await websocket.app.state.serve(websocket)
