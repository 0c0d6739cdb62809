"""Several clients at once: no one's coming or going changes anything for another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interop.errors import Unsupported
from interop.judge import asked_of
from interop.judged import Judged
from interop.raw import RawConnection
from interop.scenario import Clients, scenario
from interop.session import Client, Server
from interop.tap import Tap


async def two(clients: Clients, *events: str) -> tuple[Client, Client]:
    first, second = await clients(), await clients()
    await first.open(*events)
    await second.open(*events)
    return first, second


def id_in(payload: Any) -> Any:
    assert isinstance(payload, dict) and "id" in payload, f"whoami was answered with {payload!r}"
    return payload["id"]


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
    await server.settle()


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
        ids.append(id_in((await client.event("whoami")).data["payload"]))
    assert ids[0] != ids[1]


@scenario(
    "many.ids-not-again",
    "The id of a connection that has ended is not given to the next one.",
    side="server",
)
async def test_ids_not_again(judged: Judged) -> None:
    ids = []
    for number in range(3):
        connection = await judged.open()
        connection.send_event("whoami", {})
        ids.append(id_in((await connection.next_event("whoami"))["payload"]))
        connection.abort()
        await judged.server.disconnected(str(number + 1))
    assert len(set(ids)) == 3, f"an id was given again: {ids}"


@scenario("many.ten", "Ten clients at once each get their own answers.")
async def test_ten(clients: Clients) -> None:
    ten = [await clients() for _ in range(10)]
    for client in ten:
        await client.open()
    await asyncio.gather(*(client.check_usable(f"echo {i}") for i, client in enumerate(ten)))
    for i, client in enumerate(ten):
        assert client.count("event") == 1, f"client {i} got another's answer"


@scenario("many.one-is-cut", "When one client's connection is cut, the others notice nothing.")
async def test_one_is_cut(server: Server, clients: Clients, tap: Tap) -> None:
    first, second = await two(clients)
    tap.cut(0)
    await server.disconnected(first.conn)
    await second.check_usable()
    await server.settle()
    assert server.count("disconnected", conn=second.conn) == 0


FIFTY = 50


@scenario(
    "many.fifty",
    "50 connections at once each have an id of their own and get their own answers.",
    side="server",
    needs="load",
)
async def test_fifty(judged: Judged) -> None:
    judged.patient()
    fifty = [await judged.open() for _ in range(FIFTY)]
    for number, connection in enumerate(fifty):
        connection.send_event("whoami", {})
        connection.send_event("echo", number)
    ids = []
    for number, connection in enumerate(fifty):
        ids.append(id_in((await connection.next_event("whoami"))["payload"]))
        assert (await connection.next_event("echo"))["payload"] == number
    assert len(set(ids)) == FIFTY, f"{FIFTY} connections have {len(set(ids))} ids"


@scenario(
    "many.fifty-leave",
    "Of 50 connections 49 end in every way; each is told of once, and the last works.",
    side="server",
    needs="load",
)
async def test_fifty_leave(judged: Judged) -> None:
    judged.patient()
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


@scenario(
    "rooms.of-fifty",
    "Of 50 connections, the members of each of two rooms get what is sent to it, and they alone.",
    side="server",
    needs="load",
)
async def test_rooms_of_fifty(judged: Judged) -> None:
    judged.patient()
    fifty = [await judged.open() for _ in range(FIFTY)]
    rooms = {number: [r for r in (2, 3) if number % r == 0] for number in range(FIFTY)}
    for number, connection in enumerate(fifty):
        for room in rooms[number]:
            judged.server.session.asked |= asked_of("join", {})
            connection.send_event("join", {"room": f"room {room}"})
            await joined_raw(judged, connection)
    for room in (2, 3):
        say = {"room": f"room {room}", "event": "said", "payload": room, "exclude-self": False}
        fifty[0].send_event("to-room", say)
    for number, connection in enumerate(fifty):
        connection.send_event("echo", "done")
        heard: list[Any] = []
        while (message := await connection.next_message())["payload"] != "done":
            heard.append(message["payload"])
        assert heard == rooms[number], f"connection {number} got {heard}, not {rooms[number]}"


async def joined_raw(judged: Judged, connection: RawConnection) -> None:
    """Wait for the app's answer; its own word "unsupported" makes the cell so."""
    message = await connection.next_message()
    if message["eventName"] == "unsupported":
        raise Unsupported(f"{judged.server.session.who}: {message['payload']['why']}")


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
    answer = await client.wait(
        "event", lambda n: n.data["name"] in (name, "unsupported"), what=name
    )
    if answer.data["name"] == "unsupported":
        raise Unsupported(f"{client.server.session.who}: {answer.data['payload']['why']}")
