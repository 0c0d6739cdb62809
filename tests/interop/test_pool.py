"""Opening sessions, against a scripted peer behind a scripted engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interop import control
from interop.catalog import Api
from interop.engines import Address
from interop.errors import PeerDied, PeerHung, TestbedError
from interop.pool import Pool

from .fake_peer import Answer, Script, good, serve

FAKE = Api("fake", "server", "Fake")


class FakeEngine:
    def __init__(self, address: Address) -> None:
        self.where = address
        self.restarted: list[str] = []

    async def address(self, peer: str) -> Address:
        return self.where

    async def tap_host(self, address: Address) -> str:
        return address.host

    async def restart(self, peer: str) -> None:
        self.restarted.append(peer)

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
            await peers.close(FAKE, session)
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
