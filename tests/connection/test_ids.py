"""Ids: claimed once, and what a strategy must not return."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from zaptools import NameTakenError
from zaptools.connection.ids import claim_id


def test_claiming() -> None:
    numbers = count()
    ids: set[str] = set()
    assert [claim_id(ids, lambda: f"c{next(numbers)}") for _ in range(3)] == ["c0", "c1", "c2"]
    assert ids == {"c0", "c1", "c2"}


def test_a_duplicate() -> None:
    ids = {"a"}
    with pytest.raises(NameTakenError) as info:
        claim_id(ids, lambda: "a")
    assert (info.value.what, info.value.name) == ("connection id", "a")
    assert ids == {"a"}


@pytest.mark.parametrize("bad", [None, 7, b"x", ["x"]])
def test_what_is_no_id(bad: Any) -> None:
    ids: set[str] = set()
    with pytest.raises(TypeError, match="must return a string"):
        claim_id(ids, lambda: bad)
    assert ids == set()


def test_a_strategy_that_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        claim_id(set(), lambda: str(1 / 0))
