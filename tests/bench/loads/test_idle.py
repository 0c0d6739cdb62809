"""Idle connections take memory, and stay."""

from __future__ import annotations

import pytest

from bench.errors import MeasureError
from bench.loads import idle as module
from bench.loads.idle import idle

from ..servers import SWITCHING, FakeProgram, answering, target_of


async def test_a_server_is_measured() -> None:
    with target_of("zaptools") as target:
        assert (await idle(target, connections=200)).value > 0


async def test_the_value_is_what_each_adds() -> None:
    async with answering(lambda number, data: SWITCHING) as target:
        assert isinstance(target.program, FakeProgram)
        target.program._answers = [1 << 20, 0.0, 0.0, (1 << 20) + 10 * 2048]
        assert (await idle(target, connections=10)).value == 2.0
        assert [words[0] for words in target.program.asked] == ["memory", "cpu", "cpu", "memory"]


async def test_a_connection_that_does_not_stay_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SETTLE", 0.02)
    async with answering(lambda number, data: SWITCHING + b"\x88\x00") as target:
        with pytest.raises(MeasureError, match="closed with 1005"):
            await idle(target, connections=1)
