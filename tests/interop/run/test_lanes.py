"""Several cells at a time: how many, what is done when, and whose fault a peer's end is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from interop.errors import PeerDied
from interop.run.cell import Ran
from interop.run.lanes import Lanes

DIED = PeerDied("it is gone")


class Cells:
    """Runs cells that wait to be let go, and fail peers as they are told.

    Args:
        fails: for each cell and run, the peers that fail, with spaces between them.
    """

    def __init__(self, fails: Mapping[str, Sequence[str]] | None = None) -> None:
        self.fails = {name: list(runs) for name, runs in (fails or {}).items()}
        self.begun: list[str] = []
        self.running: set[str] = set()
        self.together: list[set[str]] = []
        self.go: dict[str, asyncio.Event] = {}

    async def run(self, name: str) -> Ran:
        first = name not in self.begun
        self.begun.append(name)
        self.running.add(name)
        self.together.append(set(self.running))
        try:
            if first:
                await self.go.setdefault(name, asyncio.Event()).wait()
        finally:
            self.running.discard(name)
        runs = self.fails.get(name)
        return Ran(failed=dict.fromkeys(runs.pop(0).split(), DIED) if runs else {})

    def let(self, *names: str) -> None:
        for name in names:
            self.go.setdefault(name, asyncio.Event()).set()


async def run_all(lanes: Lanes[str], *names: str) -> None:
    for name in names:
        await lanes.add(name)
    await lanes.drain()


def taken(lanes: Lanes[str]) -> list[str]:
    names = [name for name, _ in lanes.finished]
    lanes.finished.clear()
    return names


async def test_there_are_never_more_than_so_many() -> None:
    cells = Cells()
    lanes = Lanes(2, cells.run)
    await lanes.add("a")
    cells.let("b")
    await lanes.add("b")  # as a still runs, it returns when b is done
    assert taken(lanes) == ["b"]
    adding = asyncio.create_task(lanes.add("c"))
    await asyncio.sleep(0.01)
    assert not adding.done()
    cells.let("a")
    await adding
    assert taken(lanes) == ["a"]
    assert cells.running == {"c"}
    cells.let("c")
    await lanes.drain()
    assert taken(lanes) == ["c"]
    assert max(map(len, cells.together)) == 2


async def test_one_lane_runs_each_cell_to_its_end() -> None:
    cells = Cells({"a": ["p"]})
    lanes = Lanes(1, cells.run)
    cells.let("a", "b")
    await lanes.add("a")
    ((name, ran),) = lanes.finished
    assert (name, ran.failed, ran.teardown_error) == ("a", {"p": DIED}, None)
    await lanes.add("b")
    assert cells.begun == ["a", "b"]


async def test_cells_whose_peer_failed_run_again_alone() -> None:
    cells = Cells({"guilty": ["p", "p"], "other": ["p"]})
    lanes = Lanes(3, cells.run)
    cells.let("guilty", "other", "fine")
    await run_all(lanes, "guilty", "fine", "other")
    assert sorted(cells.begun) == ["fine", "guilty", "guilty", "other", "other"]
    assert cells.together[3:] == [{"guilty"}, {"other"}]
    found = {name: (list(ran.failed), ran.teardown_error) for name, ran in lanes.finished}
    assert found == {"fine": ([], None), "guilty": (["p"], None), "other": ([], None)}


async def test_nothing_new_begins_before_they_ran_again() -> None:
    cells = Cells({"a": ["p", "p"]})
    lanes = Lanes(3, cells.run)
    cells.let("b", "c")
    await lanes.add("a")
    await lanes.add("b")
    cells.let("a")
    await lanes.add("c")
    assert cells.begun == ["a", "b", "c", "a"]
    assert not cells.running
    assert sorted(taken(lanes)) == ["a", "b", "c"]


async def test_a_failure_that_no_cell_repeats_is_told() -> None:
    cells = Cells({"a": ["p#1 q#1"], "b": ["p#1", "p#2"]})
    lanes = Lanes(2, cells.run)
    cells.let("a", "b")
    await run_all(lanes, "a", "b")
    left = [str(ran.teardown_error) for _, ran in lanes.finished if ran.teardown_error]
    assert left == [
        "peers failed some of 2 cells that ran at the same time, and none of them when it ran "
        "alone: q (it is gone)"
    ]


async def test_one_failure_explains_no_second_one_of_that_program() -> None:
    for again, told in (("p#3", "p (it is gone)"), ("", "p (it is gone); p (it is gone)")):
        cells = Cells({"guilty": ["p#1", again], "other": ["p#2"]})
        lanes = Lanes(2, cells.run)
        cells.let("guilty", "other")
        await run_all(lanes, "guilty", "other")
        (left,) = [str(ran.teardown_error) for _, ran in lanes.finished if ran.teardown_error]
        assert left.endswith(f" alone: {told}")


async def test_what_is_doubtful_when_cells_are_abandoned_does_not_run_again() -> None:
    cells = Cells({"a": ["p", "p"]})
    lanes = Lanes(3, cells.run)
    await lanes.add("a")
    await lanes.add("b")
    cells.let("a")
    await asyncio.sleep(0.01)
    await lanes.abandon()
    await lanes.drain()
    assert cells.begun == ["a", "b"]


async def test_of_abandoned_cells_nothing_becomes() -> None:
    cells = Cells()
    lanes = Lanes(3, cells.run)
    await lanes.add("a")
    await lanes.add("b")
    await asyncio.sleep(0)
    assert cells.running == {"a", "b"}
    await lanes.abandon()
    assert not cells.running
    assert lanes.finished == []
    await lanes.drain()


async def test_what_is_wrong_with_the_testbed_is_raised() -> None:
    async def run(name: str) -> Ran:
        raise TypeError(name)

    lanes = Lanes(2, run)
    await lanes.add("a")
    with pytest.raises(TypeError, match="a"):
        await lanes.add("b")
    with pytest.raises(TypeError, match="a"):
        await lanes.drain()


async def test_a_cell_that_somebody_cancels_takes_no_other_with_it() -> None:
    async def run(name: str) -> Ran:
        if name == "a":
            raise asyncio.CancelledError
        return Ran()

    lanes = Lanes(2, run)
    await run_all(lanes, "a", "b", "c")
    assert taken(lanes) == ["b", "c"]  # the plugin makes an error of the first
