"""aiohttp's server with events written by hand, with its JSON helpers."""

from __future__ import annotations

import asyncio

from _serve import Server, listener, options, run
from aiohttp import WSMsgType, web

chosen = options()


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(compress=chosen.deflate)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            event = message.json()
            if event["eventName"] == "echo":
                answer = {
                    "eventName": "echo",
                    "payload": event["payload"],
                    "headers": event["headers"],
                }
                await socket.send_json(answer)
    return socket


async def main() -> None:
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    socket = listener()
    await web.SockSite(runner, socket).start()
    Server("aiohttp", "uvloop").ready(socket.getsockname()[1])
    await asyncio.Event().wait()


run(main, chosen.loop)
