"""A client in memory to test handlers with; no server has to listen.

`TestClient` stands for one connection. Its events go through the real codec and the real
dispatcher, and the events of handlers come back the same way. Only the socket is missing, and with
it the refusals of the opening handshake and the bounds of `Limits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from urllib.parse import unquote

from .._arguments import check_flag, check_kind, check_path, check_seconds, explained
from ..connection.connection import WebSocketConnection
from ..connection.handshake import (
    Handshake,
    check_headers,
    check_subprotocols,
    choose_subprotocol,
    header_block,
)
from ..connection.ids import ids_of
from ..connection.requests import (
    Predicate,
    Waiter,
    check_reply,
    new_request_id,
    reply_headers,
    request_headers,
)
from ..exceptions import ConnectionClosedError, HandshakeError, RemoteError
from ..handlers.admission import decide
from ..handlers.book import check_name
from ..handlers.register import EventRegister
from ..limits import Limits
from ..protocol.close import LOST, CloseInfo, check_close
from ..protocol.codec import EventData, decode_event, encode_event
from ..server.roster import Roster
from ..server.server import ZapServer
from .memory import ServerSide

__all__ = ["TestClient"]

_SHOWN = 10
"""How many event names an error lists."""


@explained(
    limits="a TestClient has no bounds",
    protocols="pass subprotocols=[…]",
    url="pass path=",
    timeout="pass it to the method that waits",
)
class TestClient:
    """A client in memory of the handlers of a register or a server.

    Use it as an async context manager; one object is one connection::

        async with TestClient(register) as client:
            await client.send("greet", {"name": "Ada"})
            event = await client.receive()
            assert event.payload == "Hello, Ada!"

    The server need not be started. Its clients are among `ZapServer.connections`, so that
    `ZapServer.broadcast` reaches them. Clients of one register meet in its rooms.

    Args:
        register: the handlers to call; a `ZapServer` is a register too.
        path: the path to request, and its query, as in a URL. Default the server's path, else
            ``"/"``.
        headers: the headers of the request. Default none.
        subprotocols: the subprotocols to offer. A server chooses from its own; a register takes
            the first. Default none.
        address: the client's address and port. Default ``("127.0.0.1", 50000)``.
        raise_errors: an exception of a handler, if there is no error handler, is raised by
            `receive` and its kin, at the latest at the end of the ``async with``.
            False logs it, as a server does. Default True.

    Raises:
        TypeError: an argument is of a wrong type.
        ValueError: `path` does not begin with ``/``, or no request may carry the headers or the
            subprotocols.
        NameTakenError: on entering: the server's id strategy returned an id that is in use.
        HandshakeError: on entering: `on_handshake` refused the request.
    """

    __test__ = False  # pytest collects every class with such a name

    def __init__(
        self,
        register: EventRegister,
        *,
        path: str | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        address: tuple[str, int] | None = ("127.0.0.1", 50000),
        raise_errors: bool = True,
    ) -> None:
        check_kind(register, EventRegister, "register")
        check_flag(raise_errors, "raise_errors")
        check_kind(address, tuple, "address", "('127.0.0.1', 50000) is one", none=True)
        server = register if isinstance(register, ZapServer) else None
        offered = check_subprotocols(subprotocols)
        settings = None if server is None else server.settings
        ours = offered if settings is None else settings.subprotocols or ()
        if path is None:
            path = "/" if settings is None else settings.path
        check_path(path)
        path, _, query = path.partition("?")
        pairs = check_headers(headers).items()
        self._handshake = Handshake(
            path=unquote(path),
            query_string=query,
            client=address,
            subprotocol=choose_subprotocol(ours, offered),
            header_block=header_block(
                (name.encode(), value.encode("latin-1")) for name, value in pairs
            ),
        )
        self._register = register
        self._raise_errors = raise_errors
        # The server's side of the connection; None before `__aenter__`.
        self._server: ServerSide | None = None
        # The names of the events sent and received so far, for the texts of errors.
        self._sent: list[str] = []
        self._received: list[str] = []

    def __repr__(self) -> str:
        state = "not entered" if self._server is None else repr(self._server.connection)
        return f"<{type(self).__name__} {state}>"

    async def __aenter__(self) -> Self:
        if self._server is not None:
            raise RuntimeError("a TestClient is one connection: make another one")
        refusal, state = await decide(self._register.book, self._handshake, self._limits)
        if refusal is not None:
            raise HandshakeError(
                f"ws://testclient{self._handshake.path}",
                f"the server answered {refusal}",
                status=refusal.status,
                headers={name.lower(): value for name, value in refusal.headers.items()},
                body=refusal.body,
            )
        self._server = self._connect(state)
        self._server.dispatcher.wake()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        server = self._side
        try:
            await self.close()
        except TimeoutError as exc:
            await server.cancel()
            if error is None:
                error = exc
                raise
            error.add_note(str(exc))
        finally:
            server.forget()
            if error is not None:
                for failure in server.errors:
                    error.add_note(f"a handler failed: {failure!r}")
        if error is None:
            server.raise_errors()

    @property
    def _limits(self) -> Limits:
        register = self._register
        return register.settings.limits if isinstance(register, ZapServer) else Limits()

    def _connect(self, state: SimpleNamespace | None) -> ServerSide:
        register, handshake = self._register, self._handshake
        if not isinstance(register, ZapServer):
            book = register.book
            roster = Roster(ids_of(book))
            return ServerSide(
                book, handshake, roster=roster, state=state, raise_errors=self._raise_errors
            )
        settings = register.settings
        return ServerSide(
            register.book,
            handshake,
            roster=register.roster,
            id_strategy=settings.id_strategy,
            omit_empty_headers=settings.omit_empty_headers,
            state=state,
            raise_errors=self._raise_errors,
        )

    @property
    def _side(self) -> ServerSide:
        if self._server is None:
            raise RuntimeError("the client is not connected: use it in `async with`")
        return self._server

    @property
    def connection(self) -> WebSocketConnection:
        """The connection as the handlers see it: its ``id``, its ``state``, its rooms."""
        return self._side.connection

    @property
    def closed(self) -> CloseInfo | None:
        """How the connection ended, seen from here: ``by`` is ``"remote"`` if the server began.

        None while it is open.
        """
        info = self._side.connection.closed
        return None if info is None else _seen_from_here(info)

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""
        return self.closed is None

    @property
    def finished(self) -> bool:
        """Whether the connection has ended and its ``disconnected`` handler is done."""
        return self._side.dispatcher.finished

    async def send(
        self, event_name: str, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send an event to the handlers. Does not wait for them; `settle` does.

        Raises:
            CodecError: the event cannot be written as JSON.
            ConnectionClosedError: the connection has ended.
        """
        self._feed(encode_event(event_name, payload, headers).decode(), event_name)

    async def send_raw(self, message: str | bytes) -> None:
        """Send a message that need not be an event: text as str; bytes are a binary message.

        Raises:
            ConnectionClosedError: the connection has ended.
        """
        self._feed(message, "(raw)")

    def _feed(self, message: str | bytes, name: str) -> None:
        server = self._side
        ending = server.connection.closed or server.leaving
        if ending is not None:
            raise ConnectionClosedError(*_seen_from_here(ending))
        self._sent.append(name)
        server.dispatcher.feed([message])

    async def receive(self, *, timeout: float = 1.0) -> EventData:
        """Return the next event that a handler sent.

        Args:
            timeout: seconds to wait for it. Default 1.

        Raises:
            TimeoutError: none came. The text names the events before it, and those not handled yet.
            ConnectionClosedError: none came, and none will: the connection has ended.
            BaseException: none came, and a handler raised this; see `raise_errors`.
        """
        server = self._side
        await server.until(lambda: server.unreceived or server.errors or server.is_over, timeout)
        if server.unreceived:
            return self._take()
        server.raise_errors()
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        raise TimeoutError(f"no event came within {timeout:g} s; {self._situation()}")

    async def wait_for(
        self,
        event_name: str,
        *,
        timeout: float = 1.0,
        predicate: Predicate | None = None,
    ) -> EventData:
        """Return the next event of a name that a handler sent; `receive` returns the others.

        Args:
            event_name: the event's name.
            timeout: seconds to wait for it. Default 1.
            predicate: a plain function of an `EventData` that says whether it is the one.

        Raises:
            TimeoutError: there was none. The text names the events before, and those not handled.
            ConnectionClosedError: there was none, and there will be none.
            TypeError, ValueError: an argument is wrong.
            BaseException: there was none, and a handler raised this; see `raise_errors`. Or
                `predicate` did.
        """
        check_name(event_name)
        waiter = Waiter(event_name, predicate=predicate)
        self._side.find(waiter)
        return await self._wait(waiter, timeout, f"no event {event_name!r}")

    async def request(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        timeout: float = 1.0,
    ) -> EventData:
        """Send an event and return its reply, as `zaptools.WebSocketConnection.request` does.

        Events that are no reply to it wait for `receive`.

        Args:
            event_name: the event's name.
            payload: as for `send`.
            headers: as for `send`; ``requestId`` and ``replyTo`` among them are replaced.
            timeout: seconds to wait for the reply. Default 1.

        Raises:
            RemoteError: the reply is an error. That of a handler which failed has been raised in
                its place, see `raise_errors`.
            TimeoutError: there was no reply. The text names the events before, and those not
                handled.
            CodecError: the event cannot be written as JSON.
            ConnectionClosedError: the connection has ended, or did so meanwhile.
            TypeError, ValueError: `timeout` is no time to wait.
            BaseException: a handler raised this; see `raise_errors`.
        """
        check_seconds(timeout, none=False)
        waiter = Waiter(event_name, reply_to=new_request_id())
        assert waiter.reply_to is not None
        data = encode_event(event_name, payload, request_headers(headers, waiter.reply_to))
        failure = f"no reply to the event {event_name!r}"
        reply = await self._wait(waiter, timeout, failure, request=data.decode())
        try:
            return check_reply(reply)
        except RemoteError:
            self._side.raise_errors()
            raise

    async def reply(
        self, event: EventData, payload: Any = None, headers: Mapping[str, Any] | None = None
    ) -> None:
        """Send the reply to a request of the server's: to an event that `receive` returned.

        Args:
            event: the request.
            payload: as for `send`.
            headers: as for `send`; ``requestId`` and ``replyTo`` among them are replaced.

        Raises:
            NoRequestError: `event` asks for no reply.
            CodecError, ConnectionClosedError: as for `send`.
        """
        await self.send(event.event_name, payload, reply_headers(event, headers))

    async def _wait(
        self, waiter: Waiter, timeout: float, failure: str, *, request: str | None = None
    ) -> EventData:
        server = self._side
        server.exchange.add(waiter)
        try:
            if request is not None:  # a handler may reply before this returns
                self._feed(request, waiter.name)
            await server.until(lambda: waiter.done or server.errors or server.is_over, timeout)
        finally:
            server.exchange.discard(waiter)
        if waiter.done:
            event = await waiter.event()
            self._received.append(event.event_name)
            return event
        server.raise_errors()
        if self.closed is not None:
            raise ConnectionClosedError(*self.closed)
        raise TimeoutError(f"{failure} within {timeout:g} s; {self._situation()}")

    async def receive_nothing(self, *, within: float = 0.05) -> None:
        """Assert that no event comes.

        Args:
            within: seconds to wait. Default 0.05.

        Raises:
            AssertionError: one came; the text says which.
            BaseException: a handler raised this; see `raise_errors`.
        """
        server = self._side
        await server.until(
            lambda: server.unreceived or server.errors or server.is_over, within, "within"
        )
        if server.unreceived:
            event = self._take()
            raise AssertionError(
                f"the event {event.event_name!r} came, with the payload {event.payload!r:.200}"
            )
        server.raise_errors()

    async def settle(self, *, timeout: float = 1.0) -> None:
        """Return when all sent events, and the connecting, are handled.

        Args:
            timeout: seconds to wait for it. Default 1.

        Raises:
            TimeoutError: handlers are still running. The text names the events behind them.
            BaseException: a handler raised this; see `raise_errors`.
        """
        server = self._side
        await server.until(lambda: not server.dispatcher.busy, timeout)
        server.raise_errors()
        if server.dispatcher.busy:
            raise TimeoutError(f"not settled within {timeout:g} s; {self._situation()}")

    async def close(self, code: int = 1000, reason: str = "", *, timeout: float = 5.0) -> None:
        """Close the connection, and return when the ``disconnected`` handler is done.

        All sent events are handled before. If the connection has ended already, this only waits.

        Args:
            code: the close code. Default 1000, normal closure.
            reason: at most 123 bytes in UTF-8. Default empty.
            timeout: seconds to wait for the handlers. Default 5.

        Raises:
            TimeoutError: handlers are still running.
            ValueError: no close frame may carry this code or reason.
        """
        check_close(code, reason)
        self._side.leave(CloseInfo(code, reason, "remote"))
        await self._wait_finished(timeout)

    async def drop(self, *, timeout: float = 5.0) -> None:
        """End the connection as a failing network does: no close frame, code 1006.

        Returns when the ``disconnected`` handler is done. Handlers that still run see a closed
        connection.

        Args:
            timeout: seconds to wait for the handlers. Default 5.

        Raises:
            TimeoutError: handlers are still running.
        """
        self._side.lose(LOST)
        await self._wait_finished(timeout)

    async def wait_closed(self, *, timeout: float = 1.0) -> CloseInfo:
        """Return how the connection ended, once the ``disconnected`` handler is done.

        Args:
            timeout: seconds to wait for it. Default 1.

        Raises:
            TimeoutError: the connection is still open, or handlers are still running.
        """
        await self._wait_finished(timeout)
        assert self.closed is not None
        return self.closed

    async def _wait_finished(self, timeout: float) -> None:
        server = self._side
        await server.until(lambda: server.dispatcher.finished, timeout)
        if not server.dispatcher.finished:
            state = "open" if self.is_open else "closed, its handlers not done"
            text = f"the connection is still {state} after {timeout:g} s; {self._situation()}"
            raise TimeoutError(text)

    def _take(self) -> EventData:
        data = self._side.unreceived.popleft()
        event = data if isinstance(data, EventData) else decode_event(data)
        self._received.append(event.event_name)
        return event

    def _situation(self) -> str:
        dispatcher = self._side.dispatcher
        received = f"received before: {_listed(self._received)}"
        if not dispatcher.busy:
            return f"{received}; all sent events are handled: {_listed(self._sent)}"
        waiting = self._sent[len(self._sent) - len(dispatcher) :]
        return f"{received}; a handler is running, waiting behind it: {_listed(waiting)}"


def _seen_from_here(info: CloseInfo) -> CloseInfo:
    """Return how the connection ended as the client sees it; `info` is the server's view."""
    if info.by is None:
        return info
    return info._replace(by="remote" if info.by == "local" else "local")


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(repr(name) for name in names[-_SHOWN:]) or "nothing"
    return f"{more} others, {shown}" if more > 0 else shown
