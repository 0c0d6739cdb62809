"""`SanicConnector` on Sanic's own server."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, ClassVar

from sanic import Request, Sanic, Websocket
from sanic.router import Router
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.signals import SignalRouter
from sanic_routing import BaseRouter

from interop.peers._control import Failure, Unsupported
from interop.peers._server import tls_context
from interop.peers.python.hosts import GRACE, Options, Uncaught, above, no_origins
from zaptools import EventRegister
from zaptools.connectors import SanicConnector

__all__ = ["SanicHost"]


class _CompiledOnce(BaseRouter):
    """A router that compiles Sanic's generated code once for all applications.

    Every cell has its own application, with the same generated code. Parsing, rewriting and
    compiling it takes as long as the rest of the cell.
    """

    _known: ClassVar[dict[str, tuple[Any, Any]]] = {}

    def _render(self, do_compile: bool = True, do_optimize: bool = False) -> None:
        super()._render(False)
        if self.find_route_src not in self._known:
            super()._render()
            self._known[self.find_route_src] = self._find_route, self._matchers
        self._find_route, self._matchers = self._known[self.find_route_src]


class _Router(_CompiledOnce, Router):
    # Sanic's own is one cache for all routers, which would keep those of a thousand cells.
    get = Router._get  # type: ignore[assignment] # on purpose no cache


class _SignalRouter(_CompiledOnce, SignalRouter):
    pass


class _Protocol(WebSocketProtocol):
    """Sanic's protocol, without the timer that keeps it alive for a minute after its end."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)  # type: ignore[no-untyped-call] # Sanic's has no types
        if self._callback_check_timeouts is not None:
            self._callback_check_timeouts.cancel()


class SanicHost:
    """`SanicConnector` on Sanic's own server."""

    _made = 0

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        no_origins(options)
        if options.deflate:
            raise Unsupported("Sanic has no permessage-deflate")
        SanicHost._made += 1  # Sanic registers its applications by name
        self._app = app = Sanic(
            f"interop{SanicHost._made}",
            configure_logging=False,
            router=_Router(),
            signal_router=_SignalRouter(),
        )
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = GRACE
        app.config.update(
            WEBSOCKET_PING_INTERVAL=options.limits.ping_interval,
            WEBSOCKET_PING_TIMEOUT=options.limits.ping_timeout,
            WEBSOCKET_MAX_SIZE=above(options.limits.message_bytes),
        )
        if options.open_timeout_s is not None:  # before the first byte, and after it
            seconds = options.open_timeout_s
            app.config.update(KEEP_ALIVE_TIMEOUT=seconds, REQUEST_TIMEOUT=seconds)
        app.config.AUTO_EXTEND = app.config.MOTD = False
        app.config.TOUCHUP = False  # it would rewrite Sanic's own code, once per process
        self._listener = socket.create_server((host, 0))
        self._tls = tls_context(options.tls)
        self._server: Any = None  # Sanic's methods have no types

        async def endpoint(request: Request, websocket: Websocket) -> None:
            try:
                await SanicConnector.plug_and_start(register, websocket, limits=options.limits)
            except Exception as exc:
                uncaught(exc, "SanicConnector raised")
                raise

        # Without a format Sanic looks for one in the endpoint's source.
        subprotocols = list(options.protocols) or None
        app.add_websocket_route(endpoint, path, subprotocols=subprotocols, error_format="text")

    async def start(self) -> int:
        self._server = await self._app.create_server(
            sock=self._listener,
            return_asyncio_server=True,
            protocol=_Protocol,
            ssl=self._tls,
        )
        if self._server is None:
            raise Failure("Sanic did not start")
        await self._server.startup()
        await self._server.start_serving()
        return int(self._listener.getsockname()[1])

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        # From Python 3.12.1 on Sanic's close() waits until every client has gone.
        server.server.close()
        self._app.shutdown_tasks(GRACE)
        for connection in list(server.connections):
            connection.close_if_idle()
        for task in list(self._app.websocket_tasks):
            task.cancel()
        await asyncio.gather(*self._app.websocket_tasks, return_exceptions=True)
        Sanic.unregister_app(self._app)

    kill = stop
