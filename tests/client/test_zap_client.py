"""`ZapClient`: the published calls, and the defects that they had."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import MS, until, within
from tests.support.app import App
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    AlreadyConnectedError,
    ConnectError,
    EventContext,
    EventData,
    InvalidUrlError,
    Limits,
    NotConnectedError,
    ZapClient,
    ZapClientState,
)

CONNECTING, ONLINE, OFFLINE, ERROR = (
    ZapClientState.CONNECTING,
    ZapClientState.ONLINE,
    ZapClientState.OFFLINE,
    ZapClientState.ERROR,
)


async def states(client: ZapClient, count: int) -> list[ZapClientState]:
    stream = client.connection_state()
    return [await within(anext(stream)) for _ in range(count)]


async def events(client: ZapClient) -> list[EventData]:
    return [event async for event in client.event_stream()]


async def burst(ctx: EventContext) -> None:
    for number in range(ctx.payload):
        await ctx.connection.send("tick", number)


async def fill(client: ZapClient, size: int, count: int) -> None:
    """Ask for a burst; return when a client with a buffer of `size` cannot take more of it."""
    first_too_many = asyncio.ensure_future(
        client.wait_for("tick", predicate=lambda event: event.payload == size)
    )
    await asyncio.sleep(0)
    await client.send("burst", count)
    await within(first_too_many)
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_readmes_calls() -> None:
    async with App() as app:
        client = ZapClient()
        await client.connect(app.url())
        await client.send("echo", {"hello": "from client"}, {})
        async for event in client.event_stream():
            assert event == EventData("echo", {"hello": "from client"}, {})
            assert event.to_dict()["eventName"] == "echo"
            break
        await client.close()
        assert await states(client, 3) == [CONNECTING, ONLINE, OFFLINE]


async def test_events_before_the_stream_is_asked_for() -> None:
    async with App() as app:
        app.on_event("burst", burst)
        client = ZapClient()
        await client.connect(app.url())
        await client.send("burst", 500)
        await client.send("close", 4000)
        assert [event.payload for event in await within(events(client))] == list(range(500))
        assert client.closed == (4000, "", "remote")
        assert await states(client, 3) == [CONNECTING, ONLINE, OFFLINE]


async def test_states_belong_to_one_client() -> None:
    async with App() as app:
        first, second = ZapClient(), ZapClient()
        await first.connect(app.url())
        await second.connect(app.url())
        assert await states(first, 2) == await states(second, 2) == [CONNECTING, ONLINE]
        await first.close()
        assert await states(first, 1) == [OFFLINE]
        await second.close()
        await second.connect(app.url())
        assert await states(second, 3) == [OFFLINE, CONNECTING, ONLINE]  # none of the other's
        await second.close()


async def test_connecting_again() -> None:
    async with App() as app:
        client = ZapClient()
        for number in range(2):
            await client.connect(app.url())
            await client.send("echo", number)
            await client.send("close", 1000)
            assert [event.payload for event in await within(events(client))] == [number]
        assert await states(client, 6) == [CONNECTING, ONLINE, OFFLINE] * 2


async def test_connecting_twice() -> None:
    async with App() as app:
        client = ZapClient()
        await client.connect(app.url())
        with pytest.raises(AlreadyConnectedError):
            await client.connect(app.url("/other"))
        assert client.url == app.url()
        await until(lambda: len(app.connections) == 1)
        await client.close()


async def test_refused() -> None:
    client = ZapClient()
    async with App() as app:
        url = app.url()
    with pytest.raises(ConnectError):
        await client.connect(url)
    assert await states(client, 2) == [CONNECTING, ERROR]
    with pytest.raises(InvalidUrlError):
        await client.connect("http://x")


async def test_not_connected() -> None:
    client = ZapClient()
    with pytest.raises(NotConnectedError):
        await client.send("x", {})
    with pytest.raises(NotConnectedError):
        await anext(client.event_stream())
    await client.close()
    with pytest.raises(ValueError, match="buffer"):
        ZapClient(buffer_size=0)


async def test_a_lost_connection_is_an_error() -> None:
    async def script(peer: RawPeer) -> None:
        peer.event("one")
        await peer.writer.drain()

    async with raw_server(script) as port:
        client = ZapClient()
        await client.connect(f"ws://127.0.0.1:{port}/")
        assert [event.event_name for event in await within(events(client))] == ["one"]
        assert await states(client, 4) == [CONNECTING, ONLINE, ERROR, OFFLINE]


@pytest.mark.parametrize(
    ("code", "failed"), [(1000, False), (1001, False), (4000, False), (1008, True), (1011, True)]
)
async def test_codes(code: int, failed: bool) -> None:
    async with App() as app:
        client = ZapClient()
        await client.connect(app.url())
        await client.send("close", code)
        await within(events(client))
        expected = [CONNECTING, ONLINE, *([ERROR] if failed else []), OFFLINE]
        assert await states(client, len(expected)) == expected


async def test_malformed_messages_end_nothing() -> None:
    async def script(peer: RawPeer) -> None:
        peer.send("nonsense", "[]", '{"eventName":"good","payload":1}', close=1000)
        await peer.closed()

    async with raw_server(script) as port:
        client = ZapClient()
        await client.connect(f"ws://127.0.0.1:{port}/")
        assert await within(events(client)) == [EventData("good", 1)]


class TestBackpressure:
    async def test_nothing_is_lost(self) -> None:
        async with App() as app:
            app.on_event("burst", burst)
            client = ZapClient(buffer_size=3, limits=Limits(queue_events=3))
            await client.connect(app.url())
            await fill(client, 3, 100)
            got: list[Any] = []
            async for event in client.event_stream():
                got.append(event.payload)
                if len(got) == 100:
                    break
            assert got == list(range(100))
            await client.close()

    async def test_closing_with_a_full_buffer(self) -> None:
        async with App() as app:
            app.on_event("burst", burst)
            client = ZapClient(buffer_size=3)
            await client.connect(app.url())
            await fill(client, 3, 100)
            await within(client.close())
            assert [event.payload for event in await within(events(client))][:3] == [0, 1, 2]
            assert await states(client, 3) == [CONNECTING, ONLINE, OFFLINE]

    async def test_states_are_bounded(self) -> None:
        client = ZapClient()
        for _ in range(600):
            with pytest.raises(ConnectError):
                await client.connect("ws://127.0.0.1:0/")
        stream, kept = client.connection_state(), 0
        with pytest.raises(TimeoutError):
            while await within(anext(stream), 20 * MS):
                kept += 1
        assert kept == 1024  # of 1200


async def test_a_cancelled_reader_loses_no_event() -> None:
    async with App() as app:
        client = ZapClient()
        await client.connect(app.url())
        first = asyncio.ensure_future(anext(client.event_stream()))
        second = asyncio.ensure_future(anext(client.event_stream()))
        await asyncio.sleep(0)
        first.cancel()
        await client.send("echo", "one")
        assert (await within(second)).payload == "one"
        with pytest.raises(asyncio.CancelledError):
            await first
        third = asyncio.ensure_future(anext(client.event_stream()))
        await asyncio.sleep(MS)
        third.cancel()
        await client.send("echo", 1)
        assert (await within(anext(client.event_stream()))).payload == 1
        await client.close()


async def test_try_reconnect() -> None:
    app = App()
    await app.start()
    client = ZapClient()
    await client.connect(app.url(), headers={"x-key": "1"})
    await client.close()
    assert await client.try_reconnect(0)
    await client.send("echo", 1)
    assert (await within(anext(client.event_stream()))).payload == 1
    assert [each.handshake.headers["x-key"] for each in app.seen] == ["1", "1"]
    await client.close()
    await app.close()
    assert not await client.try_reconnect(0)
    assert (await states(client, 8))[-2:] == [CONNECTING, ERROR]


async def test_closing_when_the_connection_was_lost_and_the_buffer_is_full() -> None:
    """Received events stay in the stream, as they do while the connection is open."""

    async def script(peer: RawPeer) -> None:
        for number in range(5):
            peer.event("tick", number)
        await peer.next()
        peer.drop()

    async with raw_server(script) as port:
        client = ZapClient(buffer_size=2, limits=Limits(close_timeout=20 * MS))
        await client.connect(f"ws://127.0.0.1:{port}/")
        await within(client.wait_for("tick", predicate=lambda event: event.payload == 4))
        await client.send("go")
        await until(lambda: client.closed)
        await within(client.close())
        assert [event.payload for event in await within(events(client))] == [0, 1, 2, 3, 4]


async def test_the_stream_of_a_connect_that_failed_ends() -> None:
    client = ZapClient()
    with pytest.raises(ConnectError):
        await client.connect("ws://127.0.0.1:0/")
    assert await within(events(client)) == []
