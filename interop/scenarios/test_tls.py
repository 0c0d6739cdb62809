"""TLS, with certificates that the judge makes."""

from __future__ import annotations

import pytest

from interop.errors import Disconnected, PeerFailure, Violation
from interop.roles.client import Client, check_refusal
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.roles.server import Server
from interop.scenarios import test_ends as ends
from interop.scenarios.scenario import scenario
from interop.wire.certificate import certificate
from interop.wire.raw import RawConnection
from interop.wire.tap import Tap

RECORD = 1 << 14
"""The most bytes of a TLS record (RFC 8446, section 5.1)."""


CLIENT_HELLO = b"\x16\x03\x01\x02\x00"
"""How a ClientHello begins: the header of its record."""

HOW = ["own-close", "close", "close-code", "end", "reset"]


async def encrypted(judged: Judged) -> RawConnection:
    """Connect over TLS: a client to the judge's certificate, a server with it."""
    shown = certificate(judged.host)
    if isinstance(judged, JudgedServer):
        judged.tls = shown.for_client()
        return await judged.open(more={"tls": shown.with_key})
    assert isinstance(judged, JudgedClient)
    await judged.listener(shown.for_server())
    return await judged.open(more={"ca": shown.pem})


@scenario(
    "tls.echo",
    "A client connects over TLS to a server whose certificate it trusts, and events pass in both "
    "directions.",
    tls=True,
    rules=["C-22"],
)
async def test_echo(server: Server, tap: Tap, client: Client) -> None:
    await client.open("pushed", ca=certificate(tap.host).pem)
    for text in ("there and back", "é🙂" * RECORD):
        got = (await client.echo(text, {"not": "empty"})).data["payload"]
        if got != text:
            raise Violation(f"back came another text, {got[:60]!r}", api=client.api)
    await server.push(client.conn, "pushed", "from the server", {"not": "empty"})
    assert (await client.event("pushed")).data["payload"] == "from the server"


@scenario(
    "tls.events",
    "Over TLS events pass in both directions, of more than one TLS record too.",
    side="each",
    rules=["C-22"],
)
async def test_events(judged: Judged) -> None:
    connection = await encrypted(judged)
    for text in ("short", "x" * (RECORD + 1), "é🙂" * RECORD, "again"):
        await judged.works(connection, text)


@scenario(
    "tls.half-open-beside",
    "TLS handshakes that are not finished hold up no others.",
    side="server",
    rules=["H-44"],
)
async def test_half_open_beside(judged: JudgedServer) -> None:
    shown = certificate(judged.host)
    await judged.serve(tls=shown.with_key)
    for length in range(3):
        (await judged.dial()).write(CLIENT_HELLO[:length])
    judged.tls = shown.for_client()
    await judged.works(await judged.open())


@pytest.mark.parametrize("how", HOW)
@scenario(
    "tls.end",
    "Over TLS the end of a connection is told to the application once.",
    side="each",
    rules=["C-22"],
)
async def test_end(judged: Judged, how: str) -> None:
    connection = await encrypted(judged)
    await judged.works(connection)
    await ends.end(judged, connection, how)
    await ends.told(judged)
    if isinstance(judged, JudgedServer):
        count = judged.server.count("disconnected")
        assert count == 1, f"expected one end to be told, got {count}"
    elif isinstance(judged, JudgedClient):
        told = [state for state in judged.client.states if state not in ("connecting", "online")]
        expected = [["offline"]] if how in ends.CLEAN else [["offline"], ["error", "offline"]]
        assert told in expected, f"expected one end to be told, got the states {told}"
    if how == "close-code":
        ends.check_code_told(judged)


@scenario(
    "tls.reconnect",
    "A client connects over TLS again as it did before.",
    side="client",
    rules=["L-8"],
)
async def test_reconnect(judged: JudgedClient) -> None:
    connection = await encrypted(judged)
    await ends.end(judged, connection, "close")
    await judged.ended()
    connection, opening = await judged.redialled()
    judged.answer(connection)
    await opening
    await judged.works(connection, "over TLS again")


@scenario(
    "tls.plain",
    "A server of TLS ends the connection of a client that writes its handshake in plain text, and "
    "goes on with the others.",
    side="server",
    rules=["H-39"],
)
async def test_plain(judged: JudgedServer) -> None:
    connection = await encrypted(judged)
    judged.tls, tls = None, judged.tls
    plain = await judged.dial()
    plain.write(judged.request())
    try:
        head = await plain.read_head()
    except Disconnected:
        pass  # with or without an alert, which is no HTTP
    else:
        assert head.status == 400, f"expected the end or status 400, got {head.line!r}"
    judged.tls = tls
    await judged.works(connection)
    await judged.works(await judged.open(), "and another one")
    count = judged.server.count("connected")
    assert count == 2, f"expected two connections to be told, got {count}"


@pytest.mark.parametrize("why", ["unknown", "other-name"])
@scenario(
    "tls.untrusted",
    "A client fails to connect, and writes nothing, to a server whose certificate nothing vouches "
    "for, or is another name's.",
    side="client",
    rules=["H-33"],
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
