"""`websockets`' asyncio server: echoes what it gets and knows no JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from _serve import PAYLOAD, Server, listener, options, run
from websockets.asyncio.server import ServerConnection, broadcast, serve

connections: set[ServerConnection] = set()

Echo = Callable[[ServerConnection], Awaitable[None]]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


def to_all() -> None:
    event = {"eventName": "tick", "payload": PAYLOAD, "headers": {}}
    broadcast(connections, json.dumps(event))


def start(handler: Echo) -> None:
    """Serve with `handler`, as the documentation of `websockets` has it."""
    chosen = options()

    async def keep(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await handler(connection)
        finally:
            connections.discard(connection)

    async def main() -> None:
        socket = listener()
        compression = "deflate" if chosen.deflate else None
        async with serve(keep, sock=socket, compression=compression):
            Server("websockets", "uvloop", broadcast=to_all).ready(socket.getsockname()[1])
            await asyncio.Event().wait()

    run(main, chosen.loop)


if __name__ == "__main__":
    start(echo)
