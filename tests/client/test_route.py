"""The ways to a server: proxies, sockets, redirects."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import tls, within
from tests.support.app import App
from tests.support.ports import refusing_port
from tests.support.proxies import http_proxy, socks_proxy
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    ConnectError,
    ConnectTimeoutError,
    HandshakeError,
    Limits,
    ProxyError,
    Route,
    ZapClient,
    ZapConsumer,
    ZapSubscriber,
)

VARIABLES = ("ws", "wss", "socks", "http", "https", "all", "no")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_proxy".upper(), raising=False)


async def echoes(client: ZapConsumer) -> None:
    """Check that an event comes back, and disconnect."""
    await client.connect()
    await client.send_event("echo", "there")
    assert (await client.wait_for("echo")).payload == "there"
    await client.disconnect()


def to(app: App, secure: bool, host: str = "127.0.0.1") -> dict[str, Any]:
    return {
        "url": f"{'wss' if secure else 'ws'}://{host}:{app.port}{app.path}",
        "ssl": tls.client_context() if secure else None,
    }


def app(secure: bool) -> App:
    return App(ssl=tls.server_context() if secure else None)


class TestProxies:
    @pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
    @pytest.mark.parametrize("proxy_secure", [False, True], ids=["http", "https"])
    async def test_http(self, secure: bool, proxy_secure: bool) -> None:
        context = tls.server_context() if proxy_secure else None
        scheme = "https" if proxy_secure else "http"
        async with app(secure) as server, http_proxy(user="ada:s%e", ssl=context) as proxy:
            route = Route(
                proxy=f"{scheme}://ada:s%25e@127.0.0.1:{proxy.port}",
                proxy_ssl=tls.client_context() if proxy_secure else None,
            )
            client = ZapConsumer(**to(server, secure), route=route)
            await echoes(client)
            await echoes(client)
            assert proxy.asked == [f"127.0.0.1:{server.port}"] * 2
            assert b"\r\nHost: 127.0.0.1:" in proxy.heads[0]

    async def test_a_message_that_comes_with_the_answer(self) -> None:
        """The first events of the server are read after the tunnel is handed over."""

        async def greet(peer: RawPeer) -> None:
            peer.accept()
            peer.event("welcome", 1)
            await peer.next()

        async with raw_server(greet, accept=False) as port, http_proxy() as proxy:
            route = Route(proxy=f"http://127.0.0.1:{proxy.port}")
            client = ZapSubscriber(f"ws://127.0.0.1:{port}", route=route)
            events = client.subscribe_to_event("welcome")
            async with client:
                assert (await within(anext(events))).payload == 1

    @pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
    @pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
    async def test_socks(self, scheme: str, secure: bool) -> None:
        async with app(secure) as server, socks_proxy(user="ada:secret") as proxy:
            route = Route(proxy=f"{scheme}://ada:secret@127.0.0.1:{proxy.port}")
            await echoes(ZapConsumer(**to(server, secure, "localhost"), route=route))
            host = "localhost" if scheme == "socks5h" else "127.0.0.1"
            assert proxy.asked == [f"{host}:{server.port}"]

    @pytest.mark.parametrize(
        ("options", "status", "words"),
        [
            ({"user": "ada:s"}, 407, "answered 407 Proxy Authentication Required"),
            ({"answer": b"HTTP/1.1 502 \r\n\r\n"}, 502, "answered 502"),
            ({"answer": b"SSH-2.0-OpenSSH_9\r\n"}, None, "answered no HTTP/1.1: SSH-2.0"),
        ],
    )
    async def test_a_proxy_that_refuses(
        self, options: dict[str, Any], status: int | None, words: str
    ) -> None:
        async with http_proxy(**options) as proxy:
            route = Route(proxy=f"http://eve:secret@127.0.0.1:{proxy.port}")
            client = ZapConsumer("ws://127.0.0.1:9/?token=secret", route=route)
            with pytest.raises(ProxyError) as info:
                await client.connect()
        assert info.value.status == status
        assert f"the proxy http://127.0.0.1:{proxy.port} {words}" in str(info.value)
        assert "secret" not in str(info.value)

    async def test_a_proxy_that_ends_the_connection(self) -> None:
        async with http_proxy(answer=b"HTTP/1.1 ") as proxy:
            route = Route(proxy=f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ProxyError, match="ended the connection"):
                await ZapConsumer("ws://127.0.0.1:9", route=route).connect()

    @pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
    @pytest.mark.parametrize("proxy_secure", [False, True], ids=["http", "https"])
    async def test_a_proxy_that_ends_the_tunnel_at_once(
        self, proxy_secure: bool, secure: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        context = tls.server_context() if proxy_secure else None
        async with http_proxy(answer=b"HTTP/1.1 200 \r\n\r\n", ssl=context) as proxy:
            client = ZapConsumer(
                f"{'wss' if secure else 'ws'}://127.0.0.1:9",
                ssl=tls.client_context() if secure else None,
                limits=Limits(open_timeout=None),
                route=Route(
                    proxy=f"{'https' if proxy_secure else 'http'}://127.0.0.1:{proxy.port}",
                    proxy_ssl=tls.client_context() if proxy_secure else None,
                ),
            )
            with pytest.raises(ConnectError):
                await within(client.connect())
            await asyncio.sleep(0)
        assert not caplog.records

    @pytest.mark.parametrize("proxy_secure", [False, True], ids=["http", "https"])
    async def test_a_server_that_ends_during_tls(self, proxy_secure: bool) -> None:
        async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.transport.abort()

        context = tls.server_context() if proxy_secure else None
        server = await asyncio.start_server(end, "127.0.0.1", 0)
        async with server, http_proxy(ssl=context) as proxy:
            client = ZapConsumer(
                f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                ssl=tls.client_context(),
                route=Route(
                    proxy=f"{'https' if proxy_secure else 'http'}://127.0.0.1:{proxy.port}",
                    proxy_ssl=tls.client_context() if proxy_secure else None,
                ),
            )
            with pytest.raises(ConnectError):
                await within(client.connect())

    async def test_a_proxy_that_is_silent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            route = Route(proxy=f"http://127.0.0.1:{port}")
            limits = Limits(open_timeout=0.05)
            with pytest.raises(ConnectTimeoutError):
                await ZapConsumer("ws://127.0.0.1:9", route=route, limits=limits).connect()

    @pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
    async def test_a_proxy_that_is_not_there(self, scheme: str) -> None:
        with refusing_port() as port:
            route = Route(proxy=f"{scheme}://127.0.0.1:{port}")
            with pytest.raises(ProxyError, match="the proxy") as info:
                await ZapConsumer("ws://127.0.0.1:9", route=route).connect()
        assert isinstance(info.value.__cause__, Exception)

    async def test_socks_refuses(self) -> None:
        with refusing_port() as port:
            async with socks_proxy() as proxy:
                route = Route(proxy=f"socks5h://127.0.0.1:{proxy.port}")
                with pytest.raises(ProxyError, match=r"failed: .*refused"):
                    await ZapConsumer(f"ws://127.0.0.1:{port}", route=route).connect()

    async def test_a_server_whose_certificate_is_not_trusted(self) -> None:
        async with app(secure=True) as server, http_proxy() as proxy:
            route = Route(proxy=f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ConnectError, match="certificate") as info:
                await ZapConsumer(to(server, True)["url"], route=route).connect()
            assert not isinstance(info.value, ProxyError)

    async def test_socks_is_an_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "python_socks", None)
        route = Route(proxy="socks5://127.0.0.1:9")
        with pytest.raises(ProxyError, match=r"pip install 'zaptools\[socks\]'"):
            await ZapConsumer("ws://127.0.0.1:9", route=route).connect()


class TestEnvironment:
    """The proxy of the environment is asked for other hosts than this machine."""

    @pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "ws_proxy"])
    async def test_it_is_used(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with http_proxy(answer=b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            with pytest.raises(ProxyError, match="403"):
                await ZapConsumer("ws://zap.invalid/ws").connect()
            assert proxy.heads[0].startswith(b"CONNECT zap.invalid:80 HTTP/1.1\r\n")

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
    async def test_not_for_this_machine(self, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
        async with App(host="0.0.0.0") as server, http_proxy() as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            await echoes(ZapConsumer(**to(server, False, host)))
            assert not proxy.heads

    async def test_no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "zap.invalid")
        clients = [
            ZapConsumer("ws://zap.invalid/ws"),
            ZapConsumer("ws://other.invalid/ws", route=Route(proxy=False)),
        ]
        for client in clients:
            with pytest.raises(ConnectError) as info:
                await client.connect()
            assert not isinstance(info.value, ProxyError)

    async def test_one_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "ftp://ada:secret@127.0.0.1")
        with pytest.raises(ProxyError, match="the environment's proxy must be a URL") as info:
            await ZapConsumer("ws://zap.invalid/ws").connect()
        assert "secret" not in str(info.value)


class TestSockets:
    async def test_unix(self, tmp_path: Path) -> None:
        path, heads = tmp_path / "zap.sock", []

        async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()

        async with await asyncio.start_unix_server(pipe, path):
            client = ZapConsumer("ws://zap.example/ws", route=Route(unix=path))
            with pytest.raises(ConnectError, match="ended the connection"):
                await client.connect()
        assert b"\r\nHost: zap.example\r\n" in heads[0]
        path.unlink(missing_ok=True)
        with pytest.raises(ConnectError, match="No such file"):
            await client.connect()

    async def test_a_socket(self) -> None:
        async with App() as server:
            sock = socket.create_connection(("127.0.0.1", server.port))
            client = ZapConsumer("ws://zap.example/", route=Route(sock=sock))
            await echoes(client)
            assert server.seen[0].handshake.headers["host"] == "zap.example"
            with pytest.raises(ConnectError, match="the socket that was passed has been used"):
                await client.connect()

    async def test_a_local_address(self) -> None:
        async with App(host="0.0.0.0") as server:
            for host in ("127.0.0.1", "localhost"):
                route = Route(local_address=("127.0.0.3", 0))
                await echoes(ZapConsumer(**to(server, False, host), route=route))
            assert [each.handshake.client[0] for each in server.seen if each.handshake.client] == [
                "127.0.0.3"
            ] * 2

    async def test_a_local_address_of_another_family(self) -> None:
        route = Route(local_address=("::1", 0))
        with pytest.raises(ConnectError, match=r"the name has no address|not supported"):
            await ZapConsumer("ws://localhost:9", route=route).connect()

    async def test_a_server_name(self) -> None:
        async with app(secure=True) as server:
            context = tls.client_context()
            wrong = ZapConsumer(
                to(server, True)["url"], ssl=context, route=Route(server_hostname="zap.example")
            )
            with pytest.raises(ConnectError, match=r"zap\.example"):
                await wrong.connect()
            client = ZapConsumer(
                to(server, True)["url"], ssl=context, route=Route(server_hostname="localhost")
            )
            await echoes(client)


def moved(status: int, location: str) -> Callable[[RawPeer], Awaitable[None]]:
    async def script(peer: RawPeer) -> None:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        peer.writer.write(head.encode())
        await peer.writer.drain()

    return script


@asynccontextmanager
async def moving(status: int, location: str) -> AsyncIterator[int]:
    async with raw_server(moved(status, location), accept=False) as port:
        yield port


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_to_another_origin(self, status: int) -> None:
        """It gets no headers of the application's."""
        async with App(path="/there") as server:
            target = f"http://127.0.0.1:{server.port}/there?a=b#c"
            async with moving(status, target) as port:
                client = ZapConsumer(f"ws://127.0.0.1:{port}/here")
                await client.connect(headers={"Authorization": "secret", "Host": "zap.example"})
                await client.disconnect()
            (seen,) = server.seen
            assert seen.handshake.query == {"a": "b"}
            assert "authorization" not in seen.handshake.headers
            assert seen.handshake.headers["host"] == f"127.0.0.1:{server.port}"

    async def test_another_host_is_verified_by_its_own_name(self) -> None:
        async with App(path="/there", ssl=tls.server_context()) as server:
            async with moving(308, f"https://localhost:{server.port}/there") as port:
                client = ZapConsumer(
                    f"ws://127.0.0.1:{port}",
                    ssl=tls.client_context(),
                    route=Route(server_hostname="zap.example"),
                )
                await echoes(client)

    async def test_to_another_path(self) -> None:
        requests: list[tuple[str, str | None]] = []

        async def script(peer: RawPeer) -> None:
            assert peer.request is not None
            requests.append((peer.request.path, peer.request.headers.get("Authorization")))
            if peer.request.path == "/a/there":
                peer.accept()
                peer.flush()
                await peer.next()
            else:
                await moved(307, "there")(peer)

        async with raw_server(script, accept=False) as port:
            client = ZapConsumer(f"ws://127.0.0.1:{port}/a/here")
            await client.connect(headers={"Authorization": "secret"})
            assert client.url == f"ws://127.0.0.1:{port}/a/here"
            await client.disconnect()
        assert requests == [("/a/here", "secret"), ("/a/there", "secret")]

    @pytest.mark.parametrize(
        ("location", "route", "words"),
        [
            ("/again", Route(max_redirects=2), "more than 2 times"),
            ("/again", Route(max_redirects=0), "the server answered 302"),
            ("", Route(), "the server answered 302"),
            ("ftp://127.0.0.1/", Route(), "to a URL that is none: its scheme must be ws"),
            ("http://[::1", Route(), "to a URL that is none: its host cannot be read"),
            ("//[a]/", Route(), "to a URL that is none"),
        ],
    )
    async def test_not_followed(self, location: str, route: Route, words: str) -> None:
        async with moving(302, location) as port:
            with pytest.raises(HandshakeError, match=words) as info:
                await ZapConsumer(f"ws://127.0.0.1:{port}", route=route).connect()
        assert info.value.status == 302

    async def test_not_away_from_tls(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:9/\r\n\r\n")
            writer.close()

        context = tls.server_context()
        async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            client = ZapConsumer(f"wss://127.0.0.1:{port}", ssl=tls.client_context())
            with pytest.raises(HandshakeError, match="from wss to ws, which has no TLS"):
                await client.connect()

    async def test_not_with_a_socket(self, tmp_path: Path) -> None:
        async with moving(302, "http://127.0.0.1:9/") as port:
            sock = socket.create_connection(("127.0.0.1", port))
            with pytest.raises(HandshakeError, match="the socket that was passed has been used"):
                await ZapConsumer("ws://zap.example/", route=Route(sock=sock)).connect()

            async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://other.example/\r\n\r\n")
                writer.close()

            async with await asyncio.start_unix_server(join, tmp_path / "s"):
                route = Route(unix=tmp_path / "s")
                with pytest.raises(HandshakeError, match="from a Unix socket to another host"):
                    await ZapConsumer("ws://zap.example/", route=route).connect()

    async def test_the_time_is_for_all_of_them(self) -> None:
        async def slow(peer: RawPeer) -> None:
            await asyncio.sleep(0.07)  # so that the time is over while the second one is awaited
            await moved(302, "/again")(peer)

        async with raw_server(slow, accept=False) as port:
            client = ZapConsumer(f"ws://127.0.0.1:{port}", limits=Limits(open_timeout=0.1))
            with pytest.raises(ConnectTimeoutError, match=r"no answer within 0\.1 s"):
                await client.connect()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"proxy": 1}, TypeError, "proxy must be a str or a bool, not 1"),
        ({"proxy": "ftp://a:secret@b"}, ValueError, "proxy must be a URL as http://"),
        ({"proxy": "http://a:b"}, ValueError, "its host or port cannot be read"),
        ({"proxy": f"socks5://a:{'secret' * 50}@b"}, ValueError, "a password of 255 bytes"),
        ({"proxy_ssl": "x"}, TypeError, "proxy_ssl must be a SSLContext or None, not 'x'"),
        ({"unix": 1}, TypeError, "unix must be a path or None, not 1"),
        ({"sock": 1}, TypeError, "sock must be a socket or None, not 1"),
        ({"local_address": "127.0.0.1"}, TypeError, "local_address must be a tuple or None"),
        ({"local_address": ("127.0.0.1",)}, ValueError, "must be an address and a port"),
        ({"local_address": (1, 0)}, TypeError, "the address of local_address must be a str"),
        ({"local_address": ("127.0.0.1", "0")}, TypeError, "the port of local_address must be an"),
        ({"local_address": ("127.0.0.1", 65536)}, ValueError, "the port of local_address must be"),
        ({"max_redirects": -1}, ValueError, "max_redirects must be at least 0"),
        ({"unix": "/a", "proxy": "http://a"}, ValueError, "unix and proxy are two ways"),
        ({"server_hostname": 1}, TypeError, "server_hostname must be a str or None"),
    ],
)
def test_what_is_no_route(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as info:
        Route(**given)
    assert "secret" not in str(info.value)


def test_it_is_an_argument_of_every_client() -> None:
    for make in (lambda **o: ZapConsumer("ws://a", **o), lambda **o: ZapClient(**o)):
        with pytest.raises(TypeError, match=r"proxy': pass route=Route\(proxy=…\)"):
            make(proxy="http://a")
        with pytest.raises(TypeError, match="route must be a Route or None, not 'http://a'"):
            make(route="http://a")
    assert "secret" not in repr(Route(proxy="http://a:secret@b"))
