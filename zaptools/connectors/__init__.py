"""Connectors: an `EventRegister` plugged into a web framework's WebSocket.

None of the frameworks is imported before a connector is used.
"""

from __future__ import annotations

from .aiohttp import AioHttpConnector
from .fastapi import FastApiConnector
from .sanic import SanicConnector

__all__ = ["AioHttpConnector", "FastApiConnector", "SanicConnector"]
