"""The wire, sans-I/O: text in, `EventData` out, and back."""

from __future__ import annotations

from .codec import LIFECYCLE_EVENTS, MAX_DEPTH, EventData, decode_event, encode_event

__all__ = [
    "LIFECYCLE_EVENTS",
    "MAX_DEPTH",
    "EventData",
    "decode_event",
    "encode_event",
]
