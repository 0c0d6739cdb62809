"""Sends without a connection: refused, queued, dropped."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from websockets.frames import Opcode

from tests.client.support import cut
from tests.support import MS, until, within
from tests.support.app import App
from tests.support.fakes import FakeTransport
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    CloseInfo,
    CodecError,
    Limits,
    NotConnectedError,
    OfflineQueueFullError,
    WebSocketConnection,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)
from zaptools.client.offline import OfflineSends

NOWHERE = "ws://127.0.0.1:1/"


class Transport(FakeTransport):
    """One with a connection, which is open."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = WebSocketConnection("x", self)

    @property
    def numbers(self) -> list[Any]:
        """The messages that it has sent, each a number."""
        return cast("list[Any]", self.sent)


async def flushed(sends: OfflineSends) -> list[Any]:
    """Flush what is queued, and return it."""
    transport = Transport()
    flushing = sends.flush(cast(Any, transport))
    if flushing is not None:
        await within(flushing)
    assert len(sends) == 0
    return transport.numbers


class TestOfflineSends:
    def test_raise(self) -> None:
        sends = OfflineSends("raise", 1)
        assert sends.refuses
        with pytest.raises(NotConnectedError):
            sends.take(b"1")
        assert (len(sends), sends.dropped) == (0, 0)

    def test_drop(self) -> None:
        sends = OfflineSends("drop", 1)
        assert not sends.refuses
        for _ in range(3):
            sends.take(b"1")
        assert (len(sends), sends.dropped) == (0, 3)

    async def test_queue(self) -> None:
        sends = OfflineSends("queue", 2)
        for _ in range(2):
            sends.take(b"1")
            sends.take(b"2")
            with pytest.raises(OfflineQueueFullError) as info:
                sends.take(b"3")
            assert info.value.limit == 2
            assert await flushed(sends) == [1, 2]
        assert sends.dropped == 0

    async def test_dropping_a_queue(self) -> None:
        sends = OfflineSends("queue", 2)
        sends.take(b"1")
        sends.take(b"2")
        assert sends.drop() == 2
        assert sends.drop() == 0
        assert (await flushed(sends), sends.dropped) == ([], 2)

    async def test_a_late_send_takes_its_place_by_number(self) -> None:
        sends = OfflineSends("queue", 5)
        first, second = sends.next_number(), sends.next_number()
        sends.take(b"3")
        sends.take(b"1", first)
        sends.take(b"4")
        sends.take(b"2", second)
        assert await flushed(sends) == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("policy", "limit", "error", "words"),
        [
            ("keep", 1, ValueError, "offline must be 'raise', 'queue' or 'drop', got 'keep'"),
            (None, 1, ValueError, "offline must be 'raise', 'queue' or 'drop', got None"),
            ("queue", 0, ValueError, "offline_limit must be at least 1, got 0"),
            ("queue", 1.5, TypeError, "offline_limit must be an int, not 1.5"),
            ("queue", True, TypeError, "offline_limit must be an int, not True"),
        ],
    )
    def test_bad_values(self, policy: Any, limit: Any, error: Any, words: str) -> None:
        for make in (
            lambda: OfflineSends(policy, limit),
            lambda: ZapConsumer(NOWHERE, offline=policy, offline_limit=limit),
            lambda: ZapSubscriber(NOWHERE, offline=policy, offline_limit=limit),
        ):
            with pytest.raises(error) as info:
                make()
            assert words in str(info.value)


class Gated(Transport):
    """Records each message at once, and makes its sender wait."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = self.opened = asyncio.Event()

    async def _send_later(self, data: bytes) -> None:
        self.sent.append(json.loads(data))
        await within(self.opened.wait())


@pytest.mark.parametrize("dropped", [False, True])
async def test_an_end_between_two_queued_sends(dropped: bool) -> None:
    sends, transport = OfflineSends("queue", 5), Gated()
    sends.take(b"1")
    sends.take(b"2")
    flushing = sends.flush(cast(Any, transport))
    await until(lambda: transport.numbers == [1])
    transport.connection.closed = CloseInfo(1006)
    if dropped:
        assert sends.drop() == 2
        sends.take(b"3")
    transport.opened.set()
    assert flushing is not None
    await within(flushing)
    assert transport.numbers == [1]
    assert await flushed(sends) == ([3] if dropped else [2])


async def test_queued_sends_go_out_before_later_ones() -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), offline="queue")
        for number in range(3):
            await client.send_event("echo", number)

        @client.on_connection_state_changed
        async def changed(state: ZapClientState) -> None:
            if state is ZapClientState.ONLINE:
                await client.send_event("echo", "in the state")

        @client.on_connected
        async def connected(event: Any) -> None:
            await client.send_event("echo", "in connected")

        assert client.queued_sends == 3
        await client.connect()
        await client.send_event("echo", "after connect")
        await until(lambda: "after connect" in app.log)
        expected = [0, 1, 2, "in the state", "in connected", "after connect"]
        assert app.log == ["connected", *expected]
        assert (client.queued_sends, client.dropped_sends) == (0, 0)
        await client.disconnect()


async def test_a_slow_connected_handler_does_not_delay_queued_sends() -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), offline="queue")
        client.on_connected(lambda event: app.gate.wait())
        await client.send_event("echo", 1)
        await client.connect()
        await until(lambda: 1 in app.log)
        app.gate.set()
        await client.disconnect()


@pytest.mark.parametrize("omit", [False, True])
async def test_queued_sends_are_encoded_as_others(omit: bool) -> None:
    texts: list[bytes] = []

    async def script(peer: RawPeer) -> None:
        for _ in range(2):
            texts.append(bytes((await peer.frame(Opcode.TEXT)).data))
        await peer.next()

    async with raw_server(script) as port:
        url = f"ws://127.0.0.1:{port}/"
        client = ZapConsumer(url, offline="queue", omit_empty_headers=omit)
        await client.send_event("x", 1)
        await client.connect()
        await client.send_event("x", 1)
        await until(lambda: len(texts) == 2)
        await client.disconnect()
    assert texts[0] == texts[1]
    assert ("headers" in json.loads(texts[0])) is not omit


@pytest.mark.parametrize("offline", ["queue", "drop"])
async def test_an_unencodable_event_is_refused_at_once(offline: Any) -> None:
    client = ZapConsumer(NOWHERE, offline=offline)
    with pytest.raises(CodecError):
        await client.send_event("x", float("nan"))
    assert (client.queued_sends, client.dropped_sends) == (0, 0)


async def test_a_full_queue_loses_nothing() -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), offline="queue", offline_limit=2)
        await client.send_event("echo", 1)
        await client.send_event("echo", 2)
        with pytest.raises(OfflineQueueFullError):
            await client.send_event("echo", 3)
        await client.connect()
        await client.send_event("echo", 4)
        await until(lambda: 4 in app.log)
        assert app.log == ["connected", 1, 2, 4]
        await client.disconnect()


async def test_disconnect_drops_queued_sends(caplog: pytest.LogCaptureFixture) -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), offline="queue")
        await client.send_event("echo", 1)
        await client.send_event("echo", 2)
        await client.disconnect()
        assert (client.queued_sends, client.dropped_sends) == (0, 2)
        assert "dropped 2 events that waited for a connection" in caplog.text
        await client.connect()
        await client.send_event("echo", 3)
        await until(lambda: 3 in app.log)
        assert app.log == ["connected", 3]
        await client.disconnect()
        assert client.dropped_sends == 2


async def test_drop_counts() -> None:
    async with App() as app:
        client = ZapConsumer(app.url(), offline="drop")
        await client.send_event("echo", 1)
        await client.connect()
        await client.send_event("echo", 2)
        await until(lambda: 2 in app.log)
        assert app.log == ["connected", 2] and client.dropped_sends == 1
        await client.disconnect()
        await client.send_event("echo", 3)
        assert client.dropped_sends == 2


class Slow:
    """A server that starts to read on demand.

    Attributes:
        read: set by the test, to start.
        payloads: the received ones.
        drop: whether to drop the next connection instead of reading it.
    """

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.payloads: list[Any] = []
        self.drop = False

    async def __call__(self, peer: RawPeer) -> None:
        await self.read.wait()
        if self.drop:
            self.drop = False
            self.read.clear()
            peer.drop()
            return
        while (frame := await peer.next()) is not None:
            if frame.opcode is not Opcode.TEXT:
                return
            self.payloads.append(json.loads(bytes(frame.data))["payload"])


BIG = "y" * 2_000_000


async def steady(client: ZapConsumer) -> int:
    """Return the number of queued sends once the sockets are full."""
    left, turns = client.queued_sends, 0
    while turns < 20:
        await asyncio.sleep(MS)
        turns = turns + 1 if client.queued_sends == left else 0
        left = client.queued_sends
    return left


async def test_a_send_that_waits_when_the_connection_is_lost() -> None:
    """Nothing of the event was written: it waits for the next connection."""
    slow = Slow()
    slow.drop = True
    async with raw_server(slow) as port:
        client = ZapConsumer(
            f"ws://127.0.0.1:{port}/", offline="queue", limits=Limits(write_bytes=1000)
        )
        await client.connect()
        # More than sockets hold: some of it waits.
        big = [asyncio.ensure_future(client.send_event("x", [n, BIG])) for n in range(8)]
        await asyncio.wait(big, return_when=asyncio.FIRST_COMPLETED)
        last = asyncio.ensure_future(client.send_event("x", ["last"]))
        await asyncio.sleep(0)
        assert not last.done()
        slow.read.set()
        await within(asyncio.gather(*big, last))
        await until(lambda: client.current_connection_state is ZapClientState.OFFLINE)
        await client.send_event("x", ["later"])
        await client.connect()
        slow.read.set()
        await until(lambda: slow.payloads and slow.payloads[-1] == ["later"])
        assert slow.payloads[-2] == ["last"]
        numbers = [payload[0] for payload in slow.payloads[:-2]]
        assert numbers == list(range(8 - len(numbers), 8))
        await client.disconnect()


async def stalled(client: ZapConsumer, payloads: list[Any]) -> list[asyncio.Future[None]]:
    """Send until one has to wait, and then these payloads; return the sends that wait."""
    sends: list[asyncio.Future[None]] = []
    while len(sends) < 2 or sends[-1].done():
        sends.append(asyncio.ensure_future(client.send_event("x", BIG)))
        await asyncio.sleep(0)
    for payload in payloads:
        sends.append(asyncio.ensure_future(client.send_event("x", payload)))
    await asyncio.sleep(0)
    return [send for send in sends if not send.done()]


async def test_sends_that_wait_when_the_connection_is_lost_come_before_later_ones() -> None:
    """Also before one that is called before any of them has run since the loss."""
    slow = Slow()
    async with raw_server(slow) as port:
        url, limits = f"ws://127.0.0.1:{port}/", Limits(write_bytes=1000)
        client = ZapConsumer(url, offline="queue", limits=limits)
        await client.connect()
        sends = await stalled(client, payload := [["a"], ["b"]])
        payload[1].append("changed later")
        cut(client)
        await client.send_event("x", ["called last"])
        await within(asyncio.gather(*sends))
        assert client.queued_sends == len(sends) + 1
        slow.drop = True  # the first connection, and what it did carry
        slow.read.set()
        await until(lambda: not slow.drop)
        await client.connect()
        slow.read.set()
        await until(lambda: len(slow.payloads) == len(sends) + 1)
        assert slow.payloads == [*[BIG] * (len(sends) - 2), ["a"], ["b"], ["called last"]]
        await client.disconnect()


async def test_sends_that_wait_when_the_application_disconnects() -> None:
    """They are not kept for the next connection; the calls raise."""
    async with raw_server(Slow()) as port:
        limits = Limits(write_bytes=1000, close_timeout=10 * MS)
        client = ZapConsumer(f"ws://127.0.0.1:{port}/", offline="queue", limits=limits)
        await client.connect()
        sends = await stalled(client, [["a"]])
        await within(client.disconnect())
        results = await within(asyncio.gather(*sends, return_exceptions=True))
        assert {type(result) for result in results} == {NotConnectedError}
        assert client.queued_sends == 0


async def test_a_full_queue_says_the_same_while_the_client_is_online() -> None:
    async with raw_server(Slow()) as port:
        limits = Limits(write_bytes=1000, close_timeout=10 * MS)
        url = f"ws://127.0.0.1:{port}/"
        client = ZapConsumer(url, offline="queue", offline_limit=8, limits=limits)
        for _ in range(8):
            await client.send_event("x", BIG)
        await client.connect()
        left = await steady(client)
        with pytest.raises(OfflineQueueFullError) as info:
            for _ in range(9 - left):
                await client.send_event("x")
        assert info.value.limit == 8
        assert client.is_connected and "not connected" not in str(info.value)
        await client.disconnect()


async def test_a_send_during_the_flush_follows_the_queued_ones() -> None:
    slow = Slow()
    async with raw_server(slow) as port:
        # A send_timeout is for callers: queued events go out when the server reads.
        limits = Limits(write_bytes=1000, send_timeout=0)
        client = ZapConsumer(f"ws://127.0.0.1:{port}/", offline="queue", limits=limits)
        for number in range(8):
            await client.send_event("x", [number, BIG])
        await client.connect()
        await asyncio.sleep(5 * MS)
        assert client.queued_sends > 0
        await client.send_event("x", [8])
        slow.read.set()
        await until(lambda: len(slow.payloads) == 9)
        assert [payload[0] for payload in slow.payloads] == list(range(9))
        assert client.queued_sends == 0
        await client.disconnect()


async def test_a_connection_lost_during_the_flush() -> None:
    """The other events go out on the next connection."""
    slow = Slow()
    slow.drop = True
    async with raw_server(slow) as port:
        client = ZapConsumer(
            f"ws://127.0.0.1:{port}/", offline="queue", limits=Limits(write_bytes=1000)
        )
        for number in range(8):
            await client.send_event("x", [number, BIG])
        await client.connect()
        await until(lambda: client.queued_sends < 8)
        left = await steady(client)
        assert left > 0
        slow.read.set()
        await until(lambda: client.current_connection_state is ZapClientState.OFFLINE)
        assert client.queued_sends == left
        await client.connect()
        slow.read.set()
        await until(lambda: len(slow.payloads) == left)
        assert [payload[0] for payload in slow.payloads] == list(range(8 - left, 8))
        await client.disconnect()


async def test_disconnecting_during_the_flush() -> None:
    slow = Slow()
    async with raw_server(slow) as port:
        limits = Limits(write_bytes=1000, close_timeout=20 * MS)
        client = ZapConsumer(f"ws://127.0.0.1:{port}/", offline="queue", limits=limits)
        for _ in range(8):
            await client.send_event("x", BIG)
        await client.connect()
        left = await steady(client)
        await client.disconnect()
        assert left > 0 and (client.queued_sends, client.dropped_sends) == (0, left)
