"""Several clients at once: no one's coming or going changes anything for another."""

from __future__ import annotations

import asyncio

import pytest

from interop.scenario import Clients, scenario
from interop.session import Client, Server


async def two(clients: Clients, *events: str) -> tuple[Client, Client]:
    first, second = await clients(), await clients()
    await first.open(*events)
    await second.open(*events)
    return first, second


@pytest.mark.parametrize("leaver", ["first", "last"])
@scenario("many.one-leaves", "When one client leaves, the others notice nothing.")
async def test_one_leaves(server: Server, clients: Clients, leaver: str) -> None:
    first, second = await two(clients)
    leaves, stays = (first, second) if leaver == "first" else (second, first)
    await leaves.close()
    await server.disconnected(leaves.conn)
    await stays.check_usable()
    await server.settle()
    assert server.count("disconnected", conn=stays.conn) == 0


@scenario("many.one-is-dropped", "When the server drops one client, the others notice nothing.")
async def test_one_is_dropped(server: Server, clients: Clients) -> None:
    first, second = await two(clients)
    await server.drop(first.conn)
    await server.disconnected(first.conn)
    await second.check_usable()


@scenario("many.push-to-one", "An event sent to one connection reaches that one alone.")
async def test_push_to_one(server: Server, clients: Clients) -> None:
    first, second = await two(clients, "private")
    await server.push(first.conn, "private", "for the first")
    await first.event("private")
    await second.check_usable()
    assert second.count("event", name="private") == 0


@scenario("many.ids", "Every connection has an id of its own.")
async def test_ids(clients: Clients) -> None:
    first, second = await two(clients, "whoami")
    ids = []
    for client in (first, second):
        await client.send("whoami", {})
        ids.append((await client.event("whoami")).data["payload"]["id"])
    assert ids[0] != ids[1]


@scenario("many.ten", "Ten clients at once each get their own answers.")
async def test_ten(clients: Clients) -> None:
    ten = [await clients() for _ in range(10)]
    for client in ten:
        await client.open()
    await asyncio.gather(*(client.check_usable(f"echo {i}") for i, client in enumerate(ten)))
    for i, client in enumerate(ten):
        assert client.count("event") == 1, f"client {i} got another's answer"


@scenario("rooms.members", "An event sent to a room reaches its members, and them alone.")
async def test_room(server: Server, clients: Clients) -> None:
    member, other = await two(clients, "joined", "left", "said", "unsupported")
    third = await clients()
    await third.open("joined", "said", "unsupported")
    room = {"room": "r"}
    for client in (member, third):
        await client.send("join", room)
        await joined(client, "joined")
    say = {"room": "r", "event": "said", "payload": "hi", "exclude-self": False}
    await member.send("to-room", say)
    await member.event("said")
    await third.event("said")
    await other.check_usable()
    assert other.count("event", name="said") == 0


async def joined(client: Client, name: str) -> None:
    """Wait for the app's answer; its own word "unsupported" makes the cell so."""
    from interop.errors import Unsupported

    answer = await client.wait(
        "event", lambda n: n.data["name"] in (name, "unsupported"), what=name
    )
    if answer.data["name"] == "unsupported":
        raise Unsupported(f"{client.server.session.who}: {answer.data['payload']['why']}")
