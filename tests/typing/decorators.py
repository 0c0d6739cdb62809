# pyright: strict
"""What type checkers make of registering handlers: a decorator gives back what it was given."""

from __future__ import annotations

from typing import Any, assert_type

from zaptools import (
    EventContext,
    EventData,
    EventRegister,
    Headers,
    WebSocketConnection,
    ZapClientState,
    ZapConsumer,
    ZapServer,
)


class Counter:
    """A handler that is an object."""

    total: int = 0

    def __call__(self, ctx: EventContext) -> None:
        self.total += 1


async def what_a_handler_gets(ctx: EventContext) -> None:
    assert_type(ctx.connection, WebSocketConnection)
    assert_type(ctx.connection.id, str)
    assert_type(ctx.connection.is_open, bool)
    assert_type(ctx.connection.handshake.headers, Headers)
    assert_type(ctx.connection.handshake.query, dict[str, str])
    assert_type(ctx.event_data, EventData)
    assert_type(ctx.event_name, str)
    assert_type(ctx.headers, dict[str, Any])
    assert_type(ctx.error, BaseException | None)
    assert_type(ctx.source, EventData | None)
    await ctx.connection.send("welcome", {"a": [1, None]}, {"lang": "en"})


async def registers(register: EventRegister, server: ZapServer, ctx: EventContext) -> None:
    @register.on_event("greet")
    async def greet(ctx: EventContext) -> int:
        return len(ctx.event_name)

    @server.on_connected
    def connected(ctx: EventContext) -> str:
        return ctx.connection.id

    @server.on_disconnected()
    def disconnected(ctx: EventContext) -> bytes:
        return ctx.connection.id.encode()

    @server.on_error
    def failed(ctx: EventContext) -> BaseException | None:
        return ctx.error

    assert_type(await greet(ctx), int)
    assert_type(connected(ctx), str)
    assert_type(disconnected(ctx), bytes)
    assert_type(failed(ctx), BaseException | None)
    assert_type(register.on_any_event(Counter()), Counter)
    assert_type(register.on_event("count", Counter()).total, int)


def clients(client: ZapConsumer, event: EventData) -> None:
    @client.on_event("greeting")
    def greeting(event: EventData) -> bool:
        return bool(event.payload)

    @client.on_connection_state_changed
    def changed(state: ZapClientState) -> str:
        return state.name

    assert_type(greeting(event), bool)
    assert_type(changed(ZapClientState.ONLINE), str)

    @client.on_connected
    def connected(event: EventData) -> int:
        return 1

    @client.on_disconnected()
    def disconnected(event: EventData) -> bytes:
        return b""

    assert_type(disconnected(event), bytes)
    assert_type(client.on_any_event(connected)(event), int)
    assert_type(client.on_error()(repr)(3), str)
