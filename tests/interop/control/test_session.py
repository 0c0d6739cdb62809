"""A control connection, against a scripted peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from interop.catalog import Api
from interop.control import session as control_module
from interop.control.contract import Address, Notification
from interop.control.patience import Patience
from interop.control.session import Session
from interop.errors import PeerDied, PeerFailure, PeerHung, Unsupported, Violation

from ..fake_peer import Answer, Script, good, serve

FAKE = Api("fake", "server", "Fake")


@asynccontextmanager
async def connected(script: Script, api: Api = FAKE) -> AsyncIterator[Session]:
    async with serve(script) as address:
        session = await Session.connect(api, Address(*address))
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
        (b'{"id":99,"ok":{}}\n', "it replied to request 99, which was not made"),
    ],
)
async def test_a_broken_contract_is_the_peers_death(answer: Answer, says: str) -> None:
    async with connected(lambda _: answer) as session:
        with pytest.raises(PeerDied, match=says):
            await session.call("describe")
        with pytest.raises(PeerDied, match=says):
            await session.call("describe")


async def test_a_peer_that_does_not_answer_is_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "PROBE_TIMEOUT", 0.02)
    async with connected(lambda _: []) as session:
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await session.call("describe")
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await session.wait("event", within=Patience(60))


async def test_a_request_that_a_hung_peer_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "PROBE_TIMEOUT", 0.02)
    monkeypatch.setattr(control_module, "CALL_TIMEOUT", 0.02)
    async with connected(lambda _: []) as session:
        with pytest.raises(PeerHung, match="server fake/Fake: no reply to 'describe'"):
            await session.call("close")


async def test_a_slow_library_is_not_a_hung_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "CALL_TIMEOUT", 0.02)
    script: Script = lambda r: good(r) if r["op"] == "describe" else []  # noqa: E731  # typed
    async with connected(script) as session:
        with pytest.raises(Violation, match="close not done within 0") as raised:
            await session.call("close")
        assert not isinstance(raised.value, PeerFailure)  # no error that a scenario may ask for


async def test_silence_is_judged_only_of_a_peer_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected(good) as session:
        with pytest.raises(Violation, match="no event within"):
            await session.wait("event", within=Patience(0.01))
        assert session.waited >= 0.01
    monkeypatch.setattr(control_module, "PROBE_TIMEOUT", 0.02)
    async with connected(lambda _: []) as session:
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await session.wait("event", within=Patience(0.01))


async def test_a_reply_that_comes_too_late_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "CALL_TIMEOUT", 0.02)

    def script(request: dict[str, Any]) -> Answer:
        if request["op"] == "close":
            return []
        late = [{"id": 1, "ok": {}}] if request["id"] == 2 else []
        return [*late, {"id": request["id"], "ok": {}}]

    async with connected(script) as session:
        with pytest.raises(Violation, match="not done"):
            await session.call("close")
        assert await session.call("describe") == {}


async def test_a_peer_that_takes_no_connection_is_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "CONNECT_TIMEOUT", 0.0)
    with pytest.raises(PeerHung, match=r"fake/Fake: 127\.0\.0\.1:1 takes no control connection"):
        await Session.connect(FAKE, Address("127.0.0.1", 1))


async def test_what_was_asked_is_kept() -> None:
    async with connected(good) as session:
        await session.call("describe")
        await session.call("close", code=4000)
        assert session.features == {"close", "close code"}
        assert [(asked.op, asked.outcome) for asked in session.requests] == [("close", "ok")]


async def test_a_port_without_a_listener() -> None:
    with pytest.raises(PeerDied, match=r"no control connection to 127\.0\.0\.1:1"):
        await Session.connect(FAKE, Address("127.0.0.1", 1))


async def test_notifications_are_taken_once_and_in_order() -> None:
    notes = [{"on": "event", "name": "a", "payload": n} for n in (1, 2)]
    async with connected(saying(*notes, {"on": "state", "state": "online"})) as session:
        await session.call("x")
        await session.wait("state", within=Patience(1))
        payloads = [
            (await session.wait("event", within=Patience(1))).data["payload"] for _ in notes
        ]
        assert payloads == [1, 2]
        count = session.count("event")
        assert count == 2


async def test_waiting_wakes_when_it_comes() -> None:
    async with connected(saying({"on": "connected", "conn": "1"})) as session:
        waiting = asyncio.ensure_future(session.wait("connected", within=Patience(5)))
        await asyncio.sleep(0)
        await session.call("x")
        assert (await waiting).data == {"conn": "1"}


async def test_what_has_come_is_looked_at_once() -> None:
    def script(request: dict[str, Any]) -> Answer:
        note = {"on": "connected", "conn": str(request["id"])}
        return [note, {"id": request["id"], "ok": {}}]

    async with connected(script) as session:
        looked: list[str] = []

        def last(notification: Notification) -> bool:
            looked.append(notification.data["conn"])
            return looked[-1] == "4"

        waiting = asyncio.ensure_future(session.wait("connected", last, within=Patience(5)))
        for _ in range(4):
            await session.call("x")
        await waiting
        assert looked == ["1", "2", "3", "4"]


async def test_two_may_wait_at_once() -> None:
    notes = [{"on": "connected", "conn": conn} for conn in "12"]
    async with connected(saying(*notes)) as session:

        def second(notification: Notification) -> bool:
            return notification.data["conn"] == "2" and session.count("connected") > 2

        waiting = asyncio.ensure_future(session.wait("connected", second, within=Patience(5)))
        await session.call("x")
        for conn in "12":
            taken = await session.wait("connected", within=Patience(5))
            assert taken.data["conn"] == conn
        await session.call("x")
        assert (await waiting).data["conn"] == "2"


async def test_what_does_not_come_says_what_came() -> None:
    async with connected(saying({"on": "uncaught", "message": "oh no"})) as session:
        await session.call("x")
        with pytest.raises(Violation, match=r"no event 'echo' within 0\.01 s.*uncaught.*oh no"):
            await session.wait("event", within=Patience(0.01), what="event 'echo'")


async def test_waiting_for_a_dead_peer_ends_at_once() -> None:
    async with connected(lambda _: None) as session:
        with pytest.raises(PeerDied):
            await session.call("x")
        with pytest.raises(PeerDied):
            await session.wait("event", within=Patience(60))
