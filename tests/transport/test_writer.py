"""What is written, in which pieces and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tests.support import MS, within
from tests.support.fakes import FakeTransport
from tests.support.tcp import FakeTcp
from zaptools import CloseInfo, Limits, WebSocketConnection
from zaptools.exceptions import ConnectionClosedError, SendTimeoutError
from zaptools.transport.writer import Writer, flush_all, text_frame


def opened(tcp: FakeTcp, protocol: Protocol | None = None, **limits: Any) -> Writer:
    """Return a writer after the opening handshake; by default a server's without extensions."""
    made = Writer(tcp, protocol or ServerProtocol(), Limits(**limits))
    made.open(WebSocketConnection("x", FakeTransport()))
    return made


async def test_one_write_a_turn() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    for text in (b"a", b"b", b"c"):
        assert writer.send(text) is None
    assert tcp.writes == []
    await asyncio.sleep(0)
    assert tcp.writes == [b"\x81\x01a\x81\x01b\x81\x01c"]
    writer.send(b"d")
    await asyncio.sleep(0)
    assert tcp.writes[1:] == [b"\x81\x01d"]
    assert tcp.high == Limits().write_bytes


async def test_much_is_written_at_once() -> None:
    tcp = FakeTcp()
    writer = opened(tcp, write_bytes=10)
    assert writer.send(b"x" * 10) is None
    turn = writer.send(b"x")
    assert len(tcp.writes) == 1
    assert turn is not None  # others have a turn
    await turn


async def test_the_protocol_writes_behind_what_was_sent() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.send(b"a")
    writer.write([])
    assert tcp.writes == []
    writer.write([b"pong", b"close", SEND_EOF])
    assert tcp.writes == [b"\x81\x01a", b"pong", b"close", "eof"]


async def test_tls_has_no_half_closed_connection() -> None:
    tcp = FakeTcp(eof=False)
    writer = opened(tcp)
    writer.write([b"close", SEND_EOF, b"never"])
    writer.send(b"never")
    writer.flush()
    assert tcp.writes == [b"close", "close"]


async def test_drop() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.send(b"a")
    writer.drop()
    await asyncio.sleep(0)
    assert tcp.writes == []


async def test_waiting() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.pause()
    waiting = [writer.send(text) for text in (b"a", b"b")]
    tasks = [asyncio.ensure_future(each) for each in waiting if each is not None]
    assert len(tasks) == 2
    await asyncio.sleep(0)
    writer.resume()
    writer.resume()
    await within(asyncio.gather(*tasks))
    writer.flush()
    assert b"".join(tcp.writes) == b"\x81\x01a\x81\x01b"  # type: ignore[arg-type]  # all bytes


@pytest.mark.parametrize("patience", [0, 5 * MS])
async def test_giving_up(patience: float) -> None:
    writer = opened(FakeTcp(), send_timeout=patience)
    writer.pause()
    waiting = writer.send(b"a")
    assert waiting is not None
    with pytest.raises(SendTimeoutError):
        await within(waiting)
    writer.resume()
    assert writer.send(b"b") is None


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 70000])
def test_the_frame_of_a_text(size: int) -> None:
    text = b"x" * size
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False, extensions=[])


async def test_a_broadcasts_frame_is_written_as_it_is() -> None:
    tcp = FakeTcp()
    writer, frame = opened(tcp), text_frame(b"a")
    unflushed: list[Writer] = []
    assert writer.offer(b"a", frame, unflushed) is False
    assert writer.offer(b"b", text_frame(b"b"), unflushed) is False
    assert unflushed == [writer]
    flush_all([writer])
    assert tcp.writes == [b"\x81\x01a\x81\x01b"]
    writer.offer(b"a", frame, [])
    writer.flush()
    assert tcp.writes[1] is frame


async def test_behind_what_was_sent() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    unflushed: list[Writer] = []
    writer.send(b"a")
    writer.offer(b"b", text_frame(b"b"), unflushed)
    assert unflushed == []  # its flush is scheduled
    await asyncio.sleep(0)
    assert tcp.writes == [b"\x81\x01a\x81\x01b"]


async def test_one_that_cannot_be_flushed_stops_no_other() -> None:
    class Broken(FakeTcp):
        def write(self, data: Any) -> None:
            raise RuntimeError("no")

    tcps = [FakeTcp(), Broken(), FakeTcp()]
    writers = [opened(tcp) for tcp in tcps]
    for writer in writers:
        writer.offer(b"a", text_frame(b"a"), [])
    with pytest.raises(RuntimeError):
        flush_all(writers)
    await asyncio.sleep(0)
    assert [len(tcp.writes) for tcp in tcps] == [1, 0, 1]


async def test_a_connection_that_masks_frames_a_broadcast_itself() -> None:
    tcp = FakeTcp()
    writer = opened(tcp, ClientProtocol(parse_uri("ws://x/")))
    unflushed: list[Writer] = []
    writer.offer(b"a", text_frame(b"a"), unflushed)
    assert unflushed == []
    await asyncio.sleep(0)
    (write,) = tcp.writes
    assert len(write) == 7 and write != text_frame(b"a")


async def test_a_broadcast_fills_the_buffer() -> None:
    tcp = FakeTcp()
    assert opened(tcp, write_bytes=10).offer(b"x" * 11, text_frame(b"x" * 11), []) is True
    assert len(tcp.writes) == 1


async def test_a_broadcast_does_not_wait_for_a_peer_that_does_not_read() -> None:
    tcp = FakeTcp()
    writer = opened(tcp, backlog_bytes=10)
    tcp.unsent = 5
    writer.pause()
    text = b"12345"

    def offer() -> None:
        writer.offer(text, text_frame(text), [])

    offer()
    offer()
    with pytest.raises(SendTimeoutError) as caught:
        offer()
    assert (caught.value.seconds, caught.value.backlog) == (0, 15)  # 5 of them in the socket
    tcp.unsent = 11
    writer.flush()
    with pytest.raises(SendTimeoutError) as caught:
        offer()
    assert caught.value.backlog == 21
    writer.resume()
    offer()  # what is unsent counts only while the peer does not read
    writer.flush()
    assert b"".join(tcp.writes) == text_frame(text) * 3  # type: ignore[arg-type]  # all bytes


def letters(tcp: FakeTcp) -> str:
    """What was written, of texts of one letter each."""
    written = b"".join(tcp.writes)  # type: ignore[arg-type]  # all bytes
    assert len(written) % 3 == 0
    return "".join(chr(byte) for byte in written[2::3])


def sending(writer: Writer, text: bytes) -> asyncio.Future[None]:
    waiting = writer.send(text)
    assert waiting is not None
    return asyncio.ensure_future(waiting)


async def test_waiting_events_keep_their_order() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.pause()
    waiting = [sending(writer, text) for text in (b"a", b"b")]
    await asyncio.sleep(0)
    assert writer.offer(b"c", text_frame(b"c"), []) is False
    waiting.append(sending(writer, b"d"))
    await asyncio.sleep(0)
    writer.resume()
    assert writer.send(b"e") is None
    await within(asyncio.gather(*waiting))
    writer.flush()
    assert letters(tcp) == "abcde"


async def test_waiting_sends_continue_until_the_buffer_is_full() -> None:
    class Full(FakeTcp):
        def write(self, data: Any) -> None:
            super().write(data)
            writer.pause()

    tcp = Full()
    writer = opened(tcp, write_bytes=0)
    writer.pause()
    waiting = [sending(writer, text) for text in (b"a", b"b", b"c")]
    await asyncio.sleep(0)
    for count in (1, 2, 3):
        writer.resume()
        await asyncio.sleep(0)
        assert letters(tcp) == "abc"[:count]
        assert [each.done() for each in waiting].count(True) == count
        late = sending(writer, b"z")
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
    assert tcp.writes[3:] == []


async def test_sends_that_give_up_are_not_written() -> None:
    tcp = FakeTcp()
    writer = opened(tcp, send_timeout=5 * MS)
    writer.pause()
    cancelled, late = sending(writer, b"a"), sending(writer, b"b")
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(SendTimeoutError):
        await within(late)
    assert cancelled.cancelled()
    writer.resume()
    writer.flush()
    assert tcp.writes == []


async def test_the_end_makes_waiting_sends_fail() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    connection = writer.connection
    assert connection is not None
    writer.pause()
    waiting = [sending(writer, text) for text in (b"a", b"b")]
    not_begun = writer.send(b"c")
    assert not_begun is not None
    await asyncio.sleep(0)
    assert writer.offer(b"d", text_frame(b"d"), []) is False
    connection.closed = CloseInfo(4000, "", "local")
    writer.end(connection.closed)
    for each in (*waiting, not_begun):
        with pytest.raises(ConnectionClosedError):
            await within(each)
    writer.write([b"\x88"])
    assert b"".join(tcp.writes) == b"\x81\x01d\x88"  # type: ignore[arg-type]  # all bytes


async def test_nothing_comes_behind_the_close_frame() -> None:
    """Also where each write fills the buffer, and the peer reads again afterwards."""

    class Full(FakeTcp):
        def write(self, data: Any) -> None:
            assert "eof" not in self.writes, "Cannot call write() after write_eof()"
            super().write(data)
            writer.pause()

    tcp = Full()
    writer = opened(tcp, write_bytes=0)
    connection = writer.connection
    assert connection is not None
    writer.pause()
    first = sending(writer, b"a")
    await asyncio.sleep(0)
    for text in (b"b", b"c"):
        writer.offer(text, text_frame(text), [])
    last = sending(writer, b"d")
    await asyncio.sleep(0)
    connection.closed = CloseInfo(4000, "", "local")
    writer.end(connection.closed)
    writer.write([b"\x88\x00", SEND_EOF])
    writer.resume()
    for late in (first, last, sending(writer, b"e")):
        with pytest.raises(ConnectionClosedError):
            await within(late)
    with pytest.raises(ConnectionClosedError):
        writer.offer(b"f", text_frame(b"f"), [])
    await asyncio.sleep(0)
    assert tcp.writes == [text_frame(b"b"), text_frame(b"c"), b"\x88\x00", "eof"]


async def test_waiting_events_count_as_unsent() -> None:
    tcp = FakeTcp()
    writer = opened(tcp, backlog_bytes=10)
    writer.pause()
    waiting = sending(writer, b"x" * 11)
    await asyncio.sleep(0)
    with pytest.raises(SendTimeoutError):
        writer.offer(b"a", text_frame(b"a"), [])
    writer.resume()
    await within(waiting)


async def test_held_until_released() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.hold()
    writer.send(b"a")
    await asyncio.sleep(0)
    assert tcp.writes == []
    writer.send(b"b")
    writer.release()
    assert letters(tcp) == "ab"
    writer.hold()
    writer.release()
    writer.send(b"c")
    await asyncio.sleep(0)
    assert letters(tcp) == "abc"


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
async def test_a_clients_frame(size: int) -> None:
    tcp = FakeTcp()
    writer = opened(tcp, ClientProtocol(parse_uri("ws://x/")))
    writer.send(b"x" * size)
    writer.flush()
    server = ServerProtocol(max_size=None)
    server.state = State.OPEN
    server.parser = server.parse()
    next(server.parser)
    server.receive_data(b"".join(tcp.writes))  # type: ignore[arg-type]  # all bytes
    (frame,) = server.events_received()
    assert isinstance(frame, Frame) and frame.opcode is Opcode.TEXT and frame.fin
    assert frame.data == b"x" * size


async def test_a_backlog_is_bounded_though_the_socket_says_nothing() -> None:
    """As uvloop's TLS transport, which says that its buffer is empty."""
    tcp = FakeTcp()
    writer = opened(tcp, backlog_bytes=100)
    writer.pause()
    accepted = 0
    with pytest.raises(SendTimeoutError):
        while True:
            writer.offer(b"x" * 10, text_frame(b"x" * 10), [])
            accepted += 1
    assert tcp.writes == [] and accepted == 11


async def test_a_late_await_and_an_early_cancellation() -> None:
    tcp = FakeTcp()
    writer = opened(tcp)
    writer.pause()
    late = writer.send(b"b")
    cancelled = sending(writer, b"a")
    await asyncio.sleep(0)
    cancelled.cancel()
    writer.resume()
    assert late is not None
    await within(late)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    writer.flush()
    assert letters(tcp) == "b"
