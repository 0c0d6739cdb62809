"""What can serve a register: `ZapServer`, and each framework with its connector."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import uvicorn
from aiohttp import web
from fastapi import FastAPI, WebSocket
from sanic import Request, Sanic, Websocket

from interop.peers._control import Failure, Unsupported
from zaptools import EventRegister, Limits, ZapServer
from zaptools.asgi import AsgiApp
from zaptools.connectors import AioHttpConnector, FastApiConnector, SanicConnector

__all__ = ["HOSTS", "Host", "Options", "limits_of"]

Uncaught = Callable[[BaseException, str], None]

_GRACE = 1
"""Seconds that a framework waits for its connections when it stops."""


@dataclass(frozen=True)
class Options:
    """What ``serve`` asks for beside the API and the path."""

    limits: Limits = field(default_factory=Limits)
    protocols: Sequence[str] = ()
    origins: Sequence[str] | None = None
    deflate: bool = False

    @property
    def compression(self) -> Literal["deflate"] | None:
        return "deflate" if self.deflate else None


_LIMITS = {
    "message_bytes": "message_bytes",
    "ping_interval_s": "ping_interval",
    "ping_timeout_s": "ping_timeout",
}


def limits_of(arguments: dict[str, Any]) -> Limits:
    """Take the limits out of the arguments of ``serve`` or ``open``."""
    given = {_LIMITS[name]: arguments.pop(name) for name in _LIMITS if name in arguments}
    return Limits(**given)


class Host(Protocol):
    """A server, as the control protocol drives it."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None: ...

    async def start(self) -> int:
        """Listen on a free port, and return it."""

    async def stop(self) -> None:
        """Stop as a user would."""

    async def kill(self) -> None:
        """Stop at once; it may have been stopped."""


class ZapServerHost:
    """`ZapServer` itself."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        self._server = ZapServer(
            host,
            0,
            path,
            register=register,
            limits=options.limits,
            compression=options.compression,
            origins=options.origins,
            subprotocols=options.protocols,
        )

    async def start(self) -> int:
        await self._server.start()
        return self._server.port

    async def stop(self) -> None:
        await self._server.close()

    kill = stop


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
        _no_origins(options)
        self._listener = socket.create_server((host, 0))
        config = uvicorn.Config(
            self._app(register, path, uncaught, options),
            log_level="warning",
            timeout_graceful_shutdown=_GRACE,
            ws_ping_interval=options.limits.ping_interval,
            ws_ping_timeout=options.limits.ping_timeout,
            ws_max_size=_above(options.limits.message_bytes),
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
        app = FastAPI()

        @app.websocket(path)
        async def endpoint(websocket: WebSocket) -> None:
            try:
                await FastApiConnector.plug_and_start(
                    register, websocket, subprotocols=options.protocols, limits=options.limits
                )
            except Exception as exc:
                uncaught(exc, "FastApiConnector raised")
                raise

        return app


class AioHttpHost:
    """`AioHttpConnector` on aiohttp's own server."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        _no_origins(options)

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
                raise  # it is the answer to what asks for no WebSocket
            except Exception as exc:
                uncaught(exc, "AioHttpConnector raised")
                raise

        app = web.Application()
        app.router.add_get(path, endpoint)
        app.on_shutdown.append(self._end)
        self._serving: set[asyncio.Task[web.WebSocketResponse]] = set()
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        self._host = host

    async def start(self) -> int:
        await self._runner.setup()
        listener = socket.create_server((self._host, 0))
        await web.SockSite(self._runner, listener).start()
        return int(listener.getsockname()[1])

    async def _end(self, app: web.Application) -> None:
        """End the endpoints, for which aiohttp would wait twice its `shutdown_timeout`; for those
        that were cancelled it waits once, in vain."""
        for serving in self._serving:
            serving.cancel()
        if self._serving:
            await asyncio.wait(self._serving, timeout=_GRACE)

    async def stop(self) -> None:
        await self._runner.cleanup()

    kill = stop


class SanicHost:
    """`SanicConnector` on Sanic's own server."""

    _made = 0

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        _no_origins(options)
        if options.deflate:
            raise Unsupported("Sanic has no permessage-deflate")
        SanicHost._made += 1  # Sanic keeps its applications by name
        self._app = app = Sanic(f"interop{SanicHost._made}", configure_logging=False)
        app.config.GRACEFUL_SHUTDOWN_TIMEOUT = _GRACE
        app.config.update(
            WEBSOCKET_PING_INTERVAL=options.limits.ping_interval,
            WEBSOCKET_PING_TIMEOUT=options.limits.ping_timeout,
            WEBSOCKET_MAX_SIZE=_above(options.limits.message_bytes),
        )
        app.config.TOUCHUP = False  # it rewrites Sanic's own code, once a process
        self._listener = socket.create_server((host, 0))
        self._server: Any = None  # Sanic's methods have no types

        async def endpoint(request: Request, websocket: Websocket) -> None:
            try:
                await SanicConnector.plug_and_start(register, websocket, limits=options.limits)
            except Exception as exc:
                uncaught(exc, "SanicConnector raised")
                raise

        app.add_websocket_route(endpoint, path, subprotocols=list(options.protocols) or None)

    async def start(self) -> int:
        self._server = await self._app.create_server(
            sock=self._listener, return_asyncio_server=True
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
        # Sanic's close() also waits, from Python 3.12.1 on, until all clients have gone.
        server.server.close()
        self._app.shutdown_tasks(_GRACE)
        for connection in list(server.connections):
            connection.close_if_idle()
        for task in list(self._app.websocket_tasks):
            task.cancel()
        await asyncio.gather(*self._app.websocket_tasks, return_exceptions=True)
        Sanic.unregister_app(self._app)

    kill = stop


def _no_origins(options: Options) -> None:
    if options.origins is not None:
        raise Unsupported("a connector checks no origins: that is the framework's business")


def _above(message_bytes: int | None) -> int:
    """Return a framework's own limit, so far above the connector's that it does not interfere."""
    return 4 * (message_bytes or 1 << 28)


HOSTS: Mapping[str, type[Host]] = {
    "ZapServer": ZapServerHost,
    "FastApiConnector": FastApiHost,
    "AsgiApp": AsgiHost,
    "AioHttpConnector": AioHttpHost,
    "SanicConnector": SanicHost,
}
