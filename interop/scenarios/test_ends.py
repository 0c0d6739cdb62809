"""Every way in which a connection can end, and what an ended connection answers."""

from __future__ import annotations

import contextlib

import pytest

from interop.errors import PeerFailure, Violation
from interop.roles.client import Client
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.roles.server import Server
from interop.scenarios.scenario import Clients, scenario
from interop.wire.frames import CLOSE, TEXT
from interop.wire.raw import RawConnection
from interop.wire.rules import event_text, read_event
from interop.wire.tap import Tap

OURS = ["own-close", "own-close-code"]
THEIRS = ["close", "close-empty", "close-code", "end", "reset"]
CLEAN = (*OURS, "close", "close-empty", "close-code")


async def end(judged: Judged, connection: RawConnection, how: str) -> None:
    """End the connection, by the side under test or by the judge."""
    if how in OURS:
        code = {"code": 4003, "reason": "enough"} if how == "own-close-code" else {}
        closing = judged.start_close(**code)
        await judged.first(closing, connection.soon(CLOSE))
        connection.send(CLOSE)
        connection.end_tcp()
        await judged.role.session.reply("close", closing)
    elif how in ("close", "close-empty", "close-code"):
        if how == "close-empty":
            connection.send(CLOSE)
        else:
            connection.send_close(1000 if how == "close" else 4003, "enough")
        await connection.next(CLOSE)
        connection.end_tcp()
    else:
        connection.abort(reset=how == "reset")


async def told(judged: Judged) -> None:
    """Wait until the application was told of the end."""
    await judged.ended()
    await judged.role.settle()


@pytest.mark.parametrize("how", [*OURS, *THEIRS])
@scenario(
    "ends.once",
    "However a connection ends, the application is told once, after all its events.",
    side="each",
    rules=["E-16", "E-17", "E-18"],
)
async def test_once(judged: Judged, how: str) -> None:
    connection = await judged.open()
    await judged.works(connection)
    await end(judged, connection, how)
    await told(judged)
    notes = judged.role.session.notifications
    if judged.side == "server":
        assert [n.on for n in notes if n.on != "error"] == ["connected", "event", "disconnected"]
    else:
        states = [n.data["state"] for n in notes if n.on == "state"]
        if how in CLEAN:
            assert states == ["connecting", "online", "offline"]
        else:
            assert states[:2] == ["connecting", "online"]
            assert states[2:] in (["offline"], ["error", "offline"])


@pytest.mark.parametrize("how", [*OURS, *THEIRS])
@scenario(
    "ends.callbacks",
    "However a connection ends, a client's connected and disconnected callbacks fire once each, "
    "before and after its events.",
    side="client",
    rules=["L-3"],
)
async def test_callbacks(judged: JudgedClient, how: str) -> None:
    connection = await judged.open(more={"callbacks": True})
    await judged.works(connection)
    await end(judged, connection, how)
    await judged.role.wait("disconnected")
    await judged.role.settle()
    fired = [n.on for n in judged.role.session.notifications if n.on not in ("state", "error")]
    assert fired == ["connected", "event", "disconnected"], (
        f"expected connected, event, disconnected, got {', '.join(fired)}"
    )


@pytest.mark.parametrize("how", [*OURS, *THEIRS])
@scenario(
    "ends.send-after",
    "Sending on a connection that has ended is an error to the caller, never a silent loss.",
    side="each",
    rules=["E-20"],
)
async def test_send_after(judged: Judged, how: str) -> None:
    connection = await judged.open()
    await end(judged, connection, how)
    await told(judged)
    try:
        await judged.send("late", 1)
    except PeerFailure:
        return
    raise AssertionError(f"expected an error from the {judged.side}'s send after the end, got none")


@scenario(
    "ends.send-while-closing",
    "Sending on a connection that its own side is closing is an error to the caller.",
    side="each",
    rules=["E-34"],
)
async def test_send_while_closing(judged: Judged) -> None:
    connection = await judged.open()
    closing = judged.start_close()
    await connection.next(CLOSE)
    late = judged.start_send("late", 1)
    try:
        await judged.role.session.reply("send", late)
    except PeerFailure:
        return
    finally:
        connection.send_close(1000)
        connection.end_tcp()
        with contextlib.suppress(PeerFailure):  # it may report that the other side closed first
            await judged.role.session.reply("close", closing)
    raise Violation(
        f"expected an error from the {judged.side}'s send behind its close frame, got none"
    )


@scenario(
    "ends.close-told",
    "A library that tells its application how a connection ended repeats the close frame.",
    side="each",
    rules=["E-21"],
)
async def test_close_told(judged: Judged) -> None:
    connection = await judged.open()
    await end(judged, connection, "close-code")
    await told(judged)
    check_code_told(judged)


def check_code_told(judged: Judged) -> None:
    """Check what the application was told of an end by ``close-code``, if it was."""
    for note in judged.role.session.notifications:
        if note.on == "disconnected":
            for key, sent in (("code", 4003), ("reason", "enough")):
                heard = note.data.get(key, sent)
                assert heard == sent, f"expected the application to be told {sent!r}, got {heard!r}"


@pytest.mark.parametrize("how", ["close-empty", "end", "reset"])
@scenario(
    "ends.no-code-told",
    "A library that tells its application a close code tells 1005 where the close frame has none, "
    "and 1006 where there is no close frame.",
    severity="should",
    side="each",
    rules=["E-22"],
)
async def test_no_code_told(judged: Judged, how: str) -> None:
    code = 1005 if how == "close-empty" else 1006
    connection = await judged.open()
    await end(judged, connection, how)
    await told(judged)
    for note in judged.role.session.notifications:
        heard = note.data.get("code") if note.on == "disconnected" else None
        assert heard in (None, code), f"expected the application to be told {code}, got {heard}"


@scenario(
    "ends.no-reason",
    "The close frame of an application that gives no reason has none.",
    side="each",
    rules=["E-15"],
)
async def test_no_reason(judged: Judged) -> None:
    connection = await judged.open()
    closing = judged.start_close()
    frame = await connection.next(CLOSE)
    connection.send(CLOSE)
    connection.end_tcp()
    await judged.role.session.reply("close", closing)
    assert frame.payload[2:] == b"", (
        f"expected no reason in the close frame, got {frame.payload[2:]!r}"
    )


SENT = 50
LARGE = "x" * 30_000
"""Fits into what a connection buffers: a send that has to wait for its peer to read may fail."""


@scenario(
    "ends.sent-before-close",
    "What an application sends before it closes leaves before the close frame, though it waits for "
    "no send to return.",
    side="each",
    rules=["E-35"],
)
async def test_sent_before_close(judged: Judged) -> None:
    connection = await judged.open()
    filler = {SENT // 2: LARGE}
    sends = [judged.start_send("tick", [n, filler.get(n, "")]) for n in range(SENT)]
    closing = judged.start_close()
    await check_all_before_close(connection)
    connection.send_close(1000)
    connection.end_tcp()
    for each in sends:
        await judged.role.session.reply("send", each)
    with contextlib.suppress(PeerFailure):  # it may report that the other side closed first
        await judged.role.session.reply("close", closing)


@scenario(
    "ends.burst-before-close",
    "What a handler sends leaves before the close frame of a handler that closes next.",
    side="server",
    rules=["E-35"],
)
async def test_burst_before_close(judged: JudgedServer) -> None:
    connection = await judged.open()
    burst = event_text(eventName="burst", payload={"count": SENT}, headers={"filler": "x" * 9000})
    close = event_text(eventName="close-me", payload={}, headers={})
    connection.write(connection.frame(TEXT, burst), connection.frame(TEXT, close))
    await check_all_before_close(connection)
    await judged.role.settle()


async def check_all_before_close(connection: RawConnection) -> None:
    """Check that events with the numbers from 0 on come, all of them, and then a close frame."""
    got = []
    while (frame := await connection.next(TEXT, CLOSE)).opcode == TEXT:
        payload = read_event(frame.payload, connection.other)["payload"]
        got.append(payload[0] if isinstance(payload, list) else payload)
    assert got == list(range(SENT)), f"expected {SENT} events before the close frame, got {got}"


@scenario(
    "ends.events-behind-own-close",
    "Of events that arrive behind the one whose handler closes the connection, none is told after "
    "the end.",
    side="server",
    rules=["E-17"],
)
async def test_events_behind_own_close(judged: JudgedServer) -> None:
    connection = await judged.open()
    close = event_text(eventName="close-me", payload={}, headers={})
    behind = [connection.frame(TEXT, judged.event(number)) for number in range(SENT)]
    connection.write(connection.frame(TEXT, close), *behind)
    await connection.failed()
    connection.send_close(1000)
    connection.end_tcp()
    await told(judged)
    fired = [n.on for n in judged.role.session.notifications if n.on in ("event", "disconnected")]
    assert fired[-1] == "disconnected", f"expected the end to be told last, got {fired[-1]!r}"


@scenario(
    "ends.send-never-connected",
    "Sending with a client that is not connected is an error to the caller.",
    rules=["E-20"],
)
async def test_send_never_connected(client: Client, tap: Tap) -> None:
    await client.refused(f"ws://{tap.host}:1/ws")
    try:
        await client.send("early", 1)
    except PeerFailure:
        return
    raise AssertionError("expected an error from the client's send before connecting, got none")


@scenario(
    "ends.close-unanswered",
    "Closing a connection whose other side does not answer ends it within the declared time, and "
    "is told.",
    side="each",
    rules=["E-26"],
)
async def test_close_unanswered(judged: Judged) -> None:
    connection = await judged.open(more={"close_timeout_s": 0.1})
    closing = judged.start_close()
    await connection.next(CLOSE)
    await judged.ended()
    await judged.role.session.reply("close", closing)


@scenario(
    "ends.close-twice",
    "Closing a closed connection succeeds or is an error; the application is told once.",
    side="each",
    rules=["E-23"],
)
async def test_close_twice(judged: Judged) -> None:
    connection = await judged.open()
    await end(judged, connection, "own-close")
    await told(judged)
    with contextlib.suppress(PeerFailure):
        await judged.role.session.reply("close", judged.start_close())
    await judged.role.settle()
    if judged.side == "server":
        assert judged.role.count("disconnected") == 1
    else:
        assert judged.role.count("state", state="offline") == 1


@scenario(
    "ends.connect-twice",
    "Connecting a connected client is refused, or leaves it with one connection that works.",
    rules=["L-5"],
)
async def test_connect_twice(server: Server, client: Client) -> None:
    await client.open("news")
    try:
        await client.reconnect()
    except PeerFailure:
        assert server.count("connected") == 1
    await server.settle()
    await client.check_usable()
    await server.push(client.conn, "news", 1)
    await client.event("news")
    await client.settle()
    assert client.count("event", name="news") == 1
    assert server.count("connected") - server.count("disconnected") == 1
    count = client.count("event", name="echo")
    assert count == 1, f"expected one event 'echo', got {count}"
    assert client.states[-1] == "online", f"expected to be online, got {client.states}"


@scenario(
    "ends.reconnect-after-cut",
    "A client whose connection was cut connects again, twice, and gets each event once.",
    rules=["L-6", "L-23"],
)
async def test_reconnect_after_cut(server: Server, client: Client, tap: Tap) -> None:
    await client.open("news")
    for number in range(2):
        tap.cut()
        await server.disconnected(client.conn)
        await client.state("offline")
        await client.reconnect()
        await server.push(client.conn, "news", number)
        got = (await client.event("news")).data["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"
    await client.settle()
    assert client.count("event", name="news") == 2


@scenario(
    "ends.stop-disconnects",
    "A server that stops tells its application once of each connection's end.",
    severity="should",
    rules=["E-29"],
)
async def test_stop_disconnects(server: Server, clients: Clients) -> None:
    conns = []
    for _ in range(3):
        client = await clients()
        await client.open()
        conns.append(client.conn)
    await server.stop()
    for conn in conns:
        await server.disconnected(conn)
    await server.settle()
    assert server.count("disconnected") == 3
