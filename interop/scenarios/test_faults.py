"""Network faults between client and server, made by the tap."""

from __future__ import annotations

import asyncio

import pytest

from interop.records import Role
from interop.roles.client import Client
from interop.roles.server import Server
from interop.scenarios.scenario import scenario
from interop.wire.passage import Mode
from interop.wire.tap import Tap

ENDED = ("offline", "error")
BOTH: tuple[Role, Role] = ("client", "server")

SLOWED = 2.0
"""Seconds to wait at least for what passes slowly, also in a pair that is known to fail."""


def slow_down(server: Server, client: Client, tap: Tap, mode: Mode) -> None:
    """Let bytes pass slowly from now on, and both sides wait accordingly."""
    tap.mode = mode
    for role in (server, client):
        role.patience = role.patience.at_least(SLOWED)


async def both_told(server: Server, client: Client) -> None:
    """Check that both applications are told of the end once."""
    await server.disconnected(client.conn)
    await client.state("offline")
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1
    assert client.states.count("offline") == 1


@scenario(
    "faults.reset", "A connection that is reset is reported once by both sides.", rules=["E-16"]
)
async def test_reset(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    tap.reset()
    await both_told(server, client)


@pytest.mark.parametrize("side", BOTH)
@scenario(
    "faults.half-close",
    "A half-closed connection ends, and both sides report it once.",
    rules=["E-19", "E-16"],
)
async def test_half_close(server: Server, client: Client, tap: Tap, side: Role) -> None:
    await client.open()
    await client.echo("hello")
    tap.half_close(side)
    await both_told(server, client)


@pytest.mark.parametrize("cut", [1, 5])
@scenario(
    "faults.cut-in-a-frame",
    "A connection that ends within a frame does not deliver it; both sides report the end once.",
    cuts=["client"],
    rules=["C-19", "E-16"],
)
async def test_cut_in_a_frame(server: Server, client: Client, tap: Tap, cut: int) -> None:
    await client.open()
    await client.echo("hello")
    tap.passage("client").keep(cut)
    await client.send("echo", "never")
    async with client.patience.limit():
        await tap.passage("client").taken.wait()
    tap.cut()
    await both_told(server, client)
    assert server.count("event") == 1


@scenario(
    "faults.stall",
    "A connection that stalls and resumes loses and reorders nothing.",
    rules=["C-18"],
)
async def test_stall(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    for side in BOTH:
        tap.passage(side).set("stalled")
    await client.send_many([("echo", number) for number in range(20)])
    await client.settle()
    assert server.count("event") == 0
    for side in BOTH:
        tap.passage(side).set("at-once")
    for number in range(20):
        got = (await client.event("echo")).data["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"
        got = (await server.event("echo")).data["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"
    await client.settle()
    assert server.count("event") == client.count("event") == 20


@scenario(
    "faults.stall-then-cut",
    "A connection that stalls and then ends is reported once by both sides.",
    rules=["E-16"],
)
async def test_stall_then_cut(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    for side in BOTH:
        tap.passage(side).set("stalled")
    await client.send("echo", "never")
    tap.cut()
    await both_told(server, client)
    assert server.count("event") == 0


@scenario("faults.delay", "Delayed bytes all arrive, in order.", rules=["C-18"])
async def test_delay(server: Server, client: Client, tap: Tap) -> None:
    slow_down(server, client, tap, "delayed")
    await client.open()
    await client.send_many([("echo", number) for number in range(5)])
    for number in range(5):
        got = (await client.event("echo")).data["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"


@scenario(
    "faults.byte-by-byte",
    "Handshake, messages and close pass one byte at a time.",
    rules=["C-18"],
)
async def test_byte_by_byte(server: Server, client: Client, tap: Tap) -> None:
    slow_down(server, client, tap, "byte-by-byte")
    await client.open()
    await client.check_usable("é🙂")
    await client.close()
    await both_told(server, client)


@scenario(
    "faults.duplicate-to-client",
    "Duplicated bytes from the server are refused and delivered as no event.",
    escapes=True,
    rules=["C-17"],
)
async def test_duplicate_to_client(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    # Its second byte is now 0x81: a masked frame, which no server may send.
    tap.passage("server").double = 1
    await server.push(client.conn, "echo", "twice")
    await client.wait("state", lambda n: n.data["state"] in ENDED, what="state offline or error")
    await client.settle()
    assert client.count("event") == 1


@scenario(
    "faults.duplicate-to-server",
    "Duplicated bytes from the client are refused and delivered as no event.",
    escapes=True,
    rules=["C-17"],
)
async def test_duplicate_to_server(server: Server, client: Client, tap: Tap) -> None:
    await client.open()
    await client.echo("hello")
    tap.passage("client").double = 3
    await client.send("echo", "twice")
    await asyncio.sleep(0.02)
    await server.settle()
    assert server.count("event") == 1
