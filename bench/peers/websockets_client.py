"""`websockets`' asyncio client with the json module."""

from __future__ import annotations

import json

from _receive import Meter, start
from _serve import Options
from websockets.asyncio.client import connect


async def receive(url: str, meter: Meter, options: Options) -> None:
    compression = "deflate" if options.deflate else None
    connection = await connect(url, compression=compression)
    async for message in connection:
        event = json.loads(message)
        if event["eventName"] == "tick" and meter.tick():
            return


start(receive, "websockets", "uvloop")
