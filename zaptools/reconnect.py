"""The address of `zaptools.client.reconnect`; the names are in `zaptools` too."""

from __future__ import annotations

from .client.reconnect import Backoff, ReconnectPolicy, is_fatal

__all__ = ["Backoff", "ReconnectPolicy", "is_fatal"]
