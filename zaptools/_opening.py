"""A client's way to an open connection: URL, TCP, TLS, and the opening handshake."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHeader, InvalidStatus, InvalidURI, NegotiationError
from websockets.http11 import Response
from websockets.protocol import Event
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI, parse_uri

from ._compression import Compression, client_extensions
from ._dispatcher import Dispatcher
from .connection import WebSocketConnection
from .exceptions import ConnectError, ConnectTimeoutError, HandshakeError, InvalidUrlError
from .limits import Limits
from .registry import HandlerBook
from .transport import WebSocketTransport

__all__ = ["ClientTransport", "open_transport", "parse_url"]

logger = logging.getLogger(__name__)

_SUBPROTOCOL = "Sec-WebSocket-Protocol"


def parse_url(url: str) -> WebSocketURI:
    """Return the parts of a WebSocket URL (RFC 6455, section 3).

    Raises:
        InvalidUrlError: it is none.
    """
    try:
        return parse_uri(url)
    except InvalidURI as exc:
        detail = exc.msg
    except (ValueError, TypeError, AttributeError) as exc:
        # The words quote what cannot be read, which is a part of a password with a slash in it.
        detail = str(exc) if "@" not in str(url) else "its host, port or user cannot be read"
    raise InvalidUrlError(str(url), detail)  # out of there: with no context, which quotes the URL


async def open_transport(
    url: str,
    begin: Callable[[ClientTransport], None],
    *,
    protocols: Sequence[str],
    headers: Mapping[str, str],
    limits: Limits,
    compression: Compression,
    ssl: ssl_module.SSLContext | None,
) -> ClientTransport:
    """Connect, and return the transport.

    Args:
        url: where to.
        begin: called when the handshake is done, before anything else that came is looked at;
            calls `ClientTransport.begin`.
        protocols: subprotocols to offer.
        headers: headers to add to the request, in place of those that it has.
        limits: the connection's bounds.
        compression: what to offer.
        ssl: TLS context for ``wss``; None for Python's default.

    Raises:
        ConnectError: or one of its subclasses, for whatever stood in the way.
    """
    uri = parse_url(url)
    if uri.secure and ssl is None:
        ssl = ssl_module.create_default_context()
    protocol = ClientProtocol(
        uri,
        extensions=client_extensions(compression),
        subprotocols=[Subprotocol(name) for name in protocols] or None,
        max_size=limits.message_bytes,
        logger=logger,
    )
    loop = asyncio.get_running_loop()
    transport: ClientTransport | None = None
    try:
        async with asyncio.timeout(limits.open_timeout):
            _, transport = await loop.create_connection(
                lambda: ClientTransport(protocol, limits, url, headers, begin),
                uri.host,
                uri.port,
                ssl=ssl if uri.secure else None,
                server_hostname=uri.host if uri.secure else None,
            )
            await transport.opened
    except TimeoutError as exc:
        if transport is None and limits.open_timeout is None:
            raise ConnectError(url, "the network timed out") from exc
        raise ConnectTimeoutError(url, f"no answer within {limits.open_timeout} s") from exc
    except OSError as exc:
        raise ConnectError(url, exc.strerror or str(exc) or type(exc).__name__) from exc
    finally:
        if transport is not None and not transport.is_open:
            transport.abort()
    assert transport is not None  # a type checker takes it that asyncio.timeout ends exceptions
    return transport


class ClientTransport(WebSocketTransport):
    """A connection's shell on the client's side: sends the request, checks the answer.

    Attributes:
        opened: done when the handshake is.
    """

    __slots__ = ("_begin", "_headers", "_url", "opened")

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
        self.opened: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether the handshake has succeeded."""
        return self.connection is not None

    def begin(self, connection: WebSocketConnection, book: HandlerBook) -> None:
        """Begin the connection's life."""
        # For a client no name is reserved: its lifecycle handlers are not events by name.
        dispatcher = Dispatcher(
            connection,
            book,
            on_idle=self._idle,
            on_finish=self._finished,
            reserved=frozenset(),
        )
        self._open(connection, dispatcher)

    async def finish(self) -> None:
        """In a handler of a connection that has ended: make that handler the last but one.

        The ``disconnected`` handler runs now. Events that still wait for theirs are dropped.
        """
        assert self._dispatcher is not None
        self._dispatcher.discard()
        await self._dispatcher._finish()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        protocol = cast(ClientProtocol, self._protocol)
        request = protocol.connect()
        for name, value in self._headers.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        protocol.send_request(request)
        self._outbox.write(protocol.data_to_send())

    def _handshake(self, events: list[Event], writes: list[bytes]) -> None:
        problem = self._protocol.handshake_exc
        if problem is not None:
            self._fail(self._handshake_error(problem))
        self._outbox.write(writes)
        if problem is not None or not events:
            return
        self._begin(self)
        if not self.opened.done():
            self.opened.set_result(None)

    def _handshake_error(self, problem: Exception) -> HandshakeError:
        if not isinstance(problem, InvalidStatus):
            return HandshakeError(
                self._url,
                str(problem.__cause__ or problem),
                negotiation=isinstance(problem, NegotiationError)
                or (isinstance(problem, InvalidHeader) and problem.name == _SUBPROTOCOL),
            )
        response: Response = problem.response
        status = response.status_code
        return HandshakeError(
            self._url,
            f"the server answered {status} {response.reason_phrase}".rstrip(),
            status=status,
            headers={name.lower(): value for name, value in response.headers.raw_items()},
            body=bytes(response.body),
        )

    def _fail(self, error: ConnectError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # whoever awaited it may have been cancelled

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.opened.done():
            problem = self._protocol.handshake_exc
            detail = "the server ended the connection during the handshake"
            error = ConnectError(self._url, detail)
            error.__cause__ = exc or problem
            self._fail(error)
