"""A real server, a real client, and the proxy between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from interop.check.endpoint import parse_endpoint
from interop.traffic.masks import Masks
from interop.traffic.playback import Options, Playback
from interop.traffic.proxy import Proxy
from interop.traffic.recording import Recorder, Recording, load
from tests.support import within
from zaptools import EventContext, ZapConsumer, ZapServer

__all__ = ["proxied", "recorded", "replayed", "shop"]


@asynccontextmanager
async def proxied(
    url: str, file: Path, *, masks: Masks | None = None, longest: int = 1000, **options: Any
) -> AsyncIterator[Proxy]:
    """Run the proxy in front of a server, recording into `file`."""
    upstream = parse_endpoint(url, **options)
    recorder = Recorder(file, 1 << 24)
    recorder.begin(upstream.shown, upstream.target.partition("?")[0])
    proxy = Proxy(upstream, recorder, masks or Masks(), longest=longest)
    await proxy.start("127.0.0.1", 0)
    try:
        yield proxy
    finally:
        await proxy.close()
        recorder.close()


@asynccontextmanager
async def shop(**change: Any) -> AsyncIterator[str]:
    """Run a server; each option changes what it says in one way."""
    server = ZapServer(port=0)

    @server.on_event("watch")
    async def watch(ctx: EventContext) -> None:
        price = {"amount": 10, "currency": "EUR", "item": {"id": 7, "tags": ["a"]}, "old": None}
        price.update(change.get("price", {}))
        for name in change.get("without", ()):
            del price[name]
        if not change.get("silent"):
            await ctx.connection.send(change.get("name", "price"), price)
        if "more" in change:
            await ctx.connection.send(change["more"], 1)
        if "close" in change:
            await ctx.connection.close(change["close"])

    @server.on_event("login")
    async def login(ctx: EventContext) -> None:
        await ctx.connection.send("session", {"token": change.get("token", "first-token")})

    @server.on_event("whoami")
    async def whoami(ctx: EventContext) -> None:
        if ctx.payload["token"] != change.get("token", "first-token"):
            await ctx.connection.close(4003)
        else:
            await ctx.connection.send("you", "Ada")

    @server.on_event("sum")
    async def total(ctx: EventContext) -> None:
        if change.get("fails"):
            raise RuntimeError("no sum today")
        await ctx.reply(change.get("sum", 3))

    @server.on_event("error")
    async def error(ctx: EventContext) -> None:
        """Keep quiet."""

    async with server:
        yield f"ws://127.0.0.1:{server.port}/"


async def recorded(file: Path) -> Recording:
    """Record a client that uses all of the shop."""
    async with shop() as url, proxied(url, file) as proxy:
        client = ZapConsumer(f"ws://127.0.0.1:{proxy.port}/")
        got: asyncio.Queue[Any] = asyncio.Queue()

        async def keep(event: Any) -> None:
            await got.put(event.payload)

        for name in ("price", "session", "you"):
            client.on_event(name)(keep)
        async with client:
            await client.send_event("watch")
            await within(got.get())
            await client.send_event("login", {"password": "hunter2"})
            session = await within(got.get())
            await client.send_event("whoami", session)
            await within(got.get())
            assert (await client.request("sum", [1, 2])).payload == 3
    return load(file)


async def replayed(recording: Recording, url: str, **options: Any) -> tuple[Playback, list[str]]:
    """Replay to a server; return the findings in words, notes marked."""
    options.setdefault("patience", 0.3)
    headers = options.pop("headers", ())
    playback = Playback(recording, parse_endpoint(url, headers=headers), Options(**options))
    await within(playback.run())
    return playback, [
        ("note: " if found.level == "note" else "") + str(found) for found in playback.differences
    ]
