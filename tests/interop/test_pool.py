"""Opening sessions, against a scripted peer behind a scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interop import control
from interop.catalog import Api
from interop.engines import Address, Faults
from interop.errors import PeerDied, PeerHung, TestbedError, Unsupported
from interop.pool import Pool

from .fake_peer import Answer, Script, good, serve

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
            assert session.who == "server fake/Fake"
            assert session.asked == set()
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
        for _ in range(2):
            with pytest.raises(PeerHung, match="server fake/Fake: no reply to 'describe'"):
                await peers.open(FAKE)
        with pytest.raises(PeerHung, match="fake is given up: it hung 2 times"):
            await peers.open(FAKE)
        assert engine.restarted == ["fake", "fake"]


async def test_a_peer_that_never_starts_is_given_up() -> None:
    class Mute(FakeEngine):
        async def address(self, peer: str) -> Address:
            raise PeerHung(f"{peer} did not start")

    peers = Pool(Mute(Address("127.0.0.1", 1)))
    for says in ("did not start", "did not start", "given up"):
        with pytest.raises(PeerHung, match=says):
            await peers.open(FAKE)


async def test_versions_and_cells_of_their_own_are_programs_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.02)
    older = Api("fake", "server", "Fake", "0.1", older=True)
    async with pool(lambda _: []) as (peers, engine):
        for _ in range(2):
            with pytest.raises(PeerHung, match="no reply to 'describe'"):
                await peers.open(older)
        with pytest.raises(PeerHung, match=r"fake@0\.1 is given up"):
            await peers.open(older)
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await peers.open(older, "fake@0.1!server")
        with pytest.raises(PeerHung, match="no reply to 'describe'"):
            await peers.open(FAKE)
    assert engine.asked == engine.restarted
    assert engine.asked == ["fake@0.1", "fake@0.1", "fake@0.1!server", "fake"]
