"""Calls on a client's second connection."""

from __future__ import annotations

import pytest

from interop.roles.judged import JudgedClient
from interop.scenarios.scenario import scenario
from interop.wire.frames import CLOSE


@pytest.mark.parametrize("call", ["close", "subscribe", "clean"])
@scenario(
    "reconnect.calls",
    "A client's calls do on its second connection what they do on its first.",
    side="client",
    rules=["L-7"],
)
async def test_calls(judged: JudgedClient, call: str) -> None:
    first = await judged.open()
    first.abort(reset=True)
    await judged.ended()
    connection, opening = await judged.redialled()
    judged.answer(connection)
    await opening
    client = judged.client
    if call == "subscribe":
        await client.subscribe("late")
        connection.send_event("late", 1)
        await judged.received("late", 1)
        return
    calling = client.session.start(call, {})
    written = connection.soon(CLOSE)
    await judged.first(calling, written)
    if calling.done():  # the library may lack it
        await client.session.reply(call, calling)
    await written
    connection.send(CLOSE)
    connection.end_tcp()
    await client.session.reply(call, calling)
    if call == "close":
        await judged.ended()
        return
    ended = {(await client.wait("ended")).data["stream"] for _ in range(2)}
    assert ended == {"events", "states"}, f"expected both streams to end, got {ended}"
