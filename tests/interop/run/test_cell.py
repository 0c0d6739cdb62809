"""One cell: what a scenario is given, and what is kept of how it went; the peers are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from interop.catalog import JUDGES, Api
from interop.control import session as control
from interop.control.patience import Patience
from interop.errors import PeerDied, PeerHung, Unsupported, Violation
from interop.records import Evidence, FrameRecord
from interop.roles.client import Client
from interop.roles.judged import Judged
from interop.roles.server import Server
from interop.run import evidence
from interop.run.cell import Cell, Ran
from interop.scenarios.scenario import Clients, Scenario
from interop.wire.log import Log
from interop.wire.tap import Tap

from ..fake_peer import Script, good
from .test_pool import FakeEngine, pool

PAIR = (Api("fake", "server", "Fake"), Api("fake", "client", "Fake"))


async def run(
    function: Callable[..., Awaitable[None]],
    *,
    pair: tuple[Api, Api] = PAIR,
    script: Script = good,
    parameters: dict[str, Any] | None = None,
    **facts: Any,
) -> Ran:
    async with pool(script) as (peers, _):
        cell = Cell(Scenario("x", "A rule.", **facts), pair, peers, Patience(1.0))
        await cell.run(function, parameters or {})
        return cell.ran


async def test_a_scenario_is_given_what_its_arguments_name() -> None:
    async def scenario(
        name: str, server: Server, client: Client, clients: Clients, tap: Tap
    ) -> None:
        assert name == "a"
        assert client.server is server
        assert server.sessions == [server.session, client.session]
        assert clients.server is server
        assert (await clients()).session is not client.session
        assert tap.port != server.port

    ran = await run(scenario, parameters={"name": "a"})
    assert (ran.error, ran.teardown_error, ran.begun) == (None, None, True)
    assert ran.features == {"server": {"serve"}, "client": frozenset()}
    assert ran.seen.notifications is not None
    assert [len(notes) for notes in ran.seen.notifications.clients] == [0, 0]


@pytest.mark.parametrize("side", ["server", "client"])
async def test_where_the_judge_is_one_side_the_other_is_under_test(side: str) -> None:
    async def scenario(judged: Judged) -> None:
        assert judged.side == side
        assert judged.log.frames == []
        assert judged.role.session.requests == []

    server, client = PAIR
    pair = (server, JUDGES["client"]) if side == "server" else (JUDGES["server"], client)
    ran = await run(scenario, pair=pair)
    assert ran.error is None
    assert ran.begun


async def test_an_unknown_argument_is_an_error_before_the_scenario() -> None:
    async def scenario(sever: object) -> None: ...

    ran = await run(scenario)
    assert str(ran.error) == "x: a scenario is given no 'sever'"
    assert not ran.begun


async def test_what_a_scenario_raises_is_told_with_what_was_seen() -> None:
    async def scenario(client: Client) -> None:
        await client.session.call("close", code=4000)
        raise Violation("no")

    ran = await run(scenario)
    assert str(ran.error) == "no"
    assert ran.begun
    assert ran.features["client"] == {"close", "close code"}
    assert ran.seen.requests is not None
    assert [each.op for each in ran.seen.requests.clients[0]] == ["close"]
    assert ran.seen.frames == []


async def test_what_is_wrong_before_the_scenario_takes_set_up_time_alone() -> None:
    ran = await run(
        lambda: pytest.fail("not to be called"),
        script=lambda r: good(r) if r["op"] == "describe" else {"error": {"kind": "No"}},
    )
    assert "failed with No" in str(ran.error)
    assert not ran.begun
    assert (ran.setup_ms > 0, ran.duration_ms) == (True, 0.0)
    assert ran.seen == Evidence()


async def test_what_escaped_is_told_once_for_each_side() -> None:
    def script(request: dict[str, Any]) -> Any:
        note = {"on": "uncaught", "message": "boom"}
        return (
            [note, note, {"id": request["id"], "ok": {}}]
            if request["op"] in ("send", "stop")
            else good(request)
        )

    async def scenario(server: Server, client: Client) -> None:
        await client.session.call("send")
        await server.session.call("stop")

    ran = await run(scenario, script=script)
    assert ran.escaped == [("server", "boom"), ("client", "boom")]
    assert "boom" in str(ran.error)
    assert (await run(scenario, script=script, escapes=True)).error is None


async def test_what_goes_wrong_after_the_scenario_is_no_failure_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    close = Tap.close

    async def late(tap: Tap) -> None:
        await close(tap)
        raise OSError("too late")

    async def scenario(server: Server) -> None: ...

    monkeypatch.setattr(Tap, "close", late)
    ran = await run(scenario)
    assert (ran.error, repr(ran.teardown_error)) == (None, "OSError('too late')")


async def test_a_shared_peer_takes_no_fault() -> None:
    async def scenario(fault: object) -> None: ...

    ran = await run(scenario)
    assert isinstance(ran.error, AssertionError)
    assert not ran.begun


async def test_an_engine_that_isolates_nothing_says_so() -> None:
    async def scenario(server: Server) -> None: ...

    ran = await run(scenario, isolated=True)
    assert isinstance(ran.error, Unsupported)
    assert "engine fake does nothing" in str(ran.error)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, asyncio.CancelledError])
async def test_an_interrupted_cell_leaves_nothing_open_and_stays_interrupted(
    stop: type[BaseException], late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taps: list[Tap] = []
    close = Tap.close

    async def closing(tap: Tap) -> None:
        await close(tap)
        taps.append(tap)
        if late:
            raise OSError("too late")

    async def scenario(client: Client) -> None:
        await client.session.call("close")
        raise stop

    monkeypatch.setattr(Tap, "close", closing)
    async with pool(good) as (peers, _):
        cell = Cell(Scenario("x", "A rule."), PAIR, peers, Patience(1.0))
        running = cell.run(scenario, {})
        with pytest.raises(stop):
            await running
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(taps[0].host, taps[0].port)
    assert (cell.ran.error, isinstance(cell.ran.teardown_error, OSError)) == (None, late)
    assert cell.ran.features["client"] == {"close"}
    assert cell.ran.seen.requests


async def test_a_cell_whose_evidence_cannot_be_made_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def frames(log: Log) -> list[FrameRecord]:
        raise ValueError("no")

    async def scenario(server: Server) -> None: ...

    monkeypatch.setattr(evidence, "frames", frames)
    ran = await run(scenario)
    assert (repr(ran.error), ran.seen) == ("ValueError('no')", Evidence())


@pytest.mark.parametrize("isolated", [False, True])
async def test_which_peers_failed_is_told(isolated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peers of an isolated cell are its own, so that their end concerns no other cell."""
    monkeypatch.setattr(FakeEngine, "faults", lambda engine: NoFaults())

    async def scenario(server: Server, client: Client) -> None:
        with pytest.raises(PeerDied):
            await server.session.call("stop")
        raise Violation("the wire showed it first")

    def ends(request: dict[str, Any]) -> Any:
        return None if request["op"] == "stop" else good(request)

    ran = await run(scenario, script=ends, isolated=isolated)
    assert str(ran.error) == "the wire showed it first"
    assert list(ran.failed) == ([] if isolated else ["fake#1"])


class NoFaults:
    async def discard(self, peer: str) -> None: ...


@pytest.mark.parametrize("isolated", [False, True])
async def test_a_peer_that_cannot_be_reached_failed(
    isolated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEngine, "faults", lambda engine: NoFaults())
    ran = await run(
        lambda: pytest.fail("not to be called"), script=lambda _: None, isolated=isolated
    )
    assert isinstance(ran.error, PeerDied)
    assert ran.failed == ({} if isolated else {"fake#1": ran.error})


async def test_a_red_cell_finds_out_whether_its_peer_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.05)
    hung: list[bool] = []

    async def scenario(server: Server) -> None:
        hung.append(True)
        raise Violation("nothing came")

    ran = await run(scenario, script=lambda r: [] if hung else good(r))
    assert str(ran.error) == "nothing came"
    assert isinstance(ran.failed["fake#1"], PeerHung)
