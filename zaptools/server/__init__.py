"""The server: `ZapServer` and its side of the transport."""

from __future__ import annotations

from .server import ZapServer

__all__ = [
    "ZapServer",
]
