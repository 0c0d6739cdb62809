"""The servers under measurement: ``python -m bench.servers NAME`` serves and prints its port."""

from __future__ import annotations

import asyncio
import sys

import websockets.asyncio.server

from zaptools import EventContext, ZapServer


async def zaptools() -> None:
    server = ZapServer(port=0)

    @server.on_event("echo")
    async def echo(ctx: EventContext) -> None:
        await ctx.connection.send("echo", ctx.payload, ctx.headers)

    async with server:
        print(server.port, flush=True)  # noqa: T201  # read by the measuring process
        await asyncio.Event().wait()


async def raw_websockets() -> None:
    async def echo(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with websockets.asyncio.server.serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # as above
        await asyncio.Event().wait()


def main() -> None:
    """Serve with uvloop where it is installed."""
    servers = {"zaptools": zaptools, "websockets": raw_websockets}
    try:
        import uvloop
    except ImportError:
        asyncio.run(servers[sys.argv[1]]())
    else:
        uvloop.run(servers[sys.argv[1]]())


if __name__ == "__main__":
    main()
