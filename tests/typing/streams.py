# pyright: strict
"""What type checkers make of streams, rooms, the test client and what the codec gives."""

from __future__ import annotations

from typing import assert_type

from zaptools import (
    BroadcastResult,
    CloseInfo,
    EventData,
    EventRegister,
    MetaTag,
    Room,
    RoomManager,
    Stream,
    WebSocketConnection,
    ZapClient,
    ZapClientState,
    ZapServer,
    ZapSubscriber,
    decode_event,
    encode_event,
)
from zaptools.testing import TestClient


async def streams(url: str) -> None:
    async with ZapSubscriber(url) as client:
        assert_type(client, ZapSubscriber)
        assert_type(client.connection_state, Stream[ZapClientState])
        assert_type(client.subscribe_to_event("a"), Stream[EventData])
        assert_type(client.subscribe_to_events(["a", "b"]), Stream[EventData])
        async for event in client.subscribe_to_all_event():
            assert_type(event, EventData)
        async for state in client.connection_state:
            assert_type(state, ZapClientState)


async def published(client: ZapClient) -> None:
    async for event in client.event_stream():
        assert_type(event, EventData)
    async for state in client.connection_state():
        assert_type(state, ZapClientState)


async def rooms(manager: RoomManager, room: Room, server: ZapServer) -> None:
    for member in room:
        assert_type(member, WebSocketConnection)
        assert_type(room.get_meta(member), MetaTag | None)
        assert_type(await room.send("a", exclude=member), BroadcastResult)
        assert_type(await room.send("a", exclude=[member]), BroadcastResult)
    assert_type(manager.get_room("a"), Room | None)
    assert_type(await server.broadcast("a"), BroadcastResult)
    assert_type(server.connections["a"], WebSocketConnection)


async def tests(register: EventRegister) -> None:
    async with TestClient(register) as client:
        assert_type(client, TestClient)
        assert_type(await client.receive(), EventData)
        assert_type(await client.wait_closed(), CloseInfo)
        assert_type(client.closed, CloseInfo | None)
        reply = await client.request("a", 1, timeout=2.0)
        assert_type(reply, EventData)
        assert_type(await client.wait_for("a", predicate=lambda event: event.payload), EventData)
        await client.reply(reply, {"a": 1})


def codec() -> None:
    assert_type(encode_event("a", {"b": 1}), bytes)
    assert_type(decode_event(b"{}"), EventData)
