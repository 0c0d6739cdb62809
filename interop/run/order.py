"""The order in which a run's cells begin. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

__all__ = ["BESIDE", "LONG", "dealt", "early", "firsts"]

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


def firsts(items: Iterable[T], key: Callable[[T], Hashable]) -> tuple[list[T], list[T]]:
    """Return the first item of each key, and all others."""
    seen: set[Hashable] = set()
    first: list[T] = []
    others: list[T] = []
    for item in items:
        group = key(item)
        (others if group in seen else first).append(item)
        seen.add(group)
    return first, others


def dealt(first: Sequence[T], long: Sequence[T], others: Sequence[T], workers: int) -> list[T]:
    """Return all items in an order that gives every worker its share of each kind.

    pytest-xdist gives each worker a contiguous part of the list.

    Args:
        first: begin before all others.
        long: take long; see `early`.
    """
    shares = [
        [*first[n::workers], *early(long[n::workers], others[n::workers])] for n in range(workers)
    ]
    return [item for share in shares for item in share]
