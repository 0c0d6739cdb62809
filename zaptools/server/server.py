"""The server: `ZapServer` listens, and gives each connection its handlers.

::

    stopped ──start──> starting ──> listening ──close──> closing ──> stopped
                          └─────────── close ───────────────^
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
import ssl as ssl_module
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Self, cast

from websockets.typing import Origin, Subprotocol

from .._arguments import (
    check_count,
    check_flag,
    check_function,
    check_kind,
    check_path,
    check_ssl,
    explained,
    shown,
)
from ..connection.connection import WebSocketConnection
from ..connection.handshake import check_origins, check_subprotocols
from ..connection.ids import IdStrategy, ids_of, new_id
from ..exceptions import ServerStateError
from ..handlers.register import EventRegister
from ..limits import IN_LIMITS, Limits, check_limits
from ..protocol.close import GOING_AWAY
from ..rooms.broadcast import BroadcastResult, Exclude, broadcast
from ..transport.compression import Compression, server_extensions
from ..transport.shutdown import Shutdown
from .roster import Roster
from .transport import ServerTransport, Settings

__all__ = ["ZapServer"]

logger = logging.getLogger(__name__)

_NEVER = 10 * 365 * 86_400.0
"""Seconds. asyncio treats None as 60 s and rejects infinity."""

_PORT_ATTEMPTS = 10
"""Attempts to find a port that is free at all of the host's addresses."""

_LOOPBACKS = {"": "localhost", "0.0.0.0": "127.0.0.1", "::": "::1"}
"""The local host of a server that listens on all addresses of a machine."""


@explained(
    handlers="pass register=",
    protocols="pass subprotocols=[…]",
    on_connected="it is a method, and a decorator",
    loop_factory="pass it to run(loop_factory=…)",
    **IN_LIMITS,
)
class ZapServer(EventRegister):
    """A WebSocket server for zaptools events.

    It is an `EventRegister` too: `on_event` and its kin register handlers. Use it as an async
    context manager, by `start` and `close`, or by `run`::

        server = ZapServer(port=8000, path="/ws")

        @server.on_event("greet")
        async def greet(ctx: EventContext) -> None:
            await ctx.connection.send("welcome", ctx.payload)

        server.run()

    Args:
        host: address to listen on. Default ``"127.0.0.1"``: this machine alone (the Dart server
            listens on ``"0.0.0.0"``, all of IPv4).
        port: TCP port; 0 takes a free one, the same for all addresses of the host. Default 8000.
        path: the path of the WebSocket; a query may follow it. Other paths answer 404. Default
            ``"/"``.
        register: the `EventRegister` whose handlers to use, and to add to. Default a new one.
        concurrency: see `EventRegister`.
        error_details: see `EventRegister`.
        limits: the bounds of each connection.
        compression: ``"deflate"`` agrees to compress when a client offers it. Default None:
            compression adds half to the time of an echo of 110 bytes (3 µs to 6 µs) and 34 KiB
            to a connection (measured).
        omit_empty_headers: see `zaptools.protocol.encode_event`. Default False.
        id_strategy: called for each connection, returns its id, which no connection of the same
            register may have at that time: a second one is refused with 409, and with 500 if the
            strategy fails; the log says why. Default: ``zpt-<uuid4>``.
        origins: values of the ``Origin`` header to accept, None among them for no header; others
            answer 403. Default None: any.
        subprotocols: subprotocols in order of preference; the first that a client offers too is
            chosen. Default none.
        ssl: a server's TLS context. Default None: no TLS.
        backlog: how many connections the system queues before they are accepted. Default 100.
        reuse_port: whether other processes may listen on the same port and take their share of
            the connections. Default False. Not on Windows.

    Raises:
        TypeError: an argument is of a wrong type.
        ValueError: no TCP port has that number, or no request has that path.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8000,
        path: str = "/",
        *,
        register: EventRegister | None = None,
        concurrency: int | None = None,
        error_details: bool | None = None,
        limits: Limits | None = None,
        compression: Compression = None,
        omit_empty_headers: bool = False,
        id_strategy: IdStrategy = new_id,
        origins: Sequence[str | None] | None = None,
        subprotocols: Sequence[str] = (),
        ssl: ssl_module.SSLContext | None = None,
        backlog: int = 100,
        reuse_port: bool = False,
    ) -> None:
        check_kind(register, EventRegister, "register", none=True)
        book = register.book if register is not None else None
        super().__init__(book, concurrency=concurrency, error_details=error_details)
        _check_address(host, port, path)
        check_function(id_strategy, "id_strategy")
        check_flag(omit_empty_headers, "omit_empty_headers")
        check_ssl(ssl)
        check_count(backlog, "backlog")
        check_flag(reuse_port, "reuse_port")
        self.host = host
        self.path = path
        self.limits = check_limits(limits)
        self.omit_empty_headers = omit_empty_headers
        self._port = port
        self._id_strategy = id_strategy
        self._extensions = server_extensions(compression)
        self._origins = cast("Sequence[Origin | None] | None", check_origins(origins))
        self._subprotocols = [
            Subprotocol(name) for name in check_subprotocols(subprotocols)
        ] or None
        self._listening: dict[str, Any] = {
            "ssl": ssl,
            "ssl_handshake_timeout": (self.limits.open_timeout or _NEVER) if ssl else None,
            "backlog": backlog,
            "reuse_port": reuse_port or None,
        }
        # Listens; None unless the server is listening.
        self._listener: asyncio.Server | None = None
        # Stops listening when the event loop ends; as `_listener`.
        self._watch: _Listening | None = None
        # Done when the `start` that is under way has succeeded or failed; None when none is.
        self._starting: asyncio.Future[None] | None = None
        # Runs `_close`; None before the first `close`.
        self._closing: asyncio.Task[None] | None = None
        # Makes `run` return when it is set; None when `run` is not running.
        self._run_over: asyncio.Event | None = None
        # The connections and their transports; shared with these, and with `TestClient`.
        self.roster = Roster(ids_of(self.book))

    @property
    def port(self) -> int:
        """The TCP port; while listening, the bound one."""
        if self._listener is not None and self._listener.sockets:
            return int(self._listener.sockets[0].getsockname()[1])
        return self._port

    @property
    def connections(self) -> Mapping[str, WebSocketConnection]:
        """The connections, by id: a live view."""
        return MappingProxyType(self.roster.connections)

    @property
    def settings(self) -> Settings:
        """The settings of new connections; read by `start`."""
        return Settings(
            path=self.path,
            limits=self.limits,
            origins=self._origins,
            extensions=self._extensions,
            subprotocols=self._subprotocols,
            id_strategy=self._id_strategy,
            omit_empty_headers=self.omit_empty_headers,
        )

    def _url(self) -> str:
        secure = self._listening["ssl"] is not None
        return local_url(self.host, self.port, self.path, secure=secure)

    async def start(self) -> None:
        """Begin to listen. A `close` during this closes the listener as soon as it is open.

        Raises:
            ServerStateError: the server has been started, or is closing.
            OSError: the address cannot be bound; the message names it.
        """
        if self._closing is not None and not self._closing.done():
            raise ServerStateError("the server is closing")
        if self._starting is not None or self._listener is not None:
            raise ServerStateError("the server has been started")
        loop = asyncio.get_running_loop()
        self._starting = loop.create_future()
        try:
            self._listener = await self._listen()
        except (OSError, ValueError) as exc:  # ValueError: the host cannot be a name
            number, words = getattr(exc, "errno", None), getattr(exc, "strerror", None)
            problem = f"cannot listen on {self.host}:{self._port}: {words or exc}"
            raise OSError(number or errno.EINVAL, problem) from exc
        finally:
            self._starting.set_result(None)
            self._starting = None
        self.roster.is_open = True
        self._watch = _Listening(self, loop)
        logger.info("listening on %s", self._url())

    async def _listen(self) -> asyncio.Server:
        """Return a listener on the same port of each address of the host."""
        attempts_left = _PORT_ATTEMPTS
        while True:
            attempts_left -= 1
            listener = await self._bind(self._port)
            ports = {each.getsockname()[1] for each in listener.sockets}
            try:
                if len(ports) > 1:  # port 0, and each address has another free one
                    listener.close()
                    listener = await self._bind(min(ports))
                await listener.start_serving()
                return listener
            except OSError as exc:  # another program has taken the port
                listener.close()
                if len(ports) == 1 or exc.errno != errno.EADDRINUSE or not attempts_left:
                    raise
            except BaseException:  # cancellation too
                listener.close()
                raise

    def _bind(self, port: int) -> Coroutine[Any, Any, asyncio.Server]:
        loop, settings = asyncio.get_running_loop(), self.settings
        return loop.create_server(
            lambda: ServerTransport(settings, self.roster, self.book),
            self.host,
            port,
            start_serving=False,
            **self._listening,
        )

    async def close(self) -> None:
        """Stop listening, close each connection with 1001, and wait for their handlers.

        Waits for the ``disconnected`` handlers too, but no longer than the close timeout; handlers
        that still run then are cancelled, and have a second to end. Waits for a start or a closing
        that is under way; `run` returns then. Does nothing if the server is not started.

        A handler may call this, or a task or thread that it has started: this does not wait for
        that handler then, nor for any other if the server is closing already.
        """
        if self._closing is None or self._closing.done():
            if self._listener is not None:
                self._stop_listening()
            elif self._starting is None:
                return
            self._closing = asyncio.create_task(self._close())
        elif self.roster.has_caller:
            return
        await asyncio.shield(self._closing)

    def _stop_listening(self) -> None:
        assert self._listener is not None and self._watch is not None
        self.roster.is_open = False
        _stop_accepting(self._listener)
        self._watch.shutdown.leave(self._watch)
        self._listener = self._watch = None
        if self._run_over is not None:
            self._run_over.set()

    async def _close(self) -> None:
        if self._starting is not None:
            await asyncio.wait([self._starting])
            if self._listener is not None:
                self._stop_listening()
        await self.roster.close(GOING_AWAY, self.limits.close_timeout)
        logger.info("closed")

    async def broadcast(
        self,
        event_name: str,
        payload: Any = None,
        headers: Mapping[str, Any] | None = None,
        *,
        exclude: Exclude = None,
    ) -> BroadcastResult:
        """Send an event to every connection; see `zaptools.rooms.Room.send`.

        Raises:
            CodecError: the event cannot be written as JSON; nothing is sent.
        """
        return await broadcast(
            self.roster.connections.values(), event_name, payload, headers, exclude=exclude
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def run(
        self,
        *,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
        announce: bool = True,
    ) -> None:
        """Serve until Ctrl-C, SIGTERM or a call of `close`; then close and return. Blocks.

        In another thread than the main one, where Python handles no signals, only `close` ends it.

        Args:
            loop_factory: makes the event loop, for example ``uvloop.new_event_loop``. Default None:
                asyncio's own.
            announce: whether to write a line to stderr, once the server listens, that has the URL
                for clients on this machine. Default True.

        Raises:
            TypeError: `loop_factory` cannot be called.
            ServerStateError, OSError: as for `start`.
        """
        if loop_factory is not None and not callable(loop_factory):
            cure = "pass uvloop.new_event_loop, for one, from pip install 'zaptools[fast]'"
            raise TypeError(f"loop_factory must be a callable, not {shown(loop_factory)}: {cure}")
        with _sigterm_kept(), asyncio.Runner(loop_factory=loop_factory) as runner:
            # The first Ctrl-C cancels `_serve`, which closes the server as it ends.
            with contextlib.suppress(KeyboardInterrupt):
                runner.run(self._serve(announce))

    async def _serve(self, announce: bool) -> None:
        self._run_over = over = asyncio.Event()
        # The errors in this order: on Windows; of asyncio and uvloop outside the main thread.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        try:
            async with self:
                if announce:
                    write_announcement(self._url(), self.host)
                await over.wait()
        finally:
            self._run_over = None
        # A handler that called `close` may still run.
        await self.roster.wait_over(self.limits.close_timeout)


def local_url(host: str, port: int, path: str, *, secure: bool) -> str:
    """Return the URL of a server for clients on the same machine; `host` is its address."""
    host = _LOOPBACKS.get(host, host)
    return f"{'wss' if secure else 'ws'}://{f'[{host}]' if ':' in host else host}:{port}{path}"


def write_announcement(url: str, host: str) -> None:
    """Write to stderr that a server listens; `host` is its address."""
    everywhere = ", on all addresses of this machine" if host in _LOOPBACKS else ""
    stop = "; Ctrl-C stops it" if threading.current_thread() is threading.main_thread() else ""
    # stderr is None in a Windows program without a console; elsewhere it may be closed or broken.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"zaptools listens on {url}{everywhere}{stop}\n")
        sys.stderr.flush()


def _check_address(host: object, port: object, path: str) -> None:
    """Raise TypeError or ValueError unless a server can listen there, and have this path."""
    check_kind(host, str, "host")
    check_count(port, "port", 0, 65535)
    check_path(path)
    for mark, part in (("?", "query"), ("#", "fragment")):
        if mark in path:
            raise ValueError(f"path must not have a {part}, got {path!r}")
    if not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"path must be percent-encoded, as a request has it, got {path!r}")


def _stop_accepting(listener: asyncio.Server) -> None:
    """Close a listener, in the loop's next turn.

    A connection that it has accepted in this turn needs an open listener: asyncio (3.11 to 3.13)
    silently forgets such a connection of a closed one, and the peer waits.
    """
    loop = asyncio.get_running_loop()
    for each in listener.sockets:
        with contextlib.suppress(NotImplementedError):  # on Windows
            loop.remove_reader(each.fileno())
    loop.call_soon(listener.close)


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restore the program's own handler of SIGTERM: a loop that ends sets the default one."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


class _Listening:
    """Stops a server that was not closed when its event loop ends; see `Shutdown`."""

    task = None

    def __init__(self, server: ZapServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self.over: asyncio.Future[None] = loop.create_future()
        self.over.set_result(None)
        self.shutdown = Shutdown.join(loop, self)

    def abort(self) -> None:
        self._server._stop_listening()
