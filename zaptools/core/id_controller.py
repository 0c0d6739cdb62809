"""The address of zaptools 0.5 for connection ids."""

from __future__ import annotations

from ..connection.ids import new_id

__all__ = ["IDController"]


class IDController:
    """Makes ids."""

    def eval(self, id: str | None = None) -> str:
        """Return `id`, or a new one, ``zpt-<uuid4>``, if it is None or empty."""
        return id or new_id()
