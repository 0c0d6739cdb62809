"""What can go wrong in a measurement."""

from __future__ import annotations

__all__ = ["MeasureError", "UsageError"]


class MeasureError(Exception):
    """A peer could not be measured; the text says why."""


class UsageError(Exception):
    """The command line asks for what there is not."""
