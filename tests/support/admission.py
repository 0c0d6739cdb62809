"""What every server owes an application that decides which clients get a connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from tests.support import until, within
from tests.support.app import Notes
from zaptools import (
    ConnectionClosedError,
    EventContext,
    EventRegister,
    HandshakeError,
    HandshakeRequest,
    Limits,
    Refuse,
    ZapConsumer,
)

__all__ = ["AdmissionContract"]


class Running(Protocol):
    @property
    def port(self) -> int: ...


def _abandon(request: HandshakeRequest) -> None:
    """Raise what `except Exception` does not catch, as test frameworks and libraries do."""
    raise BaseException("abandoned")


class AdmissionContract:
    """Derive from it, and say how to serve a register at ``/ws``.

    Attributes:
        accepts_first: whether the framework accepts a WebSocket before it can be refused: with
            the close code 1008 then.
    """

    accepts_first = False

    def serve(
        self, register: EventRegister, **options: Any
    ) -> AbstractAsyncContextManager[Running]:
        raise NotImplementedError

    async def refusal(self, port: int, **request: Any) -> tuple[int, bytes, dict[str, str]]:
        """Return the status, the body and the headers with which a client is refused."""
        client = ZapConsumer(f"ws://127.0.0.1:{port}/ws")
        if not self.accepts_first:
            with pytest.raises(HandshakeError) as info:
                await client.connect(**request)
            assert info.value.status is not None
            return info.value.status, info.value.body, info.value.headers
        await client.connect(**request)
        await until(lambda: client.last_error)
        assert isinstance(client.last_error, ConnectionClosedError)
        assert client.last_error.code == 1008
        return int(client.last_error.reason.partition(" ")[0]), b"", {}

    async def refuse(
        self, function: Callable[[HandshakeRequest], Any], **options: Any
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return how a server refuses whose function is this, which must keep nothing of it."""
        register = Notes()
        register.on_handshake(function)
        async with self.serve(register, **options) as running:
            answer = await self.refusal(running.port)
            assert not register.seen and not register.log
            register.on_handshake(lambda request: None, replace=True)
            async with ZapConsumer(f"ws://127.0.0.1:{running.port}/ws") as client:
                await until(lambda: register.seen)
                assert client.is_connected
        return answer

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_it_decides(self, is_async: bool) -> None:
        """The request is there, and what the function leaves behind is the connection's state."""
        requests: list[HandshakeRequest] = []

        def check(request: HandshakeRequest) -> None:
            requests.append(request)
            if request.headers.get("authorization") != "Bearer ada":
                raise Refuse(401, "who are you?", {"WWW-Authenticate": "Bearer"})
            request.state.user = "ada"

        async def check_later(request: HandshakeRequest) -> None:
            await asyncio.sleep(0.001)
            check(request)

        async def whoami(ctx: EventContext) -> None:
            await ctx.connection.send("whoami", ctx.connection.state.user)

        register = Notes()
        register.on_handshake(check_later if is_async else check)
        register.on_event("whoami", whoami)
        async with self.serve(register) as running:
            status, body, headers = await self.refusal(running.port)
            assert status == 401
            if not self.accepts_first:
                assert body == b"who are you?"
                assert headers["www-authenticate"] == "Bearer"
                assert headers["content-type"] == "text/plain; charset=utf-8"
            assert not register.log
            client = ZapConsumer(f"ws://127.0.0.1:{running.port}/ws?a=b%20c")
            given = {"Authorization": "Bearer ada", "Cookie": "one=1; two=2"}
            await client.connect([] if self.accepts_first else ["p", "q"], given)
            await client.send_event("whoami")
            assert (await client.wait_for("whoami")).payload == "ada"
            await client.disconnect()
            await until(lambda: "disconnected" in register.log)
        request = requests[-1]
        assert (request.path, request.query) == ("/ws", {"a": "b c"})
        assert request.cookies == {"one": "1", "two": "2"}
        assert list(request.subprotocols) == ([] if self.accepts_first else ["p", "q"])
        assert request.client is not None and request.client[0] == "127.0.0.1"

    async def test_a_plain_refusal(self) -> None:
        def check(request: HandshakeRequest) -> None:
            raise Refuse

        status, _, _ = await self.refuse(check)
        assert status == 403

    async def test_a_body_of_bytes(self) -> None:
        def check(request: HandshakeRequest) -> None:
            raise Refuse(429, b'{"error":"busy"}', {"Content-Type": "application/json"})

        status, body, headers = await self.refuse(check)
        assert status == 429
        if not self.accepts_first:
            assert (body, headers["content-type"]) == (b'{"error":"busy"}', "application/json")

    @pytest.mark.parametrize(
        ("function", "status", "words"),
        [
            (lambda request: 1 / 0, 500, "on_handshake failed"),
            (_abandon, 500, "on_handshake failed"),
            (lambda request: True, 500, "on_handshake returned True, in place of nothing"),
            (lambda request: Refuse(401), 401, ""),
        ],
        ids=["raises", "raises-no-exception", "returns", "returns-a-refusal"],
    )
    async def test_a_function_that_fails(
        self, function: Any, status: int, words: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.ERROR, "zaptools")
        found, body, _ = await self.refuse(function)
        assert found == status
        assert b"division" not in body
        assert words in caplog.text

    async def test_a_function_that_was_cancelled(self) -> None:
        async def check(request: HandshakeRequest) -> None:
            task = asyncio.ensure_future(asyncio.sleep(10))
            task.cancel()
            await task

        assert (await self.refuse(check))[0] == 500

    @pytest.mark.parametrize(
        "caught", [(), (asyncio.CancelledError,)], ids=["is-cancelled", "catches-it"]
    )
    async def test_a_function_that_takes_too_long(
        self, caught: tuple[type[BaseException], ...], caplog: pytest.LogCaptureFixture
    ) -> None:
        """It admits nothing by catching the cancellation."""

        async def check(request: HandshakeRequest) -> None:
            with contextlib.suppress(*caught):
                await asyncio.sleep(10)

        caplog.set_level(logging.ERROR, "zaptools")
        status, _, _ = await self.refuse(check, limits=Limits(admission_timeout=0.01))
        assert status == 503
        assert "on_handshake took longer than 0.01 s" in caplog.text

    async def test_no_event_comes_before_the_decision(self) -> None:
        decided = asyncio.Event()
        register = Notes()

        @register.on_handshake
        async def check(request: HandshakeRequest) -> None:
            await decided.wait()
            request.state.ready = True

        @register.on_event("ready")
        async def ready(ctx: EventContext) -> None:
            await ctx.connection.send("ready", ctx.connection.state.ready)

        async with self.serve(register) as running:
            client = ZapConsumer(f"ws://127.0.0.1:{running.port}/ws")
            connecting = asyncio.ensure_future(client.connect())
            if self.accepts_first:
                await within(asyncio.shield(connecting))
            await asyncio.sleep(0.02)
            assert not register.seen and connecting.done() == self.accepts_first
            decided.set()
            await within(connecting)
            await client.send_event("ready")
            assert (await client.wait_for("ready")).payload is True
            await client.disconnect()
