"""Close frames (RFC 6455, sections 5.5.1 and 7): their codes, and the frames around them."""

from __future__ import annotations

import contextlib

import pytest

from interop.control.operations import asked_of
from interop.errors import PeerFailure, Violation
from interop.roles.judged import Judged, JudgedServer
from interop.scenarios.scenario import scenario
from interop.wire.frames import CLOSE, TEXT, close_payload
from interop.wire.rules import read_event

PROTOCOL_ERROR, NO_TEXT = 1002, 1007


LEGAL = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999]
LEGAL += [4000, 4999]
ILLEGAL = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("code", LEGAL)
@scenario(
    "frames.close-code",
    "A close frame with a legal code is answered by one, and the connection ends.",
    side="each",
    needs="nothing",
    rules=["E-1", "E-2"],
)
async def test_close_code(judged: Judged, code: int) -> None:
    connection = await judged.open()
    connection.send_close(code, "because")
    answer = await connection.next(CLOSE)
    assert answer.code in (code, 1000, None), f"expected {code}, 1000 or none, got {answer.code}"
    if connection.side == "client":
        await connection.tcp_ended()
    else:
        connection.abort()
    await judged.ended()


@pytest.mark.parametrize("code", ILLEGAL)
@scenario(
    "frames.illegal-close-code",
    "A close frame with a code that is not allowed on the wire fails the connection.",
    severity="should",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["E-3"],
)
async def test_illegal_close_code(judged: Judged, code: int) -> None:
    connection = await judged.open()
    connection.send_close(code)
    await connection.failed(PROTOCOL_ERROR)


@scenario(
    "frames.close-empty",
    "A close frame with no code is answered with one that has none, or 1000.",
    side="each",
    needs="nothing",
    rules=["E-4"],
)
async def test_close_empty(judged: Judged) -> None:
    connection = await judged.open()
    connection.send(CLOSE)
    assert (await connection.next(CLOSE)).code in (None, 1000)
    connection.abort()
    await judged.ended()


@scenario(
    "frames.close-half-a-code",
    "A close frame of one byte fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["E-5"],
)
async def test_close_half_a_code(judged: Judged) -> None:
    connection = await judged.open()
    connection.send(CLOSE, b"\x03")
    await connection.failed(PROTOCOL_ERROR)


@scenario(
    "frames.close-longest-reason",
    "A close frame with a reason of 123 bytes, the longest possible, is a clean close.",
    side="each",
    needs="nothing",
    rules=["E-7"],
)
async def test_close_longest_reason(judged: Judged) -> None:
    connection = await judged.open()
    connection.send_close(4001, "é" * 61 + "x")
    assert (await connection.next(CLOSE)).code in (4001, 1000, None)


@scenario(
    "frames.close-reason-not-utf8",
    "A close frame whose reason is not UTF-8 fails the connection.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["E-6"],
)
async def test_close_reason_not_utf8(judged: Judged) -> None:
    connection = await judged.open()
    connection.send(CLOSE, close_payload(1000, b"\xff\xfe"))
    await connection.failed(PROTOCOL_ERROR, NO_TEXT)


@scenario(
    "frames.messages-before-close",
    "Messages in the same segment as the close frame that follows them are delivered, in order.",
    side="each",
    rules=["E-8"],
)
async def test_messages_before_close(judged: Judged) -> None:
    count = 50
    connection = await judged.open()
    texts = [connection.frame(TEXT, judged.event(number)) for number in range(count)]
    connection.write(*texts, connection.frame(CLOSE, close_payload(1000)))
    for number in range(count):
        await judged.received("echo", number)
    await connection.next(CLOSE)


@scenario(
    "frames.nothing-after-close",
    "A frame after a close frame is not delivered as an event.",
    side="each",
    needs="nothing",
    escapes=True,
    rules=["E-9"],
)
async def test_nothing_after_close(judged: Judged) -> None:
    connection = await judged.open()
    connection.write(
        connection.frame(CLOSE, close_payload(1000)), connection.frame(TEXT, judged.event(1))
    )
    await connection.next(CLOSE)
    await judged.nothing_received()


@scenario(
    "frames.close-while-closing",
    "Both sides may close at once: each takes the other's close frame for the answer.",
    side="each",
    rules=["E-10"],
)
async def test_close_while_closing(judged: Judged) -> None:
    connection = await judged.open()
    closing = judged.start_close()
    await judged.role.session.call("describe")  # the close has begun, and nothing was read since
    connection.send_close(1000)
    await connection.next(CLOSE)
    if connection.side == "server":
        connection.abort()
    with contextlib.suppress(PeerFailure):  # it may report that the other side closed first
        await judged.role.session.reply("close", closing)
    await judged.ended()
    closes = [found for found in connection.frames if found.opcode == CLOSE]
    assert len(closes) == 1, f"expected one close frame, got {len(closes)}"


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 5000])
@scenario(
    "frames.own-illegal-code",
    "Closing with a code that is not allowed on the wire is an error, or writes an allowed one.",
    side="each",
    escapes=True,
    rules=["E-11"],
)
async def test_own_illegal_code(judged: Judged, code: int) -> None:
    connection = await judged.open()
    closing = judged.start_close(code=code)
    written = connection.soon(CLOSE)
    await judged.first(closing, written)
    if written.done():  # the connection's reader checks its code
        connection.send_close(1000)
        connection.abort()
    with contextlib.suppress(PeerFailure):
        await judged.role.session.reply("close", closing)
        await written
    written.cancel()


@pytest.mark.parametrize("size", [123, 124, 125, 300])
@scenario(
    "frames.own-long-reason",
    "Closing with a reason that is longer than 123 bytes is an error, or writes the beginning of "
    "it; one of 123 bytes is written whole.",
    side="each",
    rules=["E-37"],
    rules_of={"123": ["E-13"]},
)
async def test_own_long_reason(judged: Judged, size: int) -> None:
    connection = await judged.open()
    reason = "é" * (size // 2) + "x" * (size % 2)
    closing = judged.start_close(code=4000, reason=reason)
    written = connection.soon(CLOSE)
    await judged.first(closing, written)
    if not written.done():
        try:
            await judged.role.session.reply("close", closing)
        except PeerFailure:
            assert size > 123, "expected a reason of 123 bytes to be written, got an error"
            written.cancel()
            await judged.usable_or_closed(connection)
            return
    got = (await written).payload[2:].decode(errors="replace")
    assert reason.startswith(got), f"expected the beginning of the reason, got {got!r}"
    assert size > 123 or got == reason, f"expected the whole reason, got {got!r}"
    connection.send_close(1000)
    connection.end_tcp()
    await judged.ended()


@scenario(
    "lifecycle.handler-close-code",
    "The close code that a handler gives reaches the wire.",
    side="server",
    rules=["E-13"],
)
async def test_handler_close_code(judged: JudgedServer) -> None:
    connection = await judged.open()
    judged.server.session.features |= asked_of("close-me", {"code": 4005})
    connection.send_event("close-me", {"code": 4005})
    frame = await connection.next(CLOSE, TEXT)
    if frame.opcode == TEXT:  # the app answers that its library cannot
        got = read_event(frame.payload, "server")
        judged.server.check_supported("close-me", got["eventName"], got.get("payload"))
        raise Violation(f"expected a close frame, got the event {got['eventName']!r}")
    assert frame.code == 4005, f"expected the close code 4005, got {frame.code}"
    await judged.server.event("close-me")
