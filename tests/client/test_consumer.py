"""`ZapConsumer`'s handlers and `ZapSubscriber`'s streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from tests.client.support import cut
from tests.support import until, within
from tests.support.app import App
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    BufferOverflowError,
    CodecError,
    ConnectError,
    EventContext,
    EventData,
    RegistrationError,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)


async def burst(ctx: EventContext) -> None:
    for number in range(ctx.payload):
        await ctx.connection.send("tick", number)


class TestConsumer:
    async def test_events(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            log: list[Any] = []
            done = asyncio.Event()
            client.on_event("echo", lambda event: log.append(event))

            @client.on_any_event
            async def any_event(event: EventData) -> None:
                log.append(("any", event.event_name))
                done.set()

            async with client:
                await client.send_event("echo", {"a": 1}, {"h": 2})
                await within(done.wait())
            assert log == [EventData("echo", {"a": 1}, {"h": 2}), ("any", "echo")]

    async def test_iterating(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            log: list[Any] = []
            client.on_any_event(lambda event: log.append(event.payload))
            early = aiter(client)
            client.on_event("echo", lambda event: log.append("echo"))
            async with client:
                await client.send_event("echo", 1)
                assert (await within(anext(early))).payload == 1
                cut(client)
                await until(lambda: not client.is_connected)
                await client.connect()
                client.on_any_event(lambda event: log.append(("new", event.payload)), replace=True)
                late = aiter(client)
                await client.send_event("echo", 2)
                assert [(await within(anext(each))).payload for each in (early, late)] == [2, 2]
            assert [event async for event in early] == [event async for event in late] == []
            assert log == ["echo", 1, "echo", ("new", 2)]

    async def test_iterating_with_no_handler(self) -> None:
        async with App() as app, ZapConsumer(app.url()) as client:
            events = aiter(client)
            await client.send_event("echo", 1)
            assert (await within(anext(events))).payload == 1

    async def test_order(self) -> None:
        async with App() as app:
            app.on_event("burst", burst)
            client = ZapConsumer(app.url())
            numbers: list[int] = []

            @client.on_event("tick")
            async def tick(event: EventData) -> None:
                if event.payload % 100 == 0:
                    await asyncio.sleep(0)
                numbers.append(event.payload)

            async with client:
                await client.send_event("burst", 1000)
                await until(lambda: len(numbers) == 1000)
            assert numbers == list(range(1000))

    async def test_life(self) -> None:
        log: list[Any] = []
        async with App() as app:
            client = ZapConsumer(app.url())

            @client.on_connected()
            async def connected(event: EventData) -> None:
                log.append(event.event_name)

            @client.on_disconnected
            def disconnected(event: EventData) -> None:
                log.append((event.event_name, client.closed and client.closed.code))

            @client.on_connection_state_changed()
            async def changed(state: ZapClientState) -> None:
                await asyncio.sleep(0)
                log.append(state)

            for _ in range(2):  # handlers stay
                async with client:
                    pass
            assert log == 2 * [
                ZapClientState.CONNECTING,
                ZapClientState.ONLINE,
                "connected",
                ZapClientState.OFFLINE,
                ("disconnected", 1000),
            ]

    async def test_lifecycle_names(self) -> None:
        """`on_event` takes them; a server's event with such a name calls only the catch-all."""
        log: list[Any] = []

        async def script(peer: RawPeer) -> None:
            peer.event("connected", "forged")
            peer.event("disconnected", "forged")
            peer.event("error", "an event")
            await peer.next()

        async with raw_server(script) as port:
            client = ZapConsumer(f"ws://127.0.0.1:{port}/")
            client.on_event("connected", lambda event: log.append(("connected", event.payload)))
            client.on_event("disconnected")(lambda event: log.append("disconnected"))
            client.on_event("error", lambda event: log.append(event.payload))
            client.on_any_event(lambda event: log.append(event.event_name))
            async with client:
                await until(lambda: "error" in log)
            assert log == [
                ("connected", {}),
                *("connected", "disconnected", "an event", "error", "disconnected"),
            ]

    async def test_errors(self) -> None:
        errors: list[BaseException] = []
        log: list[Any] = []

        async def script(peer: RawPeer) -> None:
            peer.send("{", '{"eventName":"bad"}', '{"eventName":"good","payload":1}')
            await peer.next()

        async with raw_server(script) as port:
            client = ZapConsumer(f"ws://127.0.0.1:{port}/")
            client.on_error()(errors.append)
            client.on_event("bad", lambda event: 1 / 0)
            client.on_event("good", lambda event: log.append(event.payload))
            async with client:
                await until(lambda: log)
                assert client.is_connected
            assert [type(error) for error in errors] == [CodecError, ZeroDivisionError]

    async def test_raising_handlers_of_states_begin_and_end(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            errors: list[BaseException] = []
            client.on_error(errors.append)
            client.on_connected(lambda event: 1 / 0)
            client.on_disconnected(lambda event: 1 / 0)
            client.on_connection_state_changed(lambda state: 1 / 0)
            async with client:
                await until(lambda: errors)
            assert [type(error) for error in errors] == [ZeroDivisionError] * 2
            assert "the handler of the state ONLINE failed" in caplog.text

    async def test_disconnecting_in_a_handler(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            client.on_event("echo", lambda event: client.disconnect(4001))
            await client.connect()
            await client.send_event("echo")
            await until(lambda: not client.is_connected)
            await until(lambda: app.ends and app.ends[0].code == 4001)
            await until(lambda: client.current_connection_state is ZapClientState.OFFLINE)

    async def test_sending_when_connected(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            echoes: list[Any] = []
            client.on_event("echo", lambda event: echoes.append(event.payload))

            @client.on_connected
            async def connected(event: EventData) -> None:
                assert client.is_connected
                await client.send_event("echo", "at once")

            async with client:
                await until(lambda: echoes == ["at once"])

    async def test_disconnecting_when_connected(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            states: list[str] = []
            client.on_connection_state_changed(lambda state: states.append(state.name))
            client.on_connected(lambda event: client.disconnect(4001))
            with pytest.raises(ConnectError, match="disconnect was called meanwhile"):
                await within(client.connect())
            await until(lambda: states == ["CONNECTING", "ONLINE", "OFFLINE"])
            await until(lambda: app.ends and app.ends[0].code == 4001)

    async def test_reconnecting_in_a_handler(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            online = 0

            @client.on_connected
            def connected(event: EventData) -> None:
                nonlocal online
                online += 1

            @client.on_disconnected
            async def again(event: EventData) -> None:
                if online < 3:
                    assert await client.try_reconnect(0)

            def has_been_online(times: int) -> bool:
                return online == times

            await client.connect()
            for count in (1, 2, 3):
                await until(partial(has_been_online, count))
                await client.send_event("close", 4000)
            await until(lambda: len(app.ends) == 3 and not client.is_connected)
            assert online == 3

    async def test_a_function_that_disconnects_and_connects_in_a_handler(self) -> None:
        async with App() as app:
            client = ZapConsumer(app.url())
            echoes: list[Any] = []

            @client.on_event("echo")
            async def echo(event: EventData) -> None:
                echoes.append(event.payload)

            async with client:
                await client.send_event("echo", 1)
                await until(lambda: echoes)
                client.on_event("echo", lambda event: echoes.append("replaced"), replace=True)
                await client.send_event("echo", 2)
                await until(lambda: len(echoes) == 2)
            assert echoes == [1, "replaced"]

    @pytest.mark.parametrize("bad", [3, "x"])
    def test_registration(self, bad: Any) -> None:
        client = ZapConsumer("ws://127.0.0.1/")
        registrations: list[Callable[[Any], Any]] = [
            client.on_connected,
            client.on_disconnected,
            client.on_any_event,
            client.on_error,
            client.on_connection_state_changed,
            lambda handler: client.on_event("x", handler),
            lambda handler: client.on_event("x")(handler),
            lambda handler: client.on_event(cast(Any, 3), handler),
            lambda handler: client.on_event(cast(Any, None)),
        ]
        for register in registrations:
            for handler in (bad, None):
                with pytest.raises(RegistrationError):
                    register(handler)

    def test_decorators_return_the_function(self) -> None:
        client = ZapConsumer("ws://127.0.0.1/")

        def handler(argument: Any) -> None: ...

        registrations: list[Callable[[Any], Any]] = [
            client.on_connected,
            client.on_connected(),
            client.on_disconnected,
            client.on_disconnected(),
            client.on_any_event,
            client.on_any_event(),
            client.on_error,
            client.on_error(),
            client.on_connection_state_changed,
            client.on_connection_state_changed(),
            client.on_event("x"),
        ]
        assert all(register(handler) is handler for register in registrations)
        assert client.on_event("x", handler) is handler


class TestSubscriber:
    async def test_every_stream_sees_every_event(self) -> None:
        async with App() as app, ZapSubscriber(app.url()) as client:
            app.on_event("burst", burst)
            streams = [
                client.subscribe_to_event("tick"),
                client.subscribe_to_event("tick"),
                client.subscribe_to_events(["tick", "other"]),
                client.subscribe_to_all_event(),
            ]
            other = client.subscribe_to_event("other")
            await client.send_event("burst", 100)
            for stream in streams:
                numbers = [(await within(anext(stream))).payload for _ in range(100)]
                assert numbers == list(range(100))
            await client.clean()
            assert [event async for event in other] == []

    async def test_streams_survive_reconnects(self) -> None:
        async with App() as app, ZapSubscriber(app.url()) as client:
            echoes = client.subscribe_to_event("echo")
            states = client.connection_state
            for number in range(3):
                await client.send_event("echo", number)
                assert (await within(anext(echoes))).payload == number
                await client.disconnect()
                await client.connect()
            expected = [ZapClientState.OFFLINE, ZapClientState.CONNECTING, ZapClientState.ONLINE]
            assert [await within(anext(states)) for _ in range(9)] == expected * 3

    async def test_iterating(self) -> None:
        async with App() as app, ZapSubscriber(app.url()) as client:
            events = aiter(client)
            await client.send_event("echo", 1)
            async for event in events:
                assert event.payload == 1
                await client.clean()

    async def test_clean_ends_every_stream(self) -> None:
        async with App() as app:
            client = ZapSubscriber(app.url())
            states, events = client.connection_state, client.subscribe_to_all_event()
            await client.connect()
            reading = asyncio.ensure_future(anext(events, None))
            await client.clean()
            assert await within(reading) is None
            assert [state.name async for state in states] == ["CONNECTING", "ONLINE", "OFFLINE"]
            assert not client.is_connected
            await client.clean()
            await client.connect()  # new streams may follow
            again = client.subscribe_to_event("echo")
            await client.send_event("echo", 1)
            assert (await within(anext(again))).payload == 1
            await client.clean()

    async def test_overflow(self) -> None:
        async with App() as app:
            app.on_event("burst", burst)
            raising = ZapSubscriber(app.url(), buffer_size=5)
            dropping = ZapSubscriber(app.url(), buffer_size=5, overflow="drop-oldest")
            for client in (raising, dropping):
                await client.connect()
                ticks = client.subscribe_to_event("tick")
                echoes = client.subscribe_to_event("echo")
                await client.send_event("burst", 10)
                await client.send_event("echo")
                await within(anext(echoes))
                if client is raising:
                    assert [(await anext(ticks)).payload for _ in range(5)] == [0, 1, 2, 3, 4]
                    with pytest.raises(BufferOverflowError):
                        await anext(ticks)
                else:
                    assert [(await anext(ticks)).payload for _ in range(5)] == [5, 6, 7, 8, 9]
                    assert ticks.dropped == 5
                await client.clean()

    async def test_lifecycle_names_are_events_to_a_stream(self) -> None:
        async def script(peer: RawPeer) -> None:
            await peer.next()
            peer.event("connected", 1)
            await peer.next()

        async with raw_server(script) as port, ZapSubscriber(f"ws://127.0.0.1:{port}/") as client:
            events = client.subscribe_to_event("connected")
            await client.send_event("go")
            assert (await within(anext(events))).payload == 1

    @pytest.mark.parametrize("bad", [3, None, b"x"])
    def test_names(self, bad: Any) -> None:
        client = ZapSubscriber("ws://127.0.0.1/")
        with pytest.raises(RegistrationError):
            client.subscribe_to_event(bad)
        with pytest.raises(RegistrationError):
            client.subscribe_to_events(["x", bad])
