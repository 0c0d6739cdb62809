"""Connection ids: where they come from, and that no two connections have the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from uuid import uuid4

from ..exceptions import NameTakenError

__all__ = ["IdStrategy", "claim_id", "new_id"]

IdStrategy: TypeAlias = Callable[[], str]
"""What gives each new connection its id."""


def new_id() -> str:
    """Return a new connection id, ``zpt-<uuid4>``: the form that all implementations use."""
    return f"zpt-{uuid4()}"


def claim_id(ids: set[str], strategy: IdStrategy) -> str:
    """Return a new connection's id, and note in `ids` that it is in use.

    Raises:
        NameTakenError: it is in use already.
        TypeError: the strategy returned no string.
        Exception: whatever the strategy raised.
    """
    id = strategy()
    if not isinstance(id, str):
        raise TypeError(f"an id strategy must return a string, not {id!r}")
    if id in ids:
        raise NameTakenError("connection id", id)
    ids.add(id)
    return id
