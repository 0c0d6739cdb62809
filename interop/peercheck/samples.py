"""A value for each argument of ``serve`` and ``open`` that not every library takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..control.operations import OPERATIONS
from ..schemas import REQUESTS

__all__ = ["CERTIFIED", "GREETING", "ORIGIN", "PROTOCOLS", "arguments_of", "samples_of"]

ORIGIN = "http://allowed.example"
PROTOCOLS = ["first", "second"]
GREETING = {"event": "greeting", "payload": {"a": [1, None]}, "headers": {"h": 1}}
_SLOW = {"event": "slow", "payload": {"ms": 1}}

_LIMITS: dict[str, Any] = {
    "message_bytes": 1 << 20,
    "ping_interval_s": 30,
    "ping_timeout_s": 30,
    "close_timeout_s": 3,
}
_POLICY = {"delay_s": 0.05, "attempts": 3, "stable_s": 1}

CERTIFIED = frozenset({"tls", "ca"})
"""Those whose value is a certificate, which is made when it is needed."""

_SAMPLES: Mapping[str, Mapping[str, Any]] = {
    "serve": {
        "protocols": PROTOCOLS,
        "origins": [ORIGIN],
        "deflate": True,
        "open_timeout_s": 20,
        "all": True,
        "on_connect": [GREETING],
        "at_connect": _SLOW,
        "at_disconnect": _SLOW,
        **_LIMITS,
    },
    "open": {
        "all": True,
        "protocols": PROTOCOLS,
        "headers": {"X-Asked-For": "é".encode().hex()},
        "deflate": True,
        "callbacks": True,
        "on_connect": [GREETING],
        "on_disconnect": "connect",
        "reconnect": _POLICY,
        "retry": True,
        "offline": {"policy": "queue", "limit": 8},
        **_LIMITS,
    },
}
_WITH: Mapping[str, Mapping[str, Any]] = {
    "retry": {"reconnect": _POLICY},
    "offline": {"reconnect": _POLICY},
}
"""What an argument makes sense with alone."""


def arguments_of(op: str) -> list[str]:
    """Return the arguments of ``serve`` or ``open`` that not every library takes."""
    _, optional = REQUESTS[op]
    return [name for name in optional if name not in OPERATIONS[op].basic]


def samples_of(op: str, argument: str) -> dict[str, Any]:
    """Return that argument with a value, and what it makes sense with alone."""
    if argument in CERTIFIED:
        return {}
    return {argument: _SAMPLES[op][argument], **_WITH.get(argument, {})}
