"""Opening sessions, against a scripted peer behind a scripted engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interop.catalog import Api
from interop.control import session as control
from interop.control.contract import Address
from interop.engines.engine import Faults
from interop.errors import PeerDied, PeerHung, TestbedError, Unsupported
from interop.records import PeerRecord
from interop.run.pool import MAX_HANGS, Pool

from ..fake_peer import DESCRIBE, Answer, Script, good, serve

FAKE = Api("fake", "server", "Fake")


class FakeEngine:
    def __init__(self, address: Address) -> None:
        self.where = address
        self.asked: list[str] = []
        self.restarted: list[str] = []

    async def address(self, peer: str) -> Address:
        self.asked.append(peer)
        return self.where

    async def tap_host(self, address: Address) -> str:
        return address.host

    async def end(self, address: Address) -> str:
        return f"it ended; {len(self.restarted)} restarts before"

    async def restart(self, peer: str) -> None:
        self.restarted.append(peer)

    def faults(self) -> Faults:
        raise Unsupported("engine fake does nothing to a peer")

    async def close(self) -> None:
        """Nothing was started."""


@asynccontextmanager
async def pool(script: Script) -> AsyncIterator[tuple[Pool, FakeEngine]]:
    async with serve(script) as address:
        engine = FakeEngine(Address(*address))
        yield Pool(engine), engine


async def test_an_api_is_probed_once() -> None:
    ops: list[str] = []

    def script(request: dict[str, str]) -> Answer:
        ops.append(request["op"].rpartition("-")[0] or request["op"])
        return good(request)

    async with pool(script) as (peers, engine):
        for _ in range(2):
            session = await peers.open(FAKE)
            assert session.api.id == "fake/Fake"
            assert session.features == set()
            assert session.requests == []
            await peers.close(FAKE.program, session)
        assert ops == ["describe", "no-such-op"]
        assert engine.restarted == []


@pytest.mark.parametrize(
    ("api", "says"),
    [
        (Api("fake", "server", "Other"), "fake does not offer Other as a server"),
        (FAKE, "fake did not answer the unknown op 'no-such-op-"),
    ],
)
async def test_a_peer_that_breaks_the_contract(api: Api, says: str) -> None:
    script: Script = lambda r: good(r) if r["op"] == "describe" else {"ok": {}}  # noqa: E731  # typed
    async with pool(script) as (peers, _):
        with pytest.raises(TestbedError, match=says):
            await peers.open(api)


async def test_what_a_peer_says_of_itself_is_kept() -> None:
    def script(request: dict[str, str]) -> Answer:
        if request["op"] != "describe":
            return good(request)
        return {"ok": {**DESCRIBE, "libraries": {"zap": "1.0"}, "sources": {"zap": "0f"}}}

    async with pool(script) as (peers, _):
        await peers.close(FAKE.program, await peers.open(FAKE))
        assert peers.peers == {"fake/Fake": PeerRecord("none", "0", {"zap": "1.0"}, {"zap": "0f"})}


async def test_a_peer_that_describes_itself_in_another_form() -> None:
    script: Script = lambda r: (  # noqa: E731  # typed
        {"ok": {**DESCRIBE, "sources": ["0f"]}} if r["op"] == "describe" else good(r)
    )
    async with pool(script) as (peers, _):
        with pytest.raises(
            TestbedError, match=r"fake answers 'describe' against the contract: .*sources"
        ):
            await peers.open(FAKE)
        assert peers.peers == {}


async def test_a_peer_that_does_not_describe_itself() -> None:
    async with pool(lambda _: {"unsupported": "no"}) as (peers, _):
        with pytest.raises(TestbedError, match="fake does not describe itself: server fake/Fake: "):
            await peers.open(FAKE)


async def test_another_version_of_the_contract() -> None:
    async with pool(lambda _: {"ok": {"contract": 2}}) as (peers, _):
        with pytest.raises(TestbedError, match="fake speaks contract 2, not 1"):
            await peers.open(FAKE)


async def test_a_peer_that_died_is_started_again() -> None:
    async with pool(lambda _: None) as (peers, engine):
        for _ in range(3):
            with pytest.raises(PeerDied, match="closed its control connection"):
                await peers.open(FAKE)
        assert engine.restarted == ["fake"] * 3


async def test_a_peer_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.02)
    async with pool(lambda _: []) as (peers, engine):
        for _ in range(MAX_HANGS):
            with pytest.raises(PeerHung, match="server fake/Fake: no reply to 'describe'"):
                await peers.open(FAKE)
        with pytest.raises(PeerHung, match="fake is given up: it hung 4 times"):
            await peers.open(FAKE)
        assert engine.restarted == ["fake"] * MAX_HANGS


async def test_a_peer_that_never_starts_is_given_up() -> None:
    class Mute(FakeEngine):
        async def address(self, peer: str) -> Address:
            raise PeerHung(f"{peer} did not start")

    peers = Pool(Mute(Address("127.0.0.1", 1)))
    for says in (*["did not start"] * MAX_HANGS, "given up"):
        with pytest.raises(PeerHung, match=says):
            await peers.open(FAKE)


async def test_sessions_that_a_peer_fails_at_once_count_as_one_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.05)

    def script(request: dict[str, str]) -> Answer:
        return [] if asked else good(request)

    asked: list[str] = []
    async with pool(script) as (peers, engine):
        for times in (1, 2, 3, 4):
            asked.clear()
            engine.where = Address(engine.where.host, engine.where.port)  # started anew
            sessions = [await peers.open(FAKE) for _ in range(3)]
            asked.append("and no more")
            for session in sessions:
                with pytest.raises(PeerHung):
                    await session.call("describe")
            for session in sessions:
                await peers.close(FAKE.program, session)
            assert engine.restarted == ["fake"] * times
        with pytest.raises(PeerHung, match="given up"):
            await peers.open(FAKE)


async def test_a_session_of_an_earlier_peer_does_not_end_the_next() -> None:
    async with pool(good) as (peers, engine):
        session = await peers.open(FAKE)
        engine.where = Address(engine.where.host, engine.where.port)  # the next one's
        assert (session.peer, (await peers.open(FAKE)).peer) == ("fake#1", "fake#2")
        session.ended = PeerDied("of the one that died")
        await peers.close(FAKE.program, session)
        assert engine.restarted == []


async def test_a_peer_that_ends_between_two_sessions_is_told_of_once() -> None:
    async with pool(good) as (peers, engine):
        await peers.close(FAKE.program, await peers.open(FAKE))
        engine.where = Address(engine.where.host, engine.where.port)  # started anew
        with pytest.raises(PeerDied, match="fake ended by itself while no cell used it"):
            await peers.open(FAKE)
        assert peers.started(FAKE.program) == "fake#1"  # which is what failed
        assert (await peers.open(FAKE)).peer == "fake#2"


async def test_a_peer_that_comes_again_where_it_was_is_another_one() -> None:
    async with pool(good) as (peers, engine):  # whose engine says the same of each, as compose's
        first, second = [await peers.open(FAKE) for _ in range(2)]
        for session, peer in ((first, "fake#2"), (second, "fake#2")):
            session.ended = PeerDied("both of the one that died")
            await peers.close(FAKE.program, session)
            assert (await peers.open(FAKE)).peer == peer
        assert engine.restarted == ["fake"]


async def test_waiters_for_a_peer_that_never_starts_do_not_start_it_again() -> None:
    class Mute(FakeEngine):
        async def address(self, peer: str) -> Address:
            self.asked.append(peer)
            await asyncio.sleep(0.01)
            raise PeerHung(f"{peer} did not start")

    engine = Mute(Address("127.0.0.1", 1))
    peers = Pool(engine)
    failures = await asyncio.gather(*(peers.open(FAKE) for _ in range(5)), return_exceptions=True)
    said = [str(exc) for exc in failures]
    assert said == ["fake did not start"] * 4 + ["fake is given up: it hung 4 times"]
    assert engine.asked == ["fake"] * 4


async def test_versions_and_cells_of_their_own_are_programs_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.02)
    older = Api("fake", "server", "Fake", "0.1", older=True)
    async with pool(lambda _: []) as (peers, engine):
        for _ in range(MAX_HANGS):
            with pytest.raises(PeerHung, match="no reply to 'describe'"):
                await peers.open(older)
        with pytest.raises(PeerHung, match=r"fake@0\.1 is given up"):
            await peers.open(older)
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await peers.open(older, "fake@0.1!server")
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await peers.open(FAKE)
    assert engine.asked == engine.restarted
    assert engine.asked == [*["fake@0.1"] * MAX_HANGS, "fake@0.1!server", "fake"]


async def test_how_a_peer_ended_is_asked_once_before_it_is_restarted() -> None:
    async with pool(good) as (peers, _):
        sessions = [await peers.open(FAKE) for _ in range(2)]
        for session in sessions:
            session.end(PeerDied("gone"))
            await peers.close(FAKE.program, session)
            assert str(session.ended) == ("server fake/Fake: gone; it ended; 0 restarts before")


async def test_a_hung_peer_hung_all_its_sessions() -> None:
    async with pool(good) as (peers, _):
        one, two = [await peers.open(FAKE) for _ in range(2)]
        one.end(PeerHung("no reply"))
        await peers.close(FAKE.program, one)
        assert isinstance(two.ended, PeerHung)
        two.end(PeerDied("reset"))  # as the restart shows itself there
        assert two.ended.reason == "no reply"
