"""The connector for FastAPI and Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, MutableMapping, Sequence
from typing import Any, Protocol

from ..asgi import AsgiCarrier, handshake_of
from ..handshake import choose_subprotocol
from ..limits import Limits
from ..registry import EventRegister

__all__ = ["FastApiConnector", "StarletteWebSocket"]


class StarletteWebSocket(Protocol):
    """What the connector needs of ``starlette.websockets.WebSocket``, which FastAPI's is too."""

    application_state: Any

    @property
    def scope(self) -> MutableMapping[str, Any]:
        """The ASGI scope."""
        ...

    def receive(self) -> Awaitable[MutableMapping[str, Any]]:
        """Return the next ASGI message."""
        ...

    def send(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Send an ASGI message."""
        ...

    def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] | None = None
    ) -> Awaitable[None]:
        """Do the opening handshake."""
        ...


class FastApiConnector:
    """Serves one WebSocket of a FastAPI or Starlette application::

        @app.websocket("/ws")
        async def endpoint(websocket: WebSocket) -> None:
            await FastApiConnector.plug_and_start(register, websocket)

    Args:
        register: whose handlers to use.
        websocket: the framework's WebSocket. It is accepted, unless it has been already.
        connection_id: the connection's id. Default None: a new one, ``zpt-<uuid4>``.
        subprotocols: subprotocols in order of preference; the first that the client offers too is
            chosen. Default none. Not used when the WebSocket has been accepted already.
        limits: `Limits.message_bytes`, `Limits.send_timeout` and `Limits.close_timeout` are used;
            the rest is set on the ASGI server.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
    """

    def __init__(
        self,
        register: EventRegister,
        websocket: StarletteWebSocket,
        connection_id: str | None = None,
        *,
        subprotocols: Sequence[str] = (),
        limits: Limits | None = None,
        omit_empty_headers: bool = False,
    ) -> None:
        self.register = register
        self.websocket = websocket
        self.connection_id = connection_id
        self._subprotocols = tuple(subprotocols)
        self._limits = limits
        self._omit_empty_headers = omit_empty_headers

    async def start(self) -> None:
        """Serve the connection; returns when it has ended and its last handler is done."""
        websocket = self.websocket
        chosen = None
        if websocket.application_state.name == "CONNECTING":
            offered = websocket.scope.get("subprotocols", ())
            chosen = choose_subprotocol(self._subprotocols, offered)
            await websocket.accept(chosen)
        await AsgiCarrier(
            self.register,
            handshake_of(websocket.scope, chosen),
            websocket.receive,
            websocket.send,
            connection_id=self.connection_id,
            limits=self._limits,
            omit_empty_headers=self._omit_empty_headers,
        ).run()

    @classmethod
    async def plug_and_start(
        cls,
        register: EventRegister,
        websocket: StarletteWebSocket,
        connection_id: str | None = None,
        **options: Any,
    ) -> None:
        """Make a connector and start it, in one call; the arguments are those of the class."""
        await cls(register, websocket, connection_id, **options).start()
