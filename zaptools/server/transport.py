"""The server's side of a connection: the opening handshake, and the beginning of its life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import SimpleNamespace
from typing import cast
from urllib.parse import unquote

from websockets.extensions import ServerExtensionFactory
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, Event
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from .._tasks import spawn
from .._text import printable
from ..connection.admission import Refuse
from ..connection.connection import WebSocketConnection
from ..connection.handshake import Handshake, are_lists_too_long, choose_subprotocol
from ..connection.ids import IdStrategy
from ..dispatch.dispatcher import Dispatcher
from ..exceptions import NameTakenError
from ..handlers.admission import decide
from ..handlers.book import HandlerBook
from ..limits import Limits
from ..transport.reader import split_head
from ..transport.trace import Trace
from ..transport.transport import WebSocketTransport
from .http import is_host, offers_websocket, split_target
from .roster import Roster

__all__ = ["ServerTransport", "Settings"]

logger = logging.getLogger(__name__)
_trace = Trace(logger)


@dataclass(kw_only=True, slots=True)
class Settings:
    """The settings of a server that its connections depend on.

    Attributes:
        path: the path of the WebSocket, as a request has it.
        limits: the bounds of each connection.
        origins: values of the ``Origin`` header to accept; None accepts any.
        extensions: the extensions that it agrees to; None for none.
        subprotocols: those to choose from, in order of preference; None for none.
        id_strategy: returns a new connection's id.
        omit_empty_headers: see `zaptools.protocol.encode_event`.
    """

    path: str
    limits: Limits
    origins: Sequence[Origin | None] | None
    extensions: Sequence[ServerExtensionFactory] | None
    subprotocols: Sequence[Subprotocol] | None
    id_strategy: IdStrategy
    omit_empty_headers: bool


class ServerTransport(WebSocketTransport):
    """A connection's transport on the server's side: checks the request, answers 101 or an error.

    Args:
        settings: the server's settings.
        roster: the server's connections.
        book: the handlers.

    Attributes:
        settings: as given.
    """

    __slots__ = (
        "_accepted",
        "_admitting",
        "_book",
        "_early",
        "_head_size",
        "_head_tail",
        "_id",
        "_roster",
        "settings",
    )

    def __init__(self, settings: Settings, roster: Roster, book: HandlerBook) -> None:
        self.settings = settings
        self._roster = roster
        self._book = book
        # The connection's id; empty until it is claimed, with the answer 101.
        self._id = ""
        # The last bytes of an unfinished head: its end may have arrived in part. See `split_head`.
        self._head_tail = b""
        # Waits for `on_handshake` to decide; None when there is nothing to wait for.
        self._admitting: asyncio.Task[None] | None = None
        # What the client has sent since its request, while that is not answered.
        self._early = b""
        # The number of bytes of the head so far.
        self._head_size = 0
        # When TCP was accepted, in the loop's time: the TLS handshake is a part of the opening.
        self._accepted = asyncio.get_running_loop().time()
        protocol = ServerProtocol(
            origins=settings.origins,
            extensions=settings.extensions,
            subprotocols=settings.subprotocols,
            select_subprotocol=_select_subprotocol,
            max_size=settings.limits.message_bytes,
            logger=_trace,
        )
        super().__init__(protocol, settings.limits)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.limits.open_timeout is not None:  # less the time of the TLS handshake
            spent = self.loop.time() - self._accepted
            self.closing.set_deadline(max(0, self.limits.open_timeout - spent))
        self._roster.transports.add(self)
        if not self._roster.is_open:  # accepted in the moment of closing
            self.tcp.abort()

    def forget(self) -> None:
        if self._admitting is not None:
            self._admitting.cancel()
        self._roster.transports.discard(self)
        if self.connection is not None:
            self._roster.leave(self._id)
        super().forget()

    def cancel(self) -> None:
        """End the connection and its handlers without waiting for anything."""
        self.tcp.abort()
        if self.dispatcher is not None:
            self.dispatcher.cancel()

    def receive_opening(self, data: bytes) -> None:
        if self._admitting is not None:
            self._keep(data)
            return
        if not self._head_tail:  # empty lines before a request are ignored: RFC 9112, section 2.2
            data = data.lstrip(b"\r\n")
        if not data:
            return
        was_too_long = self._head_size > self.limits.head_bytes
        head, rest, self._head_tail = split_head(self._head_tail, data)
        self._head_size += len(head)
        if self._head_size <= self.limits.head_bytes:
            self.read_head(head, rest)
            if rest and self._admitting is not None:
                self._keep(rest)
        elif not was_too_long:
            self._refuse_head()

    def receive_handshake(self, events: list[Event], writes: list[bytes]) -> None:
        protocol = cast(ServerProtocol, self.protocol)
        if not events:
            if protocol.handshake_exc is not None and writes:  # once: further data is ignored
                logger.info("no HTTP request: %s", printable(str(protocol.handshake_exc)))
                if writes == [SEND_EOF]:  # websockets answers nothing to data that is not HTTP
                    refusal = protocol.reject(HTTPStatus.BAD_REQUEST, "This is no HTTP request.\n")
                    writes.insert(0, refusal.serialize())
                self.closing.linger()
            self.writer.write(writes)
            return
        request = cast(Request, events[0])
        response = self.respond(protocol, request)
        accepts = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
        if accepts and self._book.admission is not None:
            task = spawn(self._admit(protocol, request, response))
            self._admitting = None if task.done() else task
        else:
            self._answer(protocol, request, response)

    def _keep(self, data: bytes) -> None:
        """Keep what a client sends before its request is answered, and read no more of it."""
        self._early += data
        self.tcp.pause_reading()

    async def _admit(self, protocol: ServerProtocol, request: Request, response: Response) -> None:
        """Answer when `on_handshake` has decided, unless the client, or the server, ends before."""
        self.closing.set_deadline(None)  # the function has a bound of its own
        refusal, state = await decide(self._book, self._handshake(request), self.limits)
        self._admitting = None
        if self.tcp.is_closing():
            return
        if refusal is not None:
            response = _refused(protocol, refusal)
        self._answer(protocol, request, response, state)
        if self._early:
            early, self._early = self._early, b""
            self.tcp.resume_reading()
            if self.connection is not None:
                self.data_received(early)

    def _answer(
        self,
        protocol: ServerProtocol,
        request: Request,
        response: Response,
        state: SimpleNamespace | None = None,
    ) -> None:
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            response = self._claim_id(protocol) or response
        if request.method == "HEAD":
            response.body = b""  # RFC 9110, section 9.3.2; Content-Length stays
        protocol.send_response(response)
        self.writer.write(protocol.data_to_send())
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._begin(request, state)
        else:
            self.closing.linger()
            # Without the query, which may have a token.
            path = printable(request.path.partition("?")[0])
            logger.info("%s %s: %d", printable(request.method), path, response.status_code)

    def _refuse_head(self) -> None:
        """Refuse a head that is too long, without parsing it."""
        limit = self.limits.head_bytes
        logger.info("the head of a request is longer than %d bytes: 431", limit)
        response = cast(ServerProtocol, self.protocol).reject(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            f"The head of a request may have {limit} bytes.\n",
        )
        self.writer.write([response.serialize(), SEND_EOF])
        self.closing.linger()

    def respond(self, protocol: ServerProtocol, request: Request) -> Response:
        if are_lists_too_long(request.headers.raw_items()):
            return protocol.reject(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The lists in the headers are too long.\n",
            )
        has_host = _take_target(request)
        if request.path.partition("?")[0] != self.settings.path:
            return protocol.reject(HTTPStatus.NOT_FOUND, "Not Found.\n")
        if not has_host:
            words = "A request has one Host header: a host, and maybe a port.\n"
            return protocol.reject(HTTPStatus.BAD_REQUEST, words)
        response = protocol.accept(_with_one_offer(request))
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            if response.status_code == HTTPStatus.BAD_REQUEST:
                response.headers["Sec-WebSocket-Version"] = "13"  # RFC 6455, section 4.4
        return response

    def _claim_id(self, protocol: ServerProtocol) -> Response | None:
        """Claim the connection's id. Return the refusal if there is none to be had."""
        try:
            self._id = self._roster.claim_id(self.settings.id_strategy)
        except NameTakenError as exc:
            if self._book.faults.take(logger):
                logger.warning("connection refused: %s", exc)
            return protocol.reject(HTTPStatus.CONFLICT, "The connection's id is taken.\n")
        except Exception as exc:
            if self._book.failures_of("").take(logger):
                logger.error("connection refused: the id strategy failed", exc_info=exc)
            return protocol.reject(
                HTTPStatus.INTERNAL_SERVER_ERROR, "Could not create a connection id.\n"
            )
        return None

    def _handshake(self, request: Request) -> Handshake:
        path, _, query_string = request.path.partition("?")
        peer = self.tcp.get_extra_info("peername")
        return Handshake(
            path=unquote(path),
            query_string=query_string,
            client=peer[:2] if isinstance(peer, tuple) else None,
            subprotocol=self.protocol.subprotocol,
            header_block=request.headers.serialize(),
        )

    def _begin(self, request: Request, state: SimpleNamespace | None) -> None:
        connection = WebSocketConnection(
            self._id,
            self,
            handshake=self._handshake(request),
            omit_empty_headers=self.settings.omit_empty_headers,
            state=state,
        )
        self._roster.enter(self._id, connection)
        dispatcher = Dispatcher(
            connection,
            self._book,
            on_idle=self.messages_handled,
            on_finish=self.closing.handlers_done,
        )
        self.open(connection, dispatcher)


def _take_target(request: Request) -> bool:
    """Bring the target into origin-form; return whether the host is valid (RFC 9112, 3.2)."""
    hosts = request.headers.get_all("Host")
    request.path, target_host = split_target(request.path)
    if len(hosts) != 1 or not is_host(hosts[0]):
        return False
    if target_host is not None:
        del request.headers["Host"]
        request.headers["Host"] = target_host
    return target_host is None or (target_host != "" and is_host(target_host))


def _refused(protocol: ServerProtocol, refusal: Refuse) -> Response:
    response = protocol.reject(refusal.status, "")
    response.body = refusal.body
    facts = {"Content-Length": str(len(refusal.body)), **refusal.headers}
    del response.headers["Content-Type"]
    for name, value in facts.items():
        if name in response.headers:
            del response.headers[name]
        response.headers[name] = value
    return response


def _with_one_offer(request: Request) -> Request:
    """Return the request with WebSocket as its only ``Upgrade`` offer, as websockets wants it."""
    if not offers_websocket(offers := request.headers.get_all("Upgrade")):
        return request
    if len(offers) == 1 and "," not in offers[0]:
        return request
    headers = request.headers.copy()
    del headers["Upgrade"]
    headers["Upgrade"] = "websocket"
    return replace(request, headers=headers)


def _select_subprotocol(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    # For websockets' own choice it is an error to have none in common; see RFC 6455, section 4.2.2.
    ours = protocol.available_subprotocols or ()
    return cast("Subprotocol | None", choose_subprotocol(ours, offered))
