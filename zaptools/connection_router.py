"""Where zaptools 0.5 had `ConnectionRouter`."""

from __future__ import annotations

from .rooms.router import ConnectionRouter

__all__ = ["ConnectionRouter"]
