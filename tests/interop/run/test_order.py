from __future__ import annotations

from interop.run.order import BESIDE, dealt, early, firsts


def test_every_worker_gets_its_share() -> None:
    for workers in (1, 2, 3, 9):
        items = dealt("f" * 36, "l" * 36, "o" * 900, workers)
        size = len(items) // workers
        parts = [items[first * size :][:size] for first in range(workers)]
        for kind in "fl":
            assert [part.count(kind) for part in parts] == [36 // workers] * workers
        assert all(part.startswith("f" * (36 // workers)) for part in map("".join, parts))
    assert dealt("", "a", "b", 3) == ["a", "b"]


def test_the_first_of_each_kind_is_set_apart() -> None:
    assert firsts(["a1", "b1", "a2", "c1", "b2"], lambda item: item[0]) == (
        ["a1", "b1", "c1"],
        ["a2", "b2"],
    )


def test_what_takes_long_begins_early_and_not_all_at_once() -> None:
    others = ["other"] * BESIDE
    assert early(["a", "b"], others * 3) == ["a", *others, "b", *others, *others]
    assert early(["a", "b"], ["other"]) == ["a", "other", "b"]
