"""`AsgiApp` and `FastApiConnector`, under uvicorn."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, WebSocket

from interop.peers._uvicorn import UvicornServer
from interop.peers.python.hosts import GRACE, Options, Uncaught, above, no_open_timeout, no_origins
from zaptools import EventRegister
from zaptools.asgi import AsgiApp
from zaptools.connectors import FastApiConnector

__all__ = ["AsgiHost", "FastApiHost"]


class AsgiHost:
    """`AsgiApp` under uvicorn."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        no_origins(options)
        no_open_timeout(options)
        self._server = UvicornServer(
            self._app(register, path, uncaught, options),
            host,
            options.tls,
            log_config=None,  # the process has its own, and uvicorn would set up loggers each time
            timeout_graceful_shutdown=GRACE,
            ws_ping_interval=options.limits.ping_interval,
            ws_ping_timeout=options.limits.ping_timeout,
            ws_max_size=above(options.limits.message_bytes),
            lifespan="on",  # "auto" takes an application that fails at it for one that has none
        )
        self.start, self.stop, self.kill = self._server.start, self._server.stop, self._server.kill

    def _app(self, register: EventRegister, path: str, uncaught: Uncaught, options: Options) -> Any:
        return AsgiApp(register, path=path, subprotocols=options.protocols, limits=options.limits)


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
