"""permessage-deflate (RFC 7692): answers to the judge's offers, and what two peers agree on."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from interop.errors import Violation
from interop.records import ROLES
from interop.roles.client import Client
from interop.roles.judged import Judged, JudgedClient, JudgedServer
from interop.scenarios import test_rooms as rooms
from interop.scenarios.scenario import scenario
from interop.scenarios.test_time import LIMIT, padded
from interop.wire.frames import (
    CONTINUATION,
    DEFLATE,
    PING,
    PONG,
    TEXT,
    Deflater,
    Inflater,
    deflate_parameters,
)
from interop.wire.raw import RawConnection
from interop.wire.tap import Tap

OFFERS = {
    "plain": "permessage-deflate",
    "client-bits": "permessage-deflate; client_max_window_bits",
    "client-bits-given": "permessage-deflate; client_max_window_bits=10",
    "server-bits": "permessage-deflate; server_max_window_bits=10",
    "server-no-takeover": "permessage-deflate; server_no_context_takeover",
    "client-no-takeover": "permessage-deflate; client_no_context_takeover",
    "everything": "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
    "server_max_window_bits=12; client_max_window_bits=12",
    "quoted": 'permessage-deflate; server_max_window_bits="11"',
    "two-offers": "permessage-deflate; server_max_window_bits=10, permessage-deflate",
    "after-unknown": "x-nobody-knows, permessage-deflate",
}
BAD_OFFERS = {
    "unknown-parameter": "permessage-deflate; x=1",
    "bits-out-of-range": "permessage-deflate; server_max_window_bits=16",
    "bits-too-small": "permessage-deflate; server_max_window_bits=7",
    "bits-no-number": "permessage-deflate; client_max_window_bits=x",
    "value-where-none-can-be": "permessage-deflate; server_no_context_takeover=1",
    "parameter-twice": "permessage-deflate; client_max_window_bits=10; client_max_window_bits=11",
}


@pytest.mark.parametrize("offer", OFFERS)
@scenario(
    "handshake.deflate-offer",
    "A server answers each legal offer of permessage-deflate legally, and both directions work.",
    side="server",
    rules=["H-19"],
)
async def test_deflate_offer(judged: JudgedServer, offer: str) -> None:
    offered = {"Sec-WebSocket-Extensions": OFFERS[offer]}
    await judged.serve(deflate=True)
    probe = await judged.ask(headers=offered)  # the answer decides how its frames are to be read
    agreed = answered(probe.head.all("Sec-WebSocket-Extensions"), OFFERS[offer])
    if agreed is None:
        if offer not in ("plain", "client-bits"):
            await judged.works(await judged.open(headers=offered))
            return
        raise Violation("expected the usual offer of clients to be accepted, got it declined")
    connection = await judged.open(Inflater.agreed("server", agreed), headers=offered)
    for text in ("short", "x" * 5000, "x" * 5000, "é🙂" * 700):
        await judged.works(connection, text)


def answered(chosen: list[str], offer: str) -> dict[str, str | None] | None:
    """Return what a server agreed to, None if to nothing, after checking it against the offer."""
    if not chosen:
        return None
    if len(chosen) > 1:
        raise Violation(f"expected one chosen extension, got {chosen}")
    agreed = dict(deflate_parameters(chosen[0]))
    offers = [deflate_parameters(o) for o in offer.split(",") if "permessage-deflate" in o]
    if not any(fits(agreed, dict(one)) for one in offers):
        raise Violation(f"the server answered {chosen[0]!r} to {offer!r}")
    return agreed


def fits(agreed: dict[str, str | None], offered: dict[str, str | None]) -> bool:
    """Whether an answer is one to this offer (RFC 7692, section 7.1)."""
    known = {"server_no_context_takeover", "client_no_context_takeover"}
    known |= {"server_max_window_bits", "client_max_window_bits"}
    if set(agreed) - known:
        return False
    if "client_max_window_bits" in agreed and "client_max_window_bits" not in offered:
        return False
    if "server_no_context_takeover" in offered and "server_no_context_takeover" not in agreed:
        return False
    for name in ("server_max_window_bits", "client_max_window_bits"):
        if name in agreed and not 8 <= int(agreed[name] or 0) <= 15:
            return False
    limit = offered.get("server_max_window_bits")
    return limit is None or int(agreed.get("server_max_window_bits") or 15) <= int(limit)


@pytest.mark.parametrize("offer", BAD_OFFERS)
@scenario(
    "handshake.deflate-bad-offer",
    "An illegal offer of permessage-deflate is declined, and the connection works without it.",
    side="server",
    rules=["H-19"],
)
async def test_deflate_bad_offer(judged: JudgedServer, offer: str) -> None:
    await judged.serve(deflate=True)
    headers = {"Sec-WebSocket-Extensions": BAD_OFFERS[offer]}
    connection = await judged.ask(headers=headers)
    if connection.head.status == 101:
        chosen = connection.head.all("Sec-WebSocket-Extensions")
        assert not chosen, f"the server answered {chosen} to {BAD_OFFERS[offer]!r}"
        await judged.server.connected()
        await judged.works(await judged.open(headers=headers))
    else:
        assert 400 <= connection.head.status < 500, (
            f"expected a status from 400 to 499, got {connection.head.line!r}"
        )
        await judged.works(await judged.open())


@scenario(
    "rooms.compressed-members",
    "A room's events reach members that agreed to permessage-deflate, and those that did not.",
    side="server",
    rules=["R-3"],
)
async def test_compressed_members(judged: JudgedServer) -> None:
    offered = {"Sec-WebSocket-Extensions": OFFERS["client-bits"]}
    await judged.serve(deflate=True)
    probe = await judged.ask(headers=offered)  # the answer decides how its frames are to be read
    agreed = answered(probe.head.all("Sec-WebSocket-Extensions"), OFFERS["client-bits"])
    if agreed is None:
        raise Violation("expected the usual offer of clients to be accepted, got it declined")
    compressed = await judged.open(Inflater.agreed("server", agreed), headers=offered)
    members = [compressed, await judged.open(), await judged.open()]
    for member in members:
        await rooms.answered(judged, member, "join", "joined")
    for payload in ("short", "x" * 5000, "é🙂" * 700):
        rooms.say(members[1], payload)
        for member in members:
            await rooms.hears(member, payload)


@scenario(
    "deflate.agreed",
    "Where both sides agree to permessage-deflate, texts pass in both directions, compressed.",
    serve={"deflate": True},
    rules=["C-20", "C-21"],
)
async def test_agreed(tap: Tap, client: Client) -> None:
    await client.open(deflate=True)
    for text in ("x" * 1000, "é🙂" * 700, '\\"\n\u0000' * 500, "x" * 70_000, ""):
        got = (await client.echo(text, {"not": "empty"})).data["payload"]
        if got != text:
            raise Violation(f"back came another text, {str(got)[:60]!r}", api=client.api)
    for role in ROLES:
        if not tap.connections[-1].compressed(role):
            raise Violation(f"expected compressed messages of the {role}, got none")


# --- What is compressed, in each direction ------------------------------------------------


async def compressed(judged: Judged, **more: Any) -> tuple[RawConnection, Deflater]:
    """Connect with permessage-deflate agreed on.

    Args:
        more: further arguments of the operation that starts the side under test.

    Returns:
        The judge's end, and what compresses the judge's messages.

    Raises:
        Violation: the side under test does not agree to the usual offer, or makes none.
    """
    if isinstance(judged, JudgedServer):
        offered = {"Sec-WebSocket-Extensions": OFFERS["client-bits"]}
        more["deflate"] = True
        # This inflates what any answer allows.
        connection = await judged.open(Inflater(), headers=offered, more=more)
        chosen = connection.head.all("Sec-WebSocket-Extensions")
        agreed = answered(chosen, OFFERS["client-bits"])
        if agreed is None:
            raise Violation("expected the usual offer of clients to be accepted, got it declined")
        return connection, Deflater.agreed("client", agreed)
    assert isinstance(judged, JudgedClient)
    connection, opening = await judged.dialled(deflate=True, **more)
    offers = connection.head.all("Sec-WebSocket-Extensions")
    if not any(offer.lower().startswith("permessage-deflate") for offer in offers):
        raise Violation("expected an offer of permessage-deflate, got none")
    judged.answer(connection, Inflater(), headers={"Sec-WebSocket-Extensions": OFFERS["plain"]})
    await opening
    return connection, Deflater()


TOO_LONG = {"one-byte": LIMIT + 1, "twice": 2 * LIMIT, "500-times": 500 * LIMIT}
"""Lengths beyond the limit, all of which are short of it once they are compressed."""


@pytest.mark.parametrize("over", TOO_LONG)
@scenario(
    "deflate.limit",
    "A compressed message is as long as what it inflates to: one as long as the limit is read, a "
    "longer one is refused with 1009.",
    side="each",
    escapes=True,
    rules=["T-18"],
)
async def test_limit(judged: Judged, over: str) -> None:
    connection, deflater = await compressed(judged, message_bytes=LIMIT)
    connection.send(TEXT, deflater.alone(padded(LIMIT)), rsv=DEFLATE)
    await judged.received("echo", "x")
    connection.send(TEXT, deflater.alone(padded(TOO_LONG[over])), rsv=DEFLATE)
    await judged.undelivered(connection)
    await connection.failed(1009)


AT_ONCE = 20


@scenario(
    "deflate.sent-at-once",
    "Events of all sizes that an application sends at once leave in order, each compressed whole.",
    side="each",
    rules=["C-23"],
)
async def test_sent_at_once(judged: Judged) -> None:
    connection, _ = await compressed(judged)
    large = random.Random(1).randbytes(20_000).hex()
    sent = [[number, "small" if number % 4 else large] for number in range(AT_ONCE)]
    await asyncio.gather(*(judged.send("tick", payload) for payload in sent))
    got = [(await connection.next_event("tick"))["payload"] for _ in sent]
    numbers = [payload[0] for payload in got]
    assert numbers == list(range(AT_ONCE)), f"expected 0 to {AT_ONCE - 1}, got {numbers}"
    assert got == sent, "an event came with another payload"


WAYS: dict[str, Callable[[Deflater, bytes], bytes]] = {
    "each-alone": Deflater.alone,
    "one-context": Deflater.message,
    "stored": partial(Deflater.alone, level=0),
    "fixed-codes": partial(Deflater.alone, strategy=zlib.Z_FIXED),
    "several-blocks": partial(Deflater.in_blocks, size=10),
    "final-block": Deflater.final,
}
"""Ways to compress a message, by what its blocks are."""


@pytest.mark.parametrize("way", WAYS)
@scenario(
    "deflate.blocks",
    "Compressed messages are read whatever their blocks are, and uncompressed ones between them.",
    side="each",
    rules=["C-20", "C-24"],
)
async def test_blocks(judged: Judged, way: str) -> None:
    connection, deflater = await compressed(judged)
    for number in range(3):
        for payload in (f"{number}", f"{number}" + "é🙂" * 700, f"{number}"):
            connection.send(TEXT, WAYS[way](deflater, judged.event(payload)), rsv=DEFLATE)
            await judged.received("echo", payload)
        await judged.works(connection, f"uncompressed {number}")


@pytest.mark.parametrize("pings", [False, True], ids=["alone", "with-pings"])
@pytest.mark.parametrize("cut", ["in-three", "each-byte", "empty-first", "empty-last"])
@scenario(
    "deflate.fragments",
    "A compressed message in fragments is read, and a ping between them is answered uncompressed.",
    side="each",
    rules=["C-24"],
)
async def test_fragments(judged: Judged, cut: str, pings: bool) -> None:
    connection, deflater = await compressed(judged)
    for number in range(3):
        payload = f"{number}" + "é🙂" * 20
        parts = pieces(deflater.message(judged.event(payload)), cut)
        frames = []
        for at, part in enumerate(parts):
            first = {} if at else {"rsv": DEFLATE}
            last = at == len(parts) - 1
            frames.append(connection.frame(CONTINUATION if at else TEXT, part, fin=last, **first))
            if pings and not last:
                frames.append(connection.frame(PING, f"{number}"))
        connection.write(*frames)
        await judged.received("echo", payload)
        if pings:
            while (pong := (await connection.next(PONG)).payload) != f"{number}".encode():
                assert pong == f"{number - 1}".encode(), f"a pong answers no ping: {pong!r}"
    await judged.works(connection)


def pieces(data: bytes, cut: str) -> list[bytes]:
    """Return the fragments of a message."""
    if cut == "each-byte":
        return [bytes([byte]) for byte in data]
    at = {"in-three": [10, 20], "empty-first": [0], "empty-last": [len(data)]}[cut]
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


CORRUPT: dict[str, Callable[[RawConnection, Deflater, bytes], list[bytes]]] = {
    "no-such-block": lambda to, by, text: [to.frame(TEXT, b"\xff" * 20, rsv=DEFLATE)],
    "too-far-back": lambda to, by, text: [to.frame(TEXT, by.alone(text, words=text), rsv=DEFLATE)],
    "not-utf-8": lambda to, by, text: [
        to.frame(TEXT, by.alone(text.replace("é".encode(), b"\xff")), rsv=DEFLATE)
    ],
    "fragments-not-utf-8": lambda to, by, text: [
        to.frame(TEXT, by.alone(text[:-1] + b"\xff")[:10], rsv=DEFLATE, fin=False),
        to.frame(CONTINUATION, by.alone(text[:-1] + b"\xff")[10:]),
    ],
    "bit-in-continuation": lambda to, by, text: [
        to.frame(TEXT, by.alone(text)[:10], rsv=DEFLATE, fin=False),
        to.frame(CONTINUATION, by.alone(text)[10:], rsv=DEFLATE),
    ],
    "bit-in-ping": lambda to, by, text: [to.frame(PING, by.alone(b"ping"), rsv=DEFLATE)],
}
"""What fails a connection over permessage-deflate."""


@pytest.mark.parametrize("form", CORRUPT)
@scenario(
    "deflate.corrupt",
    "A message that does not inflate to a text, or whose frames are marked otherwise than "
    "permessage-deflate has it, fails its own connection alone.",
    side="each",
    rules=["C-25"],
)
async def test_corrupt(judged: Judged, form: str) -> None:
    others = [await compressed(judged)] if judged.side == "server" else []
    connection, deflater = await compressed(judged)
    connection.write(*CORRUPT[form](connection, deflater, judged.event("é🙂" * 20)))
    await judged.undelivered(connection)
    await connection.failed()
    connection.end_tcp()
    await judged.ended()
    for other, _ in others:
        await judged.works(other)
