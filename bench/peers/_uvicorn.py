"""Serves an ASGI application with uvicorn, with the settings that its command line has."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn
from _serve import Options, Server, listener

__all__ = ["serve"]


def serve(make: Callable[[Callable[[], None]], object], server: Server, options: Options) -> None:
    """Serve the application that `make` returns.

    Args:
        make: gets what the application has to call when it starts (ASGI's lifespan).
        server: answers the measuring process.
        options: the event loop.
    """
    socket = listener()
    port = socket.getsockname()[1]
    app = make(lambda: server.ready(port))
    config = uvicorn.Config(app, loop=options.loop, log_level="warning", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket])
