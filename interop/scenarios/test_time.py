"""Time and amounts: pings, silence, slowness, many events, large ones.

Peers are given scaled-down times. Those whose library takes none answer "unsupported".
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from interop.errors import Disconnected, Unsupported, Violation
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.wire.frames import CLOSE, PING, PONG, TEXT
from interop.wire.raw import RawConnection
from interop.wire.rules import event_text

SHORT = {"ping_interval_s": 0.05, "ping_timeout_s": 0.05}

MANY = 10_000


async def pinged(judged: Judged) -> RawConnection:
    """Connect to a side that pings, and answer each ping.

    Some libraries wait for the answer no longer than the interval. So the interval grows with the
    time that the peer takes to answer on a busy machine, and with it the wait for a ping.
    """
    judged.pongs = True
    interval = max(0.5, 20 * await judged.pace())
    connection = await judged.open(
        more={"ping_interval_s": interval, "ping_timeout_s": max(2.0, interval)}
    )
    connection.patience = connection.patience.at_least(2 * interval)
    return connection


# --- Pings --------------------------------------------------------------------------------


@scenario(
    "time.pings",
    "A side that was given a ping interval pings repeatedly.",
    side="each",
    rules=["T-4"],
)
async def test_pings(judged: Judged) -> None:
    connection = await pinged(judged)
    for _ in range(2):
        await connection.next(PING)
    await judged.works(connection)


@scenario(
    "time.silent-peer",
    "A peer that answers no ping is detected: the connection ends, and the application is told.",
    side="each",
    rules=["T-5"],
)
async def test_silent_peer(judged: Judged) -> None:
    try:
        connection = await judged.open(more=SHORT)
    except Unsupported:
        if await judged.declared("ping_interval_s") is not None:
            raise  # it pings, at an interval that takes too long here
        why = "sends no pings: a silent peer is never noticed"
        raise Violation(why, api=judged.role.api) from None
    await connection.next(PING)
    await judged.ended()
    codes = [found.code for found in connection.frames if found.opcode == CLOSE]
    assert codes in ([], [1001], [1002], [1006], [1011]), (
        f"expected no close frame, or 1001, 1002, 1006 or 1011, got {codes}"
    )


@scenario(
    "time.events-for-pongs",
    "A peer whose events arrive is not taken for a silent one, though it answers no ping.",
    severity="should",
    side="each",
    rules=["T-17"],
)
async def test_events_for_pongs(judged: Judged) -> None:
    interval = max(0.25, 20 * await judged.pace())
    timeout = 3 * interval
    connection = await judged.open(more={"ping_interval_s": interval, "ping_timeout_s": timeout})
    connection.patience = connection.patience.at_least(2 * interval)
    for number in range(6):  # the last ping comes when the first one's time is over
        await connection.next(PING)
        connection.send_event("echo", number)
        await judged.received("echo", number)
    await judged.works(connection)


@scenario(
    "time.idle",
    "A connection that carries only pings and pongs stays open.",
    side="each",
    rules=["T-6"],
)
async def test_idle(judged: Judged) -> None:
    connection = await pinged(judged)
    for _ in range(2):
        await connection.next(PING)
    await asyncio.sleep(0.05)
    await judged.works(connection)


@scenario(
    "time.idle-without-pings",
    "An idle connection stays open.",
    side="each",
    needs="nothing",
    rules=["T-6"],
)
async def test_idle_without_pings(judged: Judged) -> None:
    connection = await judged.open()
    await asyncio.sleep(0.25)
    await judged.works(connection)


@scenario(
    "time.ping-while-handling",
    "A ping is answered while a handler is running.",
    severity="should",
    side="each",
    rules=["T-7"],
)
async def test_ping_while_handling(judged: Judged) -> None:
    connection = await judged.open(events=["slow"])
    # A pong that arrives before the handler can be done did not wait for it. On a busy machine it
    # may arrive later without waiting: a longer handler decides.
    for ms in (1000, 4000):
        began = time.monotonic()
        connection.send_event("slow", {"ms": ms})
        await judged.role.wait("event", lambda n: n.data["name"] == "slow", what="event 'slow'")
        connection.send(PING, str(ms))
        try:
            while (await connection.next(PONG)).payload != str(ms).encode():
                pass
        except Violation:
            raise Violation("the ping had to wait for the handler") from None
        if time.monotonic() - began < ms / 1000:
            return
    raise Violation("the ping had to wait for the handler")


@scenario(
    "time.pongs-while-handling",
    "A peer that answers pings is not given up while a handler takes longer than an answer may.",
    side="each",
    rules=["T-19"],
)
async def test_pongs_while_handling(judged: Judged) -> None:
    judged.pongs = True
    interval = max(0.5, 20 * await judged.pace())
    options = {"ping_interval_s": interval, "ping_timeout_s": interval}
    connection = await judged.open(events=["slow"], more=options)
    connection.patience = connection.patience.at_least(4 * interval)
    connection.send_event("slow", {"ms": round(2500 * interval)})
    await connection.next_event("slow")  # the handler is done
    await judged.works(connection)


@scenario(
    "time.ping-in-between",
    "Pings between events are answered, and no event is lost.",
    side="each",
    needs="echo",
    rules=["C-14"],
)
async def test_ping_in_between(judged: Judged) -> None:
    connection = await judged.open()
    parts = []
    for number in range(100):
        text = judged.event(number)
        parts += [connection.frame(TEXT, text), connection.frame(PING, str(number))]
    connection.write(*parts)
    for number in range(100):
        await judged.received("echo", number)
    while (await connection.next(PONG)).payload != b"99":
        pass


@pytest.mark.parametrize("written", ["nothing", "half"])
@scenario(
    "time.no-handshake",
    "A server that was given a time for handshakes ends a connection that does not finish its own.",
    side="server",
    rules=["T-16"],
)
async def test_no_handshake(judged: JudgedServer, written: str) -> None:
    await judged.serve(open_timeout_s=0.05)
    connection = await judged.dial()
    if written == "half":
        connection.write(judged.request()[:50])
    connection.patience = judged.role.patience
    try:
        head = await connection.read_head()
    except Disconnected:
        return
    assert head.status == 408, f"expected the end or status 408, got {head.line!r}"


# --- Slowness -----------------------------------------------------------------------------


@scenario(
    "time.slow-handler",
    "Events that arrive while a handler is running are delivered after it, in order.",
    side="server",
    needs="load",
    rules=["D-3"],
)
async def test_slow_handler(judged: JudgedServer) -> None:
    connection = await judged.open()
    connection.send_event("slow", {"ms": 100})
    for number in range(50):
        connection.send_event("echo", number)
    names = [await next_echo(connection) for _ in range(51)]
    assert names == ["slow", *range(50)], f"expected slow, then 0 to 49, got {names[:10]}"


@scenario(
    "time.slow-client-handler",
    "Events that arrive while a client's handler is running are all delivered, once and in order.",
    side="client",
    rules=["W-35"],
)
async def test_slow_client_handler(judged: JudgedClient) -> None:
    connection = await judged.open(events=["slow"])
    connection.send_event("slow", {"ms": 100})
    await judged.client.event("slow")
    for number in range(50):
        connection.send_event("echo", number)
    await connection.next_event("slow")  # the handler is done
    await judged.works(connection)
    notes = judged.role.session.notifications
    got = [n.data["payload"] for n in notes if n.data.get("name") == "echo"][:-1]
    assert got == [*range(50)], f"expected the events 0 to 49 in order, got {got}"


async def next_echo(connection: RawConnection) -> Any:
    """Return the payload of the next echo, or the name of another event."""
    message = await connection.next_message()
    return message["payload"] if message["eventName"] == "echo" else message["eventName"]


SLOW = 750
FILLER = "x" * 16_000
"""Makes 750 events 12 MB: more than the buffers of a loopback connection hold."""


async def burst_unread(
    judged: JudgedServer, connection: RawConnection | None = None
) -> RawConnection:
    """Connect, stop reading, and let the server send more than the buffers hold.

    Args:
        connection: one that is open already, to use instead.
    """
    connection = connection or await judged.open()
    connection.pause(small_buffer=True)
    text = event_text(eventName="burst", payload={"count": SLOW}, headers={"filler": FILLER})
    connection.send(TEXT, text)
    await judged.server.settle()
    return connection


@scenario(
    "time.slow-reader",
    "A client that pauses reading gets everything, in order, once it resumes.",
    side="server",
    needs="load",
    rules=["T-8"],
)
async def test_slow_reader(judged: JudgedServer) -> None:
    judged.extend_timeouts()
    connection = await burst_unread(judged)
    connection.resume()
    for number in range(SLOW):
        got = (await connection.next_message())["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"


@scenario(
    "time.slow-reader-alone",
    "A client that does not read does not slow down others.",
    side="server",
    needs="load",
    rules=["T-9"],
)
async def test_slow_reader_alone(judged: JudgedServer) -> None:
    await burst_unread(judged)
    other = await judged.open()
    other.send_event("echo", "me too")
    assert await next_echo(other) == "me too"


# --- Amounts ------------------------------------------------------------------------------


@scenario(
    "amount.ten-thousand",
    "10,000 events all arrive, once each, in order.",
    side="each",
    needs="load",
    rules=["T-10"],
)
async def test_ten_thousand(judged: Judged) -> None:
    judged.extend_timeouts()
    connection = await judged.open()
    # A burst of 0 sends nothing back; a client reports `echo` and sends nothing either.
    name = "burst" if judged.side == "server" else "echo"
    text = event_text(eventName=name, payload={"count": 0, "number": -1}, headers={})
    before, after = text.split("-1")
    connection.write(*(connection.frame(TEXT, f"{before}{n}{after}") for n in range(MANY)))
    last = {"count": 0, "number": MANY - 1}
    await judged.role.wait("event", lambda n: n.data["payload"] == last, what=f"event {MANY - 1}")
    got = [n.data["payload"] for n in judged.role.session.notifications if n.on == "event"]
    assert got == [{"count": 0, "number": n} for n in range(MANY)]


@scenario(
    "amount.ten-thousand-out",
    "10,000 events that a handler sends all arrive, once each, in order.",
    side="server",
    needs="load",
    rules=["T-10"],
)
async def test_ten_thousand_out(judged: JudgedServer) -> None:
    judged.extend_timeouts()
    connection = await judged.open()
    connection.send_event("burst", {"count": MANY})
    for number in range(MANY):
        got = (await connection.next_message())["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"


MEBIBYTE = 1 << 20
LIMIT = 2000
BARE = len(event_text(eventName="echo", payload="", headers={}))


def padded(length: int) -> bytes:
    """Return a message of `length` bytes, most of them white space, to keep the payload short."""
    text = event_text(eventName="echo", payload="x", headers={}).encode()
    return text[:1] + b" " * (length - len(text)) + text[1:]


@scenario(
    "amount.16-mebibytes",
    "A message of 16 MiB is read where the declared limit allows it.",
    side="each",
    needs="load",
    rules=["T-2"],
)
async def test_16_mebibytes(judged: Judged) -> None:
    judged.extend_timeouts()
    declared = await judged.declared("message_bytes")
    small = declared is not None and declared < 16 * MEBIBYTE
    connection = await judged.open(more={"message_bytes": 16 * MEBIBYTE} if small else {})
    connection.send(TEXT, padded(16 * MEBIBYTE))
    await judged.received("echo", "x")
    await judged.works(connection)


@scenario(
    "amount.declared-limit",
    "A message as long as the declared limit is read; one byte more is refused with 1009.",
    side="each",
    needs="load",
    escapes=True,
    rules=["T-2", "T-3"],
)
async def test_declared_limit(judged: Judged) -> None:
    judged.extend_timeouts()
    declared = await judged.declared("message_bytes")
    connection = await judged.open()
    connection.send(TEXT, padded(declared or 2 * MEBIBYTE))
    await judged.received("echo", "x")
    if declared is None:
        return
    if declared <= MEBIBYTE:
        connection.send(TEXT, padded(declared + 1))
    else:  # it need not read that much: written in full, a reset could overtake its close frame
        connection.write(connection.frame(TEXT, b"{", announce=declared + 1))
    await connection.failed(1009)


@pytest.mark.parametrize("form", ["one-frame", "fragments", "announced", "many-fragments"])
@scenario(
    "amount.scaled-limit",
    "A message longer than a configured limit is refused with 1009, in every form.",
    side="each",
    escapes=True,
    rules=["T-3"],
)
async def test_scaled_limit(judged: Judged, form: str) -> None:
    connection = await judged.open(more={"message_bytes": LIMIT})
    await judged.works(connection, "x" * (LIMIT - BARE))
    payload = event_text(eventName="echo", payload="x" * (LIMIT + 1 - BARE), headers={}).encode()
    if form == "one-frame":
        connection.write(connection.frame(TEXT, payload))
    elif form == "fragments":
        connection.write(*connection.fragments([payload[:1500], payload[1500:]]))
    elif form == "announced":  # the frameworks' own limit is 4 times this one
        connection.write(connection.frame(TEXT, b"", announce=5 * LIMIT) + b"x" * (5 * LIMIT))
    else:
        pieces = [payload[at : at + 20] for at in range(0, len(payload), 20)]
        connection.write(*connection.fragments(pieces))
    await connection.failed(1009)
    seen = judged.role.session.count("event")
    if seen != 1:
        raise Violation(f"expected one event, the one within the limit, got {seen}")


@scenario(
    "amount.limit-in-pieces",
    "A message as long as a configured limit is read, wherever its frame's header is cut.",
    side="each",
    rules=["T-2", "C-18"],
)
async def test_limit_in_pieces(judged: Judged) -> None:
    connection = await judged.open(more={"message_bytes": LIMIT})
    for cut in range(1, 8):
        payload = f"{cut}" + "x" * (LIMIT - BARE - 1)
        data = connection.frame(TEXT, judged.event(payload))
        connection.write(data[:cut])
        await judged.role.settle()  # it has read these by then
        connection.write(data[cut:])
        await judged.received("echo", payload)
