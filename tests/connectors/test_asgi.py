"""`AsgiApp` under uvicorn, and message by message."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support import until, within
from tests.support.admission import AdmissionContract
from tests.support.contract import ConnectorContract, Log
from tests.support.hosts import uvicorned
from tests.support.raw import http, raw_client
from zaptools import EventRegister
from zaptools.asgi import AsgiApp


class TestUnderUvicorn(ConnectorContract, AdmissionContract):
    protocol = "websockets-sansio"

    def serve(self, register: EventRegister, **options: Any) -> AbstractAsyncContextManager[Any]:
        connection_id = options.pop("connection_id", None)
        if connection_id is not None:
            options["id_strategy"] = lambda: connection_id
        return uvicorned(AsgiApp(register, path="/ws", **options), ws=self.protocol)

    @pytest.mark.parametrize(("path", "status"), [(b"/ws", 426), (b"/", 404), (b"/ws/", 404)])
    async def test_http(self, path: bytes, status: int) -> None:
        async with self.serve(Log()) as running:
            request = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
            answer = await http(running.port, request)
            assert int(answer.split(b" ", 2)[1]) == status

    async def test_an_id_strategy_that_fails(self) -> None:
        """The client is told so, in place of a connection that ends at once."""

        def fail() -> str:
            raise KeyError("no id")

        app = AsgiApp(Log(), path="/ws", id_strategy=fail)
        async with uvicorned(app, ws=self.protocol) as running:
            with pytest.raises(AssertionError, match="status_code=500"):
                await raw_client(running.port, "/ws").__aenter__()

    async def test_an_answer_to_head_has_no_content(self) -> None:
        """Also where the server does not see to it: RFC 9110, section 9.3.2."""
        asgi = Asgi(AsgiApp(Log()), "http", method="HEAD")
        await within(asgi.task)
        start, body = asgi.sent
        assert body["body"] == b"" and (b"content-length", b"21") in start["headers"]

    async def test_another_path(self) -> None:
        register = Log()
        async with self.serve(register) as running:
            with pytest.raises(AssertionError, match="403"):
                async with raw_client(running.port, "/other"):
                    pass
        assert not register.log

    async def test_mounted(self) -> None:
        register = Log()
        app = Starlette(routes=[Mount("/zap", AsgiApp(register, path="/ws"))])
        async with uvicorned(app) as running:
            async with raw_client(running.port, "/zap/ws") as peer:
                peer.event("echo", 1)
                await peer.text()
                assert register.connection.handshake.path == "/zap/ws"


class TestUnderUvicornWithWsproto(TestUnderUvicorn):
    """The same over uvicorn's other implementation of the protocol."""

    protocol = "wsproto"
    tells_faults = False  # uvicorn 0.54 (wsproto_impl.py) ends TCP with no close frame


class Asgi:
    """A server for one connection, by hand."""

    def __init__(self, app: AsgiApp, kind: str = "websocket", **more: Any) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[Any] = []
        scope = {"type": kind, "path": "/", **more}
        self.task = asyncio.ensure_future(app(scope, self.incoming.get, self._send))

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


class TestMessages:
    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ({"code": 1000, "reason": ""}, (1000, "", "remote")),
            ({"code": 4000, "reason": "x"}, (4000, "x", "remote")),
            ({"code": 4000}, (4000, "", "remote")),
            ({"code": 1005, "reason": ""}, (1005, "", "remote")),
            ({"code": 1005}, (1006, "", None)),
            ({"code": 1006, "reason": "lost"}, (1006, "", None)),
            ({}, (1006, "", None)),
            ({"code": 1012}, (1012, "", "local")),
        ],
    )
    async def test_endings(self, message: Any, expected: Any) -> None:
        register = Log()
        asgi = Asgi(AsgiApp(register))
        asgi.incoming.put_nowait({"type": "websocket.connect"})
        asgi.incoming.put_nowait({"type": "websocket.disconnect", **message})
        await within(asgi.task)
        assert tuple(await register.ended()) == expected
        assert asgi.sent == [{"type": "websocket.accept", "subprotocol": None, "headers": []}]
        assert register.connection.handshake.client is None

    async def test_cancelling(self) -> None:
        register = Log()
        asgi = Asgi(AsgiApp(register))
        asgi.incoming.put_nowait({"type": "websocket.connect"})
        await until(lambda: register.seen)
        asgi.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(asgi.task)
        assert tuple(await register.ended()) == (1001, "", "local")
        assert asgi.sent[-1] == {"type": "websocket.close", "code": 1001, "reason": ""}

    async def test_lifespan(self) -> None:
        asgi = Asgi(AsgiApp(Log()), "lifespan")
        for kind in ("lifespan.startup", "lifespan.shutdown"):
            asgi.incoming.put_nowait({"type": kind})
        await within(asgi.task)
        assert [message["type"] for message in asgi.sent] == [
            "lifespan.startup.complete",
            "lifespan.shutdown.complete",
        ]

    async def test_arguments(self) -> None:
        with pytest.raises(ValueError, match="path"):
            AsgiApp(Log(), path="ws")
        with pytest.raises(ValueError, match="'mail'"):
            await Asgi(AsgiApp(Log()), "mail").task


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_messages_that_are_all_there_let_others_run(concurrency: int) -> None:
    """A framework that has read ahead hands them out without a turn of the loop."""
    register = EventRegister(concurrency=concurrency)
    handled: list[Any] = []
    register.on_event("e", lambda ctx: handled.append(ctx.payload[0]))
    long = "x" * 16_000  # a turn is no number of messages
    texts = [json.dumps({"eventName": "e", "payload": [number, long]}) for number in range(90)]
    messages: list[dict[str, Any]] = [{"type": "websocket.connect"}]
    messages += [{"type": "websocket.receive", "text": text} for text in texts]
    messages += [{"type": "websocket.disconnect", "code": 1000, "reason": ""}]
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(coming)

    async def send(message: Any) -> None: ...

    scope = {"type": "websocket", "path": "/", "headers": []}
    serving = asyncio.create_task(AsgiApp(register)(scope, receive, send))
    turns = 0
    while not serving.done():
        turns += 1
        await asyncio.sleep(0)
    await serving
    assert handled == list(range(90)) and turns >= 10
