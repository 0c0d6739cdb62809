"""`websockets`' asyncio server with events written by hand, with the json module."""

from __future__ import annotations

import json

from websockets.asyncio.server import ServerConnection
from websockets_raw import start


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        event = json.loads(message)
        if event["eventName"] == "echo":
            answer = {
                "eventName": "echo",
                "payload": event["payload"],
                "headers": event["headers"],
            }
            await connection.send(json.dumps(answer))


start(echo)
