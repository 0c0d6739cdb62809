"""The order in which a run's cells begin. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["BESIDE", "LONG", "dealt", "early"]

T = TypeVar("T")

LONG = ("time.", "amount.")
"""The beginnings of the ids of the scenarios that take long, most of them waiting."""

BESIDE = 8
"""How many others begin between two of those: most of the cells that run at the same time."""


def early(long: Sequence[T], others: Sequence[T]) -> list[T]:
    """Return all items: the long ones early, with `BESIDE` of the others after each.

    If the long ones all began at the same time, the processors would wait for them; if one began
    late, the end of the run would.
    """
    rest = iter(others)
    first = [item for each in long for item in (each, *itertools.islice(rest, BESIDE))]
    return [*first, *rest]


def dealt(long: Sequence[T], others: Sequence[T], workers: int) -> list[T]:
    """Return all items in an order that gives every worker its share of both kinds.

    pytest-xdist gives each worker a contiguous part of the list.
    """
    shares = [early(long[first::workers], others[first::workers]) for first in range(workers)]
    return [item for share in shares for item in share]
