from __future__ import annotations

from interop.run.order import BESIDE, dealt, early


def test_every_worker_gets_its_share() -> None:
    for workers in (1, 2, 3, 9):
        items = dealt("l" * 36, "o" * 900, workers)
        size = len(items) // workers
        parts = [items[first * size :][:size] for first in range(workers)]
        assert [part.count("l") for part in parts] == [36 // workers] * workers
    assert dealt("a", "b", 3) == ["a", "b"]


def test_what_takes_long_begins_early_and_not_all_at_once() -> None:
    others = ["other"] * BESIDE
    assert early(["a", "b"], others * 3) == ["a", *others, "b", *others, *others]
    assert early(["a", "b"], ["other"]) == ["a", "other", "b"]
