from __future__ import annotations

import pytest

from interop.catalog import Api
from interop.control.contract import Address
from interop.control.session import Session
from interop.engines import compose
from interop.engines.compose import ComposeEngine
from interop.errors import TestbedError, Unsupported

from ..fake_peer import good, serve

FAKE = Api("fake", "server", "Fake")


async def test_a_running_service_is_found_and_left_running() -> None:
    async with serve(good) as address:
        engine = ComposeEngine({"fake": Address(*address)})
        found = await engine.address("fake")
        await engine.close()
        session = await Session.connect(FAKE, found)
        assert (await session.call("describe"))["peer"] == "fake"
        await session.close()


async def test_a_service_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "WAIT_TIMEOUT", 0.05)
    engine = ComposeEngine({"dart-io": Address("127.0.0.1", 1)})
    with pytest.raises(TestbedError, match=r"service 'dart-io' did not answer at 127\.0\.0\.1:1"):
        await engine.address("dart-io")


async def test_the_tap_is_where_the_peer_can_reach_it() -> None:
    engine = ComposeEngine({})
    assert await engine.tap_host(Address("localhost", 7000)) == "127.0.0.1"


async def test_a_service_that_failed_is_waited_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(good) as address:
        engine = ComposeEngine({"fake": Address(*address)})
        await engine.address("fake")
    monkeypatch.setattr(compose, "WAIT_TIMEOUT", 0.05)
    assert await engine.address("fake") == Address(*address)
    await engine.restart("fake")
    with pytest.raises(TestbedError, match="did not answer"):
        await engine.address("fake")


def test_it_has_no_faults() -> None:
    with pytest.raises(Unsupported, match="engine compose does nothing to a peer"):
        ComposeEngine({}).faults()
