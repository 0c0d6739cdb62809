"""Where zaptools 0.5 had `ConnectionRouter`."""

from __future__ import annotations

from .rooms.rooms import ConnectionRouter

__all__ = ["ConnectionRouter"]
