"""The transport over a real socket: frames, order, bounds, pings, and every way to end."""

from __future__ import annotations

import asyncio
import gc
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode

from tests.support import MS, tls, until, within
from tests.support.app import App
from tests.support.raw import RawPeer, raw_client
from zaptools import CloseInfo, CodecError, ConnectionClosedError, EventContext, Limits
from zaptools.exceptions import SendTimeoutError


@pytest.fixture(autouse=True, params=["tcp", "tls"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What each test's connections run over."""
    monkeypatch.setattr(tls, "everywhere", request.param == "tls")
    return request.param


@asynccontextmanager
async def served(**limits: Any) -> AsyncIterator[tuple[App, RawPeer]]:
    """A server, and a raw client that is connected to it."""
    async with App(limits=Limits(**limits)) as app, raw_client(app.port) as peer:
        yield app, peer


@asynccontextmanager
async def narrow(**limits: Any) -> AsyncIterator[tuple[App, RawPeer]]:
    """The same with small buffers in the kernel: a peer that does not read is soon felt."""
    async with (
        App(limits=Limits(**limits)) as app,
        raw_client(app.port, receive_buffer=1 << 16) as peer,
    ):
        sender = app.transport.tcp.get_extra_info("socket")
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        yield app, peer


async def gone(app: App, count: int = 1) -> CloseInfo:
    """Wait for the end of `count` connections; return how the last ended."""
    await until(lambda: len(app.ends) == count)
    ended: CloseInfo = app.ends[-1]
    return ended


async def still_works(app: App) -> None:
    """Other connections are served as before."""
    async with raw_client(app.port) as other:
        other.event("echo", "alive")
        assert (await other.text())["payload"] == "alive"


class TestFrames:
    async def test_what_an_event_looks_like(self) -> None:
        async with served() as (_, peer):
            peer.event("echo", "ü")
            frame = await peer.frame(Opcode.TEXT)
            assert bytes(frame.data).decode() == '{"eventName":"echo","payload":"ü","headers":{}}'
            assert frame.fin and not frame.rsv1

    @pytest.mark.parametrize("size", [0, 70, 100, 125, 126, 5000, 65_400, 65_536, 1_000_000])
    async def test_sizes(self, size: int) -> None:
        async with served() as (_, peer):
            peer.event("echo", "x" * size)
            assert (await peer.text())["payload"] == "x" * size

    async def test_many_in_one_read(self) -> None:
        async with served() as (app, peer):
            peer.send(*(f'{{"eventName":"echo","payload":{n}}}' for n in range(500)))
            assert [(await peer.text())["payload"] for _ in range(500)] == list(range(500))
            assert app.log == ["connected", *range(500)]

    async def test_answers_of_a_batch_leave_together(self) -> None:
        async with served() as (_, peer):
            peer.send(*['{"eventName":"echo"}'] * 20)
            await peer.text()
            assert len(peer.unread) == 19  # the first read brought them all

    async def test_fragments(self) -> None:
        async with served() as (_, peer):
            text = '{"eventName":"echo","payload":"größe"}'.encode()
            cut = text.index("ö".encode()) + 1  # within a character
            peer.protocol.send_text(text[:5], fin=False)
            peer.protocol.send_ping(b"between")
            peer.protocol.send_continuation(text[5:cut], fin=False)
            peer.flush()
            assert (await peer.frame(Opcode.PONG)).data == b"between"
            peer.protocol.send_continuation(text[cut:], fin=True)
            peer.flush()
            assert (await peer.text())["payload"] == "größe"

    async def test_byte_by_byte(self) -> None:
        async with served() as (_, peer):
            peer.protocol.send_text(b'{"eventName":"echo","payload":1}')
            for byte in b"".join(peer.protocol.data_to_send()):
                peer.writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert (await peer.text())["payload"] == 1

    async def test_binary_is_an_error_and_the_connection_lives(self) -> None:
        async with served() as (app, peer):
            peer.protocol.send_binary(b'{"eventName":"echo"}')
            peer.protocol.send_binary(b"\xff", fin=False)
            peer.protocol.send_continuation(b"\xff", fin=True)
            peer.event("echo", 1)
            assert (await peer.text())["payload"] == 1
            assert [type(error) for error in app.errors] == [CodecError, CodecError]
            assert [error.reason for error in app.errors] == ["binary", "binary"]

    async def test_malformed_messages(self) -> None:
        async with served() as (app, peer):
            peer.send("{", "[]", '{"eventName":"connected"}', '{"eventName":"echo","payload":1}')
            assert (await peer.text())["payload"] == 1
            assert len(app.errors) == 3
            assert app.log.count("connected") == 1

    async def test_compression(self) -> None:
        extensions = [ClientPerMessageDeflateFactory(client_max_window_bits=True)]
        async with App(compression="deflate") as app:
            async with raw_client(app.port, extensions=extensions) as peer:
                assert [e.name for e in peer.protocol.extensions] == ["permessage-deflate"]
                for payload in ("x" * 10_000, "y", ["z"] * 100):
                    peer.event("echo", payload)
                    assert (await peer.text())["payload"] == payload
            async with raw_client(app.port) as peer:  # one that does not offer it
                assert not peer.protocol.extensions
                peer.event("echo", 1)
                assert (await peer.text())["payload"] == 1
        async with App() as app, raw_client(app.port, extensions=extensions) as peer:
            assert not peer.protocol.extensions


class TestFaults:
    async def test_too_big(self) -> None:
        async with served(message_bytes=1000) as (app, peer):
            peer.event("echo", 1)
            peer.event("echo", "x" * 1000)
            assert (await peer.text())["payload"] == 1
            assert (await peer.closed()).code == 1009
            assert (await gone(app))[::2] == (1009, "local")
            await still_works(app)

    async def test_too_big_in_fragments(self) -> None:
        async with served(message_bytes=1000) as (app, peer):
            peer.protocol.send_text(b"x" * 600, fin=False)
            peer.protocol.send_continuation(b"x" * 600, fin=False)
            peer.flush()
            assert (await peer.closed()).code == 1009
            assert (await gone(app)).code == 1009

    async def test_too_big_once_inflated(self) -> None:
        extensions = [ClientPerMessageDeflateFactory()]
        async with App(compression="deflate", limits=Limits(message_bytes=1000)) as app:
            async with raw_client(app.port, extensions=extensions) as peer:
                peer.event("echo", "x" * 100_000)
                assert (await peer.closed()).code == 1009
            await still_works(app)

    @pytest.mark.parametrize("fragments", [1, 2])
    async def test_a_bomb(self, fragments: int) -> None:
        """200 kB that would be 200 MB: no more than the limit of it is ever inflated."""
        text = b"x" * 200_000_000
        async with App(compression="deflate") as app:
            extensions = [ClientPerMessageDeflateFactory()]
            async with raw_client(app.port, extensions=extensions) as peer:
                peer.protocol.send_text(text, fin=fragments == 1)
                del text
                peer.flush()
                tracemalloc.start()
                try:
                    assert (await peer.closed()).code == 1009
                    assert tracemalloc.get_traced_memory()[1] < 20_000_000
                finally:
                    tracemalloc.stop()
            assert (await gone(app))[::2] == (1009, "local")
            await still_works(app)

    async def test_exactly_as_big_as_allowed(self) -> None:
        text = '{"eventName":"echo","payload":"%s"}'
        async with served(message_bytes=1000) as (_, peer):
            peer.send(text % ("x" * (1000 - len(text) + 2)))
            assert await peer.text()

    @pytest.mark.parametrize("fragments", [1, 2])
    async def test_invalid_utf8(self, fragments: int) -> None:
        async with served() as (app, peer):
            peer.protocol.send_text(b'{"eventName":"echo","payload":1}')
            if fragments == 1:
                peer.protocol.send_text(b'{"eventName":"\xff"}')
            else:
                peer.protocol.send_text(b'{"eventName":"', fin=False)
                peer.protocol.send_continuation(b'\xed\xa0\x80"}', fin=True)
            peer.protocol.send_text(b'{"eventName":"echo","payload":2}')
            peer.flush()
            assert (await peer.text())["payload"] == 1
            assert (await peer.closed()).code == 1007
            assert (await gone(app))[::2] == (1007, "local")
            assert app.log == ["connected", 1, "disconnected"]

    async def test_invalid_utf8_before_a_close(self) -> None:
        async with served() as (app, peer):
            peer.send(b'{"eventName":"\xff"}', close=1000)
            assert (await peer.closed()).code == 1007
            assert (await gone(app))[::2] == (1007, "local")

    async def test_protocol_error(self) -> None:
        async with served() as (app, peer):
            peer.writer.write(Frame(Opcode.TEXT, b"{}").serialize(mask=False))
            assert (await peer.closed()).code == 1002
            assert (await gone(app))[::2] == (1002, "local")
            await still_works(app)


class TestPings:
    async def test_answered_while_a_handler_runs(self) -> None:
        async with served() as (app, peer):
            peer.event("gate", 1)
            peer.protocol.send_ping(b"now")
            peer.flush()
            assert (await peer.frame(Opcode.PONG)).data == b"now"
            assert app.log == ["connected"]
            app.gate.set()
            assert (await peer.text())["payload"] == 1

    async def test_behind_what_was_sent_before(self) -> None:
        async with served() as (_, peer):
            peer.protocol.send_text(b'{"eventName":"echo"}')
            peer.protocol.send_ping(b"x")
            peer.protocol.send_text(b'{"eventName":"echo"}')
            peer.flush()
            kinds = [(await peer.next()).opcode for _ in range(3)]
            assert sorted(kinds) == [Opcode.TEXT, Opcode.TEXT, Opcode.PONG]

    async def test_sent_and_answered(self) -> None:
        async with served(ping_interval=50 * MS, ping_timeout=500 * MS) as (app, peer):
            for _ in range(15):  # longer than the timeout
                await peer.frame(Opcode.PING)
            assert app.ends == [] and len(app.connections) == 1

    async def test_half_open(self) -> None:
        async with served(ping_interval=10 * MS, ping_timeout=20 * MS) as (app, peer):
            peer.answers = False
            frame = await peer.next()
            while frame.opcode is Opcode.PING:
                frame = await peer.next()
            assert frame.opcode is Opcode.CLOSE
            ended = await gone(app)
            assert ended[::2] == (1011, "local") and "ping" in ended.reason
            peer.drop()
            await until(lambda: not app.connections)

    async def test_whatever_comes_is_a_sign_of_life(self) -> None:
        async with served(ping_interval=10 * MS, ping_timeout=500 * MS) as (app, peer):
            peer.answers = False
            for _ in range(15):  # longer than the timeout
                peer.event("echo")
                await asyncio.sleep(50 * MS)
            assert app.ends == [] and app.seen[0].is_open
            assert (await gone(app)).code == 1011

    async def test_silence_means_nothing_while_reading_is_paused(self) -> None:
        limits = {"ping_interval": 5 * MS, "ping_timeout": 20 * MS, "queue_events": 2}
        async with served(**limits) as (app, peer):
            peer.send(*['{"eventName":"gate"}'] * 5)
            await until(lambda: app.transport.reading_paused)
            await asyncio.sleep(120 * MS)  # several timeouts, in which no pong is read
            assert app.ends == []
            app.gate.set()
            await until(lambda: app.log.count(None) == 5)


class TestBackpressure:
    async def test_reading_pauses(self) -> None:
        async with served(queue_events=10, queue_bytes=5000) as (app, peer):
            total = 20_000
            peer.send(*(f'{{"eventName":"gate","payload":{n}}}' for n in range(total)))
            await until(lambda: app.transport.reading_paused)
            await asyncio.sleep(20 * MS)  # were reading not paused, all would come in this time
            assert len(app.transport.dispatcher) < total // 2
            app.gate.set()
            await until(lambda: len(app.log) == total + 1)
            assert app.log[1:] == list(range(total))
            assert not app.transport.reading_paused

    async def test_a_message_counts_whole_however_it_is_cut_into_reads(self) -> None:
        async with served(queue_bytes=500_000, queue_events=10**6) as (app, peer):
            for _ in range(3):
                peer.event("gate", "x" * 400_000)
            await until(lambda: app.transport.reading_paused)
            assert len(app.transport.dispatcher) < 3
            app.gate.set()
            for _ in range(3):
                assert len((await peer.text())["payload"]) == 400_000

    async def test_what_is_held_counts_as_it_is_once_inflated(self) -> None:
        """200 messages of 100 kB fit in one read; they are inflated a few at a time."""
        count, payload = 200, "x" * 100_000
        limits = Limits(queue_bytes=1_000_000, queue_events=10**6)
        async with App(compression="deflate", limits=limits) as app:
            extensions = [ClientPerMessageDeflateFactory()]
            async with raw_client(app.port, extensions=extensions) as peer:
                texts = [
                    f'{{"eventName":"gate","payload":["{payload}",{n}]}}' for n in range(count)
                ]
                peer.send(*texts, close=4000)
                await until(lambda: app.transport.reading_paused)
                await asyncio.sleep(5 * MS)  # were reading not paused, all would come in this time
                assert 9 <= len(app.transport.dispatcher) < 60
                app.gate.set()
                for number in range(count):
                    assert (await peer.text())["payload"][1] == number
                assert (await peer.closed()).code == 4000
                assert await gone(app) == CloseInfo(4000, "", "remote")

    @pytest.mark.parametrize("how", ["close", "drop"])
    async def test_an_end_while_what_came_is_not_inflated(self, how: str) -> None:
        limits = Limits(queue_bytes=1000)
        async with App(compression="deflate", limits=limits) as app:
            extensions = [ClientPerMessageDeflateFactory()]
            async with raw_client(app.port, extensions=extensions) as peer:
                text = f'{{"eventName":"gate","payload":"{"x" * 100_000}"}}'
                peer.send(*[text] * 200)
                await until(lambda: app.transport.reading_paused)
                if how == "close":
                    closing = asyncio.create_task(app.seen[0].close(4001))
                    assert (await peer.closed()).code == 4001
                    await within(closing)
                else:
                    app.transport.tcp.abort()
                app.gate.set()
                ended = await gone(app)
                assert ended.code == (4001 if how == "close" else 1006)
                await until(lambda: not app.transports)

    async def test_by_bytes(self) -> None:
        async with served(queue_bytes=1000, queue_events=10**6) as (app, peer):
            peer.event("gate", "x" * 5000)
            await until(lambda: app.transport.reading_paused)
            app.gate.set()
            assert (await peer.text())["payload"] == "x" * 5000
            await until(lambda: not app.transport.reading_paused)

    async def test_sends_wait_while_the_peer_does_not_read(self) -> None:
        async with narrow() as (app, peer):
            app.on_event("flood", flood)
            peer.event("flood", 1000)  # more than the peer's side can hold
            await until(lambda: app.transport.writer.paused)
            assert app.seen[0].state.sent < 999
            numbers = [(await peer.text())["payload"][0] for _ in range(1000)]
            assert numbers == list(range(1000))

    async def test_sends_give_up(self) -> None:
        async with narrow(send_timeout=20 * MS, write_bytes=1000) as (app, peer):
            app.on_event("flood", flood)
            peer.event("flood", 10**6)
            await until(lambda: app.errors)
            (error,) = app.errors
            assert isinstance(error, SendTimeoutError) and error.seconds == 20 * MS
            sent = app.seen[0].state.sent
            for number in range(sent):  # nothing of what failed was written, and all before was
                assert (await peer.text())["payload"][0] == number
            peer.event("echo", "alive")
            assert (await peer.text())["payload"] == "alive"

    async def test_sends_that_wait_learn_of_the_end(self) -> None:
        async with narrow(send_timeout=None) as (app, peer):
            app.on_event("flood", flood)
            peer.event("flood", 10**6)
            await until(lambda: app.transport.writer.paused)
            peer.drop()
            await until(lambda: "disconnected" in app.log)
            (error,) = app.errors
            assert isinstance(error, ConnectionClosedError)
            assert (error.code, error.by) == (1006, None)

    async def test_pings_of_a_peer_that_does_not_read(self) -> None:
        """Their answers take no memory without bound, and the last is given in the end.

        Events fill its buffer first. The kernel drops small segments that fill it, and then takes
        no acknowledgements beyond them: where the peer writes on, TCP may stand still for minutes.
        """
        async with narrow(backlog_bytes=100_000) as (app, peer):
            transport, most = app.transport, 0
            while not (await app.broadcast("tick", "x" * 20_000)).failed:
                pass
            for _ in range(100):
                ping = Frame(Opcode.PING, b"x" * 125).serialize(mask=True)
                peer.writer.write(ping * 500)
                await within(peer.writer.drain())
                most = max(most, transport.tcp.get_write_buffer_size())
            assert most < 1 << 20  # of 6 MB
            peer.writer.write(Frame(Opcode.PING, b"last").serialize(mask=True))
            peer.answers = False
            pongs, data = 0, b""
            while data != b"last":
                frame = await peer.next()
                if frame.opcode is Opcode.PONG:
                    pongs, data = pongs + 1, frame.data
            assert pongs < 100 * 500
            peer.event("echo", 1)
            while (event := await peer.text())["eventName"] == "tick":
                pass
            assert event["payload"] == 1


async def flood(ctx: EventContext) -> None:
    for number in range(ctx.payload):
        ctx.connection.state.sent = number
        await ctx.connection.send("flood", [number, "x" * 10_000])


class TestEnding:
    async def test_a_handler_is_cancelled_while_broadcasts_wait(self) -> None:
        """They go out in front of the close frame, and the connection is forgotten."""
        async with narrow() as (app, peer):
            peer.event("gate")
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a read transport
            count = 0
            while not (await app.broadcast("tick", [count, "x" * 20_000])).failed:
                count += 1
            await until(lambda: app.transport.task)
            app.transport.task.cancel()
            assert await gone(app) == CloseInfo(1001, "", "local")
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a read transport
            for number in range(count):
                assert (await peer.text())["payload"][0] == number
            assert (await peer.closed()).code == 1001
            peer.drop()
            await until(lambda: not app.connections)
            assert app.log == ["connected", "disconnected"]

    @pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
    async def test_the_peer_closes(self, code: int) -> None:
        async with served() as (app, peer):
            peer.protocol.send_close(code, "bye")
            peer.flush()
            echoed = await peer.closed()
            assert (echoed.code, echoed.reason) == (code, "bye")
            await peer.eof()  # a server ends TCP first: RFC 6455, section 7.1.1
            assert await gone(app) == CloseInfo(code, "bye", "remote")
            assert app.log == ["connected", "disconnected"]

    async def test_the_peer_closes_without_a_code(self) -> None:
        async with served() as (app, peer):
            peer.protocol.send_close()
            peer.flush()
            assert (await peer.frame(Opcode.CLOSE)).data == b""
            assert await gone(app) == CloseInfo(1005, "", "remote")

    async def test_events_before_a_close_are_answered_first(self) -> None:
        async with served() as (app, peer):
            peer.send(*(f'{{"eventName":"echo","payload":{n}}}' for n in range(50)), close=1000)
            assert [(await peer.text())["payload"] for _ in range(50)] == list(range(50))
            assert (await peer.closed()).code == 1000
            assert app.log == ["connected", *range(50), "disconnected"]

    async def test_slow_events_before_a_close(self) -> None:
        async with served() as (app, peer):
            await self._slow_events_before_a_close(app, peer)

    @pytest.mark.parametrize("wire", ["tcp"], indirect=True)  # TLS has no half-closed connection
    async def test_slow_events_before_a_close_and_half_an_end(self, wire: str) -> None:
        async with served() as (app, peer):
            await self._slow_events_before_a_close(app, peer, lambda: peer.writer.write_eof())

    async def _slow_events_before_a_close(
        self, app: App, peer: RawPeer, then: Callable[[], object] = lambda: None
    ) -> None:
        texts = [f'{{"eventName":"{name}","payload":1}}' for name in ("gate", "echo")]
        peer.send(*texts, close=4000)
        then()
        await until(lambda: app.transport.closing.is_answering)
        assert app.seen[0].is_open
        app.gate.set()
        assert [(await peer.text())["eventName"] for _ in range(2)] == ["gate", "echo"]
        assert (await peer.closed()).code == 4000
        assert await gone(app) == CloseInfo(4000, "", "remote")
        peer.drop()
        await until(lambda: not app.transports)

    async def test_a_close_after_a_running_handler(self) -> None:
        async with served() as (app, peer):
            peer.event("gate", 1)
            await until(lambda: app.transport.dispatcher.busy)
            peer.send(close=1000)
            await until(lambda: app.transport.closing.is_answering)
            app.gate.set()
            assert (await peer.text())["payload"] == 1
            assert (await peer.closed()).code == 1000

    async def test_the_peer_is_gone_when_its_close_is_answered(self) -> None:
        """It has closed while a handler ran, and left: ending TCP from here fails."""
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, told: reported.append(told))
        async with served() as (app, peer):
            app.on_event("quiet", lambda ctx: app.gate.wait())
            peer.send('{"eventName":"quiet"}', close=1000)
            await until(lambda: app.transport.closing.is_answering)
            peer.writer.transport.abort()  # which answers the close frame with a reset
            await asyncio.sleep(0)
            app.gate.set()
            assert await gone(app) == CloseInfo(1000, "", "remote")
            await until(lambda: not app.transports)
        gc.collect()
        assert reported == []

    async def test_handlers_do_not_hold_a_close_back_for_ever(self) -> None:
        async with served(close_timeout=20 * MS) as (app, peer):
            peer.send('{"eventName":"gate"}', close=1000)
            assert (await peer.closed()).code == 1000
            app.gate.set()
            assert await gone(app) == CloseInfo(1000, "", "remote")
            assert [(e.code, e.by) for e in app.errors] == [(1000, "remote")]

    async def test_this_side_closes(self) -> None:
        async with served() as (app, peer):
            peer.event("close", 4001)
            peer.event("echo", "too late")
            assert (await peer.closed()).code == 4001
            await peer.eof()
            assert await gone(app) == CloseInfo(4001, "", "local")
            assert app.log == ["connected", "disconnected"]

    async def test_no_ping_while_it_closes(self) -> None:
        """Nor is a peer given up that answers none: it may have closed already."""
        async with served(ping_interval=10 * MS, ping_timeout=200 * MS) as (app, peer):
            await peer.frame(Opcode.PING)
            peer.answers = False
            closing = asyncio.create_task(app.seen[0].close(4001))
            assert (await peer.closed()).code == 4001
            with pytest.raises(TimeoutError):
                await within(peer.reader.read(1), 300 * MS)
            assert not closing.done()
            peer.drop()
            await within(closing)
            assert await gone(app) == CloseInfo(4001, "", "local")

    async def test_no_pong_counts_while_it_closes(self) -> None:
        async with served() as (app, peer):
            peer.answers = False
            closing = asyncio.create_task(app.seen[0].close(4001))
            assert (await peer.closed()).code == 4001
            app.transport.closing.peer_is_silent()
            assert app.transport.closing.info is None and not closing.done()
            peer.drop()
            await within(closing)
            assert await gone(app) == CloseInfo(4001, "", "local")

    async def test_events_that_cross_a_close(self) -> None:
        """They are dropped, and the closing still waits for the peer's close frame."""
        async with served() as (app, peer):
            peer.answers = False
            closing = asyncio.create_task(app.seen[0].close(4001, "bye"))
            assert (await peer.closed()).code == 4001
            for payload in ("{", '{"eventName":"echo","payload":1}'):
                peer.writer.write(Frame(Opcode.TEXT, payload.encode()).serialize(mask=True))
                peer.writer.write(Frame(Opcode.PING, b"there?").serialize(mask=True))
                assert await within(peer.reader.readexactly(8)) == b"\x8a\x06there?"
            assert not closing.done() and app.log == ["connected"]
            answer = Frame(Opcode.CLOSE, b"\x0f\xa1bye").serialize(mask=True)
            peer.writer.write(answer)
            await within(closing)
            await peer.eof()
            assert app.log == ["connected", "disconnected"] and not app.errors

    async def test_a_fault_that_crosses_a_close(self) -> None:
        async with served() as (app, peer):
            peer.answers = False
            closing = asyncio.create_task(app.seen[0].close(4001))
            assert (await peer.closed()).code == 4001
            peer.writer.write(b"\x83\x80\0\0\0\0")  # no such opcode
            await within(closing)
            assert await gone(app) == CloseInfo(4001, "", "local")

    async def test_this_side_closes_what_the_peer_is_closing(self) -> None:
        async with served() as (app, peer):
            peer.send('{"eventName":"gate"}', '{"eventName":"echo","payload":1}', close=4000)
            await until(lambda: app.transport.closing.is_answering)
            await within(app.seen[0].close(4001))
            assert (await peer.closed()).code == 4000
            app.gate.set()
            assert await gone(app) == CloseInfo(4000, "", "remote")
            assert 1 not in app.log

    async def test_closing_twice_at_once(self) -> None:
        async with served() as (app, peer):
            transport, connection = app.transport, app.seen[0]
            first = asyncio.create_task(connection.close(4001))
            await asyncio.sleep(0)
            second = asyncio.create_task(transport.close(4002, ""))
            with pytest.raises(ConnectionClosedError):
                await connection.close(4003)
            assert (await peer.closed()).code == 4001
            await within(asyncio.gather(first, second))
            await within(transport.close(4002, ""))  # there is nothing to wait for any more

    async def test_a_peer_that_does_not_answer_a_close(self) -> None:
        async with served(close_timeout=20 * MS) as (app, peer):
            peer.answers = False
            await within(app.seen[0].close(4001, "now"))
            assert await gone(app) == CloseInfo(4001, "now", "local")
            assert (await peer.closed()).code == 4001
            await until(lambda: not app.transports)

    async def test_closing_while_reading_is_paused(self) -> None:
        async with served(queue_events=2) as (app, peer):
            peer.send(*['{"eventName":"gate"}'] * 10)
            await until(lambda: app.transport.reading_paused)
            closing = asyncio.create_task(app.seen[0].close(4001))
            assert (await peer.closed()).code == 4001
            await within(closing)
            app.gate.set()
            assert await gone(app) == CloseInfo(4001, "", "local")

    @pytest.mark.parametrize("how", ["reset", "end"])
    async def test_lost(self, how: str, wire: str) -> None:
        async with served() as (app, peer):
            if how == "reset":
                peer.drop()
            elif wire == "tls":
                peer.writer.close()
            else:
                peer.writer.write_eof()
            assert await gone(app) == CloseInfo(1006, "", None)
            assert app.log == ["connected", "disconnected"]
            await until(lambda: not app.connections)

    async def test_lost_while_a_handler_runs(self) -> None:
        async with served() as (app, peer):
            peer.event("gate", 1)
            await until(lambda: app.transport.dispatcher.busy)
            peer.drop()
            await until(lambda: not app.seen[0].is_open)
            assert "disconnected" not in app.log
            app.gate.set()
            await gone(app)
            assert [entry for entry in app.log if isinstance(entry, str)] == [
                "connected",
                "disconnected",
            ]
            await until(lambda: not app.transports)

    async def test_lost_with_events_in_the_queue(self) -> None:
        """They are handled, though their answers cannot be sent."""
        async with served() as (app, peer):
            peer.send(*['{"eventName":"gate","payload":7}'] * 3)
            await until(lambda: app.transport.dispatcher.busy)
            peer.drop()
            await until(lambda: not app.seen[0].is_open)
            app.gate.set()
            await gone(app)
            assert app.log.count(7) == 3

    @pytest.mark.parametrize("answers", [True, False])
    @pytest.mark.parametrize("how", ["wait_for", "timeout", "cancel"])
    async def test_closing_continues_without_a_waiter(self, how: str, answers: bool) -> None:
        """A handler that gives up waiting for the end of a closing leaves no half of one."""
        async with served(close_timeout=100 * MS) as (app, peer):
            peer.answers = False
            given_up: list[str] = []

            @app.on_event("leave")
            async def leave(ctx: EventContext) -> None:
                try:
                    if how == "wait_for":
                        await asyncio.wait_for(ctx.connection.close(4001, "bye"), 2 * MS)
                    elif how == "timeout":
                        async with asyncio.timeout(2 * MS):
                            await ctx.connection.close(4001, "bye")
                    else:
                        closing = asyncio.create_task(ctx.connection.close(4001, "bye"))
                        await asyncio.sleep(0)
                        closing.cancel()
                        await closing
                except (TimeoutError, asyncio.CancelledError) as exc:
                    given_up.append(type(exc).__name__)

            peer.event("leave")
            assert (await peer.closed()).code == 4001
            await until(lambda: given_up)
            if answers:
                peer.writer.write(Frame(Opcode.CLOSE, b"\x0f\xa1bye").serialize(mask=True))
            assert await gone(app) == CloseInfo(4001, "bye", "local")
            await until(lambda: not app.transports)
            assert app.log == ["connected", "disconnected"] and not app.errors
            assert not app.connections

    async def test_a_cancelled_handler_that_closes(self) -> None:
        async with served(close_timeout=100 * MS) as (app, peer):
            peer.answers = False
            peer.event("close", 4001)
            assert (await peer.closed()).code == 4001
            app.transport.task.cancel()
            assert await gone(app) == CloseInfo(4001, "", "local")
            await until(lambda: not app.transports)
            assert app.log == ["connected", "disconnected"] and not app.errors

    async def test_a_handler_that_never_ends_before_a_close(self) -> None:
        """The peer has its answer after the close timeout, and nothing is left of its socket."""
        async with served(close_timeout=20 * MS) as (app, peer):
            peer.send('{"eventName":"gate"}', '{"eventName":"gate"}', close=4000)
            assert (await peer.closed()).code == 4000
            await peer.eof()
            await until(lambda: app.transport.lost.done())
            assert app.log == ["connected"] and not app.seen[0].is_open
            app.gate.set()
            assert await gone(app) == CloseInfo(4000, "", "remote")
            await until(lambda: not app.transports)

    async def test_a_peer_that_keeps_tcp_open(self) -> None:
        async with served() as (app, peer):
            peer.send(close=1000)
            assert (await peer.closed()).code == 1000
            await gone(app)
            await until(lambda: not app.transports)  # though the peer's end is still open

    async def test_abort(self) -> None:
        async with served() as (app, peer):
            app.transport.abort()
            assert (await peer.closed()).code == 1001
            assert await gone(app) == CloseInfo(1001, "", "local")
            assert app.seen[0].closed == CloseInfo(1001, "", "local")

    async def test_cancelling_a_connections_task(self) -> None:
        async with served() as (app, peer):
            peer.event("gate")
            await until(lambda: app.transport.task is not None)
            app.transport.task.cancel()
            assert (await peer.closed()).code == 1001
            assert await gone(app) == CloseInfo(1001, "", "local")
            assert app.log == ["connected", "disconnected"]
            await still_works(app)
