"""A client in memory to test handlers with: the real dispatcher, no socket."""

from __future__ import annotations

from .client import TestClient

__all__ = [
    "TestClient",
]
