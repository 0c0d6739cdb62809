"""This library's `AsgiApp` on uvicorn, with no framework."""

from __future__ import annotations

from collections.abc import Callable

from _serve import Server, options
from _uvicorn import serve

from zaptools import EventContext, EventRegister
from zaptools.asgi import AsgiApp

register = EventRegister()


@register.on_event("echo")
async def echo(ctx: EventContext) -> None:
    await ctx.connection.send("echo", ctx.payload, ctx.headers)


class App(AsgiApp):
    """Says when the server has started."""

    def __init__(self, started: Callable[[], None]) -> None:
        super().__init__(register)
        self._started = started

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]  # ASGI's
        if scope["type"] == "lifespan":
            self._started()
        await super().__call__(scope, receive, send)


if __name__ == "__main__":
    serve(App, Server("zaptools", "uvicorn", "websockets", "uvloop", "msgspec"), options())
