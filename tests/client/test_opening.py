"""A client's opening: what it sends, and every way in which it can fail."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from tests.support import MS, within
from tests.support.app import App
from tests.support.ports import refusing_port
from tests.support.raw import RawPeer, raw_client, raw_server
from tests.support.tcp import FakeTcp
from tests.support.tls import client_context, server_context
from zaptools import Limits, WebSocketConnection, ZapConsumer
from zaptools.client.opening import ClientTransport, open_transport
from zaptools.client.url import parse_url
from zaptools.exceptions import (
    ConnectError,
    ConnectTimeoutError,
    HandshakeError,
)
from zaptools.handlers.book import HandlerBook


def url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/"


async def refuse(peer: RawPeer) -> None:
    await asyncio.Event().wait()


async def test_a_zone_is_not_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a fake resolver: a test cannot listen on a link-local address."""
    async with App() as app:
        asked = []

        async def resolve(host: str, *args: Any, **options: Any) -> Any:
            asked.append(host)
            kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
            return [(*kind, ("127.0.0.1", app.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        async with ZapConsumer(f"ws://[fe80::1%25eth0]:{app.port}/"):
            assert app.seen[0].handshake.headers["host"] == f"[fe80::1]:{app.port}"
        assert asked[0] == "fe80::1%eth0"


async def test_request() -> None:
    requests: asyncio.Queue[Any] = asyncio.Queue()

    async def take(peer: RawPeer) -> None:
        requests.put_nowait(peer.protocol)
        await peer.next()

    async with raw_server(take, subprotocols=["b"]) as port:
        client = ZapConsumer(f"ws://ada:secret@127.0.0.1:{port}/a/b?c=d")
        await client.connect(["a", "b"], {"X-Token": "t", "Host": "zap.example"})
        protocol = await within(requests.get())
        assert protocol.subprotocol == "b" and not protocol.extensions
        await client.disconnect()


async def test_headers() -> None:
    requests: list[Request] = []

    async def script(peer: RawPeer) -> None:
        assert peer.request is not None
        requests.append(peer.request)
        peer.writer.write(b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 2\r\n\r\nno")
        await peer.next()

    async with raw_server(script, accept=False) as port:
        client = ZapConsumer(f"ws://127.0.0.1:{port}/a?b", compression="deflate")
        with pytest.raises(HandshakeError) as info:
            await client.connect(["p"], {"host": "zap.example", "X-Token": "t"})
    (request,) = requests
    assert request.path == "/a?b"
    assert request.headers.get_all("Host") == ["zap.example"]
    assert request.headers["X-Token"] == "t" and request.headers["Sec-WebSocket-Protocol"] == "p"
    offer = request.headers["Sec-WebSocket-Extensions"]
    assert offer == "permessage-deflate; client_max_window_bits"
    error = info.value
    assert (error.status, error.headers["x-why"], error.body) == (403, "no", b"no")
    assert "the server answered 403 Forbidden" in str(error)


async def test_refused() -> None:
    with refusing_port() as port, pytest.raises(ConnectError) as info:
        await ZapConsumer(url(port)).connect()
    assert type(info.value) is ConnectError and isinstance(info.value.__cause__, OSError)


async def test_port_0() -> None:
    """Nothing listens on it: a client may be made with it, and get its URL later."""
    client = ZapConsumer(url(0))
    with pytest.raises(ConnectError, match=r"127\.0\.0\.1:0/"):
        await client.connect()
    async with App() as app:
        client.url = app.url()
        await client.connect()
        await client.disconnect()


async def test_unknown_host() -> None:
    with pytest.raises(ConnectError):
        await ZapConsumer("ws://nowhere.invalid/").connect()


async def test_no_answer() -> None:
    async with raw_server(refuse, accept=False) as port:
        client = ZapConsumer(url(port), limits=Limits(open_timeout=20 * MS))
        with pytest.raises(ConnectTimeoutError):
            await within(client.connect())


def answer(text: bytes) -> Callable[[RawPeer], Any]:
    async def script(peer: RawPeer) -> None:
        peer.writer.write(text)
        await peer.writer.drain()

    return script


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 503 Busy\r\n\r\nlater", 503),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", None),
        (b"SSH-2.0-OpenSSH\r\n", None),
        (b"HTTP/1.1 101 Switch", None),
        (b"x" * 20_000, None),
    ],
)
async def test_wrong_answers(text: bytes, status: int | None) -> None:
    async with raw_server(answer(text), accept=False) as port:
        with pytest.raises(ConnectError) as info:
            await within(ZapConsumer(url(port)).connect())
        if isinstance(info.value, HandshakeError):
            assert info.value.status == status
        else:
            assert "during the handshake" in str(info.value)


@pytest.mark.parametrize("open_timeout", [None, 200 * MS])
@pytest.mark.parametrize(
    "rest",
    [
        b"1 401 No\r\n\r\nno end",
        b"1 401 No\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 10_000,
        b"1 401 No\r\nContent-Length: 10\r\n\r\n",
        b"1 401 No\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
        b"1 401 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"0 401 No\r\nContent-Length: 0\r\n\r\n",
        b"1 100 Continue\r\n\r\nHTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_refusal_counts_with_any_body(rest: bytes, open_timeout: float | None) -> None:
    """And with any time limit: a client that reconnects gives up."""

    async def script(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1." + rest)
        await peer.reader.read()

    async with raw_server(script, accept=False) as port:
        limits = Limits(open_timeout=open_timeout)
        client = ZapConsumer(url(port), reconnect=True, limits=limits)
        with pytest.raises(HandshakeError) as info:
            await within(client.connect(retry=True))
    assert info.value.status == 401


@pytest.mark.parametrize("interim", [b"100 Continue", b"103 Early Hints"])
async def test_interim_answers(interim: bytes) -> None:
    async def script(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1.1 " + interim + b"\r\nLink: </x>\r\n\r\n")
        peer.accept()
        peer.event("early", 1)
        await peer.next()

    async with raw_server(script, accept=False) as port:
        client = ZapConsumer(url(port))
        events = aiter(client)
        async with client:
            assert (await within(anext(events))).payload == 1


async def test_a_server_that_does_not_answer_tls() -> None:
    """The time limit is that of the whole opening, and the socket is closed."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        limits = Limits(open_timeout=20 * MS)
        client = ZapConsumer(f"wss://127.0.0.1:{port}/", limits=limits, ssl=client_context())
        with pytest.raises(ConnectTimeoutError):
            await within(client.connect())
        await within(ended.wait())


async def test_a_wrong_proof_of_the_handshake() -> None:
    async def script(peer: RawPeer) -> None:
        headers = Headers(Upgrade="websocket", Connection="Upgrade")
        headers["Sec-WebSocket-Accept"] = "wrong"
        peer.writer.write(Response(101, "Switching Protocols", headers).serialize())
        await peer.next()

    async with raw_server(script, accept=False) as port:
        with pytest.raises(HandshakeError) as info:
            await within(ZapConsumer(url(port)).connect())
        assert info.value.status is None


async def test_a_long_head_of_the_answer() -> None:
    async def script(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1.1 101 S\r\n" + b"X: y\r\n" * 50)
        await peer.next()

    async with raw_server(script, accept=False) as port:
        client = ZapConsumer(url(port), limits=Limits(head_bytes=200))
        with pytest.raises(HandshakeError, match=r"longer than 200 bytes \(Limits.head_bytes\)"):
            await within(client.connect())


async def test_many_bytes_after_an_answer_with_bare_line_feeds() -> None:
    """They do not count as part of the head, whose length is bounded."""

    async def script(peer: RawPeer) -> None:
        peer.writer.write(b"HTTP/1.1 101 S\nX: y\n\n" + b"z" * 400)
        await peer.next()

    async with raw_server(script, accept=False) as port:
        client = ZapConsumer(url(port), limits=Limits(head_bytes=200))
        with pytest.raises(HandshakeError) as info:
            await within(client.connect())
        assert info.value.status is None


async def test_cancelled() -> None:
    async with raw_server(refuse, accept=False) as port:
        client = ZapConsumer(url(port))
        task = asyncio.create_task(client.connect())
        await asyncio.sleep(20 * MS)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)


async def test_tls_that_cannot_be_trusted() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)  # the server's side reports it too
    async with App(ssl=server_context()) as app:
        with pytest.raises(ConnectError, match=r"(?i)certificate"):
            await within(ZapConsumer(f"wss://localhost:{app.port}/").connect())


async def test_a_tls_context_is_for_wss() -> None:
    async with App() as app:
        async with ZapConsumer(app.url(), ssl=client_context()) as client:
            assert client.is_connected


async def test_a_server_without_tls() -> None:
    async with App() as app:
        url = app.url().replace("ws://", "wss://")
        with pytest.raises(ConnectError, match="if the server has no TLS, write ws://"):
            await within(ZapConsumer(url, ssl=client_context()).connect())


async def test_events_in_the_same_read_as_the_answer() -> None:
    """They are delivered, and after ``online``."""

    async def script(peer: RawPeer) -> None:
        peer.accept()
        peer.protocol.send_text(b'{"eventName":"early","payload":1}')
        peer.flush()
        await peer.next()

    log: list[Any] = []
    async with raw_server(script, accept=False) as port:
        client = ZapConsumer(url(port))
        done = asyncio.Event()
        client.on_connection_state_changed(lambda state: log.append(state.name))
        client.on_connected(lambda event: log.append("connected"))

        @client.on_event("early")
        def early(event: Any) -> None:
            log.append(event.payload)
            done.set()

        async with client:
            await within(done.wait())
        assert log[:4] == ["CONNECTING", "ONLINE", "connected", 1]


async def test_open_transport_alone() -> None:
    async with App() as app:
        transport = await open_transport(
            app.url(),
            lambda made: made.begin(WebSocketConnection("x", made), HandlerBook()),
            protocols=(),
            headers={},
            limits=Limits(),
            compression=None,
            ssl=None,
        )
        assert transport.is_open and transport.connection is not None
        await within(transport.connection.close())
        await within(transport.over)
    async with App() as app, raw_client(app.port):
        pass


async def test_the_network_times_out_without_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def sock_connect(*_: Any) -> None:
        raise TimeoutError  # as for ETIMEDOUT

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    with pytest.raises(ConnectError, match="the network timed out") as info:
        await ZapConsumer(url(1), limits=Limits(open_timeout=None)).connect()
    assert not isinstance(info.value, ConnectTimeoutError)


class TestNoWaiter:
    """The task that opened the connection was cancelled meanwhile."""

    def transport(self) -> ClientTransport:
        protocol = ClientProtocol(parse_url(url(1)))
        transport = ClientTransport(protocol, Limits(), url(1), {}, self.begun.append)
        transport.connection_made(FakeTcp())
        transport.opened.cancel()
        self.key = protocol.key
        return transport

    def setup_method(self) -> None:
        self.begun: list[ClientTransport] = []

    async def test_for_a_refusal(self) -> None:
        transport = self.transport()
        transport.data_received(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        assert transport.opened.cancelled() and not self.begun
        transport.connection_lost(None)

    async def test_for_the_opening(self) -> None:
        transport = self.transport()
        accept = accept_key(self.key).encode()
        transport.data_received(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        assert transport.opened.cancelled() and not self.begun
        transport.connection_lost(None)
