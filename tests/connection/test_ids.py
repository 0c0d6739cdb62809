"""Ids: claimed once, and what a strategy must not return."""

from __future__ import annotations

import gc
from itertools import count
from typing import Any
from weakref import ref

import pytest

from zaptools import EventRegister, NameTakenError
from zaptools.connection.ids import ConnectionIds, ids_of


def test_claiming() -> None:
    numbers = count()
    ids = ConnectionIds()
    assert [ids.claim(lambda: f"c{next(numbers)}") for _ in range(3)] == ["c0", "c1", "c2"]
    assert len(ids) == 3 and all(f"c{number}" in ids for number in range(3))


def test_a_duplicate() -> None:
    ids = ConnectionIds()
    ids.claim(lambda: "a")
    with pytest.raises(NameTakenError) as info:
        ids.claim(lambda: "a")
    assert (info.value.what, info.value.name) == ("connection id", "a")
    ids.release("a")
    assert ids.claim(lambda: "a") == "a"
    ids.release("b")
    assert len(ids) == 1


@pytest.mark.parametrize("bad", [None, 7, b"x", ["x"]])
def test_what_is_no_id(bad: Any) -> None:
    ids = ConnectionIds()
    with pytest.raises(TypeError, match="must return a str"):
        ids.claim(lambda: bad)
    assert not len(ids)


def test_a_strategy_that_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        ConnectionIds().claim(lambda: str(1 / 0))


def test_one_for_each_book() -> None:
    one, two = EventRegister().book, EventRegister().book
    assert ids_of(one) is ids_of(one) is not ids_of(two)
    gone = ref(one)
    del one
    gc.collect()
    assert gone() is None
