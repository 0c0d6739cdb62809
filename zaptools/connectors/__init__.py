"""Connectors: an `EventRegister` plugged into a web framework's WebSocket.

No framework is imported before its connector is used.
"""

from __future__ import annotations

from .aiohttp import AioHttpConnector
from .fastapi import FastApiConnector
from .sanic import SanicConnector

__all__ = ["AioHttpConnector", "FastApiConnector", "SanicConnector"]
