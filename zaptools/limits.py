"""Every bound of a connection, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ._arguments import check_count, check_kind, check_seconds, explained

__all__ = ["Limits"]


@explained(max_size="message_bytes is its bound", max_queue="queue_events is its bound")
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a connection. Times are in seconds; None, where allowed, means no bound.

    All of them apply to `zaptools.ZapServer` and to the clients. The connectors (`AsgiApp`,
    `FastApiConnector`, `SanicConnector`, `AioHttpConnector`) read and write a framework's socket,
    where these apply: `message_bytes`, `send_timeout`, `backlog_bytes`, `close_timeout` and
    `admission_timeout`, and `queue_events` and `queue_bytes` while a handler waits for an event or
    a reply; otherwise no message is read ahead. `AioHttpConnector` also uses `ping_interval` and
    `ping_timeout`. The framework's own settings take the place of the others.

    Raises:
        TypeError: a bound is not a number, or not an integer where it counts bytes or events.
        ValueError: a bound is negative or not finite, or 0 where that would allow nothing.

    Attributes:
        message_bytes: longest message, all its fragments together and after inflation; a longer
            one ends the connection with 1009. Default 1 MiB.
        ping_interval: time between pings; None sends none. Default 20.
        ping_timeout: time that the peer may stay silent after a ping before the connection is
            ended with 1011. Anything it sends counts; time in which this side does not read does
            not. Default 20.
        open_timeout: time for connecting and the opening handshake, that of TLS included.
            Default 10.
        admission_timeout: time that the function of `on_handshake` may take, beside
            `open_timeout`; then a server answers 503. Default 10.
        close_timeout: time for the closing handshake, for the events that are handled before a
            close is answered, and for a server's handlers when it closes. Default 10.
        queue_events: reading pauses while more messages than this wait for handlers. Default 256.
        queue_bytes: reading pauses once messages of this size, counted as text after inflation,
            have arrived since the queue was last empty. Default 256 KiB.
        write_bytes: a send waits while more than this is unsent. Default 64 KiB.
        send_timeout: time that a send waits before it fails with `SendTimeoutError`; with 0 it
            fails at once. Default 20.
        head_bytes: longest head of a handshake's request or answer. A server answers a longer one
            with 431, a client raises `HandshakeError`. The headers that are lists, such as
            ``Connection`` and ``Sec-WebSocket-Protocol``, may have 8 KiB of it together. A
            framework has bounds of its own. Default 64 KiB.
        backlog_bytes: a broadcast skips a peer that does not read while more than this is unsent
            to it. With a connector the framework's own send buffer comes on top, because
            frameworks do not show how full it is. Default 256 KiB.
    """

    message_bytes: int | None = 1 << 20
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    open_timeout: float | None = 10.0
    close_timeout: float | None = 10.0
    admission_timeout: float | None = 10.0
    queue_events: int = 256
    queue_bytes: int = 1 << 18
    write_bytes: int = 1 << 16
    send_timeout: float | None = 20.0
    backlog_bytes: int = 1 << 18
    head_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if name in _COUNTS:
                least = 1 if name in _NEVER_ZERO else 0
                check_count(value, name, least, none=name == "message_bytes")
            else:
                check_seconds(value, name, zero=name not in _NEVER_ZERO)


_COUNTS = (
    "message_bytes",
    "queue_events",
    "queue_bytes",
    "write_bytes",
    "backlog_bytes",
    "head_bytes",
)
_NEVER_ZERO = (
    "message_bytes",
    "ping_interval",
    "ping_timeout",
    "open_timeout",
    "admission_timeout",
    "head_bytes",
)


IN_LIMITS = {
    "max_size": "pass limits=Limits(message_bytes=…)",
    "timeout": "pass limits=Limits(open_timeout=…)",
    **{name: f"pass limits=Limits({name}=…)" for name in Limits.__slots__},
}
"""Hints for keywords that are bounds, for `zaptools._arguments.explained`."""


def check_limits(limits: Limits | None) -> Limits:
    """Return the argument `limits`, or the default for None.

    Raises:
        TypeError: it is not a `Limits`.
    """
    if limits is None:
        return Limits()
    names = ", ".join(f"{name}=…" for name in limits) if isinstance(limits, Mapping) else "…"
    check_kind(limits, Limits, "limits", f"write limits=Limits({names})")
    return limits
