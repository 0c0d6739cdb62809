from __future__ import annotations

import asyncio

import pytest

from interop.catalog import Api
from interop.control import session as control
from interop.control.contract import Notification
from interop.control.patience import Patience
from interop.control.session import Session
from interop.errors import PeerHung, Violation
from interop.roles.client import Client
from interop.roles.server import Server
from interop.scenarios.scenario import Clients, Scenario, check_evidence, scenario
from interop.wire.log import Log
from interop.wire.rules import Frame

from ..control.test_session import connected

FACTS = Scenario("x", "A rule.")


def test_the_facts_are_on_the_function() -> None:
    @scenario("my.id", "A rule.", severity="should")
    async def run() -> None:
        """Words."""

    assert run.scenario == Scenario("my.id", "A rule.", "should")  # type: ignore[attr-defined]  # set by the decorator
    assert run.__doc__ == "Words."


async def test_a_scenario_that_does_not_end_is_a_violation() -> None:
    @scenario("slow", "Ends.", timeout=0.01)
    async def run() -> None:
        await asyncio.sleep(60)

    with pytest.raises(Violation, match=r"not done within 0\.01 s"):
        await run()


@pytest.mark.parametrize("fixture", ["server", "client", "clients"])
async def test_a_hung_peer_is_no_slow_scenario(
    fixture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.02)

    @scenario("slow", "Ends.", timeout=0.01)
    async def run(**fixtures: object) -> None:
        await asyncio.sleep(60)

    async with connected(lambda _: []) as session:
        server = Server(session, Patience(1))
        client = Client(session, Patience(1), None, server)

        async def make() -> Client:
            return client

        clients = Clients(make, server)
        assert await clients() is client
        given = {"server": server, "client": client, "clients": clients}
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await run(tap=object(), **{fixture: given[fixture]})


async def test_the_time_limit_can_be_overridden() -> None:
    @scenario("slow", "Ends.")
    async def run() -> None:
        await asyncio.sleep(60)

    run.timeout = 0.01  # type: ignore[attr-defined]  # as the plugin does for --timeout
    with pytest.raises(Violation, match=r"not done within 0\.01 s"):
        await run()


def log_of(*frames: Frame) -> Log:
    log = Log()
    log.frames.extend(frames)
    return log


def frame(author: str, data: bytes, opcode: int = 1) -> Frame:
    return Frame(0, 1, author, "server", opcode, data)  # type: ignore[arg-type]  # a literal


GOOD = frame("client", b'{"eventName":"a"}')


def test_a_bad_frame_of_a_peer_is_a_violation() -> None:
    with pytest.raises(Violation, match="the client wrote no eventName"):
        check_evidence(FACTS, log_of(GOOD, frame("client", b'{"event_name":"a"}')), [])


def test_a_binary_frame_of_a_peer_is_a_violation() -> None:
    with pytest.raises(Violation, match="the server wrote a binary message"):
        check_evidence(FACTS, log_of(frame("server", b"{}", 2)), [])


def test_the_judges_own_frames_are_not_judged() -> None:
    check_evidence(FACTS, log_of(GOOD, frame("judge", b"nonsense")), [])


def test_an_excused_author_is_not_judged() -> None:
    facts = Scenario("x", "A rule.", invalid_from=["server"])
    check_evidence(facts, log_of(frame("server", b"nonsense")), [])
    with pytest.raises(Violation):
        check_evidence(facts, log_of(frame("client", b"nonsense")), [])


def test_bytes_that_are_no_frames_are_a_violation() -> None:
    log = log_of()
    log.frame_errors.append(("server", "Invalid opcode 0xb"))
    with pytest.raises(Violation, match="the server wrote bytes that are no WebSocket frame: Inv"):
        check_evidence(FACTS, log, [])


def test_an_excused_author_may_write_what_is_no_frame() -> None:
    log = log_of(GOOD)
    log.frame_errors.append(("server", "Invalid opcode 0xb"))
    check_evidence(Scenario("x", "A rule.", invalid_from=["server"]), log, [])


def test_an_author_that_is_cut_may_write_part_of_a_frame_and_no_invalid_one() -> None:
    facts = Scenario("x", "A rule.", cuts=["server"])
    log = log_of(GOOD)
    log.frame_errors.append(("server", "unexpected end"))
    check_evidence(facts, log, [])
    with pytest.raises(Violation, match="the server wrote a binary message"):
        check_evidence(facts, log_of(frame("server", b"{}", 2)), [])


async def test_an_escaped_exception_is_a_violation_unless_it_is_not_judged() -> None:
    session = Session(Api("a", "server", "B"))
    session.notifications.append(Notification("connected", {"conn": "1"}))
    session.notifications.append(Notification("uncaught", {"message": "boom"}))
    role = Server(session, Patience(1))
    with pytest.raises(Violation, match="server a/B: let an exception escape: boom"):
        check_evidence(FACTS, log_of(), [role])
    check_evidence(Scenario("x", "A rule.", escapes=True), log_of(), [role])
