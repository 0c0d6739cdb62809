"""Faults of a whole peer, made by the docker engine: paused, killed, cut off from the network."""

from __future__ import annotations

from interop.control.patience import Patience
from interop.roles.client import Client
from interop.roles.server import Server
from interop.scenarios.scenario import Faulting, scenario

UNREACHABLE = 20.0
"""Seconds for a side that gets no answer to its close frame: Dart waits 5 s for one."""


async def gone(client: Client, within: Patience) -> None:
    """Wait until the client reports that the connection ended."""
    ended = ("offline", "error")
    await client.session.wait("state", lambda n: n.data["state"] in ended, within=within)


@scenario(
    "engine.server-paused",
    "Events sent to a paused server are answered when it resumes.",
    isolated=True,
    rules=["C-18"],
)
async def test_server_paused(client: Client, fault: Faulting) -> None:
    await client.open()
    await client.echo("before")
    await fault("pause", "server")
    await client.send("echo", "meanwhile")
    await fault("resume", "server")
    assert (await client.event("echo")).data["payload"] == "meanwhile"
    assert client.states == ["connecting", "online"]


@scenario(
    "engine.client-paused",
    "Events sent to a paused client all arrive, in order, when it resumes.",
    isolated=True,
    rules=["C-18"],
)
async def test_client_paused(server: Server, client: Client, fault: Faulting) -> None:
    await client.open("news")
    await client.echo("before")
    await fault("pause", "client")
    for number in range(10):
        await server.push(client.conn, "news", number)
    await fault("resume", "client")
    assert [(await client.event("news")).data["payload"] for _ in range(10)] == list(range(10))
    assert server.count("disconnected") == 0


@scenario(
    "engine.server-killed",
    "A client reports the connection's end once when the server's process is killed.",
    isolated=True,
    rules=["E-16"],
)
async def test_server_killed(client: Client, fault: Faulting) -> None:
    await client.open()
    await client.echo("before")
    await fault("kill", "server")
    await gone(client, client.patience)
    await client.settle()
    assert client.states.count("offline") == 1


@scenario(
    "engine.client-killed",
    "The server's disconnected callback fires once when a client's process is killed.",
    isolated=True,
    rules=["E-16"],
)
async def test_client_killed(server: Server, client: Client, fault: Faulting) -> None:
    await client.open()
    await client.echo("before")
    await fault("kill", "client")
    await server.disconnected(client.conn)
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1


@scenario(
    "engine.server-disconnected",
    "A client can close, and reports it once, when the server is unreachable.",
    isolated=True,
    rules=["E-26"],
)
async def test_server_disconnected(client: Client, fault: Faulting) -> None:
    await client.open()
    await client.echo("before")
    await fault("disconnect", "server")
    await client.close()
    await gone(client, client.patience.at_least(UNREACHABLE))
    await client.settle()
    assert client.states.count("offline") == 1


@scenario(
    "engine.client-disconnected",
    "A server can drop a client that is unreachable, and its application is told once.",
    isolated=True,
    rules=["E-26"],
)
async def test_client_disconnected(server: Server, client: Client, fault: Faulting) -> None:
    await client.open()
    await client.echo("before")
    await fault("disconnect", "client")
    await server.drop(client.conn)
    within = server.patience.at_least(UNREACHABLE)
    await server.session.wait("disconnected", within=within)
    await server.settle()
    assert server.count("disconnected", conn=client.conn) == 1
