"""Event-driven WebSockets that speak the same wire in every language."""

from __future__ import annotations

from .client import (
    EventCallback,
    Stream,
    ZapClient,
    ZapClientState,
    ZapConsumer,
    ZapSubscriber,
)
from .client.reconnect import ReconnectPolicy
from .client.route import Route
from .connection.admission import HandshakeRequest, Refuse
from .connection.connection import CloseInfo, Transport, WebSocketConnection
from .connection.context import EventContext
from .connection.handshake import Handshake, Headers
from .exceptions import (
    AlreadyConnectedError,
    BufferOverflowError,
    CodecError,
    ConnectError,
    ConnectionClosedError,
    ConnectTimeoutError,
    HandshakeError,
    InvalidUrlError,
    NameTakenError,
    NoRequestError,
    NotConnectedError,
    OfflineQueueFullError,
    PayloadError,
    ProxyError,
    RegistrationError,
    RemoteError,
    ReservedEventError,
    SendTimeoutError,
    ServerStateError,
    WrongThreadError,
    ZapError,
)
from .handlers.book import CallNext, Handler, Middleware
from .handlers.register import EventRegister
from .limits import Limits
from .protocol.codec import LIFECYCLE_EVENTS, EventData, decode_event, encode_event
from .rooms.broadcast import BroadcastResult
from .rooms.rooms import MetaTag, Room, RoomManager
from .rooms.router import ConnectionRouter
from .server.server import ZapServer

__all__ = [
    "LIFECYCLE_EVENTS",
    "AlreadyConnectedError",
    "BroadcastResult",
    "BufferOverflowError",
    "CallNext",
    "CloseInfo",
    "CodecError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "ConnectionRouter",
    "EventCallback",
    "EventContext",
    "EventData",
    "EventRegister",
    "Handler",
    "Handshake",
    "HandshakeError",
    "HandshakeRequest",
    "Headers",
    "InvalidUrlError",
    "Limits",
    "MetaTag",
    "Middleware",
    "NameTakenError",
    "NoRequestError",
    "NotConnectedError",
    "OfflineQueueFullError",
    "PayloadError",
    "ProxyError",
    "ReconnectPolicy",
    "Refuse",
    "RegistrationError",
    "RemoteError",
    "ReservedEventError",
    "Room",
    "RoomManager",
    "Route",
    "SendTimeoutError",
    "ServerStateError",
    "Stream",
    "Transport",
    "WebSocketConnection",
    "WrongThreadError",
    "ZapClient",
    "ZapClientState",
    "ZapConsumer",
    "ZapError",
    "ZapServer",
    "ZapSubscriber",
    "decode_event",
    "encode_event",
]
