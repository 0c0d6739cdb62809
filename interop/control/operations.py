"""The operations of the control contract, and what each of them asks of a library. Pure.

``docs/peer-contract.md`` has the same operations in words. A library may lack some:
the ``lacks`` of a ``peer.toml`` names them as `asked_of` does, each with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FEATURES", "OPERATIONS", "Operation", "asked_of", "is_lack"]


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the contract, or an event of the interop app.

    Attributes:
        basic: the arguments that every library takes. Each of the others is a feature of its own,
            which a library may lack.
        feature: what `asked_of` calls it where that is not its name. The operations of one
            feature are lacked together, whatever their arguments.
        of_app: whether it is an event of the interop app: a client sends it, and the server's
            library is asked for it.
    """

    basic: frozenset[str] = frozenset()
    feature: str = ""
    of_app: bool = False


def _taking(*basic: str) -> Operation:
    return Operation(frozenset(basic))


OPERATIONS: Mapping[str, Operation] = {
    # A server's.
    "serve": _taking("api", "path", "program"),
    "push": _taking("conn", "event", "payload", "headers"),
    "ask": _taking("conn", "event", "payload", "timeout"),
    "drop": _taking("conn"),
    "stop": _taking(),
    # A client's.
    "open": _taking("api", "url", "events", "program"),
    "send": _taking("event", "payload", "headers"),
    "request": _taking("event", "payload", "timeout"),
    "subscribe": _taking("events"),
    "close": _taking(),
    "reconnect": _taking(),
    "try-reconnect": _taking("delay_s"),
    "clean": _taking(),
    # Events of the interop app.
    "whoami": Operation(of_app=True),
    "slow": Operation(frozenset({"ms"}), of_app=True),
    "burst": Operation(frozenset({"count"}), of_app=True),
    "close-me": Operation(of_app=True),
    "join": Operation(feature="rooms", of_app=True),
    "leave": Operation(feature="rooms", of_app=True),
    "to-room": Operation(feature="rooms", of_app=True),
    "broadcast": Operation(frozenset({"event", "payload", "exclude-self"}), of_app=True),
    "ask-back": Operation(feature="ask", of_app=True),
}
"""Every operation that a library may lack: all but ``describe``, which the peer itself answers."""

FEATURES = frozenset(each.feature or name for name, each in OPERATIONS.items())


def asked_of(op: str, arguments: Mapping[str, object]) -> frozenset[str]:
    """Name what a request, or an event of the interop app, asks of a library.

    These are the names that ``lacks`` in a ``peer.toml`` has: the operation (``clean``), the
    operation with an argument that not every library takes (``close code``, ``open headers``),
    ``send no-headers`` without the argument that one library must be given (zaptools 0.3.0), and
    ``rooms`` for everything about rooms.
    """
    operation = OPERATIONS.get(op, Operation())
    if operation.feature:
        return frozenset({operation.feature})
    asked = {
        f"{op} {name}"
        for name, value in arguments.items()
        if name not in operation.basic and value not in (None, False)
    }
    if op == "send" and "headers" not in arguments:
        asked.add("send no-headers")
    return frozenset({op, *asked})


def is_lack(name: object) -> bool:
    """Return whether `asked_of` can give this name: a feature, or a feature and an argument."""
    if not isinstance(name, str):
        return False
    feature, *argument = name.split(" ")
    return feature in FEATURES and len(argument) <= 1
