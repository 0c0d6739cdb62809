"""`AioHttpConnector` on aiohttp's own server."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from interop.peers._server import tls_context
from interop.peers.python.hosts import GRACE, Options, Uncaught, no_open_timeout, no_origins
from zaptools import EventRegister
from zaptools.connectors import AioHttpConnector

__all__ = ["AioHttpHost"]


class AioHttpHost:
    """`AioHttpConnector` on aiohttp's own server."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        no_origins(options)
        no_open_timeout(options)

        async def endpoint(request: web.Request) -> web.WebSocketResponse:
            connector = AioHttpConnector(
                register,
                request,
                subprotocols=options.protocols,
                limits=options.limits,
                compress=options.deflate,
            )
            serving = asyncio.create_task(connector.start())
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)
            try:
                return await serving
            except web.HTTPException:
                raise  # the answer to a request that is no handshake
            except Exception as exc:
                uncaught(exc, "AioHttpConnector raised")
                raise

        app = web.Application()
        app.router.add_get(path, endpoint)
        app.on_shutdown.append(self._end)
        self._serving: set[asyncio.Task[web.WebSocketResponse]] = set()
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        self._host = host
        self._tls = tls_context(options.tls)

    async def start(self) -> int:
        await self._runner.setup()
        listener = socket.create_server((self._host, 0))
        await web.SockSite(self._runner, listener, ssl_context=self._tls).start()
        return int(listener.getsockname()[1])

    async def _end(self, app: web.Application) -> None:
        """End the endpoints. aiohttp would wait for them twice its `shutdown_timeout`, and once if
        they are cancelled."""
        for serving in self._serving:
            serving.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=GRACE)

    async def stop(self) -> None:
        await self._runner.cleanup()

    kill = stop
