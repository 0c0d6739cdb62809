"""Frames (RFC 6455, section 5): legal ones are read, illegal ones end the connection.

Each scenario runs for every server and every client, with the judge on the other side.
"""

from __future__ import annotations

import pytest

from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.wire.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload
from interop.wire.raw import RawConnection

PROTOCOL_ERROR, NO_TEXT = 1002, 1007


# --- Fragmentation ------------------------------------------------------------------------


@scenario(
    "frames.split-in-two",
    "A message in two fragments is one message, wherever it is split.",
    side="each",
    needs="echo",
    rules=["C-1"],
)
async def test_split_in_two(judged: Judged) -> None:
    connection = await judged.open()
    text = judged.event("é🙂")
    for at in range(len(text) + 1):
        connection.write(*connection.fragments([text[:at], text[at:]]))
        await judged.received("echo", "é🙂")
    await judged.works(connection)


@scenario(
    "frames.split-each-byte",
    "A message in fragments of one byte each is one message.",
    side="each",
    needs="echo",
    rules=["C-1"],
)
async def test_split_each_byte(judged: Judged) -> None:
    connection = await judged.open()
    text = judged.event("é🙂")
    connection.write(*connection.fragments([bytes([byte]) for byte in text]))
    await judged.received("echo", "é🙂")


LIKE_FRAMES = {"server": "\U00010060" + "a" * 36, "client": "\u00c1 " + "a" * 32}
"""Texts whose UTF-8 has a whole text frame in it, as that side reads frames."""


@scenario(
    "frames.like-frames",
    "A long message is read whole, though TCP cuts it before bytes that look like a frame.",
    side="each",
    needs="load",
    rules=["C-18"],
)
async def test_like_frames(judged: Judged) -> None:
    payload = LIKE_FRAMES[judged.side] * 3000
    connection = await judged.open()
    form = {"mask": bytes(4)} if judged.side == "server" else {}
    data = connection.frame(TEXT, judged.event(payload), **form)
    cut = data.index(b"\x81", len(data) // 2)
    connection.write(data[:cut])
    await judged.role.settle()  # it has read that much by then
    connection.write(data[cut:])
    await judged.received("echo", payload)


@scenario(
    "frames.empty-fragments",
    "Fragments may be empty, even all of them.",
    side="each",
    needs="echo",
    rules=["C-1"],
)
async def test_empty_fragments(judged: Judged) -> None:
    connection = await judged.open()
    text = judged.event("x")
    connection.write(*connection.fragments([b"", text[:5], b"", b"", text[5:], b""]))
    await judged.received("echo", "x")


@scenario(
    "frames.control-between-fragments",
    "Control frames between a message's fragments are answered and do not change it.",
    side="each",
    needs="echo",
    rules=["C-2"],
)
async def test_control_between_fragments(judged: Judged) -> None:
    connection = await judged.open()
    first, second, third = connection.fragments(
        [judged.event("é🙂")[:9], b"", judged.event("é🙂")[9:]]
    )
    ping, pong = connection.frame(PING, "one"), connection.frame(PONG, "unasked")
    connection.write(first, ping, second, pong)
    assert (await connection.next(PONG)).payload == b"one"
    connection.write(third)
    await judged.received("echo", "é🙂")


@scenario(
    "frames.close-between-fragments",
    "A close frame between a message's fragments ends the connection; the message is dropped.",
    side="each",
    needs="nothing",
    rules=["E-12"],
)
async def test_close_between_fragments(judged: Judged) -> None:
    connection = await judged.open()
    connection.write(connection.fragments([judged.event("x")[:9], b""])[0])
    connection.send_close(1000)
    await connection.failed(1000, PROTOCOL_ERROR)
    await judged.nothing_received()


@pytest.mark.parametrize("what", ["text", "continuation", "final-continuation"])
@scenario(
    "frames.out-of-order",
    "A fragment out of order fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-3"],
)
async def test_out_of_order(judged: Judged, what: str) -> None:
    connection = await judged.open()
    if what == "text":
        connection.write(connection.frame(TEXT, judged.event("x")[:9], fin=False))
        connection.write(connection.frame(TEXT, judged.event("x")))
    else:
        connection.write(
            connection.frame(CONTINUATION, judged.event("x"), fin=what == "final-continuation")
        )
    await connection.failed(PROTOCOL_ERROR)
    await judged.nothing_received()


# --- Data frames --------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["empty", "event"])
@scenario(
    "frames.binary",
    "A binary message is no event: it is ignored, or the connection is closed cleanly.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["W-24", "W-28"],
)
async def test_binary(judged: Judged, payload: str) -> None:
    connection = await judged.open()
    connection.send(BINARY, judged.event("x") if payload == "event" else b"")
    await no_event(judged, connection)


@scenario(
    "frames.empty-text",
    "An empty text message is no event: it is ignored, or the connection is closed cleanly.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["W-23", "W-28"],
)
async def test_empty_text(judged: Judged) -> None:
    connection = await judged.open()
    connection.send(TEXT, b"")
    await no_event(judged, connection)


async def no_event(judged: Judged, connection: RawConnection) -> None:
    """Check that it was no event, and left the connection usable or cleanly closed."""
    await judged.usable_or_closed(connection)
    await judged.nothing_received()


NOT_UTF8 = {
    "stray-continuation": b"\x80",
    "cut-short": b"\xe2\x82",
    "overlong": b"\xc0\xaf",
    "surrogate": b"\xed\xa0\x80",
    "beyond-unicode": b"\xf4\x90\x80\x80",
    "never-a-byte": b"\xff",
}


@pytest.mark.parametrize("name", NOT_UTF8)
@scenario(
    "frames.not-utf8",
    "A text message that is not UTF-8 fails the connection with 1007.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-4"],
)
async def test_not_utf8(judged: Judged, name: str) -> None:
    connection = await judged.open()
    connection.send(TEXT, judged.event("#").replace(b"#", NOT_UTF8[name]))
    await connection.failed(NO_TEXT)
    await judged.nothing_received()


@scenario(
    "frames.not-utf8-in-fragments",
    "Text that is not UTF-8 in one of its fragments fails the connection with 1007.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-4"],
)
async def test_not_utf8_in_fragments(judged: Judged) -> None:
    connection = await judged.open()
    text = judged.event("#").replace(b"#", b"\xe2\x82x")
    at = text.index(b"\xe2") + 1
    connection.write(*connection.fragments([text[:at], text[at:]]))
    await connection.failed(NO_TEXT)
    await judged.nothing_received()


# --- Headers of frames --------------------------------------------------------------------


@pytest.mark.parametrize("bits", [4, 2, 1], ids=["rsv1", "rsv2", "rsv3"])
@scenario(
    "frames.reserved-bit",
    "A reserved bit that was not negotiated fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-5"],
)
async def test_reserved_bit(judged: Judged, bits: int) -> None:
    connection = await judged.open()
    connection.send(TEXT, judged.event("x"), rsv=bits)
    await connection.failed(PROTOCOL_ERROR)
    await judged.nothing_received()


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@scenario(
    "frames.reserved-opcode",
    "A reserved opcode fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-6"],
)
async def test_reserved_opcode(judged: Judged, opcode: int) -> None:
    connection = await judged.open()
    connection.send(opcode, b"x")
    await connection.failed(PROTOCOL_ERROR)


@scenario(
    "frames.masking",
    "A server fails a connection with unmasked frames, a client one with masked frames.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-7"],
)
async def test_masking(judged: Judged) -> None:
    connection = await judged.open()
    wrong = None if connection.side == "client" else b"\x01\x02\x03\x04"
    connection.send(TEXT, judged.event("x"), mask=wrong)
    await connection.failed(PROTOCOL_ERROR)
    await judged.nothing_received()


@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\xff\xff\xff\xff"], ids=["zeros", "ones"])
@scenario(
    "frames.any-mask",
    "Every masking key is legal, including zero.",
    side="server",
    needs="echo",
    rules=["C-8"],
)
async def test_any_mask(judged: JudgedServer, mask: bytes) -> None:
    connection = await judged.open()
    connection.send(TEXT, judged.event("é🙂"), mask=mask)
    await judged.received("echo", "é🙂")


@scenario(
    "frames.new-masks",
    "A client uses a new masking key for each frame.",
    side="client",
    needs="echo",
    rules=["C-9"],
)
async def test_new_masks(judged: JudgedClient) -> None:
    connection = await judged.open(events=["mirror"])
    for number in range(8):
        judged.ask_back(connection, number, {})
        await connection.next(TEXT)
    assert connection.reader is not None
    assert len(set(connection.reader.masks)) >= 7, "the client's masking keys repeat"


@pytest.mark.parametrize("length", [0, 1, 124, 125, 126, 127, 65_535, 65_536])
@scenario(
    "frames.length",
    "Messages around the limits of the three length forms pass in both directions.",
    side="each",
    needs="echo",
    rules=["C-10"],
)
async def test_length(judged: Judged, length: int) -> None:
    connection = await judged.open()
    bare = len(judged.event(""))
    await judged.works(connection, "x" * max(0, length - bare))


@pytest.mark.parametrize("form", [16, 64])
@scenario(
    "frames.longer-length-form",
    "A length in more bytes than needed fails the connection, or is read as its value.",
    severity="should",
    side="each",
    needs="echo",
    escapes=True,
    rules=["C-11"],
)
async def test_longer_length_form(judged: Judged, form: int) -> None:
    connection = await judged.open()
    connection.send(TEXT, judged.event("x"), form=form)
    connection.send(PING, "past it")
    got = await connection.next(PONG, CLOSE)
    if got.opcode == PONG:
        await judged.received("echo", "x")


@scenario(
    "frames.length-too-long-for-anyone",
    "A length with its highest bit set fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-12"],
)
async def test_length_too_long(judged: Judged) -> None:
    connection = await judged.open()
    connection.write(connection.frame(TEXT, b"x", form=64, announce=1 << 63))
    await connection.failed()
    await judged.nothing_received()


# --- Control frames -----------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 125])
@scenario(
    "frames.ping",
    "A ping is answered by a pong with the same payload.",
    side="each",
    needs="nothing",
    rules=["C-13"],
)
async def test_ping(judged: Judged, length: int) -> None:
    connection = await judged.open()
    payload = bytes(range(256))[-length:] if length else b""
    connection.send(PING, payload)
    assert (await connection.next(PONG)).payload == payload
    await judged.works(connection)


@scenario(
    "frames.pings",
    "Of many pings at least the last is answered, and every pong belongs to a ping.",
    side="each",
    needs="nothing",
    rules=["C-14"],
)
async def test_pings(judged: Judged) -> None:
    connection = await judged.open()
    sent = [f"ping {number}".encode() for number in range(20)]
    connection.write(*(connection.frame(PING, payload) for payload in sent))
    got: list[bytes] = []
    while not got or got[-1] != sent[-1]:
        got.append((await connection.next(PONG)).payload)
    order = [sent.index(payload) for payload in got]
    assert order == sorted(order), "pongs came in another order than their pings"


@scenario(
    "frames.unasked-pong",
    "A pong that answers nothing is ignored.",
    side="each",
    needs="nothing",
    rules=["C-15"],
)
async def test_unasked_pong(judged: Judged) -> None:
    connection = await judged.open()
    connection.send(PONG, b"")
    connection.send(PONG, b"nobody asked")
    await judged.works(connection)


@pytest.mark.parametrize("opcode", [CLOSE, PING, PONG], ids=["close", "ping", "pong"])
@pytest.mark.parametrize("form", ["long", "fragmented"])
@scenario(
    "frames.bad-control",
    "A control frame longer than 125 bytes, or in fragments, fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["C-16"],
)
async def test_bad_control(judged: Judged, form: str, opcode: int) -> None:
    connection = await judged.open()
    payload = close_payload(1000) if opcode == CLOSE else b"xx"
    if form == "long":
        connection.send(opcode, payload + b"x" * 124)
    else:
        connection.send(opcode, payload, fin=False)
    await connection.failed(PROTOCOL_ERROR)
