"""The adapters of zaptools 0.5, without `EventProcessor`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, WebSocket

from tests.support.hosts import sanic_server, uvicorned
from tests.support.raw import raw_client
from zaptools.adapters import FastApiAdapter, SanicAdapter


async def test_fastapi() -> None:
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        adapter = FastApiAdapter(websocket)
        await adapter.start_connection()
        async for data in adapter.json_event_stream():
            await adapter.send_event("got", data, {})
            if data == "close":
                await adapter.close()

    async with uvicorned(app) as running:
        async with raw_client(running.port, "/ws") as peer:
            peer.protocol.send_binary(b"1")
            peer.send('"close"')
            assert [(await peer.text())["payload"] for _ in range(2)] == [1, "close"]
            assert (await peer.closed()).code == 1000


async def test_sanic() -> None:
    async def endpoint(request: Any, websocket: Any) -> None:
        adapter = SanicAdapter(websocket)
        await adapter.start_connection()
        await adapter.send_event("first", await adapter.recv_json())
        async for data in adapter.json_event_stream():
            await adapter.send_event("got", data, {"h": 1})
            await adapter.close()

    async with sanic_server(endpoint) as running, raw_client(running.port, "/ws") as peer:
        peer.send("1", "2")
        assert await peer.text() == {"eventName": "first", "payload": 1, "headers": {}}
        assert await peer.text() == {"eventName": "got", "payload": 2, "headers": {"h": 1}}
        assert (await peer.closed()).code == 1000


async def test_the_end_of_a_stream() -> None:
    class Socket:
        def __aiter__(self) -> AsyncIterator[str]:
            return self._all()

        async def _all(self) -> AsyncIterator[str]:
            for item in (1, [2]):
                yield json.dumps(item)

    assert [data async for data in SanicAdapter(Socket()).json_event_stream()] == [1, [2]]
