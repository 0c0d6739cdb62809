"""Rooms: who gets what is sent to one, and who no longer does."""

from __future__ import annotations

from interop.errors import Unsupported
from interop.scenario import Clients, scenario
from interop.session import Client, Server


async def in_room(clients: Clients, count: int) -> list[Client]:
    """Open clients that are members of the room ``r``."""
    members = []
    for _ in range(count):
        client = await clients()
        await client.open("joined", "left", "said", "unsupported")
        await answered(client, "join", "joined")
        members.append(client)
    return members


async def answered(client: Client, event: str, answer: str) -> None:
    """Join or leave, and wait for the app's answer; its word "unsupported" makes the cell so."""
    await client.send(event, {"room": "r"})
    names = (answer, "unsupported")
    got = await client.wait("event", lambda n: n.data["name"] in names, what=answer)
    if got.data["name"] == "unsupported":
        raise Unsupported(f"{client.server.session.who}: {got.data['payload']['why']}")


async def say(client: Client, payload: str, *, exclude_self: bool = False) -> None:
    request = {"room": "r", "event": "said", "payload": payload, "exclude-self": exclude_self}
    await client.send("to-room", request)


async def hears(client: Client, payload: str) -> None:
    await client.wait(
        "event",
        lambda n: n.data["name"] == "said" and n.data["payload"] == payload,
        what=f"what was said to the room: {payload!r}",
    )


@scenario("rooms.exclude-self", "Whoever sends to a room can leave itself out.")
async def test_exclude_self(clients: Clients) -> None:
    first, second, third = await in_room(clients, 3)
    await say(first, "to you", exclude_self=True)
    for client in (second, third):
        await hears(client, "to you")
    await first.check_usable()
    assert first.count("event", name="said") == 0


@scenario("rooms.once", "A member that joined twice gets what is sent once.")
async def test_once(clients: Clients) -> None:
    first, second = await in_room(clients, 2)
    await answered(second, "join", "joined")
    await say(first, "once")
    await hears(second, "once")
    await second.check_usable()
    assert second.count("event", name="said") == 1


@scenario("rooms.leave", "Whoever has left a room gets nothing more; the others do.")
async def test_leave(clients: Clients) -> None:
    first, second, leaver = await in_room(clients, 3)
    await answered(leaver, "leave", "left")
    await say(first, "without you")
    for client in (first, second):
        await hears(client, "without you")
    await leaver.check_usable()
    assert leaver.count("event", name="said") == 0


@scenario("rooms.leave-by-disconnecting", "A member that disconnects is no trouble to the others.")
async def test_leave_by_disconnecting(server: Server, clients: Clients) -> None:
    leaver, first, second = await in_room(clients, 3)
    await leaver.close()
    await server.disconnected(leaver.conn)
    for payload in ("once", "twice"):
        await say(first, payload)
        for client in (first, second):
            await hears(client, payload)
    assert server.session.count("error") == 0
    assert server.session.count("uncaught") == 0


@scenario("rooms.new-connection", "A client that connects again is no member until it joins.")
async def test_new_connection(server: Server, clients: Clients) -> None:
    leaver, stays = await in_room(clients, 2)
    await leaver.close()
    await server.disconnected(leaver.conn)
    await leaver.reconnect()
    await say(stays, "for members")
    await hears(stays, "for members")
    await leaver.check_usable()
    assert leaver.count("event", name="said") == 0


@scenario("rooms.order", "What one member sends to a room arrives in order, at everybody.")
async def test_order(clients: Clients) -> None:
    members = await in_room(clients, 3)
    for number in range(20):
        await say(members[0], str(number))
    for client in members:
        for number in range(20):
            await hears(client, str(number))
        said = [n.data for n in client.session.notifications if n.on == "event"]
        payloads = [data["payload"] for data in said if data["name"] == "said"]
        assert payloads == [str(number) for number in range(20)]
