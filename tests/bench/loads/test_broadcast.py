"""Every receiver gets every broadcast."""

from __future__ import annotations

import pytest

from bench.errors import MeasureError
from bench.loads import broadcast as module
from bench.loads.broadcast import broadcast

from ..servers import SWITCHING, FakeProgram, answering, target_of


@pytest.mark.parametrize("peer", ["zaptools", "websockets"])
async def test_a_server_is_measured(peer: str) -> None:
    with target_of(peer) as target:
        sample = await broadcast(target, receivers=20)
        assert 0 < sample.value < 1e6


async def test_events_that_do_not_arrive_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT", 0.01)
    async with answering(lambda number, data: SWITCHING) as target:
        with pytest.raises(MeasureError, match="10 of 10 events did not arrive"):
            await broadcast(target, receivers=2)
        assert isinstance(target.program, FakeProgram)
        assert target.program.asked == [("broadcast", 5, 0.01)]
