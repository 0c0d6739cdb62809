"""Messages from bytes: the fast path must do exactly what websockets' protocol does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from zaptools.transport.reader import Reader, split_head

LIMIT = 300


def opened(side: str, limit: int | None = LIMIT) -> Protocol:
    """Return a protocol whose opening handshake is done."""
    made = (
        ServerProtocol(max_size=limit)
        if side == "server"
        else ClientProtocol(parse_uri("ws://x/"), max_size=limit)
    )
    made.state = State.OPEN
    made.parser = made.parse()
    next(made.parser)
    return made


def watch(protocol: Protocol) -> list[bytes]:
    """Return a list of the data that `protocol` is given from now on."""
    given: list[bytes] = []
    receive = protocol.receive_data

    def receive_data(data: bytes | bytearray) -> None:
        given.append(bytes(data))
        receive(data)

    protocol.receive_data = receive_data  # type: ignore[method-assign]  # to see its data
    return given


class Seen:
    """What is visible of a reader from outside."""

    def __init__(self, side: str, *, fast: bool, limit: int | None = LIMIT) -> None:
        self.protocol = opened(side, limit)
        # At DEBUG, which the protocol finds out when it is made, each frame goes through it.
        self.protocol.debug = not fast
        self.reader = Reader(self.protocol)
        self.protocol.debug = False
        self.messages: list[str | bytes] = []
        self.writes: list[tuple[Any, ...]] = []

    def take(self, data: bytes) -> None:
        self.messages += self.reader.take(data)
        self._write()

    def end(self) -> None:
        self.reader.receive_eof()
        self._write()

    def _write(self) -> None:
        for data in self.protocol.data_to_send():
            masked = len(data) > 1 and data[1] & 128  # with a key of chance
            size = data[1] & 127 if masked else 0
            key, body = data[2:6], data[6:]
            plain = bytes(b ^ key[i % 4] for i, b in enumerate(body)) if masked else data
            self.writes.append((data[:1], size, plain))

    def state(self) -> tuple[Any, ...]:
        protocol = self.protocol
        exc = protocol.parser_exc
        return (
            self.messages,
            self.writes,
            protocol.state,
            protocol.close_sent,
            protocol.close_rcvd,
            protocol.close_rcvd_then_sent,
            protocol.current_size,
            protocol.eof_sent,
            type(exc),
        )


def differ(side: str, data: bytes, cuts: list[int], *, limit: int | None = LIMIT) -> None:
    """Compare after each cut with a protocol that gets one byte after the other."""
    quick, plain = Seen(side, fast=True, limit=limit), Seen(side, fast=False, limit=limit)
    marks = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    start = 0
    for mark in marks:
        quick.take(data[start:mark])
        for place in range(start, mark):
            plain.take(data[place : place + 1])
        assert quick.state() == plain.state()
        start = mark
    quick.end()
    plain.end()
    assert quick.state() == plain.state()
    assert str(quick.protocol.parser_exc) == str(plain.protocol.parser_exc)


payloads = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.binary(max_size=20),
    st.integers(120, 135).map(lambda size: b"x" * size),
    st.integers(290, 310).map(lambda size: b"y" * size),
)
closes = st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x00\x00", b"\x03\xe8\xff"])


def frame(draw: st.DrawFn, side: str, first: int, data: bytes) -> bytes:
    """One frame, in any of the forms that its length can have; now and then masked wrongly."""
    masked = (side == "server") != (draw(st.integers(0, 60)) == 60)
    size, mark = len(data), 128 if masked else 0
    form = draw(st.sampled_from([0, 0, 0, 0, 2, 8]))  # also longer ones than needed
    if form == 8:
        header = bytes([first, mark | 127]) + size.to_bytes(8)
    elif form == 2 or size > 125:
        header = bytes([first, mark | 126]) + size.to_bytes(2)
    else:
        header = bytes([first, mark | size])
    if not masked:
        return header + data
    key = draw(st.binary(min_size=4, max_size=4))
    return header + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


texts = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.integers(120, 130).map(lambda size: b"x" * size),
)


@st.composite
def frames(draw: st.DrawFn, side: str) -> bytes:
    """One message, or a control frame; now and then a wrong one."""
    kind = draw(st.sampled_from(["text"] * 4 + ["ping", "pong", "parts", "parts", "binary", "any"]))
    if kind == "text":
        return frame(draw, side, 0x81, draw(texts))
    if kind == "ping":
        return frame(draw, side, 0x89, draw(texts.filter(lambda data: len(data) < 126)))
    if kind == "pong":
        return frame(draw, side, 0x8A, b"")
    if kind == "binary":
        return frame(draw, side, 0x82, draw(payloads))
    if kind == "parts":
        parts = frame(draw, side, 0x01, draw(texts))
        if draw(st.booleans()):
            parts += frame(draw, side, draw(st.sampled_from([0x89, 0x00, 0x00, 0x81])), b"")
        return parts + frame(draw, side, 0x80, draw(texts))
    first = draw(st.one_of(st.sampled_from([0x88, 0x81]), st.integers(0, 255)))
    return frame(draw, side, first, draw(closes if first == 0x88 else payloads))


cuts = st.lists(st.integers(0, 5000), max_size=12)


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("limit", [LIMIT, None, 10])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), cuts=cuts)
def test_frames(side: str, limit: int | None, data: st.DataObject, cuts: list[int]) -> None:
    stream = b"".join(data.draw(st.lists(frames(side), max_size=8)))
    stream = stream[: len(stream) - data.draw(st.integers(0, 3))]
    differ(side, stream, cuts, limit=limit)


@pytest.mark.parametrize("side", ["server", "client"])
@settings(deadline=None)
@given(stream=st.binary(max_size=60), cuts=cuts)
@example(stream=b"\x81", cuts=[])
@example(stream=b"\x81\x05" + b"\0" * 20, cuts=[])  # a length masked the wrong way
@example(stream=b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", cuts=[])
@example(stream=b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", cuts=[])
@example(stream=b"\x81\xfe\x01", cuts=[])  # cut within the length
@example(stream=b"\x81\x7e\x01", cuts=[])
@example(stream=b"\x81\xfe\x01\x2c\x00", cuts=[])  # cut within the key
@example(stream=b"\x81\xfe\x01\x2d\x00", cuts=[])  # and longer than allowed
def test_any_bytes(side: str, stream: bytes, cuts: list[int]) -> None:
    differ(side, stream, cuts)


@pytest.mark.parametrize("mask", [True, False])
def test_a_text_within_a_message_that_is_too_big_with_it(mask: bool) -> None:
    """That is known from its header."""
    begun = Frame(Opcode.TEXT, b"x" * 250, fin=False).serialize(mask=mask)
    text = Frame(Opcode.TEXT, b"x" * 100).serialize(mask=mask)
    differ("server" if mask else "client", begun + text[:10], [len(begun) + 8])


@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("step", [10_000, 65_000, 100_000])
def test_large_texts_in_pieces(side: str, size: int, step: int) -> None:
    texts = ["x" * size, "small", "y" * (size // 2), "end"]
    stream = b"".join(
        Frame(Opcode.TEXT, text.encode()).serialize(mask=side == "server") for text in texts
    )
    quick = Seen(side, fast=True, limit=None)
    for start in range(0, len(stream), step):
        quick.take(stream[start : start + step])
    assert quick.messages == texts


def test_the_short_way_is_taken_again() -> None:
    """After frames that are not for it, and after one that came in two pieces."""
    seen = Seen("server", fast=True)
    text = Frame(Opcode.TEXT, b"a").serialize(mask=True)
    ping = Frame(Opcode.PING, b"").serialize(mask=True)
    given_to_protocol = watch(seen.protocol)
    seen.take(text + ping + text[:3])
    seen.take(text[3:] + ping[:1])
    seen.take(ping[1:3])
    seen.take(ping[3:] + text)
    assert seen.messages == ["a", "a", "a"]
    assert given_to_protocol == [ping, ping]


@pytest.mark.parametrize("why", ["extension", "debug"])
def test_all_is_the_protocols(why: str) -> None:
    protocol = opened("server")
    if why == "extension":
        protocol.extensions = [PerMessageDeflate(False, False, 12, 12)]
    else:
        protocol.debug = True
    reader = Reader(protocol)
    given_to_protocol = watch(protocol)
    text = Frame(Opcode.TEXT, b"a").serialize(mask=True)
    assert reader.take(text) == ["a"]
    assert given_to_protocol == [text]


@pytest.mark.parametrize("rest", [b"", b"\x81\x01a", b"\r\n\r\n"])
def test_the_head_of_http(rest: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    whole = head + rest
    for cut in range(len(head)):
        first, behind, tail = split_head(b"", whole[:cut])
        assert (first, behind) == (whole[:cut], b"")
        first, behind, tail = split_head(tail, whole[cut:])
        assert (first, behind, tail) == (head[cut:], rest, b"")
    first, tail = b"", b""
    for place in range(len(head)):
        part, behind, tail = split_head(tail, head[place : place + 1])
        assert behind == b""
        first += part
    assert first == head and tail == b""


def test_what_is_compressed_is_inflated_piece_by_piece() -> None:
    protocol = opened("server", None)
    protocol.extensions = [PerMessageDeflate(False, False, 12, 12)]
    ours = PerMessageDeflate(False, False, 12, 12)
    texts = [str(number) + "x" * 1_000_000 for number in range(20)]
    stream = b"".join(
        Frame(Opcode.TEXT, text.encode()).serialize(mask=True, extensions=[ours]) for text in texts
    )
    reader = Reader(protocol)
    messages, most = reader.take(stream), 0
    assert reader.unparsed
    while reader.unparsed:
        more = reader.take(b"")
        most = max(most, len(more))
        messages += more
    assert messages == texts and most <= 5
    reader.take(stream)
    reader.receive_eof()
    assert not reader.unparsed and protocol.state is State.CLOSED


def test_a_text_that_is_not_utf8_before_a_close_in_one_piece() -> None:
    """Also where all goes to the protocol, which answers a close before a text is looked at."""
    seen = Seen("server", fast=False)
    text = Frame(Opcode.TEXT, b"\xff").serialize(mask=True)
    seen.take(text + Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=True))
    assert seen.messages == []
    assert seen.protocol.close_sent is not None and seen.protocol.close_sent.code == 1007


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("step", [1, 1000])
def test_a_close_between_fragments(fast: bool, step: int) -> None:
    """RFC 6455, sections 5.4 and 5.5: control frames may come there, and it is one."""
    seen = Seen("server", fast=fast)
    data = Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True)
    data += Frame(Opcode.CLOSE, b"\x03\xe8bye").serialize(mask=True)
    for start in range(0, len(data), step):
        seen.take(data[start : start + step])
    assert seen.protocol.close_sent is not None and seen.protocol.close_sent.code == 1000
    assert seen.protocol.close_rcvd_then_sent and seen.messages == []


@pytest.mark.parametrize("fast", [True, False])
def test_fragments_after_a_text_that_is_not_utf8_while_this_side_closes(fast: bool) -> None:
    seen = Seen("server", fast=fast)
    seen.protocol.send_close(4000)
    bad = Frame(Opcode.TEXT, b"\xff").serialize(mask=True)
    seen.take(bad + Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True))
    seen.take(Frame(Opcode.CONT, b"b").serialize(mask=True) + bad)
    assert seen.messages == [] and seen.protocol.parser_exc is None
    seen.take(Frame(Opcode.CLOSE, b"\x0f\xa0").serialize(mask=True))
    assert seen.protocol.close_rcvd is not None and seen.protocol.close_rcvd.code == 4000


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY, Opcode.PING])
@pytest.mark.parametrize("closing", [False, True])
def test_many_frames_are_not_taken_all_at_once(opcode: Opcode, closing: bool) -> None:
    """A read of 256 KiB has 40,000 of the shortest, which would take 300 ms."""
    seen = Seen("server", fast=True)
    number, takes = 20_000 if opcode is Opcode.TEXT else 1000, 1
    if closing:
        seen.protocol.send_close(1000)
    seen.take(Frame(opcode, b"").serialize(mask=True) * number)
    while seen.reader.unparsed:
        seen.take(b"")
        takes += 1
    assert 4 <= takes <= 8
    if opcode is not Opcode.PING:
        assert len(seen.messages) == number
