"""`ZapConsumer` with an async handler."""

from __future__ import annotations

from _receive import Meter, start
from _serve import Options

from zaptools import EventData, ZapConsumer


async def receive(url: str, meter: Meter, options: Options) -> None:
    client = ZapConsumer(url, compression="deflate" if options.deflate else None)

    @client.on_event("tick")
    async def tick(event: EventData) -> None:
        meter.tick()

    await client.connect()
    await meter.done.wait()


start(receive, "zaptools", "websockets", "msgspec", "uvloop")
