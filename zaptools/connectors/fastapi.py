"""The connector for FastAPI and Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, MutableMapping, Sequence
from typing import Any, Protocol, TypedDict, TypeGuard, Unpack

from .._arguments import explained
from ..connection.handshake import check_subprotocols, choose_subprotocol
from ..handlers.admission import decide
from ..handlers.register import EventRegister
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import CloseInfo
from .asgi import AsgiSocket, Message, Receive, Send, handshake_of, refuse
from .carrier import Carrier
from .plugs import Plug

__all__ = ["FastApiConnector", "FastApiConnectorOptions", "StarletteWebSocket"]


class StarletteWebSocket(Protocol):
    """The parts of ``starlette.websockets.WebSocket``, FastAPI's too, that the connector uses."""

    application_state: Any
    client_state: Any

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


class _Starlettes(StarletteWebSocket, Protocol):
    _receive: Receive
    _send: Send


_PLUG = Plug(
    connector="FastApiConnector",
    module="starlette",
    extra="fastapi",
    name="websocket",
    what="the WebSocket that the endpoint gets",
    needed=("scope", "accept", "application_state"),
)


class FastApiConnectorOptions(TypedDict, total=False):
    """The options of `FastApiConnector`; documented there."""

    subprotocols: Sequence[str]
    limits: Limits | None
    omit_empty_headers: bool


@explained(protocols="pass subprotocols=[…]", **IN_LIMITS)
class FastApiConnector:
    """Serves one WebSocket of a FastAPI or Starlette application::

        @app.websocket("/ws")
        async def endpoint(websocket: WebSocket) -> None:
            await FastApiConnector.plug_and_start(register, websocket)

    Args:
        register: the register with the handlers.
        websocket: the framework's WebSocket. It is accepted, unless it has been already: what
            `on_handshake` refuses then gets the close code 1008.
        connection_id: the connection's id. Default None: a new one, ``zpt-<uuid4>``.
        subprotocols: subprotocols in order of preference; the first that the client offers too is
            chosen. Default none. Not used when the WebSocket has been accepted already.
        limits: the bounds; `zaptools.Limits` says which apply. The others are options of
            the ASGI server.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.

    Raises:
        TypeError: an argument is of a wrong type.
        ValueError: no subprotocol has that name.
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
        _PLUG.check(register, websocket, connection_id, omit_empty_headers)
        self.register = register
        self.websocket = websocket
        self.connection_id = connection_id
        self._subprotocols = check_subprotocols(subprotocols)
        self._limits = check_limits(limits)
        self._omit_empty_headers = omit_empty_headers

    async def start(self) -> None:
        """Serve the connection; returns when it has ended and its last handler is done."""
        websocket, scope = self.websocket, self.websocket.scope
        is_open = websocket.application_state.name != "CONNECTING"
        offered = scope.get("subprotocols", ())
        chosen = None if is_open else choose_subprotocol(self._subprotocols, offered)
        handshake = handshake_of(scope, chosen)
        book, limits = self.register.book, self._limits
        refusal, state = await decide(book, handshake, limits, offered=offered)
        if refusal is not None:
            if is_open:
                await StarletteSocket(websocket).refuse(refusal)
            else:
                await refuse(scope, websocket.send, refusal)
            return
        if not is_open:
            await websocket.accept(chosen)
        await Carrier(
            StarletteSocket(websocket),
            self.register.book,
            self._limits,
            connection_id=self.connection_id,
            handshake=handshake,
            omit_empty_headers=self._omit_empty_headers,
            state=state,
        ).run()

    @classmethod
    async def plug_and_start(
        cls,
        register: EventRegister,
        websocket: StarletteWebSocket,
        connection_id: str | None = None,
        **options: Unpack[FastApiConnectorOptions],
    ) -> None:
        """Make a connector and start it, in one call; the arguments are those of the class."""
        await cls(register, websocket, connection_id, **options).start()


class StarletteSocket(AsgiSocket):
    """Reads and writes below the framework's WebSocket, and keeps its states up to date.

    Starlette checks in two more coroutines whether a message fits the state; that takes 1 µs of
    the 12 of an echo. They are left out only if they are Starlette's own code, and while the state
    is "connected".
    """

    def __init__(self, websocket: StarletteWebSocket) -> None:
        super().__init__(websocket.receive, websocket.send)
        self._websocket = websocket
        # The state "connected", if the checks can be left out in it; else None.
        self._open: Any = None
        if _is_known(websocket) and websocket.application_state.name == "CONNECTED":
            self._open = websocket.application_state
            self._raw_receive: Receive = websocket._receive
            self._raw_send: Send = websocket._send

    def receive(self) -> Awaitable[Message]:
        if self._websocket.client_state is self._open:
            return self._raw_receive()
        return self._receive()

    def ending(self, message: Message) -> CloseInfo:
        if self._open is not None:
            self._websocket.client_state = type(self._open).DISCONNECTED
        return super().ending(message)

    def write(self, text: str) -> Awaitable[None]:
        if self._websocket.application_state is self._open:
            return self._raw_send({"type": "websocket.send", "text": text})
        return self._send({"type": "websocket.send", "text": text})

    def note_failure(self, error: BaseException) -> None:
        if self._open is not None and isinstance(error, OSError):
            self._websocket.application_state = type(self._open).DISCONNECTED


def _is_known(websocket: StarletteWebSocket) -> TypeGuard[_Starlettes]:
    """Whether receive and send are Starlette's own."""
    methods = (websocket.receive, websocket.send)
    return all(getattr(each, "__module__", "") == "starlette.websockets" for each in methods)
