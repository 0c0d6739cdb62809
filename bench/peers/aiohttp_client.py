"""aiohttp's client with its JSON helper."""

from __future__ import annotations

import aiohttp
from _receive import Meter, start
from _serve import Options


async def receive(url: str, meter: Meter, options: Options) -> None:
    async with aiohttp.ClientSession() as session:
        socket = await session.ws_connect(url, compress=15 if options.deflate else 0)
        async for message in socket:
            event = message.json()
            if event["eventName"] == "tick" and meter.tick():
                return


start(receive, "aiohttp", "uvloop")
