"""Connection ids: how they are made, and kept unique among the connections of a book."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from uuid import uuid4
from weakref import WeakKeyDictionary

from ..exceptions import NameTakenError

__all__ = ["ConnectionIds", "IdStrategy", "ids_of", "new_id"]

IdStrategy: TypeAlias = Callable[[], str]
"""Makes the id of a new connection."""


def new_id() -> str:
    """Return a new connection id, ``zpt-<uuid4>``: the form that all implementations use."""
    return f"zpt-{uuid4()}"


class ConnectionIds:
    """The ids that are in use: no two connections have the same one at a time."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __contains__(self, id: object) -> bool:
        return id in self._taken

    def __len__(self) -> int:
        return len(self._taken)

    def claim(self, strategy: IdStrategy) -> str:
        """Return the id of a new connection, in use from now on.

        Raises:
            NameTakenError: the id is in use.
            TypeError: the strategy did not return a string.
            Exception: the strategy raised it.
        """
        id = strategy()
        if not isinstance(id, str):
            raise TypeError(f"id_strategy must return a str, not {id!r}")
        if id in self._taken:
            raise NameTakenError("connection id", id)
        self._taken.add(id)
        return id

    def release(self, id: str) -> None:
        """Make `id` available to another connection. Does nothing if it is not in use."""
        self._taken.discard(id)


def ids_of(book: object) -> ConnectionIds:
    """Return the ids of all connections that use the handlers in `book`.

    Servers and connectors with one register share rooms, in which an id stands for a connection.
    """
    ids = _by_book.get(book)
    if ids is None:
        ids = _by_book[book] = ConnectionIds()
    return ids


# They live as long as the book.
_by_book: WeakKeyDictionary[object, ConnectionIds] = WeakKeyDictionary()
