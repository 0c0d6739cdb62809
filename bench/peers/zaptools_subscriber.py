"""`ZapSubscriber` with a stream."""

from __future__ import annotations

from _receive import Meter, start
from _serve import Options

from zaptools import ZapSubscriber


async def receive(url: str, meter: Meter, options: Options) -> None:
    client = ZapSubscriber(url, compression="deflate" if options.deflate else None)
    events = client.subscribe_to_event("tick")
    await client.connect()
    async for _ in events:
        if meter.tick():
            return


start(receive, "zaptools", "websockets", "msgspec", "uvloop")
