"""The client under test, and the server it connects to, against scripted peers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interop.catalog import Api
from interop.control.contract import Address
from interop.control.patience import Patience
from interop.errors import Unsupported, Violation
from interop.roles.client import Client
from interop.roles.server import Server
from interop.wire.log import Log
from interop.wire.tap import Tap, TapConnection

from ..control.test_session import connected, saying
from ..fake_peer import Answer, Script

CLIENT = Api("fake", "client", "Fake")


@asynccontextmanager
async def roles(script: Script, tap: Tap | None = None) -> AsyncIterator[tuple[Server, Client]]:
    async with connected(script) as first, connected(script, CLIENT) as second:
        server = Server(first, Patience(0.05))
        server.path = "/ws"
        tap = tap or Tap("127.0.0.1", Address("127.0.0.1", 1), Log())
        yield server, Client(second, Patience(0.05), tap, server)


async def test_headers_are_always_given_unless_plain() -> None:
    seen: list[dict[str, Any]] = []

    def script(request: dict[str, Any]) -> Answer:
        seen.append(request)
        return {"ok": {}}

    async with roles(script) as (_, client):
        await client.send("a", 1)
        await client.send_plain("a", 1)
    assert [request.get("headers", "absent") for request in seen] == [{}, "absent"]


async def test_a_connection_that_should_be_refused_and_is_not() -> None:
    async with roles(saying({"on": "connected", "conn": "1"})) as (_, client):
        with pytest.raises(Violation, match="connected where it should have been refused"):
            await client.refused()


async def test_a_stopped_server_is_judged_by_its_own_word() -> None:
    async with roles(saying({"on": "connected", "conn": "2"})) as (server, client):
        await server.session.call("describe")
        with pytest.raises(Violation, match="server fake/Fake: took another connection, 2"):
            await client.refused_by_server()
    async with roles(saying()) as (_, client):  # somebody else has the port: it connected there
        await client.refused_by_server()
    async with roles(lambda _: {"error": {"kind": "Refused", "message": ""}}) as (_, client):
        await client.refused_by_server()


async def test_usable_means_the_same_probe_comes_back() -> None:
    other = {"on": "event", "name": "echo", "payload": "another", "headers": {}}
    async with roles(saying(other)) as (_, client):
        with pytest.raises(Violation, match="is the connection usable"):
            await client.check_usable("probe")
    async with roles(saying(other, {**other, "payload": "probe"})) as (_, client):
        await client.check_usable("probe")


def failing(kind: str) -> Script:
    return lambda _: {"error": {"kind": kind, "message": "no"}}


async def test_a_refusal_of_the_app_needs_a_reason() -> None:
    async with roles(saying()) as (server, _):
        server.check_supported("join", "joined", {"room": "r"})
        with pytest.raises(Unsupported, match="it has no rooms") as refused:
            server.check_supported(
                "join", "unsupported", {"event": "join", "why": "it has no rooms"}
            )
        assert (refused.value.api, refused.value.op) == (server.api, "join")
        without: list[Any] = [None, [], {}, {"why": None}, {"why": ""}]
        for payload in without:
            with pytest.raises(Violation, match="unsupported says no why"):
                server.check_supported("join", "unsupported", payload)


async def test_a_refusal_is_told_from_a_library_that_broke() -> None:
    async with roles(failing("ConnectionRefusedError")) as (_, client):
        assert (await client.refused()).kind == "ConnectionRefusedError"
    async with roles(failing("TypeError")) as (_, client):
        with pytest.raises(
            Violation,
            match=r"client fake/Fake: expected a refused .*, got: open failed with Type",
        ):
            await client.refused()
        with pytest.raises(Violation, match="expected a refused connection"):
            await client.refused_by_server()


async def test_a_refusal_after_the_handshake_is_none() -> None:
    tap = Tap("127.0.0.1", Address("127.0.0.1", 1), Log())

    def script(request: dict[str, Any]) -> Answer:
        connection = TapConnection(tap, 1)
        connection.forward("client", b"GET / HTTP/1.1\r\n\r\n")
        connection.forward("server", b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        tap.connections.append(connection)
        return {"error": {"kind": "SocketException", "message": "closed"}}

    async with roles(script, tap) as (_, client):
        with pytest.raises(Violation, match="closed, but the handshake was done"):
            await client.refused()


async def test_app_events_that_a_client_sends_are_asked_of_the_server() -> None:
    async with roles(saying()) as (server, client):
        await client.send("join", {"room": "r"})
        await client.send("close-me", {"code": 4000})
        await client.send("slow", {"ms": 1})
        assert client.server is server
        assert {"rooms", "close-me code"} <= server.session.features
