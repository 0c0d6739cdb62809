"""Connections that end, and are closed, while a handler of theirs is running."""

from __future__ import annotations

import asyncio
import time

import pytest

from interop.errors import TestbedError
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios.scenario import scenario
from interop.scenarios.test_ends import end
from interop.scenarios.test_reconnect import SOON, again
from interop.wire.frames import CLOSE, TEXT
from interop.wire.raw import RawConnection

MS = 100
LONGER = (MS, 400, 1_600, 6_400)
MINUTE = 60_000


async def handling(judged: Judged, connection: RawConnection, ms: int = MS) -> None:
    """Begin a handler that takes so many milliseconds, and wait until it runs."""
    if isinstance(judged, JudgedClient):
        await judged.client.subscribe("slow")
    connection.send_event("slow", {"ms": ms})
    await judged.role.wait("event", lambda n: n.data["name"] == "slow", what="event 'slow'")


async def ended_while_handling(judged: Judged, how: str) -> tuple[str, int]:
    """End a connection whose handler is running.

    On a busy machine a handler may be over before the server sees the end. Where that cannot be
    ruled out, it happens again on another connection, with a longer handler.

    Returns:
        A server's name of the connection, and the milliseconds that the handler takes.
    """
    if not isinstance(judged, JudgedServer):
        connection = await judged.open()
        await handling(judged, connection)
        await end(judged, connection, how)
        return "", MS
    for ms in LONGER:
        connection = await judged.open()
        began = time.monotonic()
        await handling(judged, connection, ms)
        # In a task: this library answers a close once the handler is over.
        ending = asyncio.create_task(end(judged, connection, how))
        await asyncio.sleep(0)
        await judged.role.session.check_alive()
        took = time.monotonic() - began
        await ending
        if took < ms / 2000:
            break
    judged.role.patience = judged.role.patience.at_least(2 * ms / 1000)
    return judged.conn, ms


async def handled(judged: Judged, ms: int) -> None:
    """Wait until that handler is over, and check that another connection is served meanwhile."""
    if isinstance(judged, JudgedServer):
        other = await judged.open()
        await judged.works(other)
        other.send_event("slow", {"ms": ms})  # begins after that handler did
        await other.next_event("slow")
    else:
        await asyncio.sleep(1.5 * ms / 1000)
    await judged.role.settle()


def check_told_once(judged: Judged, conn: str) -> None:
    """Check that the application was told once of the end, and of no event after it."""
    notes = judged.role.session.notifications
    if judged.side == "server":
        names = [n.on for n in notes if n.data.get("conn") == conn and n.on != "error"]
        assert names == ["connected", "event", "disconnected"], (
            f"expected connected, event, disconnected, got {', '.join(names)}"
        )
    else:
        states = [n.data["state"] for n in notes if n.on == "state"]
        assert states[2:] in (["offline"], ["error", "offline"]), (
            f"expected one end, got {', '.join(states)}"
        )


@pytest.mark.parametrize("how", ["close", "end", "reset"])
@scenario(
    "handling.peer-leaves",
    "When the other side leaves while a handler is running, the application is told once, and "
    "other connections are served.",
    side="each",
    rules=["E-31"],
)
async def test_peer_leaves(judged: Judged, how: str) -> None:
    conn, ms = await ended_while_handling(judged, how)
    await judged.ended()
    await handled(judged, ms)
    check_told_once(judged, conn)


@scenario(
    "handling.own-close",
    "An application can close a connection while a handler of it is running; it is told once.",
    side="each",
    escapes=True,  # what the handler's send on the closed connection raises
    rules=["E-25"],
)
async def test_own_close(judged: Judged) -> None:
    conn, ms = await ended_while_handling(judged, "own-close")
    await judged.ended()
    await handled(judged, ms)
    check_told_once(judged, conn)


@scenario(
    "handling.close-returns",
    "Closing a connection ends it and returns, though a handler of it runs on for a minute.",
    side="each",
    rules=["E-25"],
)
async def test_close_returns(judged: Judged) -> None:
    waits = await judged.declared("close_timeout_s") is not None
    connection = await judged.open(more={"close_timeout_s": 0.1} if waits else {})
    await handling(judged, connection, MINUTE)
    closing = judged.start_close()
    await connection.next(CLOSE)
    connection.send(CLOSE)
    connection.end_tcp()
    async with judged.role.patience.limit():
        await asyncio.wait([closing])
    await judged.role.session.reply("close", closing)


@scenario(
    "handling.close-in-client-handler",
    "A client's handler can close the connection and wait for that; the client connects again.",
    side="client",
    rules=["L-40"],
)
async def test_close_in_client_handler(judged: JudgedClient) -> None:
    connection = await judged.open(events=["close-me"])
    connection.send_event("close-me", {})
    await connection.next(CLOSE)
    connection.send(CLOSE)
    connection.end_tcp()
    await judged.ended()
    await judged.works(await again(judged, "by-hand"))


@scenario(
    "handling.close-waits",
    "A client that declares how long closing waits for a running handler lets it come to its end.",
    side="client",
    rules=["E-33"],
)
async def test_close_waits(judged: JudgedClient) -> None:
    more = {"callbacks": True, "close_timeout_s": 5}
    connection = await judged.open(events=["slow"], more=more)
    for ms in LONGER[:3]:  # on a busy machine a handler may be over before the close
        connection.send_event("slow", {"ms": ms})
        await judged.client.event("slow")
        closing = judged.start_close()
        await connection.next(CLOSE)
        connection.send(CLOSE)
        connection.end_tcp()
        await judged.role.session.reply("close", closing)
        if not any(frame.opcode == TEXT for frame in connection.frames):
            errors = judged.role.count("error")
            assert errors == 1, f"expected an error of the send at the handler's end, got {errors}"
            return
        connection = await again(judged, "by-hand")
    raise TestbedError(f"the close came later than the end of a handler of {ms} ms")


@pytest.mark.parametrize("way", ["by-hand", "by-itself"])
@scenario(
    "handling.connect-again",
    "A client whose connection ended while a handler was running connects again.",
    side="client",
    rules=["L-6"],
)
async def test_connect_again(judged: JudgedClient, way: str) -> None:
    connection = await judged.open(more={"reconnect": SOON} if way == "by-itself" else {})
    await handling(judged, connection)
    connection.abort(reset=True)
    if way == "by-hand":
        await judged.ended()
    await judged.works(await again(judged, way))
    await judged.role.settle()
    states = judged.client.states
    assert states.count("online") == 2, f"expected to be online twice, got {states}"
    assert states[-2:] == ["connecting", "online"], (
        f"expected connecting, online last, got {states}"
    )
