"""The address of zaptools 0.5 for names that `zaptools` itself has now."""

from __future__ import annotations

from .event_processor import EventProcessor
from .events import EventCaller, EventContext, EventData, EventRegister
from .id_controller import IDController
from .websocket_connection import WebSocketConnection

__all__ = [
    "EventCaller",
    "EventContext",
    "EventData",
    "EventProcessor",
    "EventRegister",
    "IDController",
    "WebSocketConnection",
]
