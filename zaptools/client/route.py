"""The way to a server: directly, by a Unix socket, by a socket that exists, or through a proxy.

::

    sock ───────────────────────────────────────────────────────┐
    unix ───────────────────────────────────────────────────────┤
    no proxy ──> dial the server ───────────────────────────────┼──> TLS for wss ──> handshake
    http(s):// ──> dial the proxy ──> TLS for https ──> CONNECT ┤
    socks…:// ───> dial the proxy ──> python-socks ─────────────┘
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl as ssl_module
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, get_proxy, parse_proxy, prepare_connect_request
from websockets.uri import WebSocketURI

from .._arguments import check_count, check_kind, check_ssl, explained, shown
from .._text import printable
from ..exceptions import ProxyError
from .answer import Answer
from .dial import dial

__all__ = ["DIRECT", "IN_ROUTE", "Route"]

P = TypeVar("P", bound=asyncio.Protocol)

_HEAD_BYTES = 1 << 16
"""The longest head of a proxy's answer."""

_UNBOUNDED = 365 * 24 * 3600.0
"""Seconds for TLS and for SOCKS, in place of the event loop's and python-socks' 60:
`Limits.open_timeout` bounds the whole."""

_SOCKS_PORT = 1080  # RFC 1928, section 3


@explained()
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # no repr: a proxy has a password
class Route:
    """How a client gets to its server.

    Attributes:
        proxy: the URL of a proxy: ``http://``, or ``https://`` for TLS to the proxy, which has to
            allow ``CONNECT``; ``socks5h://``, ``socks5://``, ``socks4a://`` or ``socks4://``, with
            the extra ``socks``; the ``h`` and the ``a`` have it look up the server's name. A user
            and a password may be in it. True for that of the environment (``wss_proxy`` and
            ``ws_proxy``, ``socks_proxy``, ``https_proxy``, and ``http_proxy`` for ``ws``, in
            either case, unless ``no_proxy`` says otherwise, but never for this machine itself),
            or of the operating system. False for none. Default True.
        proxy_ssl: TLS context for an ``https://`` proxy. Default None: the one that Python gives
            a client.
        unix: the path of a Unix socket on which the server listens; the URL's host is what the
            request says. Default None.
        sock: a socket that is connected already, to the server or to what leads there. It serves
            one attempt; later ones fail. Default None.
        local_address: the address and port from which to connect, port 0 for any. Default None:
            the system's choice.
        max_redirects: how many redirects of the handshake are followed. To another origin, the
            application's headers do not go along; from ``wss`` to ``ws``, none is followed. With
            0 a redirect is a `HandshakeError`. Default 10.
        server_hostname: the name to ask for in TLS and to expect in the certificate; not of
            another host that the server redirects to. Default None: the URL's host.

    Raises:
        TypeError: an attribute is of a wrong type.
        ValueError: a proxy's URL is not one, or two attributes exclude each other.
    """

    proxy: str | bool = True
    proxy_ssl: ssl_module.SSLContext | None = None
    unix: str | os.PathLike[str] | None = None
    sock: socket.socket | None = None
    local_address: tuple[str, int] | None = None
    max_redirects: int = 10
    server_hostname: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.proxy, str):
            _parse(self.proxy)
        elif not isinstance(self.proxy, bool):
            raise TypeError(f"proxy must be a str or a bool, not {shown(self.proxy)}")
        check_ssl(self.proxy_ssl, "proxy_ssl")
        check_kind(self.server_hostname, str, "server_hostname", none=True)
        if self.unix is not None and not isinstance(self.unix, (str, os.PathLike)):
            raise TypeError(f"unix must be a path or None, not {shown(self.unix)}")
        check_kind(self.sock, socket.socket, "sock", none=True)
        check_kind(self.local_address, tuple, "local_address", "('192.0.2.1', 0) is one", none=True)
        if self.local_address is not None:
            if len(self.local_address) != 2:
                raise ValueError("local_address must be an address and a port")
            check_kind(self.local_address[0], str, "the address of local_address")
            check_count(self.local_address[1], "the port of local_address", 0, 65535)
        check_count(self.max_redirects, "max_redirects", 0)
        given = [name for name in ("unix", "sock") if getattr(self, name) is not None]
        given += ["proxy"] if isinstance(self.proxy, str) else []
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} are two ways to a server: pass one")

    async def connect(
        self,
        url: str,
        uri: WebSocketURI,
        make: Callable[[], P],
        ssl: ssl_module.SSLContext | None,
    ) -> P:
        """Connect, and return the protocol that `make` made, with its transport.

        Args:
            url: the server's URL, for errors.
            uri: its parts.
            make: makes the protocol.
            ssl: the TLS context to talk to the server with; None for no TLS.

        Raises:
            ProxyError: there is no way through the proxy.
            OSError: the server could not be reached, or TLS failed.
            UnicodeError: its name is no valid name.
        """
        proxy = self._proxy_to(url, uri)
        if proxy is not None and proxy.scheme in ("http", "https"):
            return await self._tunnel(proxy, url, uri, make, ssl)
        sock = await self._socket(proxy, url, uri)
        return (await _over(sock, make, ssl, self.server_hostname or uri.host))[1]

    async def _socket(self, proxy: Proxy | None, url: str, uri: WebSocketURI) -> socket.socket:
        if self.sock is not None:
            if self.sock.fileno() < 0:
                raise OSError("the socket that was passed has been used, or is closed")
            self.sock.setblocking(False)
            return self.sock
        if self.unix is not None:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.setblocking(False)
                await asyncio.get_running_loop().sock_connect(sock, os.fspath(self.unix))
            except BaseException:  # a cancellation too: nothing else has the socket yet
                sock.close()
                raise
            return sock
        if proxy is not None:
            return await _connect_by_socks(proxy, url, uri, self.local_address)
        return await dial(uri.host, uri.port, self.local_address)

    def _proxy_to(self, url: str, uri: WebSocketURI) -> Proxy | None:
        if self.proxy is False or self.unix is not None or self.sock is not None:
            return None
        if isinstance(self.proxy, str):
            return _parse(self.proxy)
        found = None if _is_loopback(uri.host) else get_proxy(uri)
        if found is None:
            return None
        try:
            return _parse(found)
        except ValueError as exc:
            raise ProxyError(url, f"the environment's {exc}") from None

    async def _tunnel(
        self,
        proxy: Proxy,
        url: str,
        uri: WebSocketURI,
        make: Callable[[], P],
        ssl: ssl_module.SSLContext | None,
    ) -> P:
        """Connect through a proxy that has ``CONNECT`` (RFC 9110, section 9.3.6)."""
        context = None
        if proxy.scheme == "https":
            context = self.proxy_ssl or ssl_module.create_default_context()
        where = f"{proxy.scheme}://{proxy.host}:{proxy.port}"
        try:
            sock = await dial(proxy.host, proxy.port, self.local_address)
            _, tunnel = await _over(sock, lambda: _Tunnel(proxy, uri), context, proxy.host)
        except OSError as exc:
            problem = f"the proxy {where} cannot be reached: {exc.strerror or exc}"
            raise ProxyError(url, problem) from exc
        try:
            await tunnel.done
        except ValueError as exc:
            tunnel.transport.abort()
            status = tunnel.answer.status
            raise ProxyError(url, f"the proxy {where} {exc}", status=status) from None
        except BaseException:  # a cancellation
            tunnel.transport.abort()
            raise
        transport = tunnel.transport
        if ssl is not None and not tunnel.is_lost:
            try:
                # To the tunnel, not to what `make` makes: the connection may end before it is made.
                secure = await asyncio.get_running_loop().start_tls(
                    transport, tunnel, ssl,
                    server_hostname=self.server_hostname or uri.host,
                    ssl_handshake_timeout=_UNBOUNDED,
                )  # fmt: skip
            except BaseException as exc:  # a cancellation too
                transport.abort()
                if isinstance(exc, TypeError):  # CPython's gh-113214, which 3.11.8 and 3.12.2 fix
                    raise ConnectionResetError("TLS inside TLS ended") from exc
                raise
            transport = cast(asyncio.Transport, secure)
        if tunnel.is_lost:
            transport.abort()
            raise ProxyError(url, f"the proxy {where} ended the connection")
        made = make()
        transport.set_protocol(made)
        made.connection_made(transport)
        return made


DIRECT = Route(proxy=False)

IN_ROUTE = {name: f"pass route=Route({name}=…)" for name in Route.__slots__}
"""Hints for keywords that belong to a route, for `zaptools._arguments.explained`."""


async def _over(
    sock: socket.socket, make: Callable[[], P], ssl: ssl_module.SSLContext | None, host: str
) -> tuple[asyncio.Transport, P]:
    """Return the transport over a socket that is connected to `host`, and its protocol."""
    return await asyncio.get_running_loop().create_connection(
        make,
        sock=sock,
        ssl=ssl,
        server_hostname=None if ssl is None else host,
        ssl_handshake_timeout=None if ssl is None else _UNBOUNDED,
    )


class _Tunnel(asyncio.Protocol):
    """Asks a proxy for a tunnel.

    Attributes:
        transport: the connection to the proxy.
        answer: the proxy's answer as received so far.
        done: done when there is a tunnel; holds a ValueError if there is none.
        is_lost: whether the connection has ended.
    """

    transport: asyncio.Transport

    def __init__(self, proxy: Proxy, uri: WebSocketURI) -> None:
        self._request = prepare_connect_request(proxy, uri, None)
        self.answer = Answer(_HEAD_BYTES)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        answer = self.answer
        try:
            answer.feed(data)
        except ValueError as exc:
            self._fail(str(exc).replace("the server answered", "answered"))
            return
        if answer.status is None or self.done.done():
            return
        if 200 <= answer.status < 300:
            self.done.set_result(None)
        else:
            self._fail(f"answered {answer.status} {printable(answer.reason)}".rstrip())

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._fail("ended the connection")

    def _fail(self, words: str) -> None:
        if not self.done.done():
            self.done.set_exception(ValueError(words))
            self.done.exception()  # retrieved: the awaiting task may have been cancelled


async def _connect_by_socks(
    proxy: Proxy, url: str, uri: WebSocketURI, local_address: tuple[str, int] | None
) -> socket.socket:
    """Connect through a SOCKS proxy (RFC 1928)."""
    try:
        from python_socks import ProxyError as SocksError
        from python_socks import ProxyType
        from python_socks.async_.asyncio import Proxy as Socks
    except ModuleNotFoundError as exc:
        problem = "a SOCKS proxy needs python-socks: pip install 'zaptools[socks]'"
        raise ProxyError(url, problem) from exc
    kind = ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4
    where = f"{proxy.scheme}://{proxy.host}:{proxy.port}"
    made: Any = Socks(
        kind, proxy.host, proxy.port, proxy.username, proxy.password,
        # The "h" and the "a": the proxy looks the server's name up.
        rdns=proxy.scheme in ("socks5h", "socks4a"),
    )  # fmt: skip
    try:
        return cast(
            socket.socket,
            await made.connect(uri.host, uri.port, timeout=_UNBOUNDED, local_addr=local_address),
        )
    except (SocksError, OSError) as exc:
        raise ProxyError(url, f"the proxy {where} failed: {printable(str(exc))}") from exc


def _parse(url: str) -> Proxy:
    """Return the parts of a proxy's URL.

    Raises:
        ValueError: it is not one; its text does not quote it, as it may have a password.
    """
    try:
        proxy = parse_proxy(url)
        has_port = urlsplit(url).port is not None
    except (InvalidProxy, ValueError) as exc:
        detail = exc.msg if isinstance(exc, InvalidProxy) else "its host or port cannot be read"
        raise ValueError(
            f"proxy must be a URL as http://user:password@host:port: {detail}"
        ) from None
    is_socks = proxy.scheme.startswith("socks")
    if (
        is_socks
        and max(len((each or "").encode()) for each in (proxy.username, proxy.password)) > 255
    ):
        raise ValueError("proxy may have a user and a password of 255 bytes (RFC 1929)")
    return replace(proxy, port=_SOCKS_PORT) if is_socks and not has_port else proxy


def _is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy of the environment is asked for."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
