"""A control connection, against a scripted peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interop import session as session_module
from interop.catalog import Api
from interop.engines import Address
from interop.errors import PeerDied, PeerFailure, Unsupported, Violation
from interop.session import Client, Server, Session
from interop.tap import Tap

from .fake_peer import Answer, Script, good, serve


@asynccontextmanager
async def connected(script: Script) -> AsyncIterator[Session]:
    async with serve(script) as address:
        session = await Session.connect("server fake/Fake", Address(*address))
        try:
            yield session
        finally:
            await session.close()


def saying(*notifications: dict[str, Any]) -> Script:
    """A peer that answers any request with these notifications first."""
    return lambda request: [*notifications, {"id": request["id"], "ok": {}}]


async def test_a_reply_is_returned() -> None:
    async with connected(good) as session:
        assert (await session.call("describe"))["peer"] == "fake"


async def test_replies_may_come_in_another_order() -> None:
    waiting: list[int] = []

    def script(request: dict[str, Any]) -> Answer:
        waiting.append(request["id"])
        if len(waiting) < 2:
            return []
        return [{"id": number, "ok": {"of": number}} for number in reversed(waiting)]

    async with connected(script) as session:
        first, second = session.start("send", {}), session.start("send", {})
        assert await session.reply("send", second) == {"of": 2}
        assert await session.reply("send", first) == {"of": 1}


async def test_an_error_is_the_librarys_own_word() -> None:
    script: Script = lambda _: {"error": {"kind": "Refused", "message": "no route"}}  # noqa: E731  # typed
    async with connected(script) as session:
        with pytest.raises(PeerFailure, match="server fake/Fake: open failed with Refused: no"):
            await session.call("open")


async def test_unsupported_is_the_peers_own_word() -> None:
    async with connected(good) as session:
        with pytest.raises(Unsupported, match="server fake/Fake: no op 'fly'"):
            await session.call("fly")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "the peer closed its control connection"),
        (b"nonsense\n", "not JSON"),
        (b'{"id":1}\n', "exactly one"),
        (b'{"id":99,"ok":{}}\n', "a reply to request 99, which nobody made"),
    ],
)
async def test_a_broken_contract_is_the_peers_death(answer: Answer, says: str) -> None:
    async with connected(lambda _: answer) as session:
        with pytest.raises(PeerDied, match=says):
            await session.call("describe")
        with pytest.raises(PeerDied, match=says):
            await session.call("describe")


async def test_a_peer_that_does_not_answer_is_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "CALL_TIMEOUT", 0.02)
    async with connected(lambda _: []) as session:
        with pytest.raises(PeerDied, match="no reply to 'describe'"):
            await session.call("describe")


async def test_nobody_listens() -> None:
    with pytest.raises(PeerDied, match=r"no control connection to 127\.0\.0\.1:1"):
        await Session.connect("x", Address("127.0.0.1", 1))


async def test_notifications_are_taken_once_and_in_order() -> None:
    notes = [{"on": "event", "name": "a", "payload": n} for n in (1, 2)]
    async with connected(saying(*notes, {"on": "state", "state": "online"})) as session:
        await session.call("x")
        await session.wait("state", within=1)
        payloads = [(await session.wait("event", within=1)).data["payload"] for _ in notes]
        assert payloads == [1, 2]
        with pytest.raises(Violation):
            await session.wait("event", within=0.01)
        assert session.count("event") == 2


async def test_waiting_wakes_when_it_comes() -> None:
    async with connected(saying({"on": "connected", "conn": "1"})) as session:
        waiting = asyncio.ensure_future(session.wait("connected", within=5))
        await asyncio.sleep(0)
        await session.call("x")
        assert (await waiting).data == {"conn": "1"}


async def test_what_does_not_come_says_what_came() -> None:
    async with connected(saying({"on": "uncaught", "message": "oh no"})) as session:
        await session.call("x")
        with pytest.raises(Violation, match=r"no event 'echo' within 0\.01 s.*uncaught.*oh no"):
            await session.wait("event", within=0.01, what="event 'echo'")


async def test_waiting_for_a_dead_peer_ends_at_once() -> None:
    async with connected(lambda _: None) as session:
        with pytest.raises(PeerDied):
            await session.call("x")
        with pytest.raises(PeerDied):
            await session.wait("event", within=60)


FAKE = Api("fake", "client", "Fake")


@asynccontextmanager
async def roles(script: Script) -> AsyncIterator[tuple[Server, Client]]:
    async with connected(script) as session:
        server = Server(Api("fake", "server", "Fake"), session, 0.05)
        server.path = "/ws"
        tap = Tap("127.0.0.1", Address("127.0.0.1", 1))
        yield server, Client(FAKE, session, 0.05, tap, server)


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
    async with roles(saying({"on": "connected", "conn": "2"})) as (_, client):
        with pytest.raises(Violation, match="server fake/Fake took another connection, 2"):
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
