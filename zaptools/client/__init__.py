"""The clients: `ZapConsumer` (callbacks), `ZapSubscriber` (streams), `ZapClient` (zaptools 0.5)."""

from __future__ import annotations

from .consumer import (
    EventCallback,
    ReconnectPolicy,
    Stream,
    ZapClient,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)

__all__ = [
    "EventCallback",
    "ReconnectPolicy",
    "Stream",
    "ZapClient",
    "ZapClientState",
    "ZapConsumer",
    "ZapSubscriber",
]
