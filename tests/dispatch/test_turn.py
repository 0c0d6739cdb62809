"""How long a connection keeps the event loop to itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from zaptools.dispatch import turn as _turn
from zaptools.dispatch.turn import Turn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, for a test to set."""
    now = [0.0]
    monkeypatch.setattr(_turn, "perf_counter", lambda: now[0])
    return now


async def test_much_work_ends_a_turn(clock: list[float]) -> None:
    turn = Turn()
    asked = [turn.next_chunk() for _ in range(4)]
    assert asked == [False, False, False, True]
    await asyncio.sleep(0)
    assert not turn.next_chunk()


async def test_a_long_text_ends_a_turn(clock: list[float]) -> None:
    turn = Turn()
    turn.left -= 1_000_000
    assert turn.next_chunk()


async def test_time_ends_a_turn(clock: list[float]) -> None:
    turn = Turn()
    assert not turn.next_chunk()
    clock[0] = 0.004
    assert not turn.next_chunk()
    clock[0] = 0.006
    assert turn.next_chunk()


async def test_a_turn_of_the_loop_begins_a_new_one(clock: list[float]) -> None:
    """Time that passed while others had their turn does not count."""
    turn = Turn()
    for _ in range(10):
        assert not turn.next_chunk()
        clock[0] += 1.0
        await asyncio.sleep(0)


async def test_what_may_be_worked_off_before_the_clock_is_looked_at() -> None:
    turn = Turn()
    first = turn.left
    turn.left = -5
    turn.next_chunk()
    assert turn.left == first > 0


def test_the_clock_is_a_real_one() -> None:
    clock: Any = vars(_turn)["perf_counter"]
    before = clock()
    assert before <= clock()
