"""The published connectors, each on the server that its users run: the library has none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, WebSocket

from interop.peers._control import Unsupported, keep
from interop.peers._uvicorn import UvicornServer
from zaptools import EventRegister
from zaptools.connectors import FastApiConnector, SanicConnector

if TYPE_CHECKING:
    from sanic import Websocket

    from interop.peers._sanic import SanicServer

__all__ = ["HOSTS", "Options"]

_Uncaught = Callable[[BaseException, str], None]


@dataclass(frozen=True)
class Options:
    """The arguments of ``serve`` that concern the framework."""

    host: str
    path: str
    protocols: Sequence[str] | None
    origins: Sequence[str] | None
    deflate: bool
    tls: str | None
    limits: Mapping[str, Any]

    def settings(self, names: Mapping[str, str], framework: str) -> dict[str, Any]:
        """Return the limits under the framework's names for them.

        Raises:
            Unsupported: it has no such limit, or origins are asked for, at which none looks.
        """
        if self.origins is not None:
            raise Unsupported("the connectors accept any origin")
        if unknown := self.limits.keys() - names:
            raise Unsupported(f"{framework} sets no {', '.join(unknown)}")
        return {names[name]: value for name, value in self.limits.items()}


def _on_uvicorn(register: EventRegister, options: Options, uncaught: _Uncaught) -> UvicornServer:
    if options.protocols is not None:
        raise Unsupported("FastApiConnector accepts with no subprotocol")
    names = {
        "message_bytes": "ws_max_size",
        "ping_interval_s": "ws_ping_interval",
        "ping_timeout_s": "ws_ping_timeout",
    }
    app = FastAPI()

    @app.websocket(options.path)
    async def endpoint(websocket: WebSocket) -> None:
        try:
            await FastApiConnector(register, websocket).start()
        except Exception as exc:
            uncaught(exc, "FastApiConnector.start raised")
            raise

    return UvicornServer(
        app,
        options.host,
        options.tls,
        http="h11",  # as where Sanic has not brought httptools, which uvicorn prefers
        lifespan="off",
        log_level="info",
        timeout_graceful_shutdown=1,
        **options.settings(names, "uvicorn"),  # it always agrees to permessage-deflate
    )


_MESSAGE_BYTES = 1 << 24
"""As uvicorn's. Sanic's own is 1 MiB, and a peer declares one limit for all of its servers."""


def _on_sanic(register: EventRegister, options: Options, uncaught: _Uncaught) -> SanicServer:
    if options.deflate:
        raise Unsupported("Sanic has no permessage-deflate")
    names = {
        "message_bytes": "WEBSOCKET_MAX_SIZE",
        "ping_interval_s": "WEBSOCKET_PING_INTERVAL",
        "ping_timeout_s": "WEBSOCKET_PING_TIMEOUT",
        "open_timeout_s": "open_timeout_s",
    }
    settings = {"WEBSOCKET_MAX_SIZE": _MESSAGE_BYTES, **options.settings(names, "Sanic")}

    async def endpoint(websocket: Websocket) -> None:
        try:
            await SanicConnector(register, websocket).start()
        except Exception as exc:
            uncaught(exc, "SanicConnector.start raised")
            raise

    return _sanic_server()(
        endpoint,
        options.host,
        options.path,
        options.tls,
        subprotocols=options.protocols or (),
        **settings,
    )


@functools.cache
def _sanic_server() -> type[SanicServer]:
    """Return the class, imported when it is first to serve: that takes longer than a cell."""
    from interop.peers._sanic import SanicServer

    keep()
    return SanicServer


HOSTS: Mapping[str, Callable[[EventRegister, Options, _Uncaught], Any]] = {
    "FastApiConnector": _on_uvicorn,
    "SanicConnector": _on_sanic,
}
"""What makes the server of each API."""
