"""The connector for Sanic."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Protocol, TypedDict, Unpack
from urllib.parse import unquote

from .._arguments import explained
from .._tasks import ends_task
from ..connection.handshake import NO_HANDSHAKE, Handshake, header_block
from ..handlers.admission import decide
from ..handlers.register import EventRegister
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import INVALID_TEXT, LOST, CloseInfo
from .carrier import Carrier
from .plugs import Plug
from .socket import FrameworkSocket

__all__ = ["SanicConnector", "SanicConnectorOptions", "SanicWebSocket"]


class SanicWebSocket(Protocol):
    """The parts of ``sanic.Websocket`` that the connector uses."""

    ws_proto: Any
    io_proto: Any
    connection_lost_waiter: asyncio.Future[None] | None
    recv_cancel: asyncio.Future[None] | None

    def recv(self) -> Awaitable[str | bytes | None]:
        """Return the next message."""
        ...

    def send(self, message: str) -> Awaitable[None]:
        """Send a text message."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """Send a close frame."""
        ...

    def fail_connection(self, code: int = 1006, reason: str = "") -> bool:
        """Send a close frame, and end TCP."""
        ...


_PLUG = Plug(
    connector="SanicConnector",
    module="sanic",
    extra="sanic",
    name="websocket",
    what="the WebSocket that the endpoint gets",
    needed=("ws_proto", "io_proto", "recv"),
)


class SanicConnectorOptions(TypedDict, total=False):
    """The options of `SanicConnector`; documented there."""

    limits: Limits | None
    omit_empty_headers: bool


@explained(
    subprotocols="pass them to Sanic: @app.websocket(path, subprotocols=[…])",
    protocols="pass them to Sanic: @app.websocket(path, subprotocols=[…])",
    **IN_LIMITS,
)
class SanicConnector:
    """Serves one WebSocket of a Sanic application, on Sanic's own server::

        @app.websocket("/ws")
        async def endpoint(request: Request, websocket: Websocket) -> None:
            await SanicConnector.plug_and_start(register, websocket)

    Sanic chooses the subprotocol: give ``subprotocols`` to its ``websocket`` decorator.

    Args:
        register: the register with the handlers.
        websocket: Sanic's WebSocket.
        connection_id: the connection's id. Default None: a new one, ``zpt-<uuid4>``.
        limits: the bounds; `zaptools.Limits` says which apply. The others are Sanic's
            ``WEBSOCKET_…`` settings.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.

    Raises:
        TypeError: an argument is of a wrong type.
    """

    def __init__(
        self,
        register: EventRegister,
        websocket: SanicWebSocket,
        connection_id: str | None = None,
        *,
        limits: Limits | None = None,
        omit_empty_headers: bool = False,
    ) -> None:
        _PLUG.check(register, websocket, connection_id, omit_empty_headers)
        self.register = register
        self.websocket = websocket
        self.connection_id = connection_id
        self._limits = check_limits(limits)
        self._omit_empty_headers = omit_empty_headers

    async def start(self) -> None:
        """Serve the connection; returns when it has ended and its last handler is done."""
        socket, handshake = SanicSocket(self.websocket), _handshake_of(self.websocket)
        refusal, state = await decide(self.register.book, handshake, self._limits)
        if refusal is not None:
            await socket.refuse(refusal)
            socket.let_go()
            return
        carrier = Carrier(
            socket,
            self.register.book,
            self._limits,
            connection_id=self.connection_id,
            handshake=handshake,
            omit_empty_headers=self._omit_empty_headers,
            state=state,
        )
        try:
            await carrier.run()
        finally:
            socket.let_go()

    @classmethod
    async def plug_and_start(
        cls,
        register: EventRegister,
        websocket: SanicWebSocket,
        connection_id: str | None = None,
        **options: Unpack[SanicConnectorOptions],
    ) -> None:
        """Make a connector and start it, in one call; the arguments are those of the class."""
        await cls(register, websocket, connection_id, **options).start()


class SanicSocket(FrameworkSocket):
    """Sanic's socket, which reads in tasks of its own."""

    def __init__(self, socket: SanicWebSocket) -> None:
        self._socket = socket
        # Sanic's tasks that hand messages over, one for each read; each leaves when it is done.
        self._feeding: set[asyncio.Task[Any]] = set()
        # Set by `let_go`: no message is handed over any more.
        self._is_over = False
        self._wrap_feeding(socket)

    async def receive(self) -> str | bytes | CloseInfo:
        try:
            message = await self._socket.recv()
        except asyncio.CancelledError as exc:
            # Sanic's recv() raises this when the connection ends, without a cancelled task.
            if ends_task(exc):
                raise
            return self._ending()
        except Exception:
            return self._ending()
        return self._ending() if message is None else message

    def known_end(self) -> CloseInfo | None:
        # Sanic cancels an endpoint whose client has gone.
        lost = self._socket.connection_lost_waiter
        return self._ending() if lost is not None and lost.done() else None

    def _ending(self) -> CloseInfo:
        protocol = self._socket.ws_proto
        received, sent = protocol.close_rcvd, protocol.close_sent
        if received is not None and (sent is None or protocol.close_rcvd_then_sent):
            return CloseInfo(int(received.code), received.reason, "remote")
        if sent is not None and sent.code != LOST.code:  # Sanic's code for a lost connection
            return CloseInfo(int(sent.code), sent.reason, "local")
        return LOST

    async def write(self, text: str) -> None:
        await self._socket.send(text)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    def drop(self) -> None:
        transport = getattr(self._socket.io_proto, "transport", None)
        if transport is not None:
            transport.abort()

    def _wrap_feeding(self, socket: SanicWebSocket) -> None:
        """Replace the method in which Sanic's tasks, one for each read, wait to hand messages over.

        A text that is not UTF-8 is answered with 1007 (RFC 6455, section 8.1). Sanic 25.12 decodes
        in such a task, whose result nothing looks at: the error ends the task, the message is
        lost, and the connection stays open, with the parts of that message in front of the next.
        """
        process = getattr(socket, "process_events", None)
        if process is None:  # another object in place of Sanic's socket
            return

        async def process_events(events: Sequence[Any]) -> None:
            task = asyncio.current_task()
            if self._is_over or task is None:
                return
            self._feeding.add(task)
            try:
                await process(events)
            except UnicodeDecodeError:
                socket.fail_connection(INVALID_TEXT, "the text is not UTF-8")
                if socket.recv_cancel is not None:
                    socket.recv_cancel.cancel()  # as Sanic does at a close frame: recv() ends
            finally:
                self._feeding.discard(task)

        setattr(socket, "process_events", process_events)  # noqa: B010  # a method, in Sanic's class

    def let_go(self) -> None:
        """Take no more messages: tasks of Sanic 25.12 that hold one would wait for ever."""
        self._is_over = True
        for task in self._feeding:
            task.cancel()


def _handshake_of(socket: SanicWebSocket) -> Handshake:
    # The endpoint's `request` is this one; a program for the published connector gives us only
    # the socket.
    http = getattr(socket.io_proto, "_http", None)
    request = getattr(http, "request", None)
    if request is None:
        return NO_HANDSHAKE
    client = request.socket
    return Handshake(
        path=unquote(request.path),
        query_string=request.query_string,
        client=client[:2] if client[0] else None,
        subprotocol=socket.ws_proto.subprotocol,
        header_block=header_block((n.encode(), v.encode()) for n, v in request.headers.items()),
    )
