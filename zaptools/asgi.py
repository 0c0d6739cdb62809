"""The address of the plain ASGI connector; see `zaptools.connectors.asgi`."""

from __future__ import annotations

from .connectors.asgi import AsgiApp, AsgiCarrier, handshake_of

__all__ = ["AsgiApp", "AsgiCarrier", "handshake_of"]
