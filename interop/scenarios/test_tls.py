"""TLS, with certificates that the judge makes."""

from __future__ import annotations

import pytest

from interop.errors import PeerFailure, Violation
from interop.roles.client import check_refusal
from interop.roles.judged import JudgedClient
from interop.scenarios import test_ends as ends
from interop.scenarios.scenario import scenario
from interop.wire.certificate import certificate
from interop.wire.raw import RawConnection

RECORD = 1 << 14
"""The most bytes of a TLS record (RFC 8446, section 5.1)."""


HOW = ["own-close", "close", "end", "reset"]


async def encrypted(judged: JudgedClient) -> RawConnection:
    """Let the client connect over TLS, and trust the judge's certificate."""
    trusted = certificate(judged.host)
    await judged.listener(trusted.for_server())
    return await judged.open(more={"ca": trusted.pem})


@scenario(
    "tls.events",
    "Over TLS events pass in both directions, of more than one TLS record too.",
    side="client",
)
async def test_events(judged: JudgedClient) -> None:
    connection = await encrypted(judged)
    for text in ("short", "x" * (RECORD + 1), "é🙂" * RECORD, "again"):
        await judged.works(connection, text)


@pytest.mark.parametrize("how", HOW)
@scenario(
    "tls.end", "Over TLS the end of a connection is told to the application once.", side="client"
)
async def test_end(judged: JudgedClient, how: str) -> None:
    connection = await encrypted(judged)
    await judged.works(connection)
    await ends.end(judged, connection, how)
    await ends.told(judged)
    told = [state for state in judged.client.states if state not in ("connecting", "online")]
    expected = (
        [["offline"]] if how in ends.CLEAN else [["offline"], ["error"], ["error", "offline"]]
    )
    assert told in expected, f"expected one end to be told, got the states {told}"


@scenario("tls.reconnect", "A client connects over TLS again as it did before.", side="client")
async def test_reconnect(judged: JudgedClient) -> None:
    connection = await encrypted(judged)
    await ends.end(judged, connection, "close")
    await judged.ended()
    connection, opening = await judged.redialled()
    judged.answer(connection)
    await opening
    await judged.works(connection, "over TLS again")


@pytest.mark.parametrize("why", ["unknown", "other-name"])
@scenario(
    "tls.untrusted",
    "A client fails to connect, and writes nothing, to a server whose certificate nothing vouches "
    "for, or is another name's.",
    side="client",
)
async def test_untrusted(judged: JudgedClient, why: str) -> None:
    if why == "unknown":
        shown, more = certificate(judged.host, "that no client is told of"), {}
    else:
        shown = certificate("elsewhere.example")
        more = {"ca": shown.pem}
    await judged.listener(shown.for_server())
    try:
        await judged.dialled(**more)
    except PeerFailure as failure:
        check_refusal(failure)
        return
    raise Violation("the client wrote its handshake to a server that it cannot trust")
