"""The published package's `ZapClient`."""

from __future__ import annotations

from _receive import Meter, start
from _serve import Options

from zaptools.client import ZapClient


async def receive(url: str, meter: Meter, options: Options) -> None:
    client = ZapClient()
    await client.connect(url)
    async for event in client.event_stream():
        if event.event_name == "tick" and meter.tick():
            return


start(receive, "zaptools", "websockets", "uvloop")
