"""Every bound that a connection has, in one place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ._arguments import check_kind, explained

__all__ = ["Limits"]


@explained(max_size="message_bytes is its bound", max_queue="queue_events is its bound")
@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a connection. Times are in seconds; None, where allowed, means no bound.

    Raises:
        TypeError: a bound is no number, or no integer where it counts bytes or events.
        ValueError: a bound is negative or not finite, or 0 where nothing would work with that.

    Attributes:
        message_bytes: longest message taken, its fragments together and after inflation; a
            longer one ends the connection with 1009. Default 1 MiB.
        ping_interval: time between pings; None sends none. Default 20.
        ping_timeout: time that the peer may stay silent after a ping before the connection is
            ended with 1011. Anything it sends counts; while this side is not reading, nothing
            is held against the peer. Default 20.
        open_timeout: time for connecting and the opening handshake, that of TLS included.
            Default 10.
        close_timeout: time for the closing handshake, for the events that are handled before a
            close is answered, and for a server's handlers when it closes. Default 10.
        queue_events: reading pauses while more messages than this wait for handlers. Default 256.
        queue_bytes: reading pauses once messages of this much, counted as text after inflation,
            came since the queue was last empty.
            Default 256 KiB.
        write_bytes: a send waits while more than this is unsent. Default 64 KiB.
        send_timeout: time that a send waits before it fails with `SendTimeoutError`; 0 fails at
            once. Default 20.
        head_bytes: longest head of a handshake's request or answer. A server answers a longer one
            with 431, a client raises `HandshakeError`. Of these bytes the headers that are lists,
            ``Connection`` and ``Sec-WebSocket-Protocol`` for two, may have 8 KiB together. A
            framework has bounds of its own. Default 64 KiB.
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
    head_bytes: int = 1 << 16

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None or name in _NEVER_NONE:
                _check(name, value)


_NEVER_NONE = ("queue_events", "queue_bytes", "write_bytes", "backlog_bytes", "head_bytes")
_COUNTS = ("message_bytes", *_NEVER_NONE)
_MAY_BE_ZERO = ("close_timeout", "send_timeout", *_NEVER_NONE[:-1])


def _check(name: str, value: object) -> None:
    """Raise unless `value`, which is not None, is one for the bound `name`."""
    if isinstance(value, bool) or not isinstance(value, int if name in _COUNTS else (int, float)):
        kind = "an integer" if name in _COUNTS else "a number of seconds"
        none = "" if name in _NEVER_NONE else " or None"
        raise TypeError(f"{name} must be {kind}{none}, not {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value!r}; None means no bound")
    if value < 0:
        raise ValueError(f"{name} cannot be negative: {value!r}")
    if value == 0 and name not in _MAY_BE_ZERO:
        raise ValueError(f"{name} cannot be 0")


IN_LIMITS = {
    "max_size": "pass limits=Limits(message_bytes=…)",
    "timeout": "pass limits=Limits(open_timeout=…)",
    **{name: f"pass limits=Limits({name}=…)" for name in Limits.__slots__},
}
"""What to do in place of a keyword that is a bound, for `zaptools._arguments.explained`."""


def check_limits(limits: Limits | None) -> Limits:
    """Return the argument `limits`, or the default for None.

    Raises:
        TypeError: it is no `Limits`.
    """
    if limits is None:
        return Limits()
    names = ", ".join(f"{name}=…" for name in limits) if isinstance(limits, Mapping) else "…"
    check_kind(limits, Limits, "limits", f"write limits=Limits({names})")
    return limits
