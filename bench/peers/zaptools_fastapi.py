"""This library's `FastApiConnector` on uvicorn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from _serve import Server, options
from _uvicorn import serve
from fastapi import FastAPI, WebSocket

from zaptools import EventContext, EventRegister
from zaptools.connectors import FastApiConnector

register = EventRegister()


@register.on_event("echo")
async def echo(ctx: EventContext) -> None:
    await ctx.connection.send("echo", ctx.payload, ctx.headers)


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
    packages = ("zaptools", "fastapi", "uvicorn", "websockets", "uvloop", "msgspec")
    serve(make, Server(*packages), options())
