"""Clients that connect again: by themselves, by `try_reconnect`, and what they keep meanwhile.

The judge is the server, which cuts, refuses and accepts again. Delays are a millisecond, or a
minute where the next attempt must not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest

from interop.control.contract import Reply
from interop.errors import PeerFailure, TestbedError, Violation
from interop.roles.judged import JudgedClient
from interop.scenarios.scenario import scenario
from interop.scenarios.test_ends import THEIRS, end, told
from interop.scenarios.test_slow import LARGE
from interop.wire.certificate import certificate
from interop.wire.frames import CLOSE, PING, TEXT
from interop.wire.http import answer
from interop.wire.raw import RawConnection

SOON = {"delay_s": 0.001}
LATE = {"delay_s": 60}

ONCE = ["connecting", "online", "offline"]
REFUSED = ["connecting", "offline"]
"""The states of an attempt that fails and is followed by another."""

RESERVED = 0x3
"""An opcode that no frame may have (RFC 6455, section 5.2)."""

FOR_GOOD = ["401 Unauthorized", "403 Forbidden", "404 Not Found"]
KEPT = 4
"""How many events are kept where the connection ends while they are being written."""

WAYS = ["by-hand", "by-itself", "try-reconnect"]


async def cut(judged: JudgedClient, connection: RawConnection) -> None:
    """Reset the connection, and wait until the client reports it."""
    connection.abort(reset=True)
    await judged.ended()


async def again(judged: JudgedClient, way: str, **change: Any) -> RawConnection:
    """Let the client, whose connection has ended, connect again; return the new connection.

    Args:
        change: changes of the judge's answer, as `interop.wire.http.answer` takes them.
    """
    if way == "by-hand":
        connection, opening = await judged.redialled()
        judged.answer(connection, **change)
        await opening
        return connection
    if way == "by-itself":
        return await judged.accept(**change)
    trying = judged.client.session.start("try-reconnect", SOON)
    await judged.first(trying, accepting := judged.accepting())
    if trying.done():
        accepting.cancel()
        await judged.client.session.reply("try-reconnect", trying)
        raise Violation("the client says that it tried to reconnect, and did not")
    connection = judged.answer(await accepting, **change)
    connection.patience = judged.role.patience
    reply = await judged.client.session.reply("try-reconnect", trying)
    if reply.get("connected") is False:
        raise Violation("try_reconnect says that it did not connect, and it did")
    return connection


async def check_states(judged: JudgedClient, *expected: str) -> None:
    """Check that the client has reported these states, and no others."""
    await judged.check_states(*expected)


async def check_connections(judged: JudgedClient, expected: int) -> None:
    """Check that the client has made so many connections."""
    await judged.role.settle()
    made = judged.accepted
    assert made == expected, f"expected {expected} connections, got {made}"


# --- By itself ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", THEIRS)
@scenario(
    "reconnect.by-itself",
    "A client with a reconnect policy connects again when its connection ends, with its states in "
    "order.",
    side="client",
    needs="reconnects",
    rules=["L-14"],
)
async def test_by_itself(judged: JudgedClient, how: str) -> None:
    connection = await judged.open(more={"reconnect": SOON})
    await judged.works(connection)
    await end(judged, connection, how)
    await judged.works(await judged.accept(), "again")
    await check_states(judged, *ONCE, "connecting", "online")


@pytest.mark.parametrize("why", ["silent", "bad-frame", "too-long"])
@scenario(
    "reconnect.after-own-failure",
    "A client with a reconnect policy connects again when it has given a connection up itself: for "
    "a ping that is not answered, a frame that is not allowed, a message beyond its limit.",
    side="client",
    rules=["L-33"],
)
async def test_after_own_failure(judged: JudgedClient, why: str) -> None:
    options: dict[str, Any] = {"reconnect": SOON}
    if why == "silent":
        options |= {"ping_interval_s": 0.05, "ping_timeout_s": 0.05}
    elif why == "too-long":
        options["message_bytes"] = 2000
    connection = await judged.open(more=options)
    if why == "silent":
        await connection.next(PING)
    elif why == "bad-frame":
        connection.write(connection.frame(RESERVED))
    else:
        connection.send_event("echo", "x" * 2000)
    await connection.failed()
    connection.end_tcp()
    await judged.accept()
    for _ in range(2):
        await judged.client.state("online")
    states, expected = judged.client.states[:5], [*ONCE, "connecting", "online"]
    assert states == expected, f"expected the states {expected}, got {states}"


@pytest.mark.parametrize("before", ["own-close", "gave-up", "by-hand"])
@scenario(
    "reconnect.by-itself-after",
    "A client that its application has connected again, after closing it, after it gave up, or "
    "while it waited, connects by itself again after that.",
    side="client",
    rules=["L-34"],
)
async def test_by_itself_after(judged: JudgedClient, other: JudgedClient, before: str) -> None:
    if before == "by-hand":
        judged, connection = await connected_early(judged, other)
    elif before == "own-close":
        await end(judged, await judged.open(more={"reconnect": SOON}), "own-close")
        await told(judged)
        connection = await again(judged, "by-hand")
    else:
        await cut(judged, await judged.open(more={"reconnect": {**SOON, "attempts": 1}}))
        judged.refuse(await judged.asked())
        await judged.client.state("error")
        connection = await again(judged, "by-hand")
    connection.abort(reset=True)
    await judged.works(await judged.accept())
    await check_connections(judged, 4 if before == "gave-up" else 3)


async def connected_early(*sides: JudgedClient) -> tuple[JudgedClient, RawConnection]:
    """Connect a client by hand while it waits for its next attempt, which makes one connection.

    On a busy machine the attempt may come first: each of `sides` waits longer than the one before.
    """
    for side, delay in zip(sides, (0.25, 4), strict=True):
        connection = await side.open(more={"reconnect": {"delay_s": delay}})
        began = time.monotonic()
        await cut(side, connection)
        try:
            connection = await again(side, "by-hand")
        except PeerFailure:
            if time.monotonic() - began < delay:
                raise
        else:
            side.role.patience = side.role.patience.at_least(2 * delay)  # for its next attempt
            return side, connection
    raise TestbedError(f"the call came later than the next attempt, which waits {delay} s")


@pytest.mark.parametrize("way", WAYS[1:])
@scenario(
    "reconnect.waits",
    "A client waits as long as it was told, and no less, before it connects again.",
    side="client",
    rules=["L-32"],
    rules_of={"try-reconnect": ["L-11"]},
)
async def test_waits(judged: JudgedClient, way: str) -> None:
    seconds = max(0.1, 20 * await judged.pace())
    delay = {"delay_s": seconds}
    connection = await judged.open(more={"reconnect": delay} if way == "by-itself" else {})
    began = time.monotonic()
    await cut(judged, connection)
    if way == "by-itself":
        await judged.asked()
    else:
        trying = judged.client.session.start("try-reconnect", delay)
        await judged.first(trying, accepting := judged.accepting())
        if not accepting.done():
            accepting.cancel()
            await judged.client.session.reply("try-reconnect", trying)
            raise Violation("the client says that it tried to reconnect, and did not")
        judged.answer(await accepting)
        await judged.client.session.reply("try-reconnect", trying)
    took = time.monotonic() - began  # on a busy machine more, and never less
    if took < 0.9 * seconds:
        seen = f"after {took:.3f} s instead of {seconds:.3f} s"
        raise Violation("connected again too early", api=judged.role.api, seen=seen)


@pytest.mark.parametrize("how", ["own-close", "own-close-code"])
@scenario(
    "reconnect.not-after-own-close",
    "A client with a reconnect policy stays offline once its application has closed it.",
    side="client",
    rules=["L-15"],
)
async def test_not_after_own_close(judged: JudgedClient, how: str) -> None:
    connection = await judged.open(more={"reconnect": SOON})
    await end(judged, connection, how)
    await told(judged)
    await check_connections(judged, 1)
    await check_states(judged, *ONCE)


REFUSALS = ["status", "no-answer", "garbage", "half-an-answer", "wrong-accept"]


@pytest.mark.parametrize("how", [*REFUSALS, "no-listener", "tls-refused"])
@scenario(
    "reconnect.refused-then-accepted",
    "A client with a reconnect policy tries on when an attempt fails, however it does, with its "
    "states in order.",
    side="client",
    rules=["L-14", "L-35"],
)
async def test_refused_then_accepted(judged: JudgedClient, how: str) -> None:
    if how in REFUSALS:
        await cut(judged, await judged.open(more={"reconnect": SOON}))
        for _ in range(3):
            refuse(judged, await judged.asked(), how)
        connection, failed = await judged.accept(), 3
    else:
        connection = await accepted_after_unseen_attempts(judged, how)
        failed = max(3, judged.client.states.count("connecting") - 2)
    await judged.works(connection)
    await check_states(judged, *ONCE, *REFUSED * failed, "connecting", "online")


def refuse(judged: JudgedClient, connection: RawConnection, how: str) -> None:
    """Refuse a connection in one of the ways of `REFUSALS`."""
    if how == "status":
        judged.refuse(connection)
        return
    if how == "garbage":
        connection.write(b"220 mail.example.org ready\r\n\r\n")
    elif how == "half-an-answer":
        connection.write(answer(connection.head)[:60])
    elif how == "wrong-accept":
        headers = {"Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}
        connection.write(answer(connection.head, headers=headers))
    connection.end_tcp()


async def accepted_after_unseen_attempts(judged: JudgedClient, how: str) -> RawConnection:
    """Cut a client, let three attempts fail before they reach the judge, and accept it."""
    shown = certificate(judged.host) if how == "tls-refused" else None
    tls = shown.for_server() if shown is not None else None
    listener = await judged.listener(tls)
    trust = {"ca": shown.pem} if shown is not None else {}
    connection = await judged.open(more={"reconnect": SOON, **trust})
    if tls is None:
        listener.stop_listening()
    else:
        certificate(judged.host, "that no client is told of").show_in(tls)
    await cut(judged, connection)
    for _ in range(3):
        await judged.ended()
    if shown is None or tls is None:
        await listener.listen_again()
    else:
        shown.show_in(tls)
    return await judged.accept()


@scenario(
    "reconnect.gives-up",
    "A client gives up after as many attempts as its policy allows, with the state error; its "
    "application can still connect it.",
    side="client",
    rules=["L-16"],
)
async def test_gives_up(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more={"reconnect": {**SOON, "attempts": 2}}))
    for _ in range(2):
        judged.refuse(await judged.asked())
    await judged.client.state("error")
    await check_connections(judged, 3)
    await judged.works(await again(judged, "by-hand"))
    await check_states(judged, *ONCE, *REFUSED, "connecting", "error", "connecting", "online")


@pytest.mark.parametrize("status", FOR_GOOD, ids=[status[:3] for status in FOR_GOOD])
@scenario(
    "reconnect.refused-for-good",
    "A client gives up at an answer that another attempt would get again.",
    side="client",
    rules=["L-17"],
)
async def test_refused_for_good(judged: JudgedClient, status: str) -> None:
    await cut(judged, await judged.open(more={"reconnect": SOON}))
    judged.refuse(await judged.asked(), status)
    await judged.client.state("error")
    await check_connections(judged, 2)
    await check_states(judged, *ONCE, "connecting", "error")


@scenario(
    "reconnect.not-after-1008",
    "A client whose connection is closed with 1008 (policy violation) gives up.",
    side="client",
    rules=["L-17"],
)
async def test_not_after_1008(judged: JudgedClient) -> None:
    connection = await judged.open(more={"reconnect": SOON})
    connection.send_close(1008)
    await judged.client.state("error")
    await check_connections(judged, 1)
    await check_states(judged, *ONCE, "error")


@scenario(
    "reconnect.short-lived",
    "Connections that end at once count as attempts: a client does not connect without end.",
    side="client",
    rules=["L-18"],
)
async def test_short_lived(judged: JudgedClient) -> None:
    connection = await judged.open(more={"reconnect": {**SOON, "attempts": 2}})
    for _ in range(2):
        await cut(judged, connection)
        connection = await judged.accept()
        await judged.client.state("online")
    await cut(judged, connection)
    await judged.client.state("error")
    await check_connections(judged, 3)
    await check_states(judged, *ONCE * 3, "error")


@scenario(
    "reconnect.stable",
    "A connection that lasted as long as the policy says begins the count of attempts anew.",
    side="client",
    rules=["L-18"],
)
async def test_stable(judged: JudgedClient) -> None:
    policy = {**SOON, "attempts": 1, "stable_s": 0}
    connection = await judged.open(more={"reconnect": policy})
    for _ in range(3):
        await cut(judged, connection)
        connection = await judged.accept()
    await judged.works(connection)
    await check_states(judged, *ONCE * 3, "connecting", "online")


@scenario(
    "reconnect.close-while-waiting",
    "close() ends the wait for the next attempt: none follows.",
    side="client",
    rules=["L-13"],
)
async def test_close_while_waiting(judged: JudgedClient, other: JudgedClient) -> None:
    # On a busy machine an attempt may come before the close does: the other client waits longer.
    for side, delay in ((judged, 0.25), (other, 4)):
        await cut(side, await side.open(more={"reconnect": {"delay_s": delay}}))
        await side.client.close()
        if side.accepted == 1:
            await asyncio.sleep(1.5 * delay)
            await check_connections(side, 1)
            await check_states(side, *ONCE)
            return
    raise TestbedError(f"the close came later than the next attempt, which waits {delay} s")


@scenario(
    "reconnect.close-while-connecting",
    "close() ends an attempt that waits for the server's answer, and no other follows.",
    side="client",
    rules=["L-13"],
)
async def test_close_while_connecting(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more={"reconnect": SOON}))
    connection = await judged.asked()
    connection.start()  # to see its end; it is not answered
    closing = judged.start_close()
    await connection.failed()
    await judged.client.session.reply("close", closing)
    await check_connections(judged, 2)
    await check_states(judged, *ONCE, *REFUSED)


@scenario(
    "reconnect.close-and-connect",
    "A client that is closed while it connects can connect again at once, before the close is "
    "done.",
    side="client",
    rules=["L-31"],
)
async def test_close_and_connect(judged: JudgedClient) -> None:
    _, opening = await judged.dialled()
    closing = judged.start_close()
    connection, again = await judged.redialled()
    judged.answer(connection)
    await again
    await judged.client.session.reply("close", closing)
    await judged.works(connection)
    await judged.fails(connection, opening)
    await judged.role.settle()
    states = judged.client.states
    assert states.count("online") == 1, f"expected to be online once, got {states}"
    assert states[-1] == "online", f"expected to end online, got {states}"


@scenario(
    "reconnect.by-hand-while-waiting",
    "A client that waits for its next attempt connects at once when its application says so, "
    "and makes one connection.",
    side="client",
    rules=["L-19"],
)
async def test_by_hand_while_waiting(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more={"reconnect": LATE}))
    await judged.works(await again(judged, "by-hand"))
    await check_connections(judged, 2)
    await check_states(judged, *ONCE, "connecting", "online")


@scenario(
    "reconnect.send-while-waiting",
    "Sending while the client waits for its next attempt is an error to the caller.",
    side="client",
    rules=["L-26"],
)
async def test_send_while_waiting(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more={"reconnect": LATE}))
    try:
        await judged.send("late", 1)
    except PeerFailure:
        return
    raise AssertionError("expected an error from the client's send while offline, got none")


@scenario(
    "reconnect.retry",
    "A client that is told to retry its first connect tries until it is accepted.",
    side="client",
    rules=["L-21"],
)
async def test_retry(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(reconnect=SOON, retry=True)
    for _ in range(2):
        judged.refuse(connection)
        connection = await judged.asked()
    judged.answer(connection)
    await opening
    await judged.works(connection)
    await check_states(judged, *REFUSED * 2, "connecting", "online")


@scenario(
    "reconnect.first-failure",
    "A client with a reconnect policy tells its caller that the first connect was refused, and "
    "does not try again.",
    side="client",
    rules=["L-20"],
)
async def test_first_failure(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(reconnect=SOON)
    judged.refuse(connection)
    await judged.first(opening, accepting := judged.accepting())
    accepting.cancel()
    if not opening.done():
        raise Violation("the client tried again, and its caller still waits")
    await judged.fails(connection, opening)
    await check_connections(judged, 1)
    await check_states(judged, "connecting", "error")


# --- By hand, and by `try_reconnect` ------------------------------------------------------


@pytest.mark.parametrize("way", ["by-hand", "try-reconnect"])
@scenario(
    "reconnect.refused",
    "When a reconnect is refused, the client reports connecting, then error; a later one succeeds.",
    side="client",
    rules=["L-12"],
)
async def test_refused(judged: JudgedClient, way: str) -> None:
    session = judged.client.session
    await cut(judged, await judged.open())
    await judged.role.settle()
    before = len(judged.client.states)
    if way == "by-hand":
        connection, opening = await judged.redialled()
        judged.refuse(connection)
        await judged.fails(connection, opening)
    else:
        trying = session.start("try-reconnect", SOON)
        await judged.first(trying, accepting := judged.accepting())
        if not trying.done():
            judged.refuse(await accepting)
        accepting.cancel()
        reply = await session.reply("try-reconnect", trying)
        assert reply.get("connected") is not True, "a refused try_reconnect says that it connected"
    await judged.role.settle()
    states = judged.client.states[before:]
    assert states == ["connecting", "error"], f"expected connecting, then error, got {states}"
    await judged.works(await again(judged, way))


@pytest.mark.parametrize("way", ["by-hand", "by-itself"])
@scenario(
    "reconnect.connect-while-connecting",
    "Connecting a client that is connecting leaves it with one connection, which works, whether "
    "the call is refused or not.",
    side="client",
    rules=["L-37"],
)
async def test_connect_while_connecting(judged: JudgedClient, way: str) -> None:
    session = judged.client.session
    if way == "by-hand":
        first, opening = await judged.dialled()
    else:
        await cut(judged, await judged.open(more={"reconnect": SOON}))
        first = await judged.asked()
    calling, accepting = session.start("reconnect", {}), judged.accepting()
    await judged.role.settle()
    made = [judged.answer(first)]
    await judged.first(calling, accepting)
    if accepting.done():
        made.append(judged.answer(await accepting))
    accepting.cancel()
    with contextlib.suppress(PeerFailure):
        await session.reply("reconnect", calling)
    if way == "by-hand":
        with contextlib.suppress(PeerFailure):
            await opening
    await judged.role.settle()
    left = [each for each in made if is_open(each)]
    assert len(left) == 1, f"expected one connection, got {len(left)}"
    await judged.works(left[0])
    await judged.role.settle()
    count = judged.role.count("event", name="echo")
    assert count == 1, f"expected one event, got {count}"


def is_open(connection: RawConnection) -> bool:
    """Whether the client has done nothing to end it."""
    closes = any(frame.opcode == CLOSE for frame in connection.frames)
    return not closes and not connection.ended.is_set()


@pytest.mark.parametrize("how", ["own-close", "close"])
@scenario(
    "reconnect.while-closing",
    "A client that is told to connect while its connection is closing refuses, or connects; the "
    "end of the old connection is no end of the new one.",
    side="client",
    rules=["L-38"],
)
async def test_while_closing(judged: JudgedClient, how: str) -> None:
    session, old = judged.client.session, await judged.open()
    if how == "own-close":
        closing = judged.start_close()
    else:
        old.send_close(1000)
    await old.next(CLOSE)
    calling, accepting = session.start("reconnect", {}), judged.accepting()
    connecting = asyncio.create_task(connection_of(judged, calling, accepting))
    await judged.role.settle()
    if accepting.done():
        await connecting
    if how == "own-close":
        old.send(CLOSE)
    old.end_tcp()
    if how == "own-close":
        with contextlib.suppress(PeerFailure):  # it may report that the connection is another now
            await session.reply("close", closing)
    connection = await connecting or await again(judged, "by-hand")
    await judged.works(connection)
    await judged.role.settle()
    states = judged.client.states
    assert states[-1] == "online", f"expected to end online, got {states}"
    await judged.works(connection, "and still")


async def connection_of(
    judged: JudgedClient, calling: asyncio.Future[Reply], accepting: asyncio.Task[RawConnection]
) -> RawConnection | None:
    """Accept the connection that a call of ``reconnect`` makes; return None if it is refused."""
    await judged.first(calling, accepting)
    if accepting.done():
        connection = judged.answer(await accepting)
        await judged.client.session.reply("reconnect", calling)
        return connection
    accepting.cancel()
    with contextlib.suppress(PeerFailure):
        await judged.client.session.reply("reconnect", calling)
    return None


@pytest.mark.parametrize("how", ["close", "reset"])
@scenario(
    "reconnect.from-disconnected",
    "A client's disconnected callback can connect it again, with its states and callbacks in "
    "order.",
    side="client",
    rules=["L-41"],
)
async def test_from_disconnected(judged: JudgedClient, how: str) -> None:
    connection = await judged.open(more={"on_disconnect": "connect"})
    await end(judged, connection, how)
    await judged.works(await judged.accept())
    await judged.role.settle()
    told = [note.data.get("state", note.on) for note in judged.role.session.notifications]
    told = [each for each in told if each not in ("error", "event")]
    expected = ["connecting", "online", "connected"]
    expected = [*expected, "offline", "disconnected", *expected]
    assert told == expected, f"expected {', '.join(expected)}, got {', '.join(told)}"


@scenario(
    "reconnect.try-reconnect",
    "try_reconnect waits, then connects once, with the states in order.",
    side="client",
    rules=["L-11"],
)
async def test_try_reconnect(judged: JudgedClient) -> None:
    await cut(judged, await judged.open())
    await judged.role.settle()
    before = len(judged.client.states)
    await judged.works(await again(judged, "try-reconnect"))
    await judged.role.settle()
    states = judged.client.states[before:]
    assert states == ["connecting", "online"], f"expected connecting, then online, got {states}"


@scenario(
    "reconnect.close-while-trying",
    "close() ends a try_reconnect that still waits: it does not connect.",
    side="client",
    rules=["L-13"],
)
async def test_close_while_trying(judged: JudgedClient) -> None:
    await cut(judged, await judged.open())
    trying = judged.client.session.start("try-reconnect", {"delay_s": 0.25})
    await judged.client.close()
    await judged.first(trying, accepting := judged.accepting())
    accepting.cancel()
    if not trying.done():
        raise Violation("try_reconnect connected although the client was closed meanwhile")
    reply = await judged.client.session.reply("try-reconnect", trying)
    assert reply.get("connected") is not True, "try_reconnect says that it connected"
    await check_connections(judged, 1)


# --- What is sent offline -----------------------------------------------------------------


def keeping(way: str = "by-hand", **more: Any) -> dict[str, Any]:
    """Return the options of a client that keeps what is sent while it is offline."""
    policy = {"reconnect": SOON} if way == "by-itself" else {}  # the judge answers when it is time
    return {"offline": {"policy": "queue", **more}, **policy}


async def sent(judged: JudgedClient, connection: RawConnection) -> list[Any]:
    """Return the payloads that the client writes on a new connection before a probe."""
    await judged.role.settle()  # it is online
    await judged.client.send("kept", "later")
    got = []
    while (payload := (await connection.next_event("kept"))["payload"]) != "later":
        got.append(payload)
    return got


async def check_sent(judged: JudgedClient, connection: RawConnection, *expected: object) -> None:
    """Check that these are the payloads that the client writes, and no others before a probe."""
    got = await sent(judged, connection)
    assert got == [*expected], f"expected the payloads {[*expected]}, got {got}"
    await judged.works(connection)


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "offline.kept",
    "Events that are sent while a client is offline are written once it is connected again: each "
    "once, in order, before later ones.",
    side="client",
    rules=["L-27"],
)
async def test_kept(judged: JudgedClient, way: str) -> None:
    await cut(judged, await judged.open(more=keeping(way)))
    for number in range(3):
        await judged.client.send("kept", number)
    connection = await again(judged, way)
    await check_sent(judged, connection, 0, 1, 2)


@scenario(
    "offline.kept-once",
    "What was kept while a client was offline is written on the next connection alone, and not "
    "again on the one after it.",
    side="client",
    rules=["L-27"],
)
async def test_kept_once(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more=keeping("by-itself")))
    await judged.client.send("kept", 0)
    connection = await judged.accept()
    await check_sent(judged, connection, 0)
    await cut(judged, connection)
    await check_sent(judged, await judged.accept())


@scenario(
    "offline.cut-while-written",
    "When the connection ends while kept events are being written, those that wait are written on "
    "the next one, and those that the server has got are not written again.",
    side="client",
    rules=["L-36"],
)
async def test_cut_while_written(judged: JudgedClient) -> None:
    judged.extend_timeouts()
    judged.keep_buffers_small()
    await cut(judged, await judged.open(more=keeping("by-itself")))
    for number in range(KEPT):
        await judged.client.send("kept", [number, LARGE if number else ""])
    connection = await judged.asked()
    connection.keep_buffer_small()
    judged.answer(connection)
    await connection.next_event("kept")
    connection.pause(small_buffer=True)
    await judged.role.settle()  # the buffers are full now, and the rest waits
    await cut(judged, connection)
    got = sum(frame.opcode == TEXT for frame in connection.frames)
    rest = [number for number, _ in await sent(judged, await judged.accept())]
    # The one that was under way may be lost: its sender cannot know how far it came.
    assert rest in ([*range(got, KEPT)], [*range(got + 1, KEPT)]), (
        f"of the events 0 to {KEPT - 1} the server got {got}, and then the numbers {rest}"
    )


@scenario(
    "offline.before-greeting",
    "What was sent offline is written before what the connected callback sends.",
    side="client",
    rules=["L-27"],
)
async def test_before_greeting(judged: JudgedClient) -> None:
    greeting = [{"event": "kept", "payload": "greeting", "headers": {}}]
    await cut(judged, await judged.open(more={**keeping(), "on_connect": greeting}))
    for number in range(2):
        await judged.client.send("kept", number)
    connection = await again(judged, "by-hand")
    await check_sent(judged, connection, 0, 1, "greeting")


@scenario(
    "offline.before-first",
    "Events that are sent before the first connection are kept too.",
    side="client",
    rules=["L-27"],
)
async def test_before_first(judged: JudgedClient) -> None:
    connection, opening = await judged.dialled(**keeping())
    judged.refuse(connection)
    await judged.fails(connection, opening)
    await judged.client.send("kept", 0)
    await check_sent(judged, await again(judged, "by-hand"), 0)


@scenario(
    "offline.kept-while-refused",
    "A refused attempt loses nothing of what was sent offline.",
    side="client",
    rules=["L-27"],
)
async def test_kept_while_refused(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more=keeping()))
    await judged.client.send("kept", 0)
    connection, opening = await judged.redialled()
    judged.refuse(connection)
    await judged.fails(connection, opening)
    await judged.client.send("kept", 1)
    await check_sent(judged, await again(judged, "by-hand"), 0, 1)


@scenario(
    "offline.limit",
    "A send beyond the number of events that may wait is an error to the caller; those within it "
    "are kept.",
    side="client",
    rules=["L-28"],
)
async def test_limit(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more=keeping(limit=2)))
    for number in range(2):
        await judged.client.send("kept", number)
    try:
        await judged.client.send("kept", 2)
    except PeerFailure:
        await check_sent(judged, await again(judged, "by-hand"), 0, 1)
        return
    raise AssertionError("expected an error from the third send, where two may wait, got none")


@scenario(
    "offline.closed",
    "close() drops what was sent offline: the next connection begins with nothing.",
    side="client",
    rules=["L-29"],
)
async def test_closed(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more=keeping()))
    await judged.client.send("kept", 0)
    await judged.client.close()
    await check_sent(judged, await again(judged, "by-hand"))


@scenario(
    "offline.dropped",
    "A client that is told to drop what is sent offline drops it, and says nothing.",
    side="client",
    rules=["L-30"],
)
async def test_dropped(judged: JudgedClient) -> None:
    await cut(judged, await judged.open(more={"offline": {"policy": "drop"}}))
    await judged.client.send("kept", 0)
    await check_sent(judged, await again(judged, "by-hand"))


# --- What holds again ---------------------------------------------------------------------


async def second(
    judged: JudgedClient, way: str, chosen: str | None = None, **options: Any
) -> RawConnection:
    """Open a client with these options, cut it, and return its second connection.

    Args:
        chosen: the subprotocol of both.
    """
    policy = {"reconnect": SOON} if way == "by-itself" else {}
    headers = {"Sec-WebSocket-Protocol": chosen}
    connection = await judged.open(headers=headers, more={**options, **policy})
    connection.abort(reset=True)
    if way != "by-itself":
        await judged.ended()
    return await again(judged, way, headers=headers)


async def check_delivered(judged: JudgedClient, connection: RawConnection, name: str) -> None:
    """Check that an event of this name is delivered once."""
    connection.send_event(name, "again")
    await judged.received(name, "again")
    await judged.role.settle()
    count = judged.role.count("event", name=name)
    assert count == 1, f"expected one event, got {count}"


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.headers",
    "A client that connects again sends the same handshake headers.",
    side="client",
    rules=["L-8"],
)
async def test_again_headers(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, headers={"X-Token": "abc"})
    token = connection.head.one("X-Token")
    assert token == "abc", f"expected X-Token 'abc', got {token!r}"


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.subprotocols",
    "A client that connects again offers the same subprotocols.",
    side="client",
    rules=["L-8"],
)
async def test_again_subprotocols(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, "two", protocols=["one", "two"])
    offered = connection.head.all("Sec-WebSocket-Protocol")
    assert offered == ["one", "two"], f"expected an offer of one and two, got {offered}"


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.deflate",
    "A client that connects again offers permessage-deflate again.",
    side="client",
    rules=["L-8"],
)
async def test_again_deflate(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, deflate=True)
    offered = connection.head.all("Sec-WebSocket-Extensions")
    assert any("permessage-deflate" in offer for offer in offered), (
        f"expected an offer of permessage-deflate, got {offered}"
    )


@pytest.mark.parametrize("way", WAYS)
@scenario("again.pings", "A client that connects again pings again.", side="client", rules=["L-8"])
async def test_again_pings(judged: JudgedClient, way: str) -> None:
    judged.pongs = True
    connection = await second(judged, way, ping_interval_s=0.2, ping_timeout_s=5)
    await connection.next(PING)


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.pings-after-unanswered",
    "A ping that was not answered before a connection ended does not end the next one.",
    side="client",
    rules=["L-39"],
)
async def test_again_pings_after_unanswered(judged: JudgedClient, way: str) -> None:
    # Some libraries wait for a pong no longer than the interval, and a busy judge takes its time.
    interval = max(0.5, 20 * await judged.pace())
    policy = {"reconnect": SOON} if way == "by-itself" else {}
    options = {"ping_interval_s": interval, "ping_timeout_s": 1.5 * interval, **policy}
    connection = await judged.open(more=options)
    connection.patience = connection.patience.at_least(2 * interval)
    await connection.next(PING)
    await cut(judged, connection)
    judged.pongs = True
    connection = await again(judged, way)
    connection.patience = connection.patience.at_least(2 * interval)
    for _ in range(2):  # the last one comes when the first connection's ping is past its time
        await connection.next(PING)
    await judged.works(connection)


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.silent-peer",
    "A client that connects again notices again that its server answers no ping, and tells it.",
    side="client",
    rules=["L-8"],
)
async def test_again_silent_peer(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, ping_interval_s=0.05, ping_timeout_s=0.05)
    if way == "by-itself":
        await judged.ended()  # the first time
    await connection.next(PING)
    await judged.ended()


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.limit",
    "A client that connects again refuses a message longer than its limit.",
    side="client",
    escapes=True,
    rules=["L-8"],
)
async def test_again_limit(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, message_bytes=2000)
    connection.send_event("echo", "x" * 2000)
    await connection.failed(1009)


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.handlers",
    "A client that connects again delivers each event once to the handler of its name.",
    side="client",
    rules=["L-23"],
)
async def test_again_handlers(judged: JudgedClient, way: str) -> None:
    await check_delivered(judged, await second(judged, way), "echo")


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.catch-all",
    "A client that connects again delivers each event once to the handler of all events.",
    side="client",
    rules=["L-23"],
)
async def test_again_catch_all(judged: JudgedClient, way: str) -> None:
    await check_delivered(judged, await second(judged, way, all=True), "any")


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.request",
    "A client that connects again gets the reply to its request.",
    side="client",
    rules=["L-24"],
)
async def test_again_request(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way)
    request_id, asking = await judged.take_request(connection, "answer", {"number": 1}, seconds=5)
    connection.send_event("answer", "reply", {"replyTo": request_id})
    reply = await judged.client.session.reply("request", asking)
    assert reply["payload"] == "reply", f"expected the payload 'reply', got {reply['payload']!r}"


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "again.callbacks",
    "The connected and disconnected callbacks of a client that connects again fire once for each "
    "connection.",
    side="client",
    rules=["L-25"],
)
async def test_again_callbacks(judged: JudgedClient, way: str) -> None:
    connection = await second(judged, way, callbacks=True)
    await judged.works(connection)
    connection.abort(reset=True)
    with contextlib.suppress(Violation):  # the comparison says what came instead
        for _ in range(2):
            await judged.role.wait("disconnected")
    await judged.role.settle()
    fired = [n.on for n in judged.role.session.notifications if n.on not in ("state", "error")]
    expected = ["connected", "disconnected", "connected", "event", "disconnected"]
    assert fired == expected, f"expected {', '.join(expected)}, got {', '.join(fired)}"
