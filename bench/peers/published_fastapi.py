"""The published package's `FastApiConnector` on uvicorn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from _serve import PAYLOAD, Server, options
from _uvicorn import serve
from fastapi import FastAPI, WebSocket

from zaptools import EventContext, EventRegister
from zaptools.connectors import FastApiConnector
from zaptools.core import WebSocketConnection

register = EventRegister()
connections: dict[str, WebSocketConnection] = {}


@register.on_event("connected")
async def connected(ctx: EventContext) -> None:
    connections[ctx.connection.id] = ctx.connection


@register.on_event("disconnected")
async def disconnected(ctx: EventContext) -> None:
    connections.pop(ctx.connection.id, None)


@register.on_event("echo")
async def echo(ctx: EventContext) -> None:
    await ctx.connection.send("echo", ctx.payload, ctx.headers)


async def broadcast() -> None:
    for connection in list(connections.values()):
        await connection.send("tick", PAYLOAD)


def make(started: Callable[[], None]) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        started()
        yield

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        await FastApiConnector(register, websocket).start()

    return app


if __name__ == "__main__":
    packages = ("zaptools", "fastapi", "uvicorn", "websockets", "uvloop")
    serve(make, Server(*packages, broadcast=broadcast), options())
