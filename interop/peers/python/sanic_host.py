"""`SanicConnector` on Sanic's own server."""

from __future__ import annotations

from sanic import Websocket

from interop.peers._control import Unsupported
from interop.peers._sanic import SanicServer
from interop.peers.python.hosts import Options, Uncaught, above, no_origins
from zaptools import EventRegister
from zaptools.connectors import SanicConnector

__all__ = ["SanicHost"]


class SanicHost(SanicServer):
    """`SanicConnector` on Sanic's own server."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        no_origins(options)
        if options.deflate:
            raise Unsupported("Sanic has no permessage-deflate")

        async def endpoint(websocket: Websocket) -> None:
            try:
                await SanicConnector.plug_and_start(register, websocket, limits=options.limits)
            except Exception as exc:
                uncaught(exc, "SanicConnector raised")
                raise

        super().__init__(
            endpoint,
            host,
            path,
            options.tls,
            subprotocols=options.protocols,
            open_timeout_s=options.open_timeout_s,
            WEBSOCKET_PING_INTERVAL=options.limits.ping_interval,
            WEBSOCKET_PING_TIMEOUT=options.limits.ping_timeout,
            WEBSOCKET_MAX_SIZE=above(options.limits.message_bytes),
        )
