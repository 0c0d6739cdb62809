"""The clients: `ZapConsumer` (callbacks), `ZapSubscriber` (streams), `ZapClient` (zaptools 0.5)."""

from __future__ import annotations

from .consumer import EventCallback, ZapConsumer
from .link import ZapClientState
from .reconnect import ReconnectPolicy
from .route import Route
from .streams import Stream
from .subscriber import ZapSubscriber
from .zap_client import ZapClient

__all__ = [
    "EventCallback",
    "ReconnectPolicy",
    "Route",
    "Stream",
    "ZapClient",
    "ZapClientState",
    "ZapConsumer",
    "ZapSubscriber",
]
