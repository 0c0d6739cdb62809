"""zaptools events on any ASGI server: uvicorn, Hypercorn, Daphne, Granian.

`AsgiApp` is an application for a register. A server can serve it, or a Starlette or FastAPI
application can mount it::

    app = AsgiApp(register, path="/ws")

Facts about the interface are those of the ASGI specification, version 3.0, part "WebSocket",
spec version 2.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

from .._arguments import check_flag, check_function, check_kind, check_path, explained
from ..connection.admission import Refuse
from ..connection.handshake import Handshake, check_subprotocols, choose_subprotocol, header_block
from ..connection.ids import IdStrategy, new_id
from ..handlers.admission import decide
from ..handlers.register import EventRegister
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import LOST, NO_CODE, NORMAL, SERVICE_RESTART, CloseInfo
from .carrier import Carrier
from .socket import FrameworkSocket

__all__ = ["AsgiApp", "AsgiCarrier", "AsgiSocket", "handshake_of", "refuse"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


def handshake_of(scope: Scope, subprotocol: str | None) -> Handshake:
    """Return the handshake of a scope.

    Args:
        scope: a scope of the type ``websocket``.
        subprotocol: the subprotocol that was agreed on.
    """
    client = scope.get("client")
    return Handshake(
        path=scope["path"],
        query_string=scope.get("query_string", b"").decode("latin-1"),
        client=(client[0], client[1]) if client else None,
        subprotocol=subprotocol,
        header_block=header_block(scope.get("headers", ())),
    )


class AsgiSocket(FrameworkSocket):
    """A WebSocket as ASGI's messages.

    Args:
        receive: returns the next message; ``websocket.connect`` has been received.
        send: sends a message.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    def receive(self) -> Awaitable[Message]:
        return self._receive()

    def read(self, received: Message) -> str | bytes | CloseInfo:
        if received["type"] == "websocket.receive":
            text: str | None = received.get("text")
            if text is not None:
                return text
            data: bytes = received["bytes"]
            return data
        return self.ending(received)

    def ending(self, message: Message) -> CloseInfo:
        """Return how the connection ended, from a ``websocket.disconnect``."""
        return _ending(message)

    def write(self, text: str) -> Awaitable[None]:
        return self._send({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class AsgiCarrier(Carrier):
    """A connection over ASGI's messages.

    Args:
        register: the register with the handlers.
        handshake: the request that opened the connection.
        receive: returns the next message; ``websocket.connect`` has been received.
        send: sends a message.
        connection_id: the connection's id. Default None: a new one.
        limits: the bounds, as for `AsgiApp`.
        omit_empty_headers: see `zaptools.protocol.encode_event`.
        state: the connection's state, as `on_handshake` left it. Default None: a new one.
    """

    def __init__(
        self,
        register: EventRegister,
        handshake: Handshake,
        receive: Receive,
        send: Send,
        *,
        connection_id: str | None = None,
        limits: Limits | None = None,
        omit_empty_headers: bool = False,
        state: SimpleNamespace | None = None,
    ) -> None:
        super().__init__(
            AsgiSocket(receive, send),
            register.book,
            check_limits(limits),
            connection_id=connection_id,
            handshake=handshake,
            omit_empty_headers=omit_empty_headers,
            state=state,
        )


def _ending(message: Message) -> CloseInfo:
    code = int(message.get("code") or NO_CODE)
    reason: str | None = message.get("reason")
    if reason is None:
        # uvicorn 0.54 gives 1005 and no reason when the connection was lost with no close frame;
        # after an empty close frame it gives 1005 and an empty reason.
        if code in (NO_CODE, LOST.code):
            return LOST
        # uvicorn 0.54 gives this when it shuts down. No client sends it (RFC 6455, section 7.4.1
        # and its registry: a server's).
        if code == SERVICE_RESTART:
            return CloseInfo(code, "", "local")
    return LOST if code == LOST.code else CloseInfo(code, reason or "", "remote")


@explained(
    protocols="pass subprotocols=[…]",
    host="the ASGI server has it",
    port="the ASGI server has it",
    **IN_LIMITS,
)
class AsgiApp:
    """An ASGI application that serves a register's events.

    HTTP requests are answered with 426 on the path and 404 elsewhere; WebSockets on other paths
    are refused before they are accepted, for which servers answer 403. Nothing has to be done at
    start and stop (``lifespan``).

    Args:
        register: the register with the handlers.
        path: the path of the WebSocket, below the one that the application is mounted on. Default
            None: any.
        subprotocols: subprotocols in order of preference; the first that a client offers too is
            chosen. Default none.
        limits: the bounds; `zaptools.Limits` says which apply. The others are options of
            the server.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        id_strategy: called for each connection, returns its id. One that is taken in the same
            register is closed with 1008. Default: ``zpt-<uuid4>``.

    Raises:
        TypeError: an argument is of a wrong type.
        ValueError: no request has that path, or no subprotocol that name.
    """

    def __init__(
        self,
        register: EventRegister,
        *,
        path: str | None = None,
        subprotocols: Sequence[str] = (),
        limits: Limits | None = None,
        omit_empty_headers: bool = False,
        id_strategy: IdStrategy = new_id,
    ) -> None:
        check_kind(register, EventRegister, "register")
        if path is not None:
            check_path(path)
        check_flag(omit_empty_headers, "omit_empty_headers")
        check_function(id_strategy, "id_strategy")
        self.register = register
        self.path = path
        self._subprotocols = check_subprotocols(subprotocols)
        self._limits = check_limits(limits)
        self._omit_empty_headers = omit_empty_headers
        self._id_strategy = id_strategy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the server's ``lifespan``."""
        kind = scope["type"]
        if kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "http":
            answer = (426, _UPGRADE) if self._serves(scope) else (404, [])
            await _answer(send, *answer, has_body=scope["method"] != "HEAD")
        elif kind == "lifespan":
            await _lifespan(receive, send)
        else:
            raise ValueError(f"a connection of the type {kind!r} is not served here")

    def _serves(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return self.path is None or path.removeprefix(scope.get("root_path", "")) == self.path

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not self._serves(scope):
            await refuse(scope, send, Refuse())
            return
        offered = scope.get("subprotocols", ())
        chosen = choose_subprotocol(self._subprotocols, offered)
        handshake = handshake_of(scope, chosen)
        book, limits = self.register.book, self._limits
        refusal, state = await decide(book, handshake, limits, offered=offered)
        if refusal is not None:
            await refuse(scope, send, refusal)
            return
        id = self._id_strategy()  # for its errors the server answers 500: nothing is accepted yet
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        await AsgiCarrier(
            self.register,
            handshake,
            receive,
            send,
            connection_id=id,
            limits=self._limits,
            omit_empty_headers=self._omit_empty_headers,
            state=state,
        ).run()


async def refuse(scope: Scope, send: Send, refusal: Refuse) -> None:
    """Refuse a WebSocket that is not accepted yet.

    A plain 403 is what servers answer to a close. Another answer needs the extension
    "websocket.http.response", which uvicorn, Hypercorn and Daphne have; without it, it is 403 too.
    (uvicorn 0.54 logs an error for each answer by the extension.)
    """
    is_plain = (refusal.status, refusal.body, refusal.headers) == _PLAIN
    if is_plain or "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": NORMAL, "reason": ""})
        return
    headers = {"Content-Length": str(len(refusal.body)), **refusal.headers}
    await send(
        {
            "type": "websocket.http.response.start",
            "status": refusal.status,
            "headers": [
                (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
            ],
        }
    )
    await send({"type": "websocket.http.response.body", "body": refusal.body})


_PLAIN = (Refuse().status, Refuse().body, Refuse().headers)

_UPGRADE = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]


async def _answer(
    send: Send, status: int, headers: Sequence[tuple[bytes, bytes]], *, has_body: bool
) -> None:
    body = b"This is a WebSocket.\n" if status == 426 else b"Not Found.\n"
    facts = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    start = {"type": "http.response.start", "status": status, "headers": [*facts, *headers]}
    await send(start)
    # RFC 9110, section 9.3.2; h11, in Hypercorn, refuses a body for HEAD.
    await send({"type": "http.response.body", "body": body if has_body else b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
