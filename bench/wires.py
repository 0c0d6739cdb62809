"""What travels: how each kind of server wants an event written, and what it answers."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["EVENTS", "SOCKET_IO", "Wire", "payload_of"]


class Wire:
    """zaptools' events: one JSON object a message.

    Attributes:
        target: the request's path and query.
        heartbeat: what a server sends now and then as a message of one byte; empty for never.
        pulse: the answer to it.
    """

    target = "/"
    heartbeat = b""
    pulse = b""

    def event(self, name: str, payload: Any) -> bytes:
        """Return the text of an event."""
        return _dump({"eventName": name, "payload": payload, "headers": {}})

    def payload(self, text: bytes) -> Any:
        """Return the payload of a server's event ``echo``.

        Raises:
            ValueError: the text is something else.
        """
        event = json.loads(text)
        if not isinstance(event, dict) or event.get("eventName") != "echo":
            raise ValueError(f"no event 'echo': {text[:80]!r}")
        return event.get("payload")

    def opening(self, text: bytes | None) -> tuple[bytes | None, bool]:
        """Return what to send while a connection opens, and whether it is open then.

        Args:
            text: what came; None right after the opening handshake.
        """
        return None, True


class _SocketIO(Wire):
    """Socket.IO protocol 5 over Engine.IO protocol 4, on WebSocket from the start."""

    target = "/socket.io/?EIO=4&transport=websocket"
    heartbeat = b"2"
    pulse = b"3"

    def event(self, name: str, payload: Any) -> bytes:
        return b"42" + _dump([name, payload])

    def payload(self, text: bytes) -> Any:
        if text.startswith(b"42"):
            event = json.loads(text[2:])
            if event[0] == "echo":
                return event[1]
        raise ValueError(f"no event 'echo': {text[:80]!r}")

    def opening(self, text: bytes | None) -> tuple[bytes | None, bool]:
        if text is None:
            return None, False
        if text.startswith(b"0{"):
            return b"40", False
        if text.startswith(b"40{"):
            return None, True
        raise ValueError(f"no opening of Socket.IO: {text[:80]!r}")


EVENTS = Wire()
SOCKET_IO = _SocketIO()

_RECORD = {"user": "ada", "text": "x" * 40, "n": 12345}


def payload_of(size: int) -> Any:
    """Return a payload whose event has about `size` bytes, and no more than that.

    Up to 200 bytes it is one record, so that the event has about 110 bytes; above that a list of
    records and a text that fills it up to the byte.
    """
    if size <= 200:
        return _RECORD
    spare = size - len(EVENTS.event("echo", {"rows": [], "fill": ""}))
    rows = spare // (len(_dump(_RECORD)) + 1)
    payload = {"rows": [_RECORD] * rows, "fill": ""}
    payload["fill"] = "x" * (size - len(EVENTS.event("echo", payload)))
    return payload


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
