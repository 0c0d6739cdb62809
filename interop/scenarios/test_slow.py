"""A peer that reads nothing: what is sent to it arrives once it reads, or fails once it leaves."""

from __future__ import annotations

import asyncio

import pytest

from interop.control.contract import Reply
from interop.errors import PeerFailure, Violation
from interop.roles.judged import Judged
from interop.scenarios.scenario import scenario
from interop.wire.raw import RawConnection

COUNT = 8
LARGE = "x" * (3 << 19)
"""More than the buffers hold after `keep_buffers_small`."""


async def send_unread(judged: Judged) -> tuple[RawConnection, list[asyncio.Future[Reply]]]:
    """Connect, stop reading, and let the application send more than the buffers hold, then more.

    Returns:
        The judge's end of the connection, and what becomes of each send.
    """
    judged.keep_buffers_small()
    connection = await judged.open()
    connection.pause(small_buffer=True)
    sends = [judged.start_send("sent", [0, LARGE])]
    await judged.role.settle()  # the buffers are full now, and stay so
    sends += [judged.start_send("sent", [number, ""]) for number in range(1, COUNT)]
    await judged.role.settle()
    return connection, sends


@scenario(
    "slow.sends",
    "What is sent from outside any handler to a peer that does not read arrives in order once it "
    "reads, and each send returns.",
    side="each",
    rules=["T-14"],
)
async def test_sends(judged: Judged) -> None:
    judged.extend_timeouts()
    connection, sends = await send_unread(judged)
    connection.resume()
    got = [(await connection.next_event("sent"))["payload"] for _ in range(COUNT)]
    expected = [[0, LARGE], *([number, ""] for number in range(1, COUNT))]
    assert got == expected, "the events came in another order, or with other payloads"
    for each in sends:
        await judged.role.session.reply("send", each)
    await judged.works(connection)


@pytest.mark.parametrize("how", ["end", "reset"])
@scenario(
    "slow.sends-fail",
    "A send that waits for a peer that does not read returns, or fails, as soon as the connection "
    "ends.",
    side="each",
    rules=["T-15"],
)
async def test_sends_fail(judged: Judged, how: str) -> None:
    connection, sends = await send_unread(judged)
    connection.abort(reset=how == "reset")
    await judged.ended()
    for each in sends:
        try:
            async with judged.role.patience.limit():
                await asyncio.wait([each])
        except TimeoutError:
            raise Violation(
                "a send still waits after the end", api=judged.role.api, within=judged.role.patience
            ) from None
        try:
            await judged.role.session.reply("send", each)
        except PeerFailure:
            pass
