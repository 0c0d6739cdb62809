"""The connector for aiohttp."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypedDict, Unpack

from .._arguments import check_flag, explained
from .._tasks import begin
from ..connection.admission import Refuse
from ..connection.handshake import Handshake, check_subprotocols, header_block
from ..handlers.admission import decide
from ..handlers.register import EventRegister
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import (
    INTERNAL_ERROR,
    LOST,
    NO_CODE,
    NORMAL,
    PROTOCOL_ERROR,
    CloseInfo,
    may_be_sent,
)
from ..transport.keepalive import Keepalive
from .carrier import Carrier
from .plugs import Plug
from .socket import FrameworkSocket

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["AioHttpConnector", "AioHttpConnectorOptions"]


_PLUG = Plug(
    connector="AioHttpConnector",
    module="aiohttp",
    extra="aiohttp",
    name="request",
    what="the request that the endpoint gets",
    needed=("transport", "raw_headers"),
)


class AioHttpConnectorOptions(TypedDict, total=False):
    """The options of `AioHttpConnector`; documented there."""

    subprotocols: Sequence[str]
    limits: Limits | None
    omit_empty_headers: bool
    compress: bool


@explained(protocols="pass subprotocols=[…]", **IN_LIMITS)
class AioHttpConnector:
    """Serves one WebSocket of an aiohttp application::

        async def endpoint(request: web.Request) -> web.WebSocketResponse:
            return await AioHttpConnector.plug_and_start(register, request)

        app.router.add_get("/ws", endpoint)

    Args:
        register: the register with the handlers.
        request: the request. One that asks for no WebSocket is answered by aiohttp with 400.
        connection_id: the connection's id. Default None: a new one, ``zpt-<uuid4>``.
        subprotocols: subprotocols; aiohttp chooses the first of the client's that is among them.
            Default none.
        limits: the bounds; `zaptools.Limits` says which apply. While a handler runs and waits for
            no event, nothing is read: a ping of the peer is answered after it, and the peer's
            silence does not count.
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        compress: whether to agree to compress when a client offers it. Default False, as for
            `zaptools.ZapServer`.

    Raises:
        ModuleNotFoundError: aiohttp is not installed; the text says how to install it.
        TypeError: an argument is of a wrong type.
        ValueError: no subprotocol has that name.
    """

    def __init__(
        self,
        register: EventRegister,
        request: web.Request,
        connection_id: str | None = None,
        *,
        subprotocols: Sequence[str] = (),
        limits: Limits | None = None,
        omit_empty_headers: bool = False,
        compress: bool = False,
    ) -> None:
        _PLUG.check(register, request, connection_id, omit_empty_headers)
        check_flag(compress, "compress")
        self.register = register
        self.request = request
        self.connection_id = connection_id
        self._subprotocols = check_subprotocols(subprotocols)
        self._limits = check_limits(limits)
        self._omit_empty_headers = omit_empty_headers
        self._compress = compress

    async def start(self) -> web.WebSocketResponse:
        """Serve the connection; returns when it has ended and its last handler is done.

        Returns:
            The response that the endpoint has to return.

        Raises:
            aiohttp.web.HTTPBadRequest: the request asks for no WebSocket, or not as RFC 6455,
                section 4.2.1, has it.
            aiohttp.web.HTTPException: `on_handshake` refused it.
        """
        _PLUG.check_installed()
        from aiohttp import web

        _check(self.request)
        limits = self._limits
        refusal, state = await decide(self.register.book, handshake_of(self.request, None), limits)
        if refusal is not None:
            raise _refused(refusal)
        response = web.WebSocketResponse(
            timeout=limits.close_timeout or 0,
            autoclose=False,
            # aiohttp's own `heartbeat` gives a peer half of the interval to answer, no more.
            autoping=False,
            protocols=self._subprotocols,
            compress=self._compress,
            # aiohttp 3.14 refuses a message that is as long as this.
            max_msg_size=limits.message_bytes + 1 if limits.message_bytes else 0,
        )
        await response.prepare(self.request)
        await self._serve(AioHttpSocket(self.request, response), state)
        return response

    async def _serve(self, socket: AioHttpSocket, state: SimpleNamespace | None) -> None:
        limits = self._limits
        carrier = Carrier(
            socket,
            self.register.book,
            limits,
            connection_id=self.connection_id,
            handshake=handshake_of(self.request, socket.subprotocol),
            omit_empty_headers=self._omit_empty_headers,
            state=state,
        )

        def give_up() -> None:
            carrier.close_soon(
                INTERNAL_ERROR, f"no answer to a ping within {limits.ping_timeout:g} s"
            )

        socket.keepalive = Keepalive(limits, socket.ping, give_up)
        socket.keepalive.start()
        try:
            await carrier.run()
        finally:
            socket.keepalive.stop()
            socket.let_go()

    @classmethod
    async def plug_and_start(
        cls,
        register: EventRegister,
        request: web.Request,
        connection_id: str | None = None,
        **options: Unpack[AioHttpConnectorOptions],
    ) -> web.WebSocketResponse:
        """Make a connector and start it, in one call; the arguments are those of the class."""
        return await cls(register, request, connection_id, **options).start()


class AioHttpSocket(FrameworkSocket):
    """aiohttp's socket.

    Attributes:
        keepalive: checks that the peer answers pings; set before the first `receive`.
    """

    keepalive: Keepalive

    def __init__(self, request: web.Request, response: web.WebSocketResponse) -> None:
        self._request = request
        self._response = response
        # The remainder of a send that found the buffer full; the next send waits for it.
        self._draining: asyncio.Task[None] | None = None
        # The last ping; not done while the peer does not read.
        self._pinging: asyncio.Task[None] | None = None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that was agreed on."""
        return self._response.ws_protocol

    async def receive(self) -> str | bytes | CloseInfo:
        from aiohttp import WebSocketError, WSMsgType

        keepalive = self.keepalive
        while True:
            keepalive.reading_paused = False
            message = await self._response.receive()
            keepalive.heard = keepalive.reading_paused = True
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                data: str | bytes = message.data
                return data
            if message.type is WSMsgType.PING:
                await self._response.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                break
        if message.type is WSMsgType.CLOSE:
            # aiohttp 3.14 has 0 for a close frame with no code. By itself it would answer 1000 to
            # any code; RFC 6455, section 5.5.1: typically the code is echoed.
            code, reason = int(message.data), message.extra or ""
            if code and not may_be_sent(code):  # aiohttp 3.14 takes 1006, and 5000 and more
                fault = CloseInfo(PROTOCOL_ERROR, f"{code} is no close code", "local")
                await self.close_briefly(fault.code, fault.reason)
                return fault
            await self.close_briefly(code or NORMAL, reason)
            return CloseInfo(code or NO_CODE, reason, "remote")
        if message.type is WSMsgType.ERROR and isinstance(message.data, WebSocketError):
            return CloseInfo(int(message.data.code), str(message.data), "local")
        return LOST

    async def write(self, text: str) -> None:
        # aiohttp writes first and waits for room afterwards. A send that gives up waiting has
        # written nothing only if it waits before: for the room that the send before it needs.
        if self._draining is not None:
            await asyncio.wait([self._draining])
            self._draining = None
        rest = begin(self._response.send_str(text))
        if rest is not None:
            self._draining = asyncio.create_task(rest)
            self._draining.add_done_callback(_ignore_failure)

    def ping(self) -> None:
        """Send a ping, unless the peer has not read the last one."""
        if self._pinging is None or self._pinging.done():
            self._pinging = asyncio.create_task(self._response.ping())
            self._pinging.add_done_callback(_ignore_failure)

    def known_end(self) -> CloseInfo | None:
        # With `handler_cancellation`, aiohttp cancels an endpoint whose client has gone.
        return LOST if self._request.transport is None else None

    async def close(self, code: int, reason: str) -> None:
        await self._response.close(code=code, message=reason.encode())

    def drop(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def let_go(self) -> None:
        """Cancel the writes that wait for the peer to read: the connection is over."""
        for task in (self._draining, self._pinging):
            if task is not None:
                task.cancel()


def _ignore_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # the connection has ended: the next send says so


def _check(request: web.Request) -> None:
    """Refuse requests that aiohttp 3.14 would accept: HEAD, HTTP/1.0, versions 7 and 8 for 13."""
    from aiohttp import web

    if request.headers.get("Upgrade", "").lower() != "websocket":
        return  # aiohttp refuses it
    if request.method != "GET" or request.version < (1, 1):
        raise web.HTTPBadRequest(text="A WebSocket is asked for by GET and HTTP/1.1.\n")
    if request.headers.get("Sec-WebSocket-Version") != "13":
        told = {"Sec-WebSocket-Version": "13"}  # RFC 6455, section 4.4
        raise web.HTTPBadRequest(text="The WebSocket version is 13.\n", headers=told)


def _refused(refusal: Refuse) -> web.HTTPException:
    from aiohttp import web

    class Refused(web.HTTPException):
        status_code = refusal.status

    error = Refused()
    error.body = refusal.body  # aiohttp deprecates the argument
    del error.headers["Content-Type"]
    error.headers.update(refusal.headers)
    return error


def handshake_of(request: web.Request, subprotocol: str | None) -> Handshake:
    """Return the handshake of a request."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return Handshake(
        path=request.path,
        query_string=request.rel_url.raw_query_string,  # aiohttp's own is decoded already
        client=peer[:2] if isinstance(peer, tuple) else None,
        subprotocol=subprotocol,
        header_block=header_block(request.raw_headers),
    )
