"""What is written, in which pieces and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from tests.support import MS, within
from tests.support.fakes import FakeTransport
from tests.support.tcp import FakeTcp
from zaptools import CloseInfo, Limits, WebSocketConnection
from zaptools.exceptions import ConnectionClosedError, SendTimeoutError
from zaptools.transport.writer import Outbox, flush_all, text_frame


def outbox(tcp: FakeTcp, **limits: Any) -> Outbox:
    made = Outbox(tcp, ServerProtocol(), Limits(**limits))
    made._plain = True
    return made


async def test_one_write_a_turn() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    for text in (b"a", b"b", b"c"):
        assert box.send(text) is None
    assert tcp.writes == []
    await asyncio.sleep(0)
    assert tcp.writes == [b"\x81\x01a\x81\x01b\x81\x01c"]
    box.send(b"d")
    await asyncio.sleep(0)
    assert tcp.writes[1:] == [b"\x81\x01d"]
    assert tcp.high == Limits().write_bytes


async def test_much_is_written_at_once() -> None:
    tcp = FakeTcp()
    box = outbox(tcp, write_bytes=10)
    assert box.send(b"x" * 10) is None
    turn = box.send(b"x")
    assert len(tcp.writes) == 1
    assert turn is not None  # others have a turn
    await turn


async def test_the_protocol_writes_behind_what_was_sent() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.send(b"a")
    box.write([])
    assert tcp.writes == []
    box.write([b"pong", b"close", SEND_EOF])
    assert tcp.writes == [b"\x81\x01a", b"pong", b"close", "eof"]


async def test_tls_has_no_half_closed_connection() -> None:
    tcp = FakeTcp(eof=False)
    box = outbox(tcp)
    box.write([b"close", SEND_EOF, b"never"])
    box.send(b"never")
    box.flush()
    assert tcp.writes == [b"close", "close"]


async def test_drop() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.send(b"a")
    box.drop()
    await asyncio.sleep(0)
    assert tcp.writes == []


async def test_waiting() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.pause()
    waiting = [box.send(text) for text in (b"a", b"b")]
    tasks = [asyncio.ensure_future(each) for each in waiting if each is not None]
    assert len(tasks) == 2
    await asyncio.sleep(0)
    box.resume()
    box.resume()
    await within(asyncio.gather(*tasks))
    box.flush()
    assert b"".join(tcp.writes) == b"\x81\x01a\x81\x01b"  # type: ignore[arg-type]  # all bytes


@pytest.mark.parametrize("patience", [0, 5 * MS])
async def test_giving_up(patience: float) -> None:
    box = outbox(FakeTcp(), send_timeout=patience)
    box.pause()
    waiting = box.send(b"a")
    assert waiting is not None
    with pytest.raises(SendTimeoutError):
        await within(waiting)
    box.resume()
    assert box.send(b"b") is None


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 70000])
def test_the_frame_of_a_text(size: int) -> None:
    text = b"x" * size
    assert text_frame(text) == Frame(Opcode.TEXT, text).serialize(mask=False, extensions=[])


async def test_a_broadcasts_frame_is_written_as_it_is() -> None:
    tcp = FakeTcp()
    box, frame = outbox(tcp), text_frame(b"a")
    unflushed: list[Outbox] = []
    assert box.offer(b"a", frame, unflushed) is False
    assert box.offer(b"b", text_frame(b"b"), unflushed) is False
    assert unflushed == [box]
    flush_all([box])
    assert tcp.writes == [b"\x81\x01a\x81\x01b"]
    box.offer(b"a", frame, [])
    box.flush()
    assert tcp.writes[1] is frame


async def test_behind_what_was_sent() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    unflushed: list[Outbox] = []
    box.send(b"a")
    box.offer(b"b", text_frame(b"b"), unflushed)
    assert unflushed == []  # its flush is scheduled
    await asyncio.sleep(0)
    assert tcp.writes == [b"\x81\x01a\x81\x01b"]


async def test_one_that_cannot_be_flushed_stops_no_other() -> None:
    class Broken(FakeTcp):
        def write(self, data: Any) -> None:
            raise RuntimeError("no")

    tcps = [FakeTcp(), Broken(), FakeTcp()]
    boxes = [outbox(tcp) for tcp in tcps]
    for box in boxes:
        box.offer(b"a", text_frame(b"a"), [])
    with pytest.raises(RuntimeError):
        flush_all(boxes)
    await asyncio.sleep(0)
    assert [len(tcp.writes) for tcp in tcps] == [1, 0, 1]


async def test_a_connection_that_masks_frames_a_broadcast_itself() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box._plain = False
    box._masks = True
    unflushed: list[Outbox] = []
    box.offer(b"a", text_frame(b"a"), unflushed)
    assert unflushed == []
    await asyncio.sleep(0)
    (write,) = tcp.writes
    assert len(write) == 7 and write != text_frame(b"a")


async def test_a_broadcast_fills_the_buffer() -> None:
    tcp = FakeTcp()
    assert outbox(tcp, write_bytes=10).offer(b"x" * 11, text_frame(b"x" * 11), []) is True
    assert len(tcp.writes) == 1


async def test_a_broadcast_does_not_wait_for_a_peer_that_does_not_read() -> None:
    tcp = FakeTcp()
    box = outbox(tcp, backlog_bytes=10)
    tcp.unsent = 5
    box.pause()
    text = b"12345"

    def offer() -> None:
        box.offer(text, text_frame(text), [])

    offer()
    offer()
    with pytest.raises(SendTimeoutError):
        offer()
    tcp.unsent = 11
    box.flush()
    with pytest.raises(SendTimeoutError):
        offer()
    box.resume()
    offer()  # what is unsent counts only while the peer does not read
    box.flush()
    assert b"".join(tcp.writes) == text_frame(text) * 3  # type: ignore[arg-type]  # all bytes


def letters(tcp: FakeTcp) -> str:
    """What was written, of texts of one letter each."""
    written = b"".join(tcp.writes)  # type: ignore[arg-type]  # all bytes
    assert len(written) % 3 == 0
    return "".join(chr(byte) for byte in written[2::3])


def sending(box: Outbox, text: bytes) -> asyncio.Future[None]:
    waiting = box.send(text)
    assert waiting is not None
    return asyncio.ensure_future(waiting)


async def test_nobody_overtakes_who_waits() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.pause()
    waiting = [sending(box, text) for text in (b"a", b"b")]
    await asyncio.sleep(0)
    assert box.offer(b"c", text_frame(b"c"), []) is False
    waiting.append(sending(box, b"d"))
    await asyncio.sleep(0)
    box.resume()
    assert box.send(b"e") is None
    await within(asyncio.gather(*waiting))
    box.flush()
    assert letters(tcp) == "abcde"


async def test_who_waits_goes_on_no_further_than_the_buffer() -> None:
    class Full(FakeTcp):
        def write(self, data: Any) -> None:
            super().write(data)
            box.pause()

    tcp = Full()
    box = outbox(tcp, write_bytes=0)
    box.pause()
    waiting = [sending(box, text) for text in (b"a", b"b", b"c")]
    await asyncio.sleep(0)
    for count in (1, 2, 3):
        box.resume()
        await asyncio.sleep(0)
        assert letters(tcp) == "abc"[:count]
        assert [each.done() for each in waiting].count(True) == count
        late = sending(box, b"z")
        await asyncio.sleep(0)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
    assert not box._line


async def test_who_gives_up_leaves_nothing_behind() -> None:
    tcp = FakeTcp()
    box = outbox(tcp, send_timeout=5 * MS)
    box.pause()
    cancelled, late = sending(box, b"a"), sending(box, b"b")
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(SendTimeoutError):
        await within(late)
    assert cancelled.cancelled() and not box._line
    box.resume()
    box.flush()
    assert tcp.writes == []


async def test_the_end_reaches_all_who_wait() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    connection = WebSocketConnection("x", FakeTransport())
    box.open(connection)
    box.pause()
    waiting = [sending(box, text) for text in (b"a", b"b")]
    not_begun = box.send(b"c")
    assert not_begun is not None
    await asyncio.sleep(0)
    assert box.offer(b"d", text_frame(b"d"), []) is False
    connection.closed = CloseInfo(4000, "", "local")
    box.end(connection.closed)
    for each in (*waiting, not_begun):
        with pytest.raises(ConnectionClosedError):
            await within(each)
    box.write([b"\x88"])
    assert b"".join(tcp.writes) == b"\x81\x01d\x88"  # type: ignore[arg-type]  # all bytes


async def test_nothing_comes_behind_the_close_frame() -> None:
    """Also where each write fills the buffer, and the peer reads again afterwards."""

    class Full(FakeTcp):
        def write(self, data: Any) -> None:
            assert "eof" not in self.writes, "Cannot call write() after write_eof()"
            super().write(data)
            box.pause()

    tcp = Full()
    box = outbox(tcp, write_bytes=0)
    connection = WebSocketConnection("x", FakeTransport())
    box.open(connection)
    box.pause()
    first = sending(box, b"a")
    await asyncio.sleep(0)
    for text in (b"b", b"c"):
        box.offer(text, text_frame(text), [])
    last = sending(box, b"d")
    await asyncio.sleep(0)
    connection.closed = CloseInfo(4000, "", "local")
    box.end(connection.closed)
    box.write([b"\x88\x00", SEND_EOF])
    box.resume()
    for late in (first, last, sending(box, b"e")):
        with pytest.raises(ConnectionClosedError):
            await within(late)
    with pytest.raises(ConnectionClosedError):
        box.offer(b"f", text_frame(b"f"), [])
    await asyncio.sleep(0)
    assert tcp.writes == [text_frame(b"b"), text_frame(b"c"), b"\x88\x00", "eof"]


async def test_what_waits_counts_as_unsent() -> None:
    tcp = FakeTcp()
    box = outbox(tcp, backlog_bytes=10)
    box.pause()
    waiting = sending(box, b"x" * 11)
    await asyncio.sleep(0)
    with pytest.raises(SendTimeoutError):
        box.offer(b"a", text_frame(b"a"), [])
    box.resume()
    await within(waiting)


async def test_held_until_released() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.hold()
    box.send(b"a")
    await asyncio.sleep(0)
    assert tcp.writes == []
    box.send(b"b")
    box.release()
    assert letters(tcp) == "ab"
    box.hold()
    box.release()
    box.send(b"c")
    await asyncio.sleep(0)
    assert letters(tcp) == "abc"


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
async def test_a_clients_frame(size: int) -> None:
    tcp = FakeTcp()
    box = Outbox(tcp, ClientProtocol(parse_uri("ws://x/")), Limits())
    box.open(WebSocketConnection("x", FakeTransport()))
    box.send(b"x" * size)
    box.flush()
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
    box = outbox(tcp, backlog_bytes=100)
    box.pause()
    with pytest.raises(SendTimeoutError):
        for _ in range(1000):
            box.offer(b"x" * 10, text_frame(b"x" * 10), [])
    assert tcp.writes == [] and box._line is not None and box._line.size == 110


async def test_who_awaits_late_or_is_cancelled_first() -> None:
    tcp = FakeTcp()
    box = outbox(tcp)
    box.pause()
    late = box.send(b"b")
    cancelled = sending(box, b"a")
    await asyncio.sleep(0)
    cancelled.cancel()
    box.resume()
    assert late is not None
    await within(late)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    box.flush()
    assert letters(tcp) == "b"
