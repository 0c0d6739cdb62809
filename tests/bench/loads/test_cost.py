"""Dear texts are sent, and what they take is measured."""

from __future__ import annotations

import json

import pytest

from bench.errors import MeasureError
from bench.loads import cost as module
from bench.loads.cost import cost, dear_texts
from bench.wires import EVENTS, payload_of
from zaptools import CodecError, decode_event

from ..servers import SWITCHING, answering, target_of, text


@pytest.mark.parametrize("peer", ["zaptools", "websockets-json"])
async def test_a_server_is_measured(peer: str) -> None:
    with target_of(peer) as target:
        sample = await cost(target)
        assert sample.value > 0
        assert sample.measured_cpu > 0


def test_json_takes_all_of_the_texts() -> None:
    refused = 0
    for each in dear_texts():
        assert json.loads(each)["eventName"] == "other" and len(each) > 60_000
        try:
            decode_event(each)
        except CodecError:
            refused += 1
    assert refused == 3


async def test_a_server_that_ends_the_connection_is_told() -> None:
    answers = [SWITCHING, text(EVENTS.event("echo", payload_of(0))), None]
    async with answering(lambda number, data: answers[min(number, 2)], seconds=20) as target:
        with pytest.raises(MeasureError, match="the connection"):
            await cost(target)


async def test_a_server_that_falls_silent_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.03)
    answers = [SWITCHING, text(EVENTS.event("echo", payload_of(0)))]
    async with answering(
        lambda number, data: answers[number] if number < 2 else b"", seconds=0.01
    ) as target:
        with pytest.raises(MeasureError, match="no echo"):
            await cost(target)
