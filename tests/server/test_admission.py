"""Which clients `ZapServer` gives a connection: its application decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from tests.support import until, within
from tests.support.admission import AdmissionContract
from tests.support.app import Notes
from tests.support.raw import RawPeer
from zaptools import (
    EventRegister,
    Handshake,
    HandshakeRequest,
    Limits,
    NameTakenError,
    Refuse,
    RegistrationError,
    ZapConsumer,
    ZapServer,
)
from zaptools.handlers.admission import decide
from zaptools.handlers.quota import PER_MINUTE
from zaptools.server.transport import ServerTransport


@asynccontextmanager
async def serving(register: EventRegister, **options: Any) -> AsyncIterator[ZapServer]:
    async with ZapServer(port=0, path="/ws", register=register, **options) as server:
        yield server


class TestZapServer(AdmissionContract):
    def serve(self, register: EventRegister, **options: Any) -> Any:
        return serving(register, **options)


class Slow(Notes):
    """Decides when `decide` is called; `ended` counts the functions that were cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.ended = 0
        self.decision: asyncio.Future[Refuse | None] = asyncio.get_running_loop().create_future()
        self.on_handshake(self._check)

    async def _check(self, request: HandshakeRequest) -> None:
        self.asked += 1
        try:
            refusal = await asyncio.shield(self.decision)
        except asyncio.CancelledError:
            self.ended += 1
            raise
        if refusal is not None:
            raise refusal


@asynccontextmanager
async def early(port: int, *payloads: int) -> AsyncIterator[RawPeer]:
    """Connect, and send events with the request, in one piece, without waiting for the answer."""
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/ws"), max_size=None)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    peer = RawPeer(protocol, reader, writer)
    protocol.send_request(protocol.connect())
    data = b"".join(protocol.data_to_send())
    for payload in payloads:
        text = json.dumps({"eventName": "echo", "payload": payload})
        data += Frame(Opcode.TEXT, text.encode()).serialize(mask=True)
    writer.write(data)
    try:
        yield peer
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_client_sends_too_early_is_kept(waits: bool) -> None:
    """RFC 6455, section 4.1: it should have waited; what it sent is in order all the same."""
    register = Slow()
    if not waits:
        register.decision.set_result(None)
    async with serving(register) as server, early(server.port, 1, 2) as peer:
        await until(lambda: register.asked)
        text = json.dumps({"eventName": "echo", "payload": 3})
        peer.writer.write(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))
        await asyncio.sleep(0.02)
        if waits:
            assert not register.seen
            register.decision.set_result(None)
        assert isinstance(await peer.next(), Response)
        assert [(await peer.text())["payload"] for _ in range(3)] == [1, 2, 3]


async def test_what_comes_while_it_is_decided_is_kept() -> None:
    register = Slow()
    async with serving(register) as server, early(server.port) as peer:
        await until(lambda: register.asked)
        text = json.dumps({"eventName": "echo", "payload": 1})
        peer.writer.write(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))
        await asyncio.sleep(0.02)
        register.decision.set_result(None)
        assert isinstance(await peer.next(), Response)
        assert (await peer.text())["payload"] == 1


async def test_a_client_that_has_gone_when_it_is_decided_gets_nothing() -> None:
    register = Notes()

    @register.on_handshake
    def check(request: HandshakeRequest) -> None:
        (transport,) = server.roster.transports
        assert isinstance(transport, ServerTransport)
        transport.tcp.abort()

    async with serving(register) as server, early(server.port) as peer:
        await peer.eof()
        await until(lambda: not server.roster.transports)
        assert not register.log and not server.roster.ids


async def test_failures_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    register = EventRegister()
    register.on_handshake(lambda request: 1 / 0)  # type: ignore[type-var]  # it fails
    for _ in range(PER_MINUTE + 5):
        refusal, _ = await decide(register.book, Handshake(), Limits())
        assert refusal is not None and refusal.status == 500
    assert caplog.text.count("a handshake was refused") == PER_MINUTE


async def test_what_a_refused_client_sends_too_early_is_dropped() -> None:
    register = Slow()
    async with serving(register) as server, early(server.port, 1) as peer:
        await until(lambda: register.asked)
        register.decision.set_result(Refuse(401))
        answer = await peer.next()
        assert isinstance(answer, Response) and answer.status_code == 401
        await peer.eof()
    assert not register.log and not server.connections


async def test_a_client_that_goes_ends_the_function() -> None:
    register = Slow()
    async with serving(register) as server:
        async with early(server.port):
            await until(lambda: register.asked)
        await until(lambda: register.ended)
        assert not server.roster.transports
        register.decision.set_result(None)
        async with ZapConsumer(f"ws://127.0.0.1:{server.port}/ws"):
            await until(lambda: register.seen)


async def test_a_function_that_goes_on_decides_nothing() -> None:
    """It ignores that its client has gone."""
    register, decided = Notes(), asyncio.Event()

    @register.on_handshake
    async def check(request: HandshakeRequest) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        decided.set()

    async with serving(register) as server:
        async with early(server.port):
            await until(lambda: server.roster.transports)
            await asyncio.sleep(0.01)
        await within(decided.wait())
        await asyncio.sleep(0.01)
        assert not register.log and not server.roster.ids


async def test_a_server_that_closes_ends_the_function() -> None:
    register = Slow()
    async with serving(register) as server, early(server.port) as peer:
        await until(lambda: register.asked)
        await within(server.close())
        assert register.ended == 1
        await peer.eof()
    assert not register.log


async def test_a_head_is_answered_without_a_body() -> None:
    """It is refused before the function is asked: only a GET opens a WebSocket."""
    register = Slow()
    async with serving(register) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HEAD /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n")
        answer = await within(reader.read())
        writer.close()
    assert answer.startswith(b"HTTP/1.1 4") and answer.endswith(b"\r\n\r\n")
    assert register.asked == 0


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"status": 200}, ValueError, "status must be one of HTTP's from 300 on, got 200"),
        ({"status": 499}, ValueError, "got 499"),
        ({"status": "401"}, TypeError, "status must be an int, not '401'"),
        ({"body": 1}, TypeError, "body must be a str, bytes or None, not 1"),
        ({"headers": {"Content-Length": "1"}}, ValueError, "Content-Length"),
    ],
)
def test_what_is_no_refusal(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Refuse(**arguments)


def test_a_refusal_in_words() -> None:
    assert str(Refuse(401)) == "401 Unauthorized"
    assert Refuse(404).body == b"Not Found.\n"
    assert Refuse(403, "ü").body == "ü".encode()


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        (b"", {}),
        (b" ; =; a", {"": ""}),
        (b"a=1; a=2;b = 3=4", {"a": "2", "b": "3=4"}),
        (b'a="x y"; b="\\073\\""; c="', {"a": "x y", "b": ';"', "c": '"'}),
        (b'prefs={"a":[1, 2]}; [x]=1; x:y=2; path=/; session=s', {
            "prefs": '{"a":[1, 2]}', "[x]": "1", "x:y": "2", "path": "/", "session": "s",
        }),
    ],
)  # fmt: skip
def test_cookies(header: bytes, cookies: dict[str, str]) -> None:
    """One that is of no form that Python writes takes no others along."""
    request = HandshakeRequest.of(Handshake(header_block=b"cookie: %b\r\n" % header))
    assert request.cookies == cookies
    assert request.subprotocols == []


def check(request: HandshakeRequest) -> None:
    """Accept."""


def other(request: HandshakeRequest) -> None:
    """Accept too."""


def test_registration() -> None:
    register = EventRegister()
    assert register.on_handshake(check) is check
    with pytest.warns(RuntimeWarning, match="as the handler of the handshake"):
        register.on_handshake(other)
    register.on_handshake(replace=True)(check)
    with pytest.raises(RegistrationError, match="it takes one argument, the HandshakeRequest"):
        register.on_handshake(lambda request, more: None)  # type: ignore[type-var]  # on purpose


def test_include() -> None:
    register, part = EventRegister(), EventRegister()
    register.include(part)
    assert register.book.admission is None
    part.on_handshake(check)
    register.include(part)
    register.include(part)
    assert register.book.admission is check
    part.on_handshake(other, replace=True)
    with pytest.raises(NameTakenError, match="the handshake"):
        register.include(part)
