"""Event-driven WebSockets that speak the same wire in every language."""

from __future__ import annotations

from .client import EventCallback, Stream, ZapClient, ZapClientState, ZapConsumer, ZapSubscriber
from .connection import CloseInfo, EventContext, Transport, WebSocketConnection
from .exceptions import (
    AlreadyConnectedError,
    BufferOverflowError,
    CodecError,
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HandshakeError,
    InvalidUrlError,
    NotConnectedError,
    RegistrationError,
    ReservedEventError,
    SendTimeoutError,
    ServerStateError,
    ZapError,
)
from .limits import Limits
from .protocol import LIFECYCLE_EVENTS, EventData, decode_event, encode_event
from .registry import EventRegister, Handler
from .request import ConnectionRequest, Headers
from .server import ZapServer

__all__ = [
    "LIFECYCLE_EVENTS",
    "AlreadyConnectedError",
    "BufferOverflowError",
    "CloseInfo",
    "CodecError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ConnectionRequest",
    "EventCallback",
    "EventContext",
    "EventData",
    "EventRegister",
    "Handler",
    "HandshakeError",
    "Headers",
    "InvalidUrlError",
    "Limits",
    "NotConnectedError",
    "RegistrationError",
    "ReservedEventError",
    "SendTimeoutError",
    "ServerStateError",
    "Stream",
    "Transport",
    "WebSocketConnection",
    "ZapClient",
    "ZapClientState",
    "ZapConsumer",
    "ZapError",
    "ZapServer",
    "ZapSubscriber",
    "decode_event",
    "encode_event",
]
