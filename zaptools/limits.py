"""Every bound that a connection has, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a connection. Times are in seconds; None means no bound.

    Attributes:
        message_bytes: longest message taken, its fragments together and after inflation; a
            longer one ends the connection with 1009. Default 1 MiB.
        ping_interval: time between pings; None sends none. Default 20.
        ping_timeout: time that the peer may stay silent after a ping before the connection is
            ended with 1011. Anything it sends counts; while this side is not reading, nothing
            is held against the peer. Default 20.
        open_timeout: time for connecting and the opening handshake. Default 10.
        close_timeout: time for the closing handshake, for the events that are handled before a
            close is answered, and for a server's handlers when it closes. Default 10.
        queue_events: reading pauses while more messages than this wait for handlers. Default 256.
        queue_bytes: reading pauses once this much was read since the queue was last empty.
            Default 256 KiB.
        write_bytes: a send waits while more than this is unsent. Default 64 KiB.
        send_timeout: time that a send waits before it fails with `SendTimeoutError`; 0 fails at
            once. Default 20.
        backlog_bytes: a broadcast misses a peer that does not read while more than this is unsent
            to it. Default 256 KiB.
    """

    message_bytes: int | None = 1 << 20
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    open_timeout: float | None = 10.0
    close_timeout: float | None = 10.0
    queue_events: int = 256
    queue_bytes: int = 1 << 18
    write_bytes: int = 1 << 16
    send_timeout: float | None = 20.0
    backlog_bytes: int = 1 << 18

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} cannot be negative: {value!r}")
