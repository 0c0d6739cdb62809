"""python-socketio on uvicorn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import socketio
from _serve import PAYLOAD, Server, options
from _uvicorn import serve

# The limit of a message is 1 MB by default, a little less than the greatest message here.
sio = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=1 << 21)


@sio.event
async def echo(sid: str, data: Any) -> None:
    await sio.emit("echo", data, to=sid)


async def broadcast() -> None:
    await sio.emit("tick", PAYLOAD)


def make(started: Callable[[], None]) -> socketio.ASGIApp:
    async def startup() -> None:
        started()

    return socketio.ASGIApp(sio, on_startup=startup)


packages = ("python-socketio", "python-engineio", "uvicorn", "websockets", "uvloop")
serve(make, Server(*packages, broadcast=broadcast), options())
