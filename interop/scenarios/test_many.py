"""Several clients at once: none is affected by another's connecting or leaving."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from interop.errors import Violation
from interop.roles.client import Client
from interop.roles.judged import JudgedServer
from interop.roles.server import Server
from interop.scenarios.scenario import Clients, scenario
from interop.wire.frames import CLOSE
from interop.wire.tap import Tap


async def two(clients: Clients, *events: str) -> tuple[Client, Client]:
    first, second = await clients(), await clients()
    await first.open(*events)
    await second.open(*events)
    return first, second


def check_undisturbed(client: Client) -> None:
    """Check that a client was told of its own connection alone."""
    assert client.states == ["connecting", "online"], (
        f"expected its own states, connecting and online, got {client.states}"
    )
    told = [client.count(on) for on in ("connected", "disconnected", "error")]
    assert told in ([1, 0, 0], [0, 0, 0]), f"another client's callbacks were called: {told}"


def id_in(payload: Any) -> Any:
    assert isinstance(payload, dict) and "id" in payload, f"whoami was answered with {payload!r}"
    return payload["id"]


@pytest.mark.parametrize("leaver", ["first", "last"])
@scenario("many.one-leaves", "When one client leaves, the others notice nothing.", rules=["D-13"])
async def test_one_leaves(server: Server, clients: Clients, leaver: str) -> None:
    first, second = await two(clients)
    leaves, stays = (first, second) if leaver == "first" else (second, first)
    await leaves.close()
    await server.disconnected(leaves.conn)
    await stays.check_usable()
    await server.settle()
    assert server.count("disconnected", conn=stays.conn) == 0


@scenario(
    "many.one-is-dropped",
    "When the server drops one client, the others notice nothing.",
    rules=["D-13"],
)
async def test_one_is_dropped(server: Server, clients: Clients) -> None:
    first, second = await two(clients)
    await server.drop(first.conn)
    await server.disconnected(first.conn)
    await second.check_usable()
    await server.settle()
    check_undisturbed(second)


@scenario(
    "many.one-is-closed-by-handler",
    "When a handler closes its connection, the others notice nothing.",
    side="server",
    rules=["D-13"],
)
async def test_one_is_closed_by_handler(judged: JudgedServer) -> None:
    stays = await judged.open()
    staying = judged.conn
    leaver = await judged.open()
    leaver.send_event("close-me", {})
    with contextlib.suppress(Violation):  # it may end without one: that is no other's business
        await leaver.next(CLOSE)
    leaver.send(CLOSE)
    leaver.end_tcp()
    await judged.ended()
    await judged.works(stays)
    await judged.role.settle()
    told = judged.server.count("disconnected", conn=staying)
    assert told == 0, f"expected no end told of the connection that stays, got {told}"


@scenario(
    "many.push-to-one", "An event sent to one connection reaches that one alone.", rules=["D-10"]
)
async def test_push_to_one(server: Server, clients: Clients) -> None:
    first, second = await two(clients, "private")
    await server.push(first.conn, "private", "for the first")
    await first.event("private")
    await second.check_usable()
    assert second.count("event", name="private") == 0


@scenario("many.ids", "Every connection has an id of its own.", rules=["D-11"])
async def test_ids(clients: Clients) -> None:
    first, second = await two(clients, "whoami")
    ids = []
    for client in (first, second):
        await client.send("whoami", {})
        ids.append(id_in((await client.event("whoami")).data["payload"]))
    assert ids[0] != ids[1]


@scenario(
    "many.ids-not-again",
    "The id of a connection that has ended is not given to the next one.",
    side="server",
    rules=["D-12"],
)
async def test_ids_not_again(judged: JudgedServer) -> None:
    ids = []
    for number in range(3):
        connection = await judged.open()
        connection.send_event("whoami", {})
        ids.append(id_in((await connection.next_event("whoami"))["payload"]))
        connection.abort()
        await judged.server.disconnected(str(number + 1))
    assert len(set(ids)) == 3, f"an id was given again: {ids}"


@scenario("many.ten", "Ten simultaneous clients each get their own answers.", rules=["D-10"])
async def test_ten(clients: Clients) -> None:
    ten = [await clients() for _ in range(10)]
    for client in ten:
        await client.open()
    await asyncio.gather(*(client.check_usable(f"echo {i}") for i, client in enumerate(ten)))
    for i, client in enumerate(ten):
        assert client.count("event") == 1, f"client {i} got another client's answer"


@scenario(
    "many.one-is-cut",
    "When one client's connection is cut, the others are not affected.",
    rules=["D-13"],
)
async def test_one_is_cut(server: Server, clients: Clients, tap: Tap) -> None:
    first, second = await two(clients)
    tap.cut(0)
    await server.disconnected(first.conn)
    await second.check_usable()
    await server.settle()
    assert server.count("disconnected", conn=second.conn) == 0
    check_undisturbed(second)


FIFTY = 50


@scenario(
    "many.fifty",
    "50 simultaneous connections each have their own id and get their own answers.",
    side="server",
    needs="load",
    rules=["D-17"],
)
async def test_fifty(judged: JudgedServer) -> None:
    judged.extend_timeouts()
    fifty = [await judged.open() for _ in range(FIFTY)]
    for number, connection in enumerate(fifty):
        connection.send_event("whoami", {})
        connection.send_event("echo", number)
    ids = []
    for number, connection in enumerate(fifty):
        ids.append(id_in((await connection.next_event("whoami"))["payload"]))
        got = (await connection.next_event("echo"))["payload"]
        assert got == number, f"expected the payload {number}, got {got!r}"
    assert len(set(ids)) == FIFTY, f"expected {FIFTY} different ids, got {len(set(ids))}"


@scenario(
    "many.fifty-leave",
    "When 49 of 50 connections end in various ways, each end is reported once and the last works.",
    side="server",
    needs="load",
    rules=["D-17", "E-16"],
)
async def test_fifty_leave(judged: JudgedServer) -> None:
    judged.extend_timeouts()
    fifty = [await judged.open() for _ in range(FIFTY)]
    for number, connection in enumerate(fifty[:-1]):
        if number % 3 == 0:
            connection.send_close(1000)
        elif number % 3 == 1:
            connection.abort(reset=True)
        else:
            connection.end_tcp()
    for number in range(FIFTY - 1):
        await judged.server.disconnected(str(number + 1))
    await judged.works(fifty[-1])
    await judged.role.settle()
    assert judged.server.count("disconnected") == FIFTY - 1
