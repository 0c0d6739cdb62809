"""`EventProcessor` over adapters, ours and one made for zaptools 0.5."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

from fastapi import FastAPI, WebSocket

from tests.support.contract import Log
from tests.support.hosts import uvicorned
from tests.support.raw import raw_client
from zaptools.adapters import FastApiAdapter
from zaptools.core import EventCaller, EventProcessor, WebSocketConnection


class Adapter:
    """An adapter that an application has for another framework."""

    def __init__(self, websocket: Any) -> None:
        self.websocket = websocket
        self.sent: list[Any] = []
        self.closed = 0

    async def start_connection(self) -> None: ...

    async def recv_json(self) -> Any:
        return json.loads(self.websocket.pop(0))

    async def json_event_stream(self) -> AsyncIterator[Any]:
        while self.websocket:
            yield await self.recv_json()

    async def send_event(
        self, event_name: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        self.sent.append((event_name, payload, headers))

    async def close(self) -> None:
        self.closed += 1


def processor(register: Log, *messages: str) -> tuple[EventProcessor, Adapter]:
    adapter = Adapter(list(messages))
    connection = WebSocketConnection("id", adapter)  # type: ignore[arg-type]  # as it was in 0.5
    return EventProcessor(connection, EventCaller(register)), adapter


async def test_the_stream() -> None:
    register = Log()
    messages = (
        '{"eventName":"echo","payload":1}',
        "nonsense",
        '{"eventName":1}',
        '{"eventName":"boom"}',
        '{"eventName":"echo","payload":2,"headers":{"a":1}}',
    )
    serving, adapter = processor(register, *messages)
    await serving.start_event_stream()
    assert register.log == ["connected", 1, 2, "disconnected"]
    assert adapter.sent == [("echo", 1, {}), ("echo", 2, {"a": 1})]
    assert [type(error).__name__ for error in register.errors] == [
        "CodecError",
        "CodecError",
        "ZeroDivisionError",
    ]
    assert register.ends == [(1006, "", None)]


async def test_an_adapter_that_reads_more_than_json() -> None:
    """It does not end the connection: what JSON has not is written as ever, or is an error."""
    register = Log()
    serving, adapter = processor(register)
    read = ({1: b"a"}, date(2025, 1, 31), object(), {(1, 2): 3}, "last")
    adapter.websocket = [{"eventName": "echo", "payload": payload} for payload in read]

    async def recv_json() -> Any:
        return adapter.websocket.pop(0)

    adapter.recv_json = recv_json  # type: ignore[method-assign] # as another one has it
    await serving.start_event_stream()
    assert [payload for _, payload, _ in adapter.sent] == [{"1": "YQ=="}, "2025-01-31", "last"]
    assert [getattr(error, "reason", "") for error in register.errors] == ["not-json"] * 2
    serving, adapter = processor(register)
    await serving.intercept_data({"eventName": "echo", "payload": b"a"})
    assert adapter.sent == [("echo", "YQ==", {})]


async def test_closing() -> None:
    register = Log()
    serving, adapter = processor(register, '{"eventName":"close","payload":[1000,""]}')
    await serving.start_event_stream()
    assert adapter.closed == 1 and register.ends == [(1000, "", "local")]


async def test_step_by_step() -> None:
    register = Log()
    serving, adapter = processor(register, '{"eventName":"echo","payload":1}')
    await serving.notify_connected()
    assert await serving.receive_events()
    await serving.intercept_data({"eventName": "echo", "payload": 2})
    await serving.intercept_data({"eventName": "boom"})
    assert not await serving.receive_events()
    errors: list[Any] = []
    register.on_error(lambda ctx: errors.append(ctx.payload), replace=True)
    await serving.notify_error("boom", "why")
    await serving.notify_disconnected()
    assert register.log == ["connected", 1, 2, "disconnected"]
    assert len(adapter.sent) == 2 and len(register.errors) == 1
    assert "'boom'" in errors[0] and "why" in errors[0]


async def test_a_message_before_the_stream() -> None:
    """The caller has told of the connection then; ``connected`` is not called once more."""
    register = Log()
    serving, _ = processor(register, '{"eventName":"echo","payload":2}')
    await serving.notify_connected()
    await serving.intercept_data({"eventName": "echo", "payload": 1})
    await serving.start_event_stream()
    assert register.log == ["connected", 1, 2, "disconnected"]


async def test_on_fastapi() -> None:
    register = Log()
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        adapter: Any = FastApiAdapter(websocket)
        await adapter.start_connection()
        connection = WebSocketConnection("id", adapter)
        await EventProcessor(connection, EventCaller(register)).start_event_stream()

    async with uvicorned(app) as running, raw_client(running.port, "/ws") as peer:
        peer.event("echo", 1)
        assert (await peer.text())["payload"] == 1
        peer.send(close=4000)
        assert await register.ended() == (4000, "", "remote")
