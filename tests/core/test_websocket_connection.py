"""The old place of `WebSocketConnection`."""

from __future__ import annotations

import zaptools
from zaptools.core import websocket_connection


def test_it_is_the_one() -> None:
    assert websocket_connection.WebSocketConnection is zaptools.WebSocketConnection
