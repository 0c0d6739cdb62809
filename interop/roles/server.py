"""The server under test, as a scenario uses it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ..control.contract import Notification
from ..control.patience import Patience
from ..control.session import Session
from .role import SETUP_PATIENCE, BaseRole

__all__ = ["Server"]


class Server(BaseRole):
    """The server under test.

    A `conn` argument is the connection's name in its ``connected`` notification.

    Attributes:
        path: the path that its interop app is served on; set by `serve`.
        port: its port; set by `serve`.
    """

    port: int
    path: str

    def __init__(self, session: Session, patience: Patience) -> None:
        super().__init__(session, patience, [session])

    async def serve(self, **options: Any) -> None:
        """Start the interop app; `options` are further arguments of ``serve``.

        Its path is new each time: the port that one cell gave back may be another's a moment
        later, and a client that still tries it must not count as one of that cell's.
        """
        self.path = path = f"/ws-{secrets.token_hex(4)}"
        reply = await self.session.call("serve", api=self.api.name, path=path, **options)
        self.port = reply["port"]

    async def connected(self) -> str:
        """Wait for the next connected callback and return its `conn`."""
        within = self.patience.unless_failing(SETUP_PATIENCE)
        return str((await self.session.wait("connected", within=within)).data["conn"])

    async def disconnected(self, conn: str) -> Notification:
        """Wait for the disconnected callback of that connection."""
        return await self.wait("disconnected", lambda n: n.data["conn"] == conn)

    async def event(self, name: str, conn: str | None = None) -> Notification:
        """Wait for the next event `name`, of that connection if one is given."""
        return await self.wait(
            "event",
            lambda n: n.data["name"] == name and conn in (None, n.data["conn"]),
            what=f"event {name!r}",
        )

    async def push(
        self, conn: str, event: str, payload: Any, headers: dict[str, Any] | None = None
    ) -> None:
        """Send an event from outside a handler, with these headers; see `Client.send`."""
        await self.session.call(
            "push", conn=conn, event=event, payload=payload, headers=headers or {}
        )

    async def push_plain(self, conn: str, event: str, payload: Any) -> None:
        """Send an event from outside a handler and give the library no headers at all."""
        await self.session.call("push", conn=conn, event=event, payload=payload)

    async def request(
        self, conn: str, event: str, payload: Any, *, seconds: float
    ) -> Mapping[str, Any]:
        """Send a request to a client; see `Client.request`."""
        return await self.session.call(
            "ask", conn=conn, event=event, payload=payload, timeout=seconds
        )

    async def drop(self, conn: str, **how: Any) -> None:
        """Close a connection from the server; `how` are further arguments of ``drop``."""
        await self.session.call("drop", conn=conn, **how)

    async def stop(self) -> None:
        """Stop the server."""
        await self.session.call("stop")
