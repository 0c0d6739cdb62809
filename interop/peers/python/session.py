"""One control connection of the `python` peer: at most one server and one client."""

from __future__ import annotations

from typing import Any

from interop.peers._control import describe
from interop.peers.python.client import ClientRole
from interop.peers.python.server import ServerRole
from zaptools import Limits

__all__ = ["Session"]

_LIBRARIES = (
    "zaptools",
    "websockets",
    "msgspec",
    "fastapi",
    "starlette",
    "uvicorn",
    "sanic",
    "aiohttp",
)


class Session(ServerRole, ClientRole):
    """Both roles."""

    PEER = "python"

    async def op_describe(self) -> dict[str, Any]:
        limits = Limits()
        declared = {
            "message_bytes": limits.message_bytes,
            "ping_interval_s": limits.ping_interval,
            "ping_timeout_s": limits.ping_timeout,
            "close_timeout_s": limits.close_timeout,
        }
        return describe(
            self.PEER,
            _LIBRARIES,
            apis={"server": list(self.HOSTS), "client": list(self.APIS)},
            limits={role: declared for role in ("server", "client")},
        )
