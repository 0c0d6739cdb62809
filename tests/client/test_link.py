"""A client's link: connecting, reconnecting, races, and the order of announcements."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from tests.client.support import BEGIN, END, FAILED, Client, NotingPolicy, cut, reconnects
from tests.support import MS, until, within
from tests.support.app import App
from tests.support.raw import RawPeer, raw_server
from tests.support.tcp import FakeTcp
from zaptools import (
    AlreadyConnectedError,
    CloseInfo,
    ConnectError,
    ConnectionClosedError,
    EventContext,
    EventData,
    HandshakeError,
    Limits,
    ReconnectPolicy,
    Route,
    ZapClientState,
    ZapConsumer,
    ZapServer,
    ZapSubscriber,
)
from zaptools.client.base import link_of
from zaptools.client.link import Link
from zaptools.client.opening import ClientTransport
from zaptools.client.url import parse_url

pytestmark = pytest.mark.filterwarnings("ignore:.* as the handler of:RuntimeWarning")

OFFLINE, ONLINE = ZapClientState.OFFLINE, ZapClientState.ONLINE
CONNECTING, ERROR = ZapClientState.CONNECTING, ZapClientState.ERROR

SOON = ReconnectPolicy(initial_delay=MS, max_delay=4 * MS)
NEVER = ReconnectPolicy(initial_delay=3600, max_delay=3600, random=lambda: 1.0)
"""Its delay is longer than any test."""

Step = Callable[[RawPeer], Awaitable[None]]


async def stay(peer: RawPeer) -> None:
    """Accept, and read until the client closes."""
    peer.accept()
    peer.flush()
    while getattr(await peer.next(), "opcode", None) is Opcode.TEXT:
        pass


async def drop(peer: RawPeer) -> None:
    """Accept, and drop at once."""
    peer.accept()
    peer.flush()
    await peer.writer.drain()
    peer.drop()


async def hang(peer: RawPeer) -> None:
    """Never answer the request."""
    await asyncio.Event().wait()


async def reset(peer: RawPeer) -> None:
    """End TCP in place of an answer."""
    peer.drop()


async def drop_when_asked(peer: RawPeer) -> None:
    """Accept, send an event, and drop when one is received."""
    peer.accept()
    peer.event("echo", 1)
    await peer.next()
    peer.drop()


async def echo(peer: RawPeer) -> None:
    """Accept, and echo text messages until there is another kind of frame."""
    peer.accept()
    peer.flush()
    while getattr(frame := await peer.next(), "opcode", None) is Opcode.TEXT:
        peer.send(bytes(frame.data))


def close(code: int) -> Step:
    """Accept, and close with this code."""

    async def script(peer: RawPeer) -> None:
        peer.accept()
        peer.send(close=code)
        await peer.next()

    return script


def refuse(status: int) -> Step:
    """Answer with this HTTP status."""

    async def script(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
        await peer.writer.drain()

    return script


def choose(header: str) -> Step:
    """Accept with this choice of subprotocols."""

    async def script(peer: RawPeer) -> None:
        protocol, request = peer.protocol, peer.request
        assert isinstance(protocol, ServerProtocol) and request is not None
        response = protocol.accept(request)
        response.headers["Sec-WebSocket-Protocol"] = header
        protocol.send_response(response)
        peer.flush()
        await peer.writer.drain()

    return script


class Script:
    """A server's steps, one a connection; the last one is for all later connections too.

    Attributes:
        requests: the requests, in order.
    """

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[Any] = []

    async def __call__(self, peer: RawPeer) -> None:
        self.requests.append(peer.request)
        step = self._steps[0] if len(self._steps) == 1 else self._steps.pop(0)
        await step(peer)


@asynccontextmanager
async def scripted(
    *steps: Step, reconnect: ReconnectPolicy | bool = SOON, **options: Any
) -> AsyncIterator[tuple[Client, Script]]:
    """Return a client of a server with these steps, and the server's script."""
    script = Script(*steps)
    async with raw_server(script, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}/", reconnect=reconnect, **options)
        try:
            yield client, script
        finally:
            await client.disconnect()


async def idle() -> None:
    """Let the loop run all that is ready."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestReconnecting:
    @pytest.mark.parametrize("bad", [None, 1, "yes"])
    @pytest.mark.parametrize("kind", [ZapConsumer, ZapSubscriber])
    def test_bad_policies(self, kind: Any, bad: Any) -> None:
        with pytest.raises(TypeError, match="reconnect must be a ReconnectPolicy or a bool"):
            kind("ws://127.0.0.1/", reconnect=bad)

    async def test_true_is_the_default_policy(self) -> None:
        """Its first delay is a random one of at most half a second."""
        async with scripted(drop, stay, reconnect=True) as (client, _):
            await client.connect()
            await until(lambda: client.log == BEGIN + END + BEGIN)

    async def test_a_subscriber_reconnects(self) -> None:
        script = Script(drop, stay)
        async with raw_server(script, accept=False) as port:
            url = f"ws://127.0.0.1:{port}/"
            async with ZapSubscriber(url, reconnect=SOON) as client:
                await until(lambda: len(script.requests) == 2 and client.is_connected)

    async def test_a_server_that_is_restarted(self) -> None:
        app = App(path="/ws", subprotocols=["zap"])
        await app.start()
        port = app.port
        client = Client(app.url(), reconnect=SOON, offline="queue")
        await client.connect(["zap"], {"x-key": "1"})
        await app.close()
        await until(lambda: client.log.count("CONNECTING") > 2)
        assert client.closed == CloseInfo(1001, "", "remote")
        assert isinstance(client.last_error, ConnectError)
        await client.send_event("echo", "meanwhile")
        echoes: list[Any] = []
        client.on_event("echo", lambda event: echoes.append(event.payload))
        server = ZapServer(port=port, path="/ws", subprotocols=["zap"])
        server.on_event("echo", lambda ctx: ctx.connection.send("echo", ctx.payload))
        async with server:
            await until(lambda: echoes == ["meanwhile"])
            assert client.is_connected and client.last_error is None and client.closed is None
            (connection,) = server.connections.values()
            assert connection.handshake.subprotocol == "zap"
            assert connection.handshake.headers["x-key"] == "1"
            await client.disconnect()
        attempts = (len(client.log) - 2 * len(BEGIN + END)) // 2
        assert client.log == [*BEGIN, *END, *(FAILED * attempts), *BEGIN, *END]

    async def test_off_by_default(self) -> None:
        async with scripted(drop, stay, reconnect=False) as (client, script):
            await client.connect()
            await until(lambda: client.log == BEGIN + END)
            await idle()
            assert len(script.requests) == 1 and not reconnects()
            assert isinstance(client.last_error, ConnectionClosedError)
            assert client.last_error.code == 1006

    async def test_a_server_that_drops_at_once_is_asked_ever_more_rarely(self) -> None:
        policy = NotingPolicy(initial_delay=MS, max_delay=4 * MS)
        async with scripted(drop, drop, drop, drop, stay, reconnect=policy) as (client, script):
            await client.connect()
            await until(lambda: len(script.requests) == 5 and client.is_connected)
            assert policy.asked == [0, 1, 2, 3]
            await until(lambda: client.log == (BEGIN + END) * 4 + BEGIN)

    async def test_a_stable_connection_begins_anew(self) -> None:
        policy = NotingPolicy(initial_delay=MS, max_delay=4 * MS, stable_after=0)
        async with scripted(drop, drop, drop, reset, stay, reconnect=policy) as (client, script):
            await client.connect()
            await until(lambda: len(script.requests) == 5 and client.is_connected)
            assert policy.asked == [0, 0, 0, 1]

    @pytest.mark.parametrize("code", [1000, 1001, 1011, 4000])
    async def test_codes_after_which_it_reconnects(self, code: int) -> None:
        async with scripted(close(code), stay) as (client, _):
            await client.connect()
            await until(lambda: client.log == BEGIN + END + BEGIN)

    @pytest.mark.parametrize("status", [401, 403, 404])
    async def test_fatal_statuses(self, status: int, caplog: pytest.LogCaptureFixture) -> None:
        policy = NotingPolicy(initial_delay=MS, max_delay=4 * MS)
        steps = drop, reset, refuse(status), stay, drop, stay
        async with scripted(*steps, reconnect=policy) as (client, script):
            await client.connect()
            await until(lambda: client.state is ERROR and not reconnects())
            assert isinstance(client.last_error, HandshakeError)
            assert client.last_error.status == status
            assert client.log == [*BEGIN, *END, *FAILED, "CONNECTING", "ERROR"]
            assert f"gave up connecting to {client.url}: cannot connect" in caplog.text
            assert len(script.requests) == 3
            await client.connect()  # the application may
            assert client.is_connected and client.last_error is None
            await client.disconnect()
            await client.connect()
            await until(lambda: len(script.requests) == 6 and client.is_connected)
            assert policy.asked == [0, 1, 0]  # counted anew for each call

    @pytest.mark.parametrize("status", [400, 429, 500, 503])
    async def test_statuses_that_may_pass(self, status: int) -> None:
        async with scripted(drop, refuse(status), stay) as (client, _):
            await client.connect()
            await until(lambda: client.log == BEGIN + END + FAILED + BEGIN)

    async def test_a_busy_server_says_when(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "zaptools")

        async def busy(peer: RawPeer) -> None:
            peer.writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 1000\r\n\r\n")

        async with scripted(drop, busy) as (client, _):
            await client.connect()
            await until(lambda: f"connecting to {client.url} in 300.0" in caplog.text)
            await client.disconnect()

    @pytest.mark.parametrize("chosen", ["other", "zap, zap"])
    async def test_a_bad_subprotocol_is_fatal(self, chosen: str) -> None:
        async with scripted(drop, choose(chosen), stay) as (client, _):
            await client.connect(["zap"])
            await until(lambda: client.state is ERROR)
            assert isinstance(client.last_error, HandshakeError) and client.last_error.negotiation

    async def test_1008_is_fatal(self, caplog: pytest.LogCaptureFixture) -> None:
        async with scripted(close(1008), stay) as (client, script):
            await client.connect()
            await until(lambda: client.state is ERROR)
            assert isinstance(client.last_error, ConnectionClosedError)
            assert client.last_error.code == 1008
            assert client.log == [*BEGIN, *END, "ERROR"]
            assert f"gave up connecting to {client.url}: connection closed" in caplog.text
            await idle()
            assert len(script.requests) == 1

    async def test_max_attempts(self, caplog: pytest.LogCaptureFixture) -> None:
        policy = ReconnectPolicy(initial_delay=MS, max_attempts=3)
        async with scripted(drop, reset, reconnect=policy) as (client, script):
            await client.connect()
            await until(lambda: client.state is ERROR)
            assert client.log == [*BEGIN, *END, *FAILED, *FAILED, "CONNECTING", "ERROR"]
            assert len(script.requests) == 4
            assert isinstance(client.last_error, ConnectError)
            await until(lambda: "gave up connecting" in caplog.text)
            assert "Traceback" not in caplog.text

    async def test_an_error_that_is_no_failure_of_a_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scripted(drop, stay) as (client, _):
            await client.connect()
            client.limits = None  # type: ignore[assignment]  # stands for any defect
            await until(lambda: client.state is ERROR)
            await until(lambda: "gave up connecting" in caplog.text)
            assert "Traceback" in caplog.text
            assert isinstance(client.last_error, AttributeError)
            client.limits = Limits()

    async def test_another_url_for_the_next_attempt(self) -> None:
        async with scripted(drop) as (client, script), App() as app:
            client.on_disconnected(lambda event: setattr(client, "url", app.url()))
            await client.connect()
            await until(lambda: app.seen)
            assert len(script.requests) == 1
            await client.disconnect()

    async def test_a_slow_disconnected_handler_comes_first(self) -> None:
        gate = asyncio.Event()
        async with scripted(drop, stay) as (client, script):

            @client.on_disconnected
            async def disconnected(event: EventData) -> None:
                client.log.append("disconnected")
                await gate.wait()
                client.log.append("done")

            await client.connect()
            await until(lambda: client.log == BEGIN + END)
            await idle()
            assert len(script.requests) == 1
            gate.set()
            await until(lambda: client.log == [*BEGIN, *END, "done", *BEGIN])

    async def test_a_disconnected_handler_that_raises(self) -> None:
        errors: list[Any] = []
        async with scripted(drop, stay) as (client, _):
            client.on_error(errors.append)
            client.on_disconnected(lambda event: 1 / 0)
            await client.connect()
            await until(lambda: client.log == [*BEGIN, "OFFLINE", *BEGIN])
            assert [type(error) for error in errors] == [ZeroDivisionError]

    async def test_a_disconnected_handler_that_connects(self) -> None:
        async with scripted(drop, stay) as (client, script):
            client.on_disconnected(lambda event: client.connect())
            await client.connect()
            await until(lambda: client.log == [*BEGIN, "OFFLINE", *BEGIN])
            await idle()
            assert len(script.requests) == 2 and not reconnects()

    async def test_a_loop_that_ends_meanwhile(self, caplog: pytest.LogCaptureFixture) -> None:
        """As at the end of asyncio.run: tasks are cancelled, and start no other one."""
        async with scripted(drop, drop_when_asked, reconnect=NEVER) as (client, _):
            await client.connect()
            await until(reconnects)
            (reconnecting,) = reconnects()
            reconnecting.cancel()
            await asyncio.wait([reconnecting])
            assert reconnecting.cancelled()

            running: asyncio.Future[asyncio.Task[Any] | None]
            running = asyncio.get_running_loop().create_future()

            @client.on_event("echo")
            async def stuck(event: EventData) -> None:
                running.set_result(asyncio.current_task())
                await asyncio.Event().wait()

            await client.connect()
            task = await within(running)
            assert task is not None
            task.cancel()
            await until(lambda: client.state is OFFLINE)
            await within(asyncio.wait([task]))
            await idle()
            assert not reconnects()


class TestDisconnecting:
    async def test_after_another_connect_it_reconnects_again(self) -> None:
        async with scripted(stay, drop, stay) as (client, _):
            await client.connect()
            await client.disconnect()
            await client.connect()
            await until(lambda: client.log == (BEGIN + END) * 2 + BEGIN)

    async def test_during_the_wait(self, caplog: pytest.LogCaptureFixture) -> None:
        async with scripted(drop, stay, reconnect=NEVER) as (client, script):
            await client.connect()
            await until(reconnects)
            await within(client.disconnect())
            await until(lambda: not reconnects())
            assert client.log == BEGIN + END and len(script.requests) == 1
            assert "gave up" not in caplog.text
            assert client.last_error is not None  # it says how the connection ended

    async def test_before_the_wait(self) -> None:
        async with scripted(drop, stay) as (client, script):
            client.on_disconnected(lambda event: client.disconnect())
            await client.connect()
            await until(lambda: client.log == [*BEGIN, "OFFLINE"])
            await idle()
            assert len(script.requests) == 1 and not reconnects()

    async def test_during_the_opening_handshake(self) -> None:
        async with scripted(drop, hang) as (client, script):
            await client.connect()
            await until(lambda: len(script.requests) == 2)
            await within(client.disconnect())
            assert client.log == [*BEGIN, *END, *FAILED]  # announced before disconnect returned
            await until(lambda: not reconnects())
            assert client.state is OFFLINE and client.last_error is None

    @pytest.mark.parametrize("if_needed", [False, True])
    async def test_in_the_handler_of_online(self, if_needed: bool) -> None:
        """The pending `connect` call raises: there is no connection."""
        async with scripted(stay) as (client, _):

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is ONLINE:
                    await client.disconnect()

            client.on_connection_state_changed(changed)
            calls = [client.connect()]
            if if_needed:
                calls.append(client.connect(if_needed=True))
            for result in await within(asyncio.gather(*calls, return_exceptions=True)):
                assert isinstance(result, ConnectError)
                assert result.detail == "disconnect was called meanwhile"
            assert not client.is_connected and client.log == BEGIN + END

    @pytest.mark.parametrize("at", [CONNECTING, OFFLINE])
    async def test_in_a_handler_of_states(self, at: ZapClientState) -> None:
        async with scripted(drop, reset, stay) as (client, script):

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is at and client.log.count(at.name) == 2:
                    await client.disconnect()

            client.on_connection_state_changed(changed)
            await client.connect()
            await until(lambda: client.log == [*BEGIN, *END, *FAILED])
            await until(lambda: not reconnects())
            assert len(script.requests) == (1 if at is CONNECTING else 2)
            assert client.state is OFFLINE

    @pytest.mark.parametrize("step", [reset, hang])
    async def test_clean_while_it_reconnects(self, step: Step) -> None:
        script = Script(drop, step)
        async with raw_server(script, accept=False) as port:
            client = ZapSubscriber(f"ws://127.0.0.1:{port}/", reconnect=SOON)
            states = client.connection_state
            await client.connect()
            await until(lambda: len(script.requests) > 1)
            await within(client.clean())
            names = [state.name async for state in states]
            assert names[:3] == ["CONNECTING", "ONLINE", "OFFLINE"]
            assert names[3:] == FAILED * (len(names) // 2 - 1)
            count = len(script.requests)
            await idle()
            assert len(script.requests) == count

    async def test_try_reconnect_heeds_it(self) -> None:
        async with scripted(stay, reconnect=False) as (client, script):
            trying = asyncio.ensure_future(client.try_reconnect(5 * MS))
            await asyncio.sleep(0)
            await client.disconnect()
            assert await within(trying) is False
            assert not script.requests and client.log == []

    async def test_try_reconnect_beside_reconnecting(self) -> None:
        async with scripted(drop, stay) as (client, script):
            await client.connect()
            assert await within(client.try_reconnect(0))
            await until(lambda: client.is_connected)
            assert await within(client.try_reconnect(0))
            assert len(script.requests) == 2


class TestConnecting:
    async def test_the_first_failure_is_raised(self) -> None:
        async with scripted(reset, stay) as (client, script):
            with pytest.raises(ConnectError):
                await client.connect()
            assert client.log == ["CONNECTING", "ERROR"]
            assert isinstance(client.last_error, ConnectError)
            await idle()
            assert len(script.requests) == 1

    async def test_retry(self) -> None:
        async with scripted(reset, refuse(503), reset, stay) as (client, _):
            await within(client.connect(retry=True))
            assert client.log == FAILED * 3 + BEGIN and client.last_error is None

    async def test_retry_ends_at_a_fatal_error(self) -> None:
        async with scripted(reset, refuse(401), stay) as (client, _):
            with pytest.raises(HandshakeError) as info:
                await within(client.connect(retry=True))
            assert client.last_error is info.value
            assert client.log == [*FAILED, "CONNECTING", "ERROR"]

    async def test_retry_ends_with_the_attempts(self) -> None:
        policy = ReconnectPolicy(initial_delay=MS, max_attempts=2)
        async with scripted(reset, reconnect=policy) as (client, script):
            with pytest.raises(ConnectError):
                await within(client.connect(retry=True))
            assert len(script.requests) == 3 and client.state is ERROR

    async def test_retry_needs_a_policy(self) -> None:
        client = Client("ws://127.0.0.1:1/")
        with pytest.raises(ValueError, match="retry needs a client with a policy"):
            await client.connect(retry=True)
        assert client.log == []

    async def test_disconnect_ends_retrying(self) -> None:
        async with scripted(reset, reconnect=NEVER) as (client, script):
            connecting = asyncio.ensure_future(client.connect(retry=True))
            await until(lambda: client.log == FAILED)
            await client.disconnect()
            with pytest.raises(ConnectError, match="disconnect was called meanwhile"):
                await within(connecting)
            await idle()
            assert client.state is OFFLINE and len(script.requests) == 1

    async def test_another_connect_replaces_a_waiting_one(self) -> None:
        async with scripted(reset, stay, reconnect=NEVER) as (client, _):
            connecting = asyncio.ensure_future(client.connect(retry=True))
            await until(lambda: client.log == FAILED)
            await within(client.connect())
            with pytest.raises(ConnectError, match="connect was called meanwhile"):
                await within(connecting)
            assert client.is_connected and client.log == FAILED + BEGIN

    async def test_connect_does_not_wait_for_reconnecting(self) -> None:
        async with scripted(drop, stay, reconnect=NEVER) as (client, _):
            await client.connect()
            await until(reconnects)
            await within(client.connect(if_needed=True))
            await until(lambda: not reconnects())
            assert client.log == BEGIN + END + BEGIN

    async def test_a_connect_that_fails_in_its_place_ends_it(self) -> None:
        async with scripted(drop, reset, stay, reconnect=NEVER) as (client, _):
            await client.connect()
            await until(reconnects)
            with pytest.raises(ConnectError):
                await within(client.connect())
            await until(lambda: not reconnects())
            assert client.state is ERROR

    async def test_cancelled_in_a_handler_of_states(self) -> None:
        async with scripted(stay) as (client, script):

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is CONNECTING:
                    await asyncio.Event().wait()

            client.on_connection_state_changed(changed)
            connecting = asyncio.ensure_future(client.connect())
            await until(lambda: client.log)
            connecting.cancel()
            await asyncio.wait([connecting])
            assert connecting.cancelled() and client.log == FAILED and not script.requests

    @pytest.mark.parametrize("at", ["wait", "handshake"])
    async def test_a_cancelled_retry(self, at: str) -> None:
        step = reset if at == "wait" else hang
        async with scripted(step, reconnect=NEVER) as (client, script):
            connecting = asyncio.ensure_future(client.connect(retry=True))
            await until(lambda: script.requests)
            if at == "wait":
                await until(lambda: client.log == FAILED)
            connecting.cancel()
            await asyncio.wait([connecting])
            assert connecting.cancelled() and client.log == FAILED
            await idle()
            assert client.state is OFFLINE and len(script.requests) == 1

    async def test_a_cancelled_connect_does_not_reconnect(self) -> None:
        """Cancelled when the handshake was done, and the handler of ONLINE still ran."""
        async with scripted(stay) as (client, _):
            gate = asyncio.Event()

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is ONLINE:
                    await gate.wait()

            client.on_connection_state_changed(changed)
            connecting = asyncio.ensure_future(client.connect())
            await until(lambda: client.state is ONLINE)
            connecting.cancel()
            await asyncio.wait([connecting])
            gate.set()
            await until(lambda: client.log == BEGIN + END)
            await idle()
            assert not reconnects() and client.last_error is None

    async def test_two_at_once(self) -> None:
        async with scripted(stay) as (client, script):
            done = await within(
                asyncio.gather(
                    client.connect(),
                    client.connect(),
                    client.connect(if_needed=True),
                    return_exceptions=True,
                )
            )
            assert [type(it) for it in done] == [type(None), AlreadyConnectedError, type(None)]
            assert client.is_connected
            await client.connect(if_needed=True)
            with pytest.raises(AlreadyConnectedError, match="already connected"):
                await client.connect()
            assert len(script.requests) == 1

    async def test_two_that_fail(self) -> None:
        async with scripted(reset) as (client, script):
            one, two = await within(
                asyncio.gather(
                    client.connect(), client.connect(if_needed=True), return_exceptions=True
                )
            )
            assert isinstance(one, ConnectError) and two is one
            assert len(script.requests) == 1

    async def test_waiting_for_a_call_that_is_cancelled(self) -> None:
        async with scripted(hang) as (client, script):
            connecting = asyncio.ensure_future(client.connect())
            await until(lambda: script.requests)
            waiting = asyncio.ensure_future(client.connect(if_needed=True))
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(ConnectError):
                await within(waiting)

    async def test_waiting_for_a_call_that_is_cancelled_late(self) -> None:
        gate = asyncio.Event()
        async with scripted(stay) as (client, _):

            async def changed(state: ZapClientState) -> None:
                if state is ONLINE:
                    await gate.wait()

            client.on_connection_state_changed(changed)
            connecting = asyncio.ensure_future(client.connect())
            await asyncio.sleep(0)
            waiting = asyncio.ensure_future(client.connect(if_needed=True))
            await until(lambda: client.state is ONLINE)
            connecting.cancel()
            gate.set()
            with pytest.raises(ConnectError):
                await within(waiting)

    async def test_the_waiting_call_is_cancelled(self) -> None:
        gate = asyncio.Event()

        async def late(peer: RawPeer) -> None:
            await gate.wait()
            await stay(peer)

        async with scripted(late) as (client, script):
            connecting = asyncio.ensure_future(client.connect())
            await until(lambda: script.requests)
            waiting = asyncio.ensure_future(client.connect(if_needed=True))
            await asyncio.sleep(0)
            waiting.cancel()
            gate.set()
            await within(connecting)
            assert client.is_connected and waiting.cancelled()

    async def test_if_needed_in_a_handler(self) -> None:
        async with scripted(stay) as (client, script):
            client.on_connected(lambda event: client.connect(if_needed=True))

            async def changed(state: ZapClientState) -> None:
                if state is ONLINE:
                    await client.connect(if_needed=True)

            client.on_connection_state_changed(changed)
            await within(client.connect())
            await idle()
            assert client.is_connected and len(script.requests) == 1


class TestHandlersThatConnect:
    async def test_in_a_handler_of_an_event(self) -> None:
        """The connection ended while the handler ran; the handler connects again."""
        async with scripted(drop_when_asked, echo, reconnect=False) as (client, _):
            again: list[Any] = []

            @client.on_event("echo")
            async def on_echo(event: EventData) -> None:
                client.log.append(event.payload)
                if event.payload == 1:
                    await client.send_event("drop")
                    await until(lambda: client.closed)
                    assert not client.is_connected
                    again.append(await client.try_reconnect(0))
                    await client.send_event("echo", 2)

            await client.connect()
            await until(lambda: 2 in client.log)
            assert again == [True]
            assert client.log == [*BEGIN, 1, *END, *BEGIN, 2]
            await client.disconnect()
            assert client.log[-2:] == END

    @pytest.mark.parametrize("reconnect", [False, SOON])
    async def test_disconnecting_first(self, reconnect: Any) -> None:
        async with App() as app:
            client = Client(app.url(), reconnect=reconnect)

            @client.on_event("echo")
            async def echo(event: EventData) -> None:
                client.log.append(event.payload)
                if event.payload == 1:
                    await client.disconnect()
                    await client.connect()
                    await client.send_event("echo", 2)

            await client.connect()
            await client.send_event("echo", 1)
            await until(lambda: 2 in client.log)
            assert client.log == [*BEGIN, 1, *END, *BEGIN, 2]
            assert len(app.seen) == 2
            await client.disconnect()

    async def test_in_a_handler_with_more_events_waiting(self) -> None:
        """The handler is its connection's last: later events are dropped."""

        async def script(peer: RawPeer) -> None:
            peer.accept()
            peer.flush()
            for number in range(3):
                peer.event("tick", number)
            await peer.next()
            peer.drop()

        async with scripted(script, stay, reconnect=False) as (client, _):

            @client.on_event("tick")
            async def tick(event: EventData) -> None:
                client.log.append(event.payload)
                await client.send_event("go")
                await until(lambda: client.closed)
                await client.connect()

            await client.connect()
            await until(lambda: client.log == [*BEGIN, 0, *END, *BEGIN])
            await idle()
            assert client.log == [*BEGIN, 0, *END, *BEGIN]

    async def test_fatal_to_the_policy_but_not_to_a_handler(self) -> None:
        async with scripted(close(1008), stay) as (client, _):
            client.on_disconnected(lambda event: client.connect())
            await client.connect()
            await until(lambda: client.log == [*BEGIN, "OFFLINE", *BEGIN])

    @pytest.mark.parametrize("when", [OFFLINE, ERROR, CONNECTING])
    async def test_not_in_a_handler_of_states(
        self, when: ZapClientState, caplog: pytest.LogCaptureFixture
    ) -> None:
        steps = [reset, stay] if when is ERROR else [drop, stay]
        async with scripted(*steps, reconnect=False) as (client, script):
            log: list[str] = []

            async def changed(state: ZapClientState) -> None:
                log.append(state.name)
                if state is when:
                    await within(client.try_reconnect(0))

            client.on_connection_state_changed(changed)
            if when is ERROR:
                with pytest.raises(ConnectError):
                    await client.connect()
            else:
                await client.connect()
                await until(lambda: log[-1] == "OFFLINE")
            await until(lambda: "let a task that it starts connect" in caplog.text)
            assert f"the handler of the state {when.name} failed" in caplog.text
            assert len(script.requests) == 1

    @pytest.mark.parametrize("first", [drop, reset])
    async def test_in_a_task_of_a_handler_of_states(self, first: Step) -> None:
        """Announcements are in order, even if the handler is slow."""
        tasks: list[asyncio.Task[Any]] = []
        async with scripted(first, stay, reconnect=False) as (client, _):

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state in (OFFLINE, ERROR) and not tasks:
                    tasks.append(asyncio.create_task(client.connect()))
                    await idle()
                client.log.append(f"/{state.name}")

            client.on_connection_state_changed(changed)
            if first is reset:
                with pytest.raises(ConnectError):
                    await client.connect()
            else:
                await client.connect()
                await until(lambda: tasks)
            await within(tasks[0])
            announced = [it for it in client.log if it != "connected"]
            begin = ["CONNECTING", "/CONNECTING", "ONLINE", "/ONLINE"]
            if first is reset:
                assert announced == [*begin[:2], "ERROR", "/ERROR", *begin]
            else:
                assert announced == [*begin, "OFFLINE", "/OFFLINE", "disconnected", *begin]

    async def test_a_task_waits_for_the_handlers_of_the_last_connection(self) -> None:
        gate = asyncio.Event()
        async with scripted(drop_when_asked, stay, reconnect=False) as (client, _):

            @client.on_event("echo")
            async def on_echo(event: EventData) -> None:
                await gate.wait()
                client.log.append("echo")

            await client.connect()
            await client.send_event("drop")
            await until(lambda: client.closed)
            connecting = asyncio.ensure_future(client.connect())
            await idle()
            assert client.log == BEGIN
            gate.set()
            await within(connecting)
            assert client.log == [*BEGIN, "echo", *END, *BEGIN]

    async def test_disconnecting_while_a_task_waits_for_those_handlers(self) -> None:
        """The waiting `connect` raises: disconnect was called after it."""
        gate = asyncio.Event()
        async with scripted(drop_when_asked, stay, reconnect=False) as (client, script):
            client.on_event("echo", lambda event: gate.wait())
            await client.connect()
            await client.send_event("drop")
            await until(lambda: client.closed)
            connecting = asyncio.ensure_future(client.connect())
            await idle()
            disconnecting = asyncio.ensure_future(client.disconnect())
            await idle()
            gate.set()
            with pytest.raises(ConnectError, match="disconnect was called meanwhile"):
                await within(connecting)
            await within(disconnecting)
            assert client.log == BEGIN + END and len(script.requests) == 1

    async def test_connecting_while_an_attempt_is_ending(self) -> None:
        """The call waits for that end, as it does for a connection's."""
        async with scripted(hang, stay, reconnect=False) as (client, script):
            connecting = asyncio.ensure_future(client.connect())
            await until(lambda: script.requests)
            _, again, first = await within(
                asyncio.gather(
                    client.disconnect(), client.connect(), connecting, return_exceptions=True
                )
            )
            assert again is None and isinstance(first, ConnectError)
            assert client.is_connected and client.log == FAILED + BEGIN

    async def test_a_task_that_a_handler_waits_for(self) -> None:
        """Task and handler wait for each other: an error says so; there is no deadlock."""
        errors: list[BaseException] = []
        async with App() as app:
            client = Client(app.url(), limits=Limits(close_timeout=10 * MS))
            client.on_error(errors.append)

            @client.on_event("echo")
            async def echo(event: EventData) -> None:
                cut(client)
                await asyncio.create_task(client.connect())

            await client.connect()
            await client.send_event("echo")
            await until(lambda: client.log == BEGIN + END)
            assert [type(error) for error in errors] == [AlreadyConnectedError]
            assert "a handler of the connection that has ended is still running" in str(errors[0])
            await client.connect()
            await client.disconnect()


class Odd(BaseException):
    """No Exception."""


async def test_an_answer_after_the_attempt_has_ended() -> None:
    """uvloop may deliver one before the cancellation reaches the task that opens."""
    client, tcp = Client("ws://127.0.0.1:1/"), FakeTcp()
    protocol = ClientProtocol(parse_url(client.url))
    begins: list[Callable[[ClientTransport], None]] = []

    async def opener(url: str, begin: Callable[[ClientTransport], None], **_: Any) -> Any:
        begins.append(begin)
        await asyncio.Event().wait()

    link_of(client).opener = opener
    connecting = asyncio.ensure_future(client.connect())
    await until(lambda: begins)
    transport = ClientTransport(protocol, Limits(), client.url, {}, begins[0])
    transport.connection_made(tcp)
    await client.disconnect()
    with pytest.raises(ConnectError):
        await connecting
    accept = accept_key(protocol.key).encode()
    transport.data_received(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    assert tcp.closing and not transport.is_open
    assert not client.is_connected and client.log == FAILED
    transport.connection_lost(None)


async def test_an_owner_that_fails_to_announce_that_it_is_online() -> None:
    """A client whose `connect` failed is not connected."""
    log: list[str] = []

    async def on_state(state: ZapClientState) -> None:
        log.append(state.name)
        if state is ONLINE:
            raise RuntimeError

    async def on_connected(context: EventContext) -> None:
        log.append("connected")

    async def on_disconnected(context: EventContext) -> None:
        log.append("disconnected")

    async with App() as app:
        link = Link(
            app.url(),
            policy=None,
            limits=Limits(),
            compression=None,
            omit_empty_headers=False,
            route=Route(),
            ssl=None,
            on_state=on_state,
            on_connected=on_connected,
            on_disconnected=on_disconnected,
        )
        with pytest.raises(ConnectError, match="ONLINE raised RuntimeError"):
            await within(link.connect(link.url))
        await until(lambda: log == ["CONNECTING", "ONLINE", "OFFLINE", "disconnected"])
        await until(lambda: app.ends and not app.connections)
        assert not link.is_connected


class TestBaseExceptions:
    @pytest.mark.parametrize("reconnect", [False, SOON])
    async def test_of_the_handler_of_online(self, reconnect: Any, loop_errors: list[Any]) -> None:
        async with scripted(stay, reconnect=reconnect) as (client, script):

            def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is ONLINE:
                    raise Odd

            client.on_error(lambda error: None)
            client.on_connection_state_changed(changed)
            with pytest.raises(ConnectError, match="the handler of ONLINE raised Odd") as info:
                await within(client.connect())
            assert isinstance(info.value.__cause__, Odd)
            assert client.log[:3] == [
                "CONNECTING",
                "ONLINE",
                "OFFLINE",
            ]  # announced before it raised
            last = ["ERROR"] if reconnect else []
            await until(lambda: client.log == ["CONNECTING", "ONLINE", *END, *last])
            await idle()
            assert len(script.requests) == 1
            client.on_connection_state_changed(lambda state: client.log.append(state.name))
            client.log.clear()
            await client.connect()
            await until(lambda: client.log == BEGIN)

    @pytest.mark.parametrize("when", [CONNECTING, ONLINE, OFFLINE])
    async def test_a_cancellation_of_what_a_handler_of_states_awaits(
        self, when: ZapClientState, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with scripted(stay) as (client, _):

            async def changed(state: ZapClientState) -> None:
                client.log.append(state.name)
                if state is when:
                    raise asyncio.CancelledError

            client.on_connection_state_changed(changed)
            await within(client.connect())
            await within(client.disconnect())
            assert client.log == BEGIN + END
            assert f"the handler of the state {when.name} failed" in caplog.text

    async def test_of_the_handler_of_connecting(self) -> None:
        async with scripted(stay) as (client, script):

            def changed(state: ZapClientState) -> None:
                raise Odd

            client.on_connection_state_changed(changed)
            with pytest.raises(Odd):
                await client.connect()
            assert client.state is ERROR and not script.requests
            client.on_connection_state_changed(lambda state: client.log.append(state.name))
            await client.connect()
            assert client.log[:2] == ["CONNECTING", "ONLINE"]

    async def test_of_the_handler_of_offline(self, loop_errors: list[Any]) -> None:
        async with scripted(drop, stay, reconnect=False) as (client, _):

            def changed(state: ZapClientState) -> None:
                if state is OFFLINE:
                    raise Odd

            client.on_connection_state_changed(changed)
            await client.connect()
            await until(lambda: client.state is OFFLINE)
            client.on_connection_state_changed(lambda state: client.log.append(state.name))
            await within(client.connect())
            assert client.is_connected


@pytest.fixture
async def loop_errors() -> AsyncIterator[list[Any]]:
    """Collect the loop's reports: of a connection's task that ended with `Odd`."""
    loop = asyncio.get_running_loop()
    taken: list[Any] = []
    loop.set_exception_handler(lambda _, context: taken.append(context))
    yield taken
    loop.set_exception_handler(None)


@pytest.fixture(autouse=True)
def debug() -> Iterator[None]:
    """Show the log of a test that fails."""
    logger = logging.getLogger("zaptools")
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(logging.NOTSET)
