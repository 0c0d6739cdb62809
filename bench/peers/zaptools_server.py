"""`ZapServer` with an async handler."""

from __future__ import annotations

import asyncio

from _serve import PAYLOAD, Server, options, run

from zaptools import EventContext, ZapServer

chosen = options()
server = ZapServer(port=0, compression="deflate" if chosen.deflate else None)


@server.on_event("echo")
async def echo(ctx: EventContext) -> None:
    await ctx.connection.send("echo", ctx.payload, ctx.headers)


async def broadcast() -> None:
    await server.broadcast("tick", PAYLOAD)


async def main() -> None:
    async with server:
        Server("zaptools", "websockets", "msgspec", "uvloop", broadcast=broadcast).ready(
            server.port
        )
        await asyncio.Event().wait()


run(main, chosen.loop)
