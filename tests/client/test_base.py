"""What all clients share: states, connecting, ending, sending."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from websockets.frames import Opcode

from tests.client.support import BEGIN, END, Client
from tests.support import MS, PATIENCE, until, within
from tests.support.app import App
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    AlreadyConnectedError,
    CloseInfo,
    CodecError,
    ConnectError,
    ConnectionClosedError,
    EventContext,
    EventData,
    Limits,
    NoRequestError,
    NotConnectedError,
    RemoteError,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)

LIFE = BEGIN + END


def test_states_have_the_published_values() -> None:
    assert {state.name: state.value for state in ZapClientState} == {
        "ONLINE": 1,
        "OFFLINE": 2,
        "CONNECTING": 3,
        "ERROR": 4,
    }


async def test_a_life() -> None:
    async with App() as app:
        client = Client(app.url())
        assert client.state.name == "OFFLINE"
        assert not client.is_connected and client.closed is None
        await client.connect()
        assert client.state.name == "ONLINE"
        assert client.is_connected and client.closed is None
        await client.disconnect(4001, "bye")
        assert client.state.name == "OFFLINE"
        assert not client.is_connected
        assert client.closed == CloseInfo(4001, "bye", "local")
        assert client.log == LIFE
        await until(lambda: app.ends == [CloseInfo(4001, "bye", "remote")])


async def test_reconnecting() -> None:
    async with App() as app:
        client = Client(app.url())
        for _ in range(3):
            await client.connect()
            await client.send_event("echo", 1)
            await client.disconnect()
        assert client.log == LIFE * 3
        await until(lambda: len(app.ends) == 3)


async def test_the_server_ends_it() -> None:
    app = App()
    await app.start()
    client = Client(app.url())
    await client.connect()
    await app.close()
    await until(lambda: client.log == LIFE)
    assert client.closed == CloseInfo(1001, "", "remote")
    with pytest.raises(NotConnectedError):
        await client.send_event("echo")
    await client.disconnect()
    assert client.log == LIFE


async def test_the_connection_is_lost() -> None:
    async def script(peer: RawPeer) -> None:
        peer.drop()

    async with raw_server(script) as port:
        client = Client(f"ws://127.0.0.1:{port}/")
        await client.connect()
        await until(lambda: client.log == LIFE)
        assert client.closed == CloseInfo(1006, "", None)


async def test_connecting_while_connected() -> None:
    async with App() as app:
        client = Client(app.url())
        first = asyncio.create_task(client.connect())
        await asyncio.sleep(0)
        with pytest.raises(AlreadyConnectedError):
            await client.connect()
        await within(first)
        with pytest.raises(AlreadyConnectedError) as info:
            await client.connect()
        assert info.value.url == app.url()
        assert client.is_connected and len(app.seen) <= 1
        await client.disconnect()
        await until(lambda: len(app.ends) == 1)


async def test_a_refused_connect() -> None:
    app = App(path="/ws")
    await app.start()
    wrong = Client(app.url("/nope"))
    right = Client(app.url())
    with pytest.raises(ConnectError):
        await wrong.connect()
    assert wrong.log == ["CONNECTING", "ERROR"]
    assert wrong.current_connection_state is ZapClientState.ERROR and not wrong.is_connected
    await app.close()
    with pytest.raises(ConnectError):
        await right.connect()
    assert right.log == ["CONNECTING", "ERROR"]


async def test_sending_while_not_connected() -> None:
    client = Client("ws://127.0.0.1:1/")
    with pytest.raises(NotConnectedError):
        await client.send_event("x")
    await client.disconnect()


async def test_unsendable() -> None:
    async with App() as app:
        client = Client(app.url())
        await client.connect()
        with pytest.raises(CodecError):
            await client.send_event("x", float("inf"))
        assert client.is_connected
        await client.disconnect()


@pytest.mark.parametrize("offline", ["raise", "drop"])
async def test_sending_while_the_connection_ends(offline: Any) -> None:
    enough = asyncio.Event()

    async def script(peer: RawPeer) -> None:
        await enough.wait()  # and reads nothing
        peer.drop()

    async with raw_server(script) as port:
        client = Client(f"ws://127.0.0.1:{port}/", limits=Limits(write_bytes=1), offline=offline)
        await client.connect()
        # More than sockets hold: the last waits for room.
        sends = [asyncio.ensure_future(client.send_event("x", "y" * 8_000_000)) for _ in range(4)]
        await asyncio.wait(sends, return_when=asyncio.FIRST_COMPLETED)
        assert not sends[-1].done()
        enough.set()
        *_, last = await within(asyncio.gather(*sends, return_exceptions=True))
        if offline == "drop":
            assert last is None and client.dropped_sends >= 1
            return
        assert isinstance(last, NotConnectedError)
        assert isinstance(last.__cause__, ConnectionClosedError)


def _is_as_long_as(texts: list[bytes], count: int) -> bool:
    return len(texts) == count


async def test_omitting_empty_headers() -> None:
    texts: list[bytes] = []

    async def script(peer: RawPeer) -> None:
        texts.append(bytes((await peer.frame(Opcode.TEXT)).data))
        await peer.next()

    async with raw_server(script) as port:
        for count, omit in ((1, False), (2, True)):
            client = Client(f"ws://127.0.0.1:{port}/", omit_empty_headers=omit)
            await client.connect()
            await client.send_event("x")
            await until(partial(_is_as_long_as, texts, count))
            await client.disconnect()
    assert texts == [
        b'{"eventName":"x","payload":null,"headers":{}}',
        b'{"eventName":"x","payload":null}',
    ]


@pytest.mark.parametrize("period", [0.001, timedelta(milliseconds=1)])
async def test_try_reconnect(period: float | timedelta) -> None:
    app = App(path="/ws", subprotocols=["zap"])
    await app.start()
    client = Client(app.url())
    await client.connect(["zap"], {"x": "y"})
    await client.disconnect()
    assert await client.try_reconnect(period)
    assert client.is_connected
    await until(lambda: len(app.seen) == 2)
    assert app.seen[1].handshake.subprotocol == "zap"
    assert app.seen[1].handshake.headers["x"] == "y"
    with pytest.raises(AlreadyConnectedError):
        await client.try_reconnect(period)
    await client.disconnect()
    await app.close()
    assert not await client.try_reconnect(period)
    assert client.log[-2:] == ["CONNECTING", "ERROR"]


async def test_disconnect_ends_a_connect_under_way() -> None:
    async def never(peer: RawPeer) -> None:
        await asyncio.Event().wait()

    async with raw_server(never, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}/")
        task = asyncio.create_task(client.connect())
        await asyncio.sleep(10 * MS)
        await client.disconnect()
        with pytest.raises(ConnectError, match="disconnect was called"):
            await within(task)
        assert client.log == ["CONNECTING", "OFFLINE"]


async def test_a_task_of_a_handler_disconnects() -> None:
    """The handler waits for the call, and the call does not wait for the handler."""
    done: list[str] = []
    async with App() as app:
        client = ZapConsumer(app.url(), limits=Limits(close_timeout=200 * MS))

        @client.on_event("echo")
        async def echo(event: EventData) -> None:
            await asyncio.create_task(client.disconnect())
            done.append(event.event_name)

        await client.connect()
        await client.send_event("echo")
        await until(lambda: done)
        assert client.closed == CloseInfo(1000, "", "local")


async def test_a_cancelled_connect() -> None:
    async def never(peer: RawPeer) -> None:
        await asyncio.Event().wait()

    async with raw_server(never, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}/")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10 * MS):
                await client.connect()
        assert client.log == ["CONNECTING", "OFFLINE"]


async def test_a_connect_cancelled_when_it_is_open() -> None:
    """Cancelled after the handshake, before the application knows: the socket is not leaked."""

    online, announced = asyncio.Event(), asyncio.Event()

    async with App() as app:
        client = Client(app.url())

        async def changed(state: ZapClientState) -> None:
            client.log.append(state.name)
            if state is ZapClientState.ONLINE:
                online.set()
                await announced.wait()

        client.on_connection_state_changed(changed, replace=True)
        connecting = asyncio.create_task(client.connect())
        await within(online.wait())
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(connecting)
        announced.set()
        await until(lambda: not app.connections)
        await until(lambda: client.log[-1] == "disconnected")
        assert client.current_connection_state is ZapClientState.OFFLINE
        assert client.log == ["CONNECTING", "ONLINE", "connected", "OFFLINE", "disconnected"]


@pytest.mark.parametrize("how", ["disconnect", "async with"])
async def test_a_handler_that_does_not_end(how: str) -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), limits=Limits(close_timeout=20 * MS))
        running, ends = asyncio.Event(), []

        @client.on_event("echo")
        async def stuck(event: EventData) -> None:
            running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ends.append("cancelled")
                raise

        async with asyncio.timeout(PATIENCE):
            if how == "async with":
                async with client:
                    await client.send_event("echo")
                    await running.wait()
            else:
                await client.connect()
                await client.send_event("echo")
                await running.wait()
                await client.disconnect()
        assert ends == ["cancelled"]
        assert client.current_connection_state is ZapClientState.OFFLINE
        await client.connect()
        await client.disconnect()


async def test_a_handler_that_ignores_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    async with App() as app:
        client = Client(app.url(), limits=Limits(close_timeout=20 * MS))
        running, gate = asyncio.Event(), asyncio.Event()

        @client.on_event("echo")
        async def stubborn(event: EventData) -> None:
            running.set()
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        await client.connect()
        await client.send_event("echo")
        await within(running.wait())
        await within(client.disconnect())
        assert "does not end" in caplog.text
        gate.set()
        await until(lambda: client.log == LIFE)


async def test_disconnecting_in_the_handler_of_connecting() -> None:
    async with App() as app:
        client = Client(app.url())

        async def changed(state: ZapClientState) -> None:
            client.log.append(state.name)
            if state is ZapClientState.CONNECTING and client.log.count("CONNECTING") == 1:
                await client.disconnect()

        client.on_connection_state_changed(changed, replace=True)
        with pytest.raises(ConnectError, match="disconnect was called"):
            await within(client.connect())
        assert client.log == ["CONNECTING", "OFFLINE"] and not app.log
        await client.connect()
        assert client.is_connected
        await client.disconnect()


@pytest.mark.parametrize("code", [1005, 999, 2000])
async def test_codes_that_no_frame_may_carry(code: int) -> None:
    async with App() as app:
        client = Client(app.url())
        await client.connect()
        with pytest.raises(ValueError, match=str(code)):
            await client.disconnect(code)
        assert client.is_connected
        await client.disconnect()


async def test_pings_reach_a_server_that_is_gone() -> None:
    async def silent(peer: RawPeer) -> None:
        peer.answers = False
        while await peer.next() is not None:
            pass

    async with raw_server(silent) as port:
        limits = Limits(ping_interval=5 * MS, ping_timeout=10 * MS)
        client = Client(f"ws://127.0.0.1:{port}/", limits=limits)
        await client.connect()
        await until(lambda: client.log == LIFE)
        assert client.closed is not None and client.closed.code == 1011


@pytest.mark.parametrize("kind", [ZapConsumer, ZapSubscriber])
async def test_options_reach_the_connection(kind: type[ZapConsumer] | type[ZapSubscriber]) -> None:
    sent: list[bytes] = []
    asked: list[str] = []

    async def silent(peer: RawPeer) -> None:
        peer.answers = False
        assert peer.request is not None
        asked.append(peer.request.headers["Sec-WebSocket-Extensions"])
        sent.append(bytes((await peer.frame(Opcode.TEXT)).data))
        while await peer.next() is not None:
            pass

    async with raw_server(silent) as port:
        limits = Limits(ping_interval=5 * MS, ping_timeout=10 * MS)
        client = kind(
            f"ws://127.0.0.1:{port}/",
            limits=limits,
            compression="deflate",
            omit_empty_headers=True,
        )
        assert client.url == f"ws://127.0.0.1:{port}/" and client.limits is limits
        async with client:
            await client.send_event("x")
            await until(lambda: client.closed and client.closed.code == 1011)  # no pong: the limits
        assert not client.is_connected
    assert "permessage-deflate" in asked[0]
    assert sent == [b'{"eventName":"x","payload":null}']


class TestRequests:
    async def test_in_handlers_of_both_sides(self) -> None:
        """A server asks back in the handler of a request, and the client answers in its own."""
        async with App() as app:
            client = ZapConsumer(app.url())

            @app.on_event("sum")
            async def total(ctx: EventContext) -> None:
                more = await ctx.connection.request("more", ctx.payload)
                await ctx.reply(sum(ctx.payload) + more.payload, {"of": more.headers["of"]})

            @client.on_event("more")
            async def more(event: EventData) -> None:
                await client.reply(event, 7, {"of": len(event.payload)})

            @client.on_event("start")
            async def start(event: EventData) -> None:
                await client.send_event("echo", (await client.request("echoed", 1)).payload)

            app.on_event("echoed", lambda ctx: ctx.reply(ctx.payload + 1))
            async with client:
                reply = await within(client.request("sum", [1, 2, 3]))
                assert (reply.payload, reply.headers["of"]) == (13, 3)
                await app.seen[0].send("start")
                assert (await within(client.wait_for("echo"))).payload == 2

    async def test_a_server_asks(self) -> None:
        async with App() as app:
            consumer = ZapConsumer(app.url())
            consumer.on_event("question", lambda event: consumer.reply(event, event.payload + 1))
            async with consumer:
                await until(lambda: app.seen)
                (connection,) = app.seen
                reply = await within(connection.request("question", 1, {"h": 1}))
                assert (reply.event_name, reply.payload) == ("question", 2)
                assert list(reply.headers) == ["replyTo"]

    async def test_a_client_asks(self) -> None:
        async with App() as app:
            app.on_event("upper", lambda ctx: ctx.reply(ctx.payload.upper(), {"h": 1}))
            async with ZapSubscriber(app.url()) as client:
                stream = client.subscribe_to_all_event()
                replies = await within(
                    asyncio.gather(*(client.request("upper", text) for text in "abc"))
                )
                assert [reply.payload for reply in replies] == ["A", "B", "C"]
                assert replies[0].headers["h"] == 1
                await client.send_event("echo", 1)
                assert (await within(anext(stream))).event_name == "echo"  # no stream gets a reply

    async def test_an_error_is_the_reply(self) -> None:
        """In both directions, and relayed through both sides."""
        async with App() as app:
            client = ZapConsumer(app.url())

            @app.on_event("relay")
            async def relay(ctx: EventContext) -> None:
                with pytest.raises(RemoteError, match="the handler failed"):
                    await ctx.connection.request("fail")
                await ctx.connection.request("refuse")

            @client.on_event("fail")
            def fail(event: EventData) -> None:
                raise ValueError("the inside")

            @client.on_event("refuse")
            async def refuse(event: EventData) -> None:
                raise RemoteError("not today")

            async with client:
                for _ in range(2):
                    with pytest.raises(RemoteError) as info:
                        await within(client.request("relay"))
                    assert info.value.message == "the handler failed"  # not the client's own words
                    assert info.value.event_name == "relay"
            assert [str(error) for error in app.errors] == [
                "the peer's reply to 'refuse' is an error: not today"
            ] * 2

    async def test_details_of_an_error_on_request(self) -> None:
        async with App(error_details=True) as app:
            client = ZapConsumer(app.url(), error_details=True)
            client.on_event("fail", lambda event: 1 / 0)
            async with client:
                with pytest.raises(RemoteError, match="ZeroDivisionError: division by zero"):
                    await within(client.request("boom"))
                with pytest.raises(RemoteError, match="ZeroDivisionError: division by zero"):
                    await within(app.seen[0].request("fail"))

    async def test_a_reader_of_streams_replies_with_an_error(self) -> None:
        async with App() as app, ZapSubscriber(app.url()) as client:
            stream = client.subscribe_to_all_event()
            await until(lambda: app.seen)
            asking = asyncio.create_task(app.seen[0].request("question"))
            await client.reply(await within(anext(stream)), None, {"replyError": "no idea"})
            with pytest.raises(RemoteError, match="no idea"):
                await within(asking)

    async def test_waiting_for_an_event(self) -> None:
        async with App() as app, ZapConsumer(app.url()) as client:
            waiting = asyncio.create_task(
                client.wait_for("echo", predicate=lambda event: event.payload == 2)
            )
            await asyncio.sleep(0)
            for number in (1, 2):
                await client.send_event("echo", number)
            assert (await within(waiting)).payload == 2
            with pytest.raises(TimeoutError, match="no event 'never'"):
                await client.wait_for("never", timeout=MS)

    async def test_the_end(self) -> None:
        async with App() as app, ZapConsumer(app.url()) as client:
            waits = [
                asyncio.create_task(client.request("gone", timeout=None)),
                asyncio.create_task(client.wait_for("gone", timeout=None)),
            ]
            await until(lambda: app.seen)
            await app.seen[0].close(4000, "bye")
            for wait in waits:
                with pytest.raises(ConnectionClosedError, match="4000: bye"):
                    await within(wait)
            assert not client.is_connected

    async def test_a_lost_connection(self) -> None:
        async with App() as app, ZapConsumer(app.url()) as client:
            waiting = asyncio.create_task(client.request("gone", timeout=None))
            await until(lambda: app.seen)
            app.transport.abort()
            with pytest.raises(ConnectionClosedError):
                await within(waiting)

    async def test_while_not_connected(self) -> None:
        client = Client("ws://127.0.0.1:1/")
        request = EventData("a", None, {"requestId": "1"})
        for use in (client.request("a"), client.wait_for("a"), client.reply(request)):
            with pytest.raises(NotConnectedError):
                await use
        with pytest.raises(NoRequestError):
            await client.reply(EventData("a"))
