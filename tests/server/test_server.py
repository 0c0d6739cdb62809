"""`ZapServer`: its life, HTTP, the handshake's choices, and closing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from itertools import count
from typing import Any

import pytest
import uvloop
from websockets import datastructures
from websockets.http11 import Request, Response

from tests.support import MS, PATIENCE, until, within
from tests.support.app import App
from tests.support.raw import http, raw_client
from tests.support.tcp import FakeTcp
from tests.support.tls import client_context, server_context
from zaptools import CloseInfo, EventContext, EventRegister, Limits, ZapConsumer, ZapServer
from zaptools.exceptions import CodecError, ServerStateError
from zaptools.handlers.quota import PER_MINUTE
from zaptools.server.server import local_url, write_announcement
from zaptools.server.transport import ServerTransport

UPGRADE = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
LOOP_IDS = ["asyncio", "uvloop"]


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


class TestLife:
    async def test_port(self) -> None:
        server = ZapServer(port=0)
        assert server.port == 0
        await server.start()
        port = server.port
        assert port > 0
        await server.close()
        assert server.port == 0
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)

    def test_defaults(self) -> None:
        server = ZapServer()
        assert (server.host, server.port, server.path) == ("127.0.0.1", 8000, "/")
        assert server.limits == Limits() and not server.connections

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"host": None}, "host must be a str, not None"),
            ({"port": "80"}, "port must be an int, not '80'"),
            ({"port": True}, "port must be an int, not True"),
            ({"port": 8.0}, "port must be an int, not 8.0"),
            ({"port": -1}, "port must be between 0 and 65535, got -1"),
            ({"port": 65536}, "port must be between 0 and 65535, got 65536"),
            ({"path": b"/"}, "path must be a str, not b'/'"),
            ({"path": ""}, "path must begin with '/', got ''"),
            ({"path": "ws"}, "path must begin with '/'"),
            ({"path": "/ws?x=1"}, "path must not have a query"),
            ({"path": "/ws#x"}, "path must not have a fragment"),
            ({"path": "/größe"}, "path must be percent-encoded"),
            ({"path": "/a b"}, "path must be percent-encoded"),
            ({"path": "/a\n"}, "path must be percent-encoded"),
        ],
    )
    def test_arguments_that_no_server_has(self, options: Any, words: str) -> None:
        with pytest.raises((TypeError, ValueError), match=re.escape(words)):
            ZapServer(**options)

    @pytest.mark.parametrize("path", ["/", "/a/b", "/a%20b", "/~x;y=1"])
    def test_paths(self, path: str) -> None:
        assert ZapServer(path=path).path == path

    async def test_a_port_that_is_taken(self) -> None:
        async with ZapServer(port=0) as server:
            other = ZapServer(port=server.port)
            with pytest.raises(OSError, match=f"127.0.0.1:{server.port}: .*in use") as info:
                await other.start()
            assert info.value.errno == errno.EADDRINUSE
        await other.start()
        await other.close()

    @pytest.mark.parametrize("host", ["192.0.2.1", ".invalid", "a\0b"])
    async def test_a_host_that_is_not_here(self, host: str) -> None:
        server = ZapServer(host, 0)
        for _ in range(2):
            with pytest.raises(OSError, match=r"cannot listen on .*:0: "):
                await server.start()

    async def test_starting_twice(self) -> None:
        async with ZapServer(port=0) as server:
            with pytest.raises(ServerStateError, match="has been started"):
                await server.start()

    async def test_starting_twice_at_once(self) -> None:
        server = ZapServer(port=0)
        first, second = await asyncio.gather(server.start(), server.start(), return_exceptions=True)
        assert first is None and isinstance(second, ServerStateError)
        await server.close()
        await server.start()
        await server.close()

    async def test_closing_twice_at_once(self) -> None:
        """Each waits for the handlers, also when the first does not wait any more."""
        async with App() as app, raw_client(app.port) as peer:
            peer.event("gate", 1)
            await until(lambda: app.transport.dispatcher.busy)
            first, second = (asyncio.create_task(app.close()) for _ in range(2))
            await peer.closed()
            first.cancel()
            await asyncio.sleep(5 * MS)
            assert first.cancelled() and not second.done()
            with pytest.raises(ServerStateError, match="is closing"):
                await app.start()
            app.gate.set()
            await within(second)
            assert app.log == ["connected", 1, "disconnected"] and not app.transports

    async def test_two_handlers_close(self) -> None:
        async with App() as app, raw_client(app.port) as one, raw_client(app.port) as other:
            app.on_event("stop", lambda ctx: app.close())
            one.event("stop")
            other.event("stop")
            await within(asyncio.gather(one.closed(), other.closed()))
            await within(app.close())

    @pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
    def test_closing_while_it_starts(self, factory: Any) -> None:
        async def main() -> None:
            server = ZapServer(port=0)
            starting = asyncio.create_task(server.start())
            await asyncio.sleep(0)
            closing = asyncio.create_task(server.close())
            await asyncio.sleep(0)
            with pytest.raises(ServerStateError, match="is closing"):
                await server.start()
            await within(asyncio.gather(starting, closing, server.close()))
            assert server.port == 0
            async with server:  # it can be started again
                assert server.port > 0

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())

    async def test_closing_while_a_start_fails(self) -> None:
        server = ZapServer("192.0.2.1", 0)
        starting = asyncio.create_task(server.start())
        await asyncio.sleep(0)
        await within(server.close())
        with pytest.raises(OSError, match="cannot listen"):
            await starting

    async def test_a_start_that_is_cancelled(self) -> None:
        server = ZapServer(port=0)
        starting = asyncio.create_task(server.start())
        while not starting.done():
            await asyncio.sleep(0)
            starting.cancel()
        assert starting.cancelled() and server.port == 0
        await server.close()

    @pytest.mark.parametrize("turns", range(6))
    async def test_a_start_that_is_cancelled_leaves_the_port(self, turns: int) -> None:
        async with ZapServer(port=0) as server:
            port = server.port
        starting = asyncio.create_task(ZapServer(port=port).start())
        for _ in range(turns):
            await asyncio.sleep(0)
        if starting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await starting
            async with ZapServer(port=port) as server:
                assert server.port == port

    async def test_a_handler_that_does_not_end(self) -> None:
        """Not even when it is cancelled: a closing server waits for it no longer."""
        app, gate = App(limits=Limits(close_timeout=20 * MS)), asyncio.Event()

        @app.on_event("stubborn")
        async def stubborn(ctx: EventContext) -> None:
            while not gate.is_set():
                try:
                    await gate.wait()
                except asyncio.CancelledError:
                    continue

        await app.start()
        async with raw_client(app.port) as peer:
            peer.event("stubborn")
            await until(lambda: app.transport.dispatcher.busy)
            await within(app.close())
            assert app.log == ["connected"]
            gate.set()
            await until(lambda: not app.transports)

    async def test_closing_twice_and_starting_again(self) -> None:
        app = App()
        await app.close()
        for _ in range(2):
            async with app, raw_client(app.port) as peer:
                peer.event("echo", 1)
                await peer.text()
            await app.close()

    async def test_sharing_a_port(self) -> None:
        async with ZapServer(port=0, reuse_port=True, backlog=1) as one:
            async with ZapServer(port=one.port, reuse_port=True) as other:
                assert other.port == one.port

    def test_arguments(self) -> None:
        with pytest.raises(ValueError, match="compression"):
            ZapServer(compression="gzip")  # type: ignore[arg-type]  # that is the point

    async def test_a_register_of_its_own_or_given(self) -> None:
        register = EventRegister()
        register.on_event("echo", lambda ctx: ctx.connection.send("echo", "from the register"))
        async with ZapServer(port=0, register=register) as server:
            server.on_event("more", lambda ctx: ctx.connection.send("more"))
            assert set(register.book.events) == {"echo", "more"}
            async with raw_client(server.port) as peer:
                peer.event("echo")
                assert (await peer.text())["payload"] == "from the register"
                peer.event("more")
                assert (await peer.text())["eventName"] == "more"
        assert not ZapServer().book.events

    async def test_connections(self) -> None:
        async with App() as app, raw_client(app.port), raw_client(app.port) as second:
            await until(lambda: len(app.connections) == 2)
            assert list(app.connections.values()) == app.seen
            assert all(key == connection.id for key, connection in app.connections.items())
            second.drop()
            await until(lambda: len(app.connections) == 1)
            with pytest.raises(TypeError):
                app.connections["x"] = app.seen[0]  # type: ignore[index]  # that is the point

    async def test_omitting_empty_headers(self) -> None:
        async with App(omit_empty_headers=True) as app, raw_client(app.port) as peer:
            peer.event("echo", 1)
            assert await peer.text() == {"eventName": "echo", "payload": 1}


class TestHttp:
    @pytest.mark.parametrize(
        ("request_", "expected"),
        [
            (b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (UPGRADE % (b"/nope", b""), 404),
            (UPGRADE % (b"/ws/", b""), 404),
            (UPGRADE % (b"/?/ws", b""), 404),
            (b"POST /nope HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            (b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426),
            (b"HEAD /ws HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"POST /ws HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            (b"POST /ws HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", 400),
            (b"GET /ws HTTP/1.0\r\nHost: x\r\n\r\n", 505),
            (UPGRADE.replace(b"13", b"8") % (b"/ws", b""), 400),
            (UPGRADE.replace(b"dGhl", b"####") % (b"/ws", b""), 400),
            (UPGRADE.replace(b"Host: x\r\n", b"") % (b"/ws", b""), 400),
            (UPGRADE % (b"/ws", b"Host: y\r\n"), 400),
            (UPGRADE.replace(b"Host: x", b"Host: x/y") % (b"/ws", b""), 400),
            (UPGRADE.replace(b"Host: x", b"Host: x/y") % (b"http://x/ws", b""), 400),
            (UPGRADE.replace(b"Host: x\r\n", b"") % (b"http://x/ws", b""), 400),
            (UPGRADE % (b"http:///ws", b""), 400),
            (UPGRADE % (b"http://user@x/ws", b""), 400),
            (UPGRADE % (b"http://x/nope", b""), 404),
            (UPGRADE % (b"http://x", b""), 404),
            (UPGRADE.replace(b": websocket", b": h2c") % (b"/ws", b""), 426),
            (b"nonsense\r\n\r\n", 400),
            (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
            (b"GET /ws HTTP/1.1\r\nno header\r\n\r\n", 400),
            (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 414),
            (b"GET /ws HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
            (UPGRADE % (b"/ws", (b"a: " + b"b" * 8000 + b"\r\n") * 9), 431),
            (UPGRADE % (b"/ws", (b"connection: " + b"a," * 1000 + b"\r\n") * 5), 431),
            (UPGRADE % (b"/ws", (b"Sec-WebSocket-Protocol: " + b"a," * 3000 + b"\r\n") * 2), 431),
        ],
    )
    async def test_refused(self, request_: bytes, expected: int) -> None:
        async with App(path="/ws") as app:
            answer = await http(app.port, request_)
            assert status(answer) == expected
            if request_.endswith(b"Version: 8\r\n\r\n"):
                assert b"Sec-WebSocket-Version: 13\r\n" in answer
            if expected == 426:
                assert b"\r\nUpgrade: websocket\r\n" in answer
            assert app.log == []
            async with raw_client(app.port, "/ws"):  # the server lives
                await until(lambda: app.log == ["connected"])

    @pytest.mark.parametrize(
        "request_",
        [
            UPGRADE % (b"http://chat.example:80/ws?a=1", b""),  # RFC 9112, section 3.2.2
            UPGRADE.replace(b": x", b": chat.example:80") % (b"/ws?a=1", b"Upgrade: h2c\r\n"),
        ],
        ids=["absolute-form", "two offers"],
    )
    async def test_accepted(self, request_: bytes) -> None:
        async with App(path="/ws") as app:
            answer, writer = await self.answer(app.port, request_)
            assert status(answer) == 101
            await until(lambda: app.seen)
            request = app.seen[0].handshake
            assert (request.path, request.query_string) == ("/ws", "a=1")
            assert request.headers["host"] == "chat.example:80"
            offers = request.headers["upgrade"].split(", ")
            assert offers == ["websocket", "h2c"][: len(offers)]
            writer.transport.abort()

    @staticmethod
    async def answer(port: int, *pieces: bytes) -> tuple[bytes, asyncio.StreamWriter]:
        """Write a request in pieces, and return the head of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(MS)
        return await within(reader.readuntil(b"\r\n\r\n")), writer

    async def test_empty_lines_before_a_request(self) -> None:
        """They are ignored (RFC 9112, section 2.2), however they come."""
        whole = b"\r\n\r\n" + UPGRADE % (b"/", b"")
        async with App() as app:
            for pieces in ([whole], [whole[:1], whole[1:3], whole[3:]]):
                answer, writer = await self.answer(app.port, *pieces)
                assert status(answer) == 101
                writer.transport.abort()

    @pytest.mark.parametrize("path", [b"/ws", b"/nope"])
    async def test_an_answer_to_head_has_no_content(self, path: bytes) -> None:
        """RFC 9110, section 9.3.2."""
        async with App(path="/ws") as app:
            answer = await http(app.port, b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            head, content = answer.split(b"\r\n\r\n")
            assert content == b"" and re.search(rb"\r\nContent-Length: [1-9]", head)

    @pytest.mark.parametrize("request_", [b"GET /nope HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n"])
    async def test_a_refused_client_is_let_go(self, request_: bytes, monkeypatch: Any) -> None:
        """Also where nothing limits the time of the opening."""
        monkeypatch.setattr("zaptools.transport.closing._LINGER", 10 * MS)
        async with App(limits=Limits(open_timeout=None)) as app:
            _, writer = await self.answer(app.port, request_)
            await until(lambda: not app.transports)
            writer.transport.abort()

    async def test_nothing_of_the_handshake_is_kept_twice(self) -> None:
        """An idle connection has the headers for `Handshake.headers`, and else nothing of them."""
        kinds = (Request, Response, datastructures.Headers)

        def kept() -> list[Any]:
            gc.collect()
            return [each for each in gc.get_objects() if isinstance(each, kinds)]

        before = len(kept())
        async with App() as app:
            client = ZapConsumer(app.url())
            await client.connect(headers={"X-Large": "x" * 8000})
            await until(lambda: app.seen)
            assert kept()[before:] == []
            assert app.seen[0].handshake.headers["x-large"] == "x" * 8000
            await client.disconnect()

    @pytest.mark.parametrize("size", [1, 0])
    async def test_the_head_is_bounded_as_a_whole(self, size: int) -> None:
        """Whether or not it ends, and in whatever pieces it comes; nothing of it is looked at."""
        request = UPGRADE % (b"/", b"")
        head = (UPGRADE % (b"/", b"a: b\r\n" * 100))[:-2] + b"x" * 100_000
        server = ZapServer(port=0, limits=Limits(head_bytes=len(request)))
        async with server:
            pieces = [head[at : at + 1] for at in range(len(request) + 1)] if size else [head]
            transport, tcp = ServerTransport(server.settings, server.roster, server.book), FakeTcp()
            transport.connection_made(tcp)
            for piece in pieces:
                transport.data_received(piece)
            answer, *rest = tcp.writes
            assert isinstance(answer, bytes) and status(answer) == 431
            transport.data_received(head)  # which comes too late
            transport.connection_lost(None)
            assert tcp.writes == [answer, *rest] and rest == ["eof"]
            assert status(await http(server.port, request + b"\x88\x80\0\0\0\0")) == 101

    async def test_a_query_is_no_part_of_the_path(self) -> None:
        async with App(path="/ws") as app, raw_client(app.port, "/ws?token=1&x=/y") as peer:
            peer.event("echo")
            await peer.text()

    async def test_origins(self) -> None:
        async with App(origins=["https://good.example", None]) as app:
            for origin, expected in ((b"https://good.example", 101), (b"https://bad.example", 403)):
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
                    writer.write(UPGRADE % (b"/", b"Origin: " + origin + b"\r\n"))
                    assert status(await reader.readline()) == expected
                    writer.transport.abort()
            async with raw_client(app.port):
                pass

    @pytest.mark.parametrize(
        ("ours", "offered", "chosen"),
        [
            ((), ["a"], None),
            (("b", "a"), ["a", "b"], "b"),
            (("c",), ["a", "b"], None),
            (("a",), None, None),
        ],
    )
    async def test_subprotocols(self, ours: Any, offered: Any, chosen: str | None) -> None:
        async with App(subprotocols=ours) as app:
            async with raw_client(app.port, subprotocols=offered) as peer:
                assert peer.protocol.subprotocol == chosen

    async def test_a_client_that_says_nothing(self) -> None:
        async with App(limits=Limits(open_timeout=20 * MS)) as app:
            assert await http(app.port, b"GET / HTT") == b""
            await until(lambda: not app.transports)

    async def test_a_client_that_leaves_during_the_handshake(self) -> None:
        async with App() as app:
            _, writer = await asyncio.open_connection("127.0.0.1", app.port)
            await until(lambda: app.transports)
            writer.transport.abort()
            await until(lambda: not app.transports)
            assert app.log == []

    async def test_events_behind_the_request(self) -> None:
        """Not allowed to a client (RFC 6455, section 4.1), but no reason to break."""
        async with App() as app, raw_client(app.port) as peer:
            peer.protocol.send_text(b'{"eventName":"echo","payload":1}')
            frame = b"".join(peer.protocol.data_to_send())
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
            writer.write(UPGRADE % (b"/", b"") + frame)
            await within(reader.readuntil(b"\r\n\r\n"))
            assert await within(reader.readuntil(b"}}"))
            writer.transport.abort()


class TestClosing:
    async def test_connections_are_told(self) -> None:
        app = App()
        await app.start()
        async with raw_client(app.port) as peer, raw_client(app.port) as other:
            closing = asyncio.create_task(app.close())
            for each in (peer, other):
                assert (await each.closed()).code == 1001
                each.drop()
            await within(closing)
            assert app.ends == [CloseInfo(1001, "", "local")] * 2
            assert not app.connections and not app.transports

    async def test_waits_for_the_last_handlers(self) -> None:
        app = App()
        done: list[str] = []

        @app.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            await asyncio.sleep(10 * MS)
            done.append(ctx.connection.id)

        await app.start()
        async with raw_client(app.port) as peer:
            peer.drop()
            await until(lambda: app.seen and not app.seen[0].is_open)
            await within(app.close())
            assert done == [app.seen[0].id]

    async def test_but_not_for_ever(self) -> None:
        app = App(limits=Limits(close_timeout=20 * MS))
        await app.start()
        async with raw_client(app.port) as peer:
            peer.event("gate")
            await until(lambda: app.seen and app.transport.task is not None)
            await within(app.close())
            assert app.log == ["connected", "disconnected"]
            assert app.ends == [CloseInfo(1001, "", "local")]
            assert not app.transports

    async def test_a_peer_that_takes_no_part(self) -> None:
        """TCP is dropped in the turn of the loop in which the handlers' time is up."""
        app = App(limits=Limits(close_timeout=20 * MS))
        await app.start()
        async with raw_client(app.port):
            await until(lambda: app.seen and not app.transport.dispatcher.busy)
            await within(app.close())
        assert app.log == ["connected", "disconnected"]
        assert not app.transports

    async def test_only_those_are_cancelled_that_do_not_end(self) -> None:
        app = App(limits=Limits(close_timeout=50 * MS))
        await app.start()
        async with raw_client(app.port) as stuck, raw_client(app.port) as idle:
            await until(lambda: len(app.seen) == 2 and all(s.task is None for s in app.transports))
            stuck.event("gate")
            await until(lambda: any(transport.task for transport in app.transports))
            closing = asyncio.create_task(app.close())
            assert (await idle.closed()).code == 1001
            idle.drop()
            await within(closing)
            assert app.log.count("disconnected") == 2
            assert not app.transports

    async def test_accepted_in_the_moment_of_closing(self) -> None:
        server = ZapServer(port=0)
        tcp = FakeTcp()
        transport = ServerTransport(server.settings, server.roster, server.book)
        transport.connection_made(tcp)
        assert tcp.closing
        transport.cancel()
        transport.connection_lost(None)
        assert not server.roster.transports

    async def test_clients_that_never_finished_the_handshake(self) -> None:
        app = App()
        await app.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        await until(lambda: app.transports)
        await within(app.close())
        assert await within(reader.read()) == b""
        writer.close()

    async def test_from_a_handler(self) -> None:
        app = App()
        closed = asyncio.Event()

        @app.on_event("shutdown")
        async def shutdown(ctx: EventContext) -> None:
            await app.close()
            closed.set()

        await app.start()
        async with raw_client(app.port) as peer:
            peer.event("shutdown")
            await within(closed.wait())
            assert (await peer.closed()).code == 1001
            await until(lambda: app.ends == [CloseInfo(1001, "", "local")])

    @pytest.mark.parametrize("concurrency", [1, 2])
    async def test_from_a_task_or_thread_of_a_handler(self, concurrency: int) -> None:
        """The handler waits for the closing, which does not wait for the handler."""
        loop = asyncio.get_running_loop()
        app = App(concurrency=concurrency, limits=Limits(close_timeout=200 * MS))
        closed: list[str] = []

        @app.on_event("task")
        async def task(ctx: EventContext) -> None:
            await asyncio.create_task(app.close())
            closed.append("task")

        @app.on_event("thread", run_in_thread=True)
        def thread(ctx: EventContext) -> None:
            asyncio.run_coroutine_threadsafe(app.close(), loop).result(PATIENCE)
            closed.append("thread")

        for name in ("task", "thread"):
            async with app, raw_client(app.port) as peer:
                peer.event(name)
                assert (await peer.closed()).code == 1001
                peer.drop()
                await until(lambda: not app.transports)
        assert closed == ["task", "thread"]


class TestTls:
    async def test_echo_and_close(self) -> None:
        async with App(ssl=server_context()) as app:
            client = ZapConsumer(f"wss://localhost:{app.port}/", ssl=client_context())
            echoed: asyncio.Queue[Any] = asyncio.Queue()
            client.on_event("echo", echoed.put_nowait)
            async with client:
                await client.send_event("echo", "x" * 100_000)
                assert (await within(echoed.get())).payload == "x" * 100_000
            await until(lambda: app.ends == [CloseInfo(1000, "", "remote")])
            await client.connect()
            await app.close()
            await until(lambda: client.closed == CloseInfo(1001, "", "remote"))

    @pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
    def test_the_open_timeout_is_that_of_tls_too(self, factory: Any) -> None:
        """A peer that never says hello is let go in time, as is one that says nothing after it."""

        async def main() -> None:
            limits = Limits(open_timeout=200 * MS)
            async with ZapServer(port=0, ssl=server_context(), limits=limits) as server:
                began = asyncio.get_running_loop().time()
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                with contextlib.suppress(ConnectionResetError):
                    assert await within(reader.read()) == b""
                writer.transport.abort()
                assert asyncio.get_running_loop().time() - began < 30  # asyncio's own is 60

        reports: list[Any] = []
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.get_loop().set_exception_handler(lambda loop, report: reports.append(report))
            runner.run(main())
        assert not reports

    async def test_the_tls_handshake_is_a_part_of_the_opening(self) -> None:
        """asyncio makes the transport when TCP is accepted, and connects it after TLS."""
        server, tcp = ZapServer(limits=Limits(open_timeout=20 * MS)), FakeTcp()
        server.roster.is_open = True
        transport = ServerTransport(server.settings, server.roster, server.book)
        await asyncio.sleep(20 * MS)
        transport.connection_made(tcp)
        assert not tcp.closing
        for _ in range(3):
            await asyncio.sleep(0)
        assert tcp.closing
        transport.connection_lost(None)

    async def test_no_open_timeout(self) -> None:
        async with App(ssl=server_context(), limits=Limits(open_timeout=None)) as app:
            async with ZapConsumer(f"wss://localhost:{app.port}/", ssl=client_context()):
                await until(lambda: app.seen)

    async def test_plain_text_to_a_tls_port(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)  # asyncio reports bad handshakes
        async with App(ssl=server_context()) as app:
            assert await http(app.port, UPGRADE % (b"/", b"")) == b""
            assert app.log == []


PROGRAM = """
from zaptools import ZapServer

class Server(ZapServer):
    async def start(self):
        await super().start()
        print(self.port, flush=True)

server = Server(port=0)
server.on_connected(lambda ctx: print("connected", flush=True))
server.on_disconnected(lambda ctx: print("disconnected", ctx.connection.closed.code, flush=True))
server.run(announce=False)
print("clean", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no way to send Ctrl-C to one process")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
async def test_run_ends_cleanly(signal_number: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", PROGRAM, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await within(process.stdout.readline()))
    async with raw_client(port) as peer:
        assert await within(process.stdout.readline()) == b"connected\n"
        os.kill(process.pid, signal_number)
        assert (await peer.closed()).code == 1001
        peer.drop()
    out, err = await within(process.communicate())
    assert out == b"disconnected 1001\nclean\n"
    assert err == b"" and process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no way to send Ctrl-C to one process")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_run_in_this_process(signal_number: int) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Server(ZapServer):
        async def start(self) -> None:
            await super().start()
            os.kill(os.getpid(), signal_number)

    def factory() -> asyncio.AbstractEventLoop:
        loops.append(asyncio.new_event_loop())
        return loops[0]

    server = Server(port=0)
    server.run(loop_factory=factory)
    assert server.port == 0
    assert loops[0].is_closed()


@pytest.mark.parametrize("turns", range(5))
async def test_a_connection_that_is_accepted_while_the_server_closes(turns: int) -> None:
    """It ends, whatever asyncio has done of its part by then."""
    app = App()
    await app.start()
    address = ("127.0.0.1", app.port)
    with socket.create_connection(address) as peer:
        peer.setblocking(False)
        for _ in range(turns):
            await asyncio.sleep(0)
        await app.close()
        with contextlib.suppress(ConnectionError):
            assert await within(asyncio.get_running_loop().sock_recv(peer, 1)) == b""
    await until(lambda: not app.transports)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_run_leaves_the_programs_own_signal_handlers() -> None:
    def handler(number: int, frame: object) -> None:
        raise AssertionError("no signal is sent")

    class Server(ZapServer):
        async def start(self) -> None:
            await super().start()
            await self.close()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for number in before:
            signal.signal(number, handler)
        Server(port=0).run(announce=False)
        assert [signal.getsignal(number) for number in before] == [handler, handler]
    finally:
        for number, old in before.items():
            signal.signal(number, old)


async def run_in_thread(server: ZapServer, **options: Any) -> asyncio.Future[None]:
    """Call `run` in a thread, and return when the server listens; the value tells the end."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def run() -> None:
        try:
            server.run(**options)
        except BaseException as exc:  # whatever it is, the test has to see it
            loop.call_soon_threadsafe(over.set_exception, exc)
        else:
            loop.call_soon_threadsafe(over.set_result, None)

    threading.Thread(target=run, daemon=True).start()
    await until(lambda: server.port or over.done())
    return over


@pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
class TestRun:
    async def test_in_a_thread_until_a_handler_closes(self, factory: Any, capsys: Any) -> None:
        """The handler runs to its end, whatever it has to wait for."""
        server, done = ZapServer(port=0), []

        @server.on_event("stop")
        async def stop(ctx: EventContext) -> None:
            await server.close()
            await asyncio.sleep(5 * MS)
            done.append(True)

        over = await run_in_thread(server, loop_factory=factory)
        port = server.port
        async with raw_client(port) as peer:
            peer.event("stop")
            assert (await peer.closed()).code == 1001
            peer.drop()
        await within(over)
        assert done
        assert capsys.readouterr() == ("", f"zaptools listens on ws://127.0.0.1:{port}/\n")

    def test_until_a_task_closes(self, factory: Any) -> None:
        tasks: list[asyncio.Task[None]] = []

        class Server(ZapServer):
            async def start(self) -> None:
                await super().start()
                tasks.append(asyncio.create_task(self.close()))

        server = Server(port=0)
        for _ in range(2):
            server.run(loop_factory=factory)
            assert tasks.pop().done() and server.port == 0

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
    async def test_until_a_plain_handler_ends_the_program(
        self, factory: Any, kind: Any, caplog: Any
    ) -> None:
        server = ZapServer(port=0, limits=Limits(close_timeout=20 * MS))

        told: list[str] = []
        server.on_disconnected(lambda ctx: told.append("disconnected"))

        @server.on_event("stop")
        def stop(ctx: EventContext) -> None:
            raise kind

        over = await run_in_thread(server, loop_factory=factory)
        async with raw_client(server.port) as peer:
            peer.event("stop")
            if kind is SystemExit:
                with pytest.raises(SystemExit):
                    await within(over)
            else:
                await within(over)
        gc.collect()
        assert not [record for record in caplog.records if record.name == "asyncio"]
        # Also before Python 3.12, where the task that tells it is cancelled before it begins.
        assert told == ["disconnected"] and not server.connections

    def test_one_port_for_all_addresses(self, factory: Any) -> None:
        async def main() -> None:
            async with ZapServer(port=0, host="") as server:
                if not socket.has_dualstack_ipv6():
                    pytest.skip("no IPv6")
                for host in ("127.0.0.1", "[::1]"):
                    async with ZapConsumer(f"ws://{host}:{server.port}/"):
                        pass

        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(main())


class Contended(asyncio.SelectorEventLoop):
    """Another program takes a port that has been free, `times` times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.taken: list[socket.socket] = []

    async def create_server(self, factory: Any, host: Any, port: Any, **options: Any) -> Any:  # type: ignore[override]  # as it is called
        if port and self.times:
            self.times -= 1
            self.taken.append(socket.create_server(("127.0.0.1", port)))
        return await super().create_server(factory, host, port, **options)

    def close(self) -> None:
        for each in self.taken:
            each.close()
        super().close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6")
@pytest.mark.parametrize("times", [1, 100])
def test_a_free_port_that_is_taken_meanwhile(times: int) -> None:
    async def main() -> None:
        async with ZapServer(port=0, host="") as server:
            for host in ("127.0.0.1", "::1"):
                socket.create_connection((host, server.port)).close()

    with asyncio.Runner(loop_factory=lambda: Contended(times)) as runner:
        if times == 1:
            runner.run(main())
        else:
            with pytest.raises(OSError, match=r"cannot listen on :0: .*in use"):
                runner.run(main())


@pytest.mark.parametrize(
    ("host", "url", "more"),
    [
        ("127.0.0.1", "ws://127.0.0.1:8000/ws", ""),
        ("chat.example", "ws://chat.example:8000/ws", ""),
        ("fd00::1", "ws://[fd00::1]:8000/ws", ""),
        ("", "ws://localhost:8000/ws", ", on all addresses of this machine"),
        ("0.0.0.0", "ws://127.0.0.1:8000/ws", ", on all addresses of this machine"),
        ("::", "ws://[::1]:8000/ws", ", on all addresses of this machine"),
    ],
)
def test_announcing(host: str, url: str, more: str, capsys: pytest.CaptureFixture[str]) -> None:
    for secure in (False, True):
        write_announcement(local_url(host, 8000, "/ws", secure=secure), host)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"zaptools listens on {url}{more}; Ctrl-C stops it"
    assert lines[1] == f"zaptools listens on wss{url[2:]}{more}; Ctrl-C stops it"


@pytest.mark.parametrize("stderr", [None, "closed"])
def test_announcing_where_nothing_can_be_written(stderr: Any, monkeypatch: Any) -> None:
    if stderr:
        stderr = io.StringIO()
        stderr.close()
    monkeypatch.setattr(sys, "stderr", stderr)
    write_announcement("ws://127.0.0.1:8000/", "127.0.0.1")


async def test_announcing_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    server = ZapServer(port=0)
    server.on_event("stop", lambda ctx: server.close())
    over = await run_in_thread(server, announce=False)
    async with raw_client(server.port) as peer:
        peer.event("stop")
        await peer.closed()
    await within(over)
    assert capsys.readouterr() == ("", "")


async def test_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        async with App(host="::1") as app:
            reader, writer = await asyncio.open_connection("::1", app.port)
            writer.write(b"GET /nope HTTP/1.1\r\n\r\n")
            assert status(await within(reader.read())) == 404
            writer.close()
    except OSError as exc:
        pytest.skip(f"no IPv6: {exc}")


class TestIds:
    async def test_the_default(self) -> None:
        async with App() as app, raw_client(app.port), raw_client(app.port):
            await until(lambda: len(app.seen) == 2)
            ids = [connection.id for connection in app.seen]
            assert all(
                re.fullmatch(r"zpt-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", i) for i in ids
            )
            assert len(set(ids)) == 2

    async def test_a_strategy(self) -> None:
        numbers = count()
        async with App(id_strategy=lambda: f"c{next(numbers)}") as app:
            async with raw_client(app.port), raw_client(app.port):
                await until(lambda: len(app.seen) == 2)
                assert list(app.connections) == ["c0", "c1"]
            await http(app.port, UPGRADE % (b"/nope", b""))  # needs no id
            await http(app.port, UPGRADE.replace(b"13", b"8") % (b"/", b""))
            async with raw_client(app.port):
                await until(lambda: len(app.seen) == 3)
                assert app.seen[2].id == "c2"

    async def test_a_duplicate_is_refused(self, caplog: pytest.LogCaptureFixture) -> None:
        async with App(id_strategy=lambda: "same") as app:
            async with raw_client(app.port) as first:
                answer = await http(app.port, UPGRADE % (b"/", b""))
                assert status(answer) == 409 and b"id is taken" in answer
                assert b"same" not in answer
                first.event("echo", 1)
                assert (await first.text())["payload"] == 1
                assert app.log == ["connected", 1]
            refusals = [r for r in caplog.records if r.levelno == logging.WARNING]
            (refusal,) = refusals
            assert refusal.getMessage() == ("connection refused: the connection id 'same' is taken")
            await until(lambda: app.log[-1] == "disconnected" and not app.connections)
            async with raw_client(app.port):  # the id is free again
                await until(lambda: len(app.seen) == 2)

    async def test_an_id_is_in_use_until_the_last_handler_is_done(self) -> None:
        gate = asyncio.Event()
        app = App(id_strategy=lambda: "same")
        app.on_disconnected(lambda ctx: gate.wait())
        async with app:
            async with raw_client(app.port) as first:
                await until(lambda: app.seen)
                first.drop()
                await until(lambda: not app.seen[0].is_open)
                assert status(await http(app.port, UPGRADE % (b"/", b""))) == 409
                gate.set()
                await until(lambda: not app.connections)
            async with raw_client(app.port):
                await until(lambda: len(app.seen) == 2)

    async def test_servers_with_one_register_share_ids(self) -> None:
        register = EventRegister()
        options: dict[str, Any] = {"register": register, "id_strategy": lambda: "same"}
        async with (
            ZapServer(port=0, **options) as one,
            ZapServer(port=0, **options) as other,
            ZapServer(port=0, id_strategy=lambda: "same") as apart,
            raw_client(one.port),
            raw_client(apart.port),
        ):
            assert status(await http(other.port, UPGRADE % (b"/", b""))) == 409
            assert not other.connections

    @pytest.mark.parametrize(("strategy", "code"), [(lambda: "same", 409), (lambda: None, 500)])
    async def test_refusals_do_not_fill_the_log(
        self, strategy: Any, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        strategies = [lambda: "same"]
        async with App(id_strategy=lambda: strategies[-1]()) as app, raw_client(app.port):
            strategies.append(strategy)
            for _ in range(PER_MINUTE + 2):
                assert status(await http(app.port, UPGRADE % (b"/", b""))) == code
        lines = [r for r in caplog.records if r.getMessage().startswith("connection refused")]
        assert len(lines) == PER_MINUTE

    @pytest.mark.parametrize("strategy", [lambda: 7, lambda: None, lambda: str(1 / 0)])
    async def test_no_id(self, strategy: Any, caplog: pytest.LogCaptureFixture) -> None:
        strategies = [strategy]
        async with App(id_strategy=lambda: strategies[-1]()) as app:
            answer = await http(app.port, UPGRADE % (b"/", b""))
            assert status(answer) == 500
            assert not app.connections and app.log == []
            (failure,) = [r for r in caplog.records if r.levelno == logging.ERROR]
            assert failure.getMessage() == "connection refused: the id strategy failed"
            assert failure.exc_info is not None
            strategies.append(lambda: "x")
            async with raw_client(app.port):  # the server lives
                await until(lambda: app.log == ["connected"])

    def test_a_strategy_is_a_callable(self) -> None:
        with pytest.raises(TypeError, match="id_strategy must be a callable"):
            ZapServer(id_strategy="uuid")  # type: ignore[arg-type]  # that is the point


async def test_broadcast() -> None:
    async with App() as app, raw_client(app.port) as first, raw_client(app.port) as second:
        await until(lambda: len(app.seen) == 2)
        result = await app.broadcast("a", 1, {"h": 1}, exclude=app.seen[0])
        assert result.sent == [app.seen[1]]
        await app.broadcast("a", 2)
        assert [(await second.text())["payload"] for _ in range(2)] == [1, 2]
        assert (await first.text())["payload"] == 2
        with pytest.raises(CodecError):
            await app.broadcast("a", object())


class TestConcurrency:
    async def test_a_slow_handler(self) -> None:
        async with App(concurrency=2) as app, ZapConsumer(app.url()) as client:
            await client.send_event("gate", 1)
            await client.send_event("echo", 2)
            assert (await within(client.wait_for("echo"))).payload == 2
            assert app.log == ["connected", 2]
            app.gate.set()
            assert (await within(client.wait_for("gate"))).payload == 1

    async def test_it_is_that_of_the_register(self) -> None:
        register = EventRegister(concurrency=3)
        assert ZapServer(register=register).book.concurrency == 3
        assert ZapServer(register=register, concurrency=2).book.concurrency == 2
        assert register.book.concurrency == 2

    async def test_a_close_frame_is_answered_after_all_handlers(self) -> None:
        async with App(concurrency=2) as app:
            async with raw_client(app.port) as peer:
                peer.event("gate", 1)
                peer.event("echo", 2)
                assert (await peer.text())["payload"] == 2
                peer.protocol.send_close(4000)
                peer.flush()
                await until(lambda: app.transport.closing.is_answering)
                app.gate.set()
                assert (await peer.text())["payload"] == 1
                assert (await peer.closed()).code == 4000
            await until(lambda: app.ends)

    async def test_a_handler_closes_the_server(self) -> None:
        """It does not wait for its own end, but for another's of the same kind."""
        app = App(concurrency=2, limits=Limits(close_timeout=3600))
        closed: list[bool] = []

        @app.on_event("stop")
        async def stop(ctx: EventContext) -> None:
            await app.close()
            closed.append(True)

        async with app:
            async with raw_client(app.port) as peer:
                peer.event("stop")
                assert (await peer.closed()).code == 1001
                await until(lambda: closed)

    async def test_handlers_that_hang_when_the_server_closes(self) -> None:
        async with App(concurrency=2, limits=Limits(close_timeout=10 * MS)) as app:
            async with raw_client(app.port) as peer:
                for number in range(3):
                    peer.event("gate", number)
                await until(lambda: app.seen)
                await within(app.close())
                assert app.log == ["connected", "disconnected"]
