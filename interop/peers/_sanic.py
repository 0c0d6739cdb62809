"""Sanic's own server as a peer runs it: one application of several in a process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from sanic import Request, Sanic, Websocket
from sanic.router import Router
from sanic.server.protocols.websocket_protocol import WebSocketProtocol
from sanic.signals import SignalRouter
from sanic_routing import BaseRouter

from interop.peers._control import Failure
from interop.peers._server import tls_context

__all__ = ["SanicServer"]

_GRACE = 1
"""Seconds for which Sanic waits for its connections when it stops."""


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


class SanicServer:
    """One application with one WebSocket endpoint, served on a free port.

    Args:
        endpoint: serves one WebSocket.
        host: the address to listen on.
        path: the endpoint's path.
        tls: the certificate and its key, as PEM text, with which it serves TLS; None for none.
        subprotocols: those to choose from.
        open_timeout_s: how long a client may take for its handshake; None for Sanic's own times.
        settings: Sanic's, such as ``WEBSOCKET_MAX_SIZE``.
    """

    _made = 0

    def __init__(
        self,
        endpoint: Callable[[Websocket], Awaitable[None]],
        host: str,
        path: str,
        tls: str | None = None,
        *,
        subprotocols: Sequence[str] = (),
        open_timeout_s: float | None = None,
        **settings: Any,
    ) -> None:
        SanicServer._made += 1  # Sanic registers its applications by name
        self._app = app = Sanic(
            f"interop{SanicServer._made}",
            configure_logging=False,
            router=_Router(),
            signal_router=_SignalRouter(),
        )
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = _GRACE
        app.config.update(settings)
        if open_timeout_s is not None:  # before the first byte, and after it
            app.config.update(KEEP_ALIVE_TIMEOUT=open_timeout_s, REQUEST_TIMEOUT=open_timeout_s)
        app.config.AUTO_EXTEND = app.config.MOTD = False
        app.config.TOUCHUP = False  # it would rewrite Sanic's own code, once per process
        self._listener = socket.create_server((host, 0))
        self._tls = tls_context(tls)
        self._server: Any = None  # Sanic's methods have no types

        async def handler(request: Request, websocket: Websocket) -> None:
            await endpoint(websocket)

        # Without a format Sanic looks for one in the endpoint's source.
        app.add_websocket_route(
            handler, path, subprotocols=list(subprotocols) or None, error_format="text"
        )

    async def start(self) -> int:
        """Start, and return the port.

        Raises:
            Failure: Sanic made no server.
        """
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
        """Stop as Sanic does; it may have been stopped."""
        server, self._server = self._server, None
        if server is None:
            return
        # As Sanic does on a signal: its listener of before_server_stop cancels the endpoints.
        for task in list(self._app.websocket_tasks):
            task.cancel()
        await asyncio.gather(*self._app.websocket_tasks, return_exceptions=True)
        # From Python 3.12.1 on Sanic's close() waits until every client has gone.
        server.server.close()
        for connection in list(server.connections):
            connection.close_if_idle()
        self._app.shutdown_tasks(_GRACE)
        Sanic.unregister_app(self._app)

    kill = stop
