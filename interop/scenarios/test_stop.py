"""Stopping a server that has work under way: the call returns, whatever clients and handlers do."""

from __future__ import annotations

import asyncio

import pytest

from interop.errors import Violation
from interop.roles.judged import JudgedServer
from interop.scenarios.scenario import scenario
from interop.scenarios.test_handling import MINUTE, handling


async def serve(judged: JudgedServer) -> None:
    """Start the server, with a short time for closing where it can be told one."""
    waits = await judged.declared("close_timeout_s") is not None
    await judged.serve(**({"close_timeout_s": 0.1} if waits else {}))


async def check_stops(judged: JudgedServer) -> None:
    """Check that the server's own call for stopping returns: frameworks give handlers a second."""
    stopping = judged.server.session.start("stop", {})
    within = judged.role.patience.at_least(2.0)
    try:
        async with within.limit():
            await asyncio.wait([stopping])
    except TimeoutError:
        raise Violation("stop does not return", api=judged.role.api, within=within) from None
    await judged.role.session.reply("stop", stopping)


@scenario(
    "stop.while-handling",
    "Stopping a server returns, though a handler runs on for a minute.",
    side="server",
    escapes=True,  # how a handler is ended is the framework's own
    rules=["E-36"],
)
async def test_while_handling(judged: JudgedServer) -> None:
    await serve(judged)
    await handling(judged, await judged.open(), MINUTE)
    await check_stops(judged)


@pytest.mark.parametrize("written", ["nothing", "half"])
@scenario(
    "stop.half-open",
    "Stopping a server returns, though a client has not finished its handshake.",
    side="server",
    rules=["E-36"],
)
async def test_half_open(judged: JudgedServer, written: str) -> None:
    await serve(judged)
    connection = await judged.dial()
    if written == "half":
        connection.write(judged.request()[:50])
    await judged.works(await judged.open())  # it has read what came before
    await check_stops(judged)


@scenario(
    "stop.unanswered",
    "Stopping a server returns, though a client does not answer its close frame.",
    side="server",
    rules=["E-36"],
)
async def test_unanswered(judged: JudgedServer) -> None:
    await serve(judged)
    await judged.works(await judged.open())
    await check_stops(judged)
