"""The address of zaptools 0.5 for `ConnectionRouter`."""

from __future__ import annotations

from .rooms.router import ConnectionRouter

__all__ = ["ConnectionRouter"]
