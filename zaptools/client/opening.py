"""How a client opens a connection: TCP, TLS, and the opening handshake."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.protocol import Event
from websockets.typing import Subprotocol

from .._text import printable
from ..connection.connection import WebSocketConnection
from ..dispatch.dispatcher import Dispatcher
from ..exceptions import ConnectError, ConnectTimeoutError, HandshakeError
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..transport.compression import Compression, client_extensions
from ..transport.trace import Trace
from ..transport.transport import WebSocketTransport
from .answer import Answer
from .redirects import is_same_origin, redirect
from .route import DIRECT, Route
from .url import parse_url

__all__ = ["ClientTransport", "open_transport"]

logger = logging.getLogger(__name__)
_trace = Trace(logger)

_SUBPROTOCOL = "Sec-WebSocket-Protocol"

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE")
"""OpenSSL's reasons when the server answers its hello with HTTP, or with no TLS at all."""

_BODY_GRACE = 0.5
"""Seconds to wait for the start of a refusal's body after its head."""


async def open_transport(
    url: str,
    begin: Callable[[ClientTransport], None],
    *,
    protocols: Sequence[str],
    headers: Mapping[str, str],
    limits: Limits,
    compression: Compression,
    ssl: ssl_module.SSLContext | None,
    route: Route = DIRECT,
) -> ClientTransport:
    """Connect, follow redirects, and return the transport.

    Args:
        url: the server's URL.
        begin: called when the handshake is done, before any message is read; calls
            `ClientTransport.begin`.
        protocols: subprotocols to offer.
        headers: headers to add to the request; they replace its own of the same name. Another
            origin that the server redirects to does not get them.
        limits: the connection's bounds.
        compression: the compression to offer.
        ssl: TLS context for ``wss``; None for Python's default.
        route: the way to the server. Default: directly.

    Raises:
        ConnectError: the attempt failed; a subclass where more is known.
    """
    loop, limit = asyncio.get_running_loop(), limits.open_timeout
    until = None if limit is None else loop.time() + limit
    left = route.max_redirects
    while True:
        try:
            return await _open(
                url,
                begin,
                seconds=None if until is None else until - loop.time(),
                protocols=protocols,
                headers=headers,
                limits=limits,
                compression=compression,
                ssl=ssl,
                route=route,
            )
        except HandshakeError as refusal:
            target = redirect(url, refusal, left, route)
            if target is None:
                raise
        if not is_same_origin(url, target):
            headers = {}
        if parse_url(url).host != parse_url(target).host:  # which has a certificate of its own
            route = replace(route, server_hostname=None)
        url, left = target, left - 1


async def _open(
    url: str,
    begin: Callable[[ClientTransport], None],
    *,
    seconds: float | None,
    protocols: Sequence[str],
    headers: Mapping[str, str],
    limits: Limits,
    compression: Compression,
    ssl: ssl_module.SSLContext | None,
    route: Route,
) -> ClientTransport:
    """Connect as `open_transport` does, within `seconds`, without following redirects."""
    uri = parse_url(url)
    if ":" in uri.host:  # a zone is of no use to the server (RFC 6874, section 4)
        shown = replace(uri, host=uri.host.partition("%")[0])
    else:
        shown = uri
    if uri.secure and ssl is None:
        ssl = ssl_module.create_default_context()
    protocol = ClientProtocol(
        shown,
        extensions=client_extensions(compression),
        subprotocols=[Subprotocol(name) for name in protocols] or None,
        max_size=limits.message_bytes,
        logger=_trace,
    )
    transport: ClientTransport | None = None
    try:
        async with asyncio.timeout(seconds):
            transport = await route.connect(
                url,
                uri,
                lambda: ClientTransport(protocol, limits, url, headers, begin),
                ssl if uri.secure else None,
            )
            await transport.opened
    except TimeoutError as exc:
        if transport is not None and transport.refusal is not None:
            raise transport.refusal from None
        if transport is None and limits.open_timeout is None:
            raise ConnectError(url, "the network timed out") from exc
        raise ConnectTimeoutError(url, f"no answer within {limits.open_timeout} s") from exc
    except OSError as exc:
        detail = exc.strerror or str(exc) or type(exc).__name__
        if isinstance(exc, ssl_module.SSLError) and exc.reason in _NO_TLS:
            detail += ": if the server has no TLS, write ws://"
        raise ConnectError(url, detail) from exc
    except UnicodeError as exc:  # from a resolver
        raise ConnectError(url, f"its host is no valid name: {exc}") from exc
    finally:
        if transport is not None and not transport.is_open:
            transport.abort()
    assert transport is not None  # for mypy: asyncio.timeout might swallow the exception
    return transport


class ClientTransport(WebSocketTransport):
    """A connection's transport on the client's side: sends the request, checks the answer.

    Args:
        protocol: the handshake's and the connection's.
        limits: the connection's bounds.
        url: the server's URL, for errors.
        headers: headers to add to the request.
        begin: see `open_transport`.

    Attributes:
        opened: done when the handshake has succeeded; holds the error if it failed.
    """

    __slots__ = ("_answer", "_begin", "_headers", "_url", "opened")

    def __init__(
        self,
        protocol: ClientProtocol,
        limits: Limits,
        url: str,
        headers: Mapping[str, str],
        begin: Callable[[ClientTransport], None],
    ) -> None:
        super().__init__(protocol, limits)
        self._url = url
        self._headers = headers
        self._begin = begin
        # The server's answer as received so far; the protocol parses the head of a 101.
        self._answer = Answer(limits.head_bytes)
        self.opened: asyncio.Future[None] = self.loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether the handshake has succeeded."""
        return self.connection is not None

    @property
    def refusal(self) -> HandshakeError | None:
        """The server's refusal as received so far; None if it has not refused."""
        answer = self._answer
        if answer.status is None or answer.status == 101:
            return None
        reason = printable(answer.reason)
        return HandshakeError(
            self._url,
            f"the server answered {answer.status} {reason}".rstrip(),
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            retry_after=answer.retry_after,
        )

    def begin(self, connection: WebSocketConnection, book: HandlerBook) -> None:
        """Start the connection: its events go to the handlers of `book` from now on."""
        # No name is reserved: a client's lifecycle handlers are not registered as events.
        dispatcher = Dispatcher(
            connection,
            book,
            on_idle=self.messages_handled,
            on_finish=self.closing.handlers_done,
            reserved=frozenset(),
        )
        self.open(connection, dispatcher)

    async def call_disconnected(self) -> None:
        """Run the ``disconnected`` handler of an ended connection from within another handler.

        Events that still wait for their handlers are dropped.
        """
        assert self.dispatcher is not None
        self.dispatcher.drop_messages()
        await self.dispatcher.call_disconnected()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        protocol = cast(ClientProtocol, self.protocol)
        request = protocol.connect()
        for name, value in self._headers.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        protocol.send_request(request)
        self.writer.write(protocol.data_to_send())

    def receive_opening(self, data: bytes) -> None:
        if self.opened.done():
            return
        answer, is_refused = self._answer, self._answer.status is not None
        try:
            answer.feed(data)
        except ValueError as exc:
            self._fail(HandshakeError(self._url, str(exc)))
            return
        if answer.status == 101:
            self.read_head(answer.head, answer.rest)
        elif answer.is_complete:
            self._refuse()
        elif answer.status is not None and not is_refused:
            self.closing.set_deadline(_BODY_GRACE, self._refuse)

    def _refuse(self) -> None:
        refusal = self.refusal
        if refusal is not None:
            self._fail(refusal)

    def receive_handshake(self, events: list[Event], writes: list[bytes]) -> None:
        problem = self.protocol.handshake_exc
        if problem is not None:
            self._fail(self._handshake_error(problem))
        self.writer.write(writes)
        if problem is not None or not events:
            return
        self.opened.set_result(None)  # first: the connection may end while it begins
        self._begin(self)

    def _handshake_error(self, problem: Exception) -> HandshakeError:
        """Return the error for a 101 that does not match the request."""
        return HandshakeError(
            self._url,
            str(problem.__cause__ or problem),
            negotiation=isinstance(problem, NegotiationError)
            or (isinstance(problem, InvalidHeader) and problem.name == _SUBPROTOCOL),
        )

    def _fail(self, error: ConnectError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # retrieved: the awaiting task may have been cancelled

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._refuse()
        if not self.opened.done():
            problem = self.protocol.handshake_exc
            detail = "the server ended the connection during the handshake"
            error = ConnectError(self._url, detail)
            error.__cause__ = exc or problem
            self._fail(error)
