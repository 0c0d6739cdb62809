"""A client that stays connected and answers: what the app does, in Python."""

from __future__ import annotations

import asyncio
import os

from zaptools import EventData, ZapConsumer

client = ZapConsumer(os.environ["ZAPTOOLS_URL"])


@client.on_event("echo")
async def echo(event: EventData) -> None:
    await client.send_event("echo", event.payload, event.headers)


async def main() -> None:
    async with client:
        async for _ in client:
            pass


if __name__ == "__main__":
    asyncio.run(main())
