"""Echoes are counted; a server that fails is told."""

from __future__ import annotations

import pytest

from bench.errors import MeasureError
from bench.loads import echo as module
from bench.loads.echo import echo
from bench.wires import EVENTS, payload_of

from ..servers import SWITCHING, answering, target_of, text


@pytest.mark.parametrize("peer", ["zaptools", "websockets", "websockets-json"])
async def test_a_server_is_measured(peer: str) -> None:
    with target_of(peer) as target:
        sample = await echo(target, connections=2, in_flight=3)
        assert sample.value > 0
        assert sample.measured_cpu > 0
        assert sample.generator_cpu > 0


async def test_great_events_and_compression() -> None:
    with target_of("zaptools", "--deflate") as target:
        assert (await echo(target, connections=1, in_flight=2, size=1 << 16)).value > 0


async def test_a_server_that_ends_a_connection_is_told() -> None:
    answers = [SWITCHING, text(EVENTS.event("echo", payload_of(0))), None]
    async with answering(lambda number, data: answers[number], seconds=20) as target:
        with pytest.raises(MeasureError, match="the connection was lost"):
            await echo(target, connections=1, in_flight=1)


async def test_a_server_that_falls_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.03)
    answers = [SWITCHING, text(EVENTS.event("echo", payload_of(0)))]
    async with answering(
        lambda number, data: answers[number] if number < 2 else b"", seconds=0.01
    ) as target:
        with pytest.raises(MeasureError, match="not one echo"):
            await echo(target, connections=1, in_flight=1)
