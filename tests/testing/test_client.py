"""Tests of `zaptools.testing`."""

from __future__ import annotations

import asyncio
import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import until
from zaptools import (
    CloseInfo,
    CodecError,
    ConnectionClosedError,
    EventContext,
    EventRegister,
    HandshakeError,
    HandshakeRequest,
    Limits,
    NameTakenError,
    NoRequestError,
    Refuse,
    RemoteError,
    RoomManager,
    ZapServer,
)
from zaptools.testing import TestClient

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text("utf-8")


@pytest.fixture
def register() -> EventRegister:
    register = EventRegister()

    @register.on_event("echo")
    async def echo(ctx: EventContext) -> None:
        await ctx.connection.send("echo", ctx.payload, ctx.headers)

    @register.on_event("boom")
    def boom(ctx: EventContext) -> None:
        raise KeyError(ctx.payload)

    @register.on_event("close-me")
    async def close_me(ctx: EventContext) -> None:
        await ctx.connection.send("bye")
        await ctx.connection.close(4001, "go")

    return register


class Gate:
    """A handler that waits until it is let go."""

    def __init__(self, register: EventRegister, name: str = "wait") -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()
        register.on_event(name, self)

    async def __call__(self, ctx: EventContext) -> None:
        self.reached.set()
        await self.open.wait()


class TestEvents:
    async def test_both_ways(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            await client.send("echo", {"n": [1, 1.0, None]}, {"h": 1})
            event = await client.receive()
            assert (event.event_name, event.payload) == ("echo", {"n": [1, 1.0, None]})
            assert event.headers == {"h": 1}
            await client.send("echo")
            assert (await client.receive()).headers == {}
            await client.receive_nothing(within=0)

    async def test_the_codec_refuses(self, register: EventRegister) -> None:
        seen: list[BaseException | None] = []
        register.on_error(lambda ctx: seen.append(ctx.error))
        register.on_event("bad", lambda ctx: ctx.connection.send("bad", math.nan))
        async with TestClient(register) as client:
            with pytest.raises(CodecError):
                await client.send("echo", {"x": math.nan})
            await client.receive_nothing(within=0)
            await client.send("bad")
            await client.send_raw("{")
            await client.send_raw(b"\x00")
            await client.settle()
        assert [error.reason for error in seen if isinstance(error, CodecError)] == [
            "number",
            "not-json",
            "binary",
        ]

    async def test_what_is_no_event_is_logged(
        self, register: EventRegister, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with TestClient(register) as client:
            await client.send_raw("[]")
            await client.send("connected")
            await client.send("echo", 1)
            assert (await client.receive()).payload == 1
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]

    async def test_nothing_came(self, register: EventRegister) -> None:
        gate = Gate(register)
        async with TestClient(register) as client:
            with pytest.raises(TimeoutError) as info:
                await client.receive(timeout=0)
            assert str(info.value).startswith("no event came within 0 s; received before: nothing;")
            await client.send("echo")
            await client.receive()
            with pytest.raises(
                TimeoutError, match=r"before: 'echo'; all sent events are handled: 'echo'$"
            ):
                await client.receive(timeout=0.01)
            for name in ("wait", *(f"n{i}" for i in range(12))):
                await client.send(name)
            await gate.reached.wait()
            with pytest.raises(TimeoutError, match=r"waiting behind it: 2 others, 'n2', .*, 'n11'"):
                await client.receive(timeout=0)
            with pytest.raises(TimeoutError, match=r"not settled within 0\.01 s; received"):
                await client.settle(timeout=0.01)
            settling = asyncio.create_task(client.settle())
            await asyncio.sleep(0)
            gate.open.set()
            await settling
            await client.receive_nothing(within=0)

    async def test_something_came(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            await client.send("echo", "x" * 1000)
            with pytest.raises(AssertionError, match=r"the event 'echo' came, .* 'xxx") as info:
                await client.receive_nothing()
            assert len(str(info.value)) < 300

    async def test_it_is_read_late(self, register: EventRegister) -> None:
        """Who sends without end lets others run, and learns of the end."""

        @register.on_event("flood")
        async def flood(ctx: EventContext) -> None:
            with pytest.raises(ConnectionClosedError):
                while True:
                    await ctx.connection.send("tick", "x" * 1000)

        async with TestClient(register) as client:
            await client.send("flood")
            assert (await client.receive()).event_name == "tick"
            await client.drop()
            assert (await client.receive()).event_name == "tick"


class TestErrors:
    async def test_they_are_raised_in_place_of_an_event(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            for call in (client.receive, client.receive_nothing, client.settle):
                await client.send("boom", "name")
                with pytest.raises(KeyError, match="name"):
                    await call()
            await client.send("boom")
            await client.send("echo")
            assert (await client.receive()).event_name == "echo"
            with pytest.raises(KeyError):
                await client.receive(timeout=0)

    async def test_they_are_raised_at_the_end(self, register: EventRegister) -> None:
        with pytest.raises(KeyError, match="late"):
            async with TestClient(register) as client:
                await client.send("boom", "late")
        with pytest.raises(BaseExceptionGroup, match="handlers failed") as info:
            async with TestClient(register) as client:
                await client.send("boom", 1)
                await client.send("boom", 2)
        assert [error.args for error in info.value.exceptions] == [(1,), (2,)]

    async def test_the_tests_own_error_comes_first(self, register: EventRegister) -> None:
        with pytest.raises(ZeroDivisionError) as info:
            async with TestClient(register) as client:
                await client.send("boom", 1)
                raise ZeroDivisionError
        assert info.value.__notes__ == ["a handler failed: KeyError(1)"]

    async def test_they_are_logged_on_request(
        self, register: EventRegister, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with TestClient(register, raise_errors=False) as client:
            await client.send("boom")
            await client.receive_nothing()
            assert client.is_open
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert "the handler of 'boom' failed" in caplog.text

    async def test_they_are_replies_to_requests(self, register: EventRegister) -> None:
        async with TestClient(register, raise_errors=False) as client:
            await client.send("boom", 1, {"requestId": "7"})
            reply = await client.receive()
            assert reply.headers == {"replyTo": "7", "replyError": "the handler failed"}
        with pytest.raises(KeyError):
            async with TestClient(register) as client:
                await client.send("boom", 1, {"requestId": "7"})
                assert (await client.receive()).headers["replyTo"] == "7"

    async def test_the_failure_comes_in_place_of_its_reply(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            with pytest.raises(KeyError):
                await client.request("boom", 1)
            await client.receive_nothing()
        async with TestClient(register, raise_errors=False) as client:
            with pytest.raises(RemoteError, match="the handler failed"):
                await client.request("boom", 1)

    async def test_a_refusal_fails_no_test(self, register: EventRegister) -> None:
        def refuse(ctx: EventContext) -> None:
            raise RemoteError("no")

        register.on_event("refuse", refuse)
        async with TestClient(register) as client:
            await client.send("refuse", None, {"requestId": "7"})
            assert (await client.receive()).headers["replyError"] == "no"
            with pytest.raises(RemoteError, match="no"):
                await client.request("refuse")

    async def test_an_error_handler_takes_them(self, register: EventRegister) -> None:
        seen: list[BaseException | None] = []
        async with TestClient(register) as client:
            register.on_error(lambda ctx: seen.append(ctx.error))
            await client.send("boom", 1)
        assert [repr(error) for error in seen] == ["KeyError(1)"]

    async def test_lifecycle_handlers(self, register: EventRegister) -> None:
        def fail(ctx: EventContext) -> None:
            raise RuntimeError(ctx.event_name)

        register.on_connected(fail)
        register.on_disconnected(fail)
        client = TestClient(register)
        with pytest.raises(RuntimeError, match=r"^disconnected$"):
            async with client:
                with pytest.raises(RuntimeError, match=r"^connected$"):
                    await client.settle()

    async def test_what_pytest_raises(self, register: EventRegister) -> None:
        """Its failures are no Exceptions, and end the connection as in a server."""
        register.on_event("fail", lambda ctx: pytest.fail("in a handler"))
        async with TestClient(register) as client:
            await client.send("fail")
            with pytest.raises(pytest.fail.Exception, match="in a handler"):
                await client.receive()
            assert (await client.wait_closed()).code == 1001


class TestEnding:
    async def test_the_client_closes(self, register: EventRegister) -> None:
        ended: list[CloseInfo | None] = []
        register.on_disconnected(lambda ctx: ended.append(ctx.connection.closed))
        async with TestClient(register) as client:
            assert client.is_open
            assert not client.finished
            assert client.closed is None
            await client.send("echo", 1)
            await client.close(4000, "bye")
            assert ended == [CloseInfo(4000, "bye", "remote")]
            assert client.closed == CloseInfo(4000, "bye", "local")
            assert client.finished
            assert not client.is_open
            assert (await client.receive()).payload == 1
            for call in (client.receive(), client.send("echo"), client.send_raw("")):
                with pytest.raises(ConnectionClosedError) as info:
                    await call
                assert (info.value.code, info.value.by) == (4000, "local")
            await client.receive_nothing(within=10)
            await client.close()
        assert len(ended) == 1

    async def test_the_server_closes(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            await client.send("close-me")
            assert await client.wait_closed() == CloseInfo(4001, "go", "remote")
            assert (await client.receive()).event_name == "bye"
            with pytest.raises(ConnectionClosedError) as info:
                await client.receive()
            assert (info.value.code, info.value.reason, info.value.by) == (4001, "go", "remote")

    async def test_closing_from_the_test(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            await client.connection.close(4002)
            with pytest.raises(ConnectionClosedError):
                await client.connection.send("x")
            assert (await client.wait_closed()).code == 4002

    async def test_both_close(self, register: EventRegister) -> None:
        """The handler that is running closes after the client did."""
        gate = Gate(register)
        register.on_event("after", lambda ctx: pytest.fail("it was dropped"))
        async with TestClient(register) as client:
            await client.send("wait")
            await client.send("after")
            await gate.reached.wait()
            with pytest.raises(TimeoutError, match=r"still open after 0 s; .* behind it: 'after'"):
                await client.close(4000, timeout=0)
            with pytest.raises(ConnectionClosedError) as info:
                await client.send("echo")
            assert (info.value.code, info.value.by) == (4000, "local")
            await client.connection.close(4003)
            with pytest.raises(TimeoutError, match="closed, its handlers not done after 0 s"):
                await client.wait_closed(timeout=0)
            gate.open.set()
            assert await client.wait_closed() == CloseInfo(4000, "", "local")

    async def test_the_connection_is_lost(self, register: EventRegister) -> None:
        errors: list[str] = []
        register.on_disconnected(lambda ctx: errors.append("disconnected"))
        register.on_error(lambda ctx: errors.append(type(ctx.error).__name__))
        gate = Gate(register)
        async with TestClient(register) as client:
            await client.send("wait")
            await client.send("echo")
            await gate.reached.wait()
            gate.open.set()
            await client.drop()
            assert client.closed == CloseInfo(1006)
        assert errors == ["ConnectionClosedError", "disconnected"]

    async def test_it_is_still_open(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            with pytest.raises(TimeoutError, match=r"still open after 0\.01 s"):
                await client.wait_closed(timeout=0.01)

    async def test_what_no_close_frame_carries(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            with pytest.raises(ValueError, match="1005"):
                await client.close(1005)
            assert client.is_open

    @pytest.mark.parametrize("own", [None, ZeroDivisionError()])
    async def test_a_handler_that_does_not_end(
        self, register: EventRegister, own: Exception | None
    ) -> None:
        gate = Gate(register)
        ended: list[str] = []
        register.on_disconnected(lambda ctx: ended.append(ctx.connection.id))

        class Hasty(TestClient):
            async def close(self, code: int = 1000, reason: str = "", **_: Any) -> None:
                await super().close(code, reason, timeout=0)

        with pytest.raises(BaseException, match=None if own else "still open") as info:
            async with Hasty(register) as client:
                await client.send("boom", 1)
                await client.send("wait")
                await gate.reached.wait()
                if own:
                    raise own
        assert isinstance(info.value, type(own) if own else TimeoutError)
        assert "a handler failed: KeyError(1)" in info.value.__notes__
        assert len(info.value.__notes__) == (2 if own else 1)
        assert client.finished
        assert ended == [client.connection.id]


class TestSeveral:
    async def test_ids_are_unique(self, register: EventRegister) -> None:
        async with TestClient(register) as one, TestClient(register) as two:
            assert one.connection.id.startswith("zpt-")
            assert one.connection.id != two.connection.id

    async def test_a_servers_ids(self, register: EventRegister) -> None:
        server = ZapServer(register=register, id_strategy=lambda: "a")
        async with TestClient(server) as client:
            assert server.connections == {"a": client.connection}
            with pytest.raises(NameTakenError, match="'a'"):
                async with TestClient(server):
                    pytest.fail("it must be refused")
            await client.close()
            assert not server.connections
            async with TestClient(server) as again:
                assert again.connection.id == "a"

    async def test_rooms(self, register: EventRegister) -> None:
        rooms = RoomManager()
        register.on_event("join", lambda ctx: rooms.add_to_room("lobby", ctx.connection))
        async with TestClient(register) as one, TestClient(register) as two:
            for client in (one, two):
                await client.send("join")
                await client.settle()
            result = await rooms.send_to_room("lobby", "said", 1, exclude=one.connection)
            assert result.sent == [two.connection]
            assert (await two.receive()).payload == 1
            await one.receive_nothing(within=0)
            await two.close()
            assert rooms.rooms["lobby"].members == (one.connection,)

    async def test_broadcast(self, register: EventRegister) -> None:
        server = ZapServer(register=register)
        async with TestClient(server) as one, TestClient(server) as two:
            result = await server.broadcast("all", "x" * 70000)
            assert result.sent == [one.connection, two.connection]
            for client in (one, two):
                assert (await client.receive()).event_name == "all"
            await one.drop()
            assert (await server.broadcast("all")).sent == [two.connection]


class TestHandshake:
    async def test_nothing_said(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            handshake = client.connection.handshake
            assert (handshake.path, handshake.query_string, handshake.subprotocol) == (
                "/",
                "",
                None,
            )
            assert handshake.client == ("127.0.0.1", 50000)
            assert not handshake.headers
        async with TestClient(ZapServer(path="/ws")) as client:
            assert client.connection.handshake.path == "/ws"

    async def test_what_is_said(self, register: EventRegister) -> None:
        async with TestClient(
            register,
            path="/a%20b?room=1&x=%C3%A4",
            headers={"Authorization": "Bearer \xe4", "Cookie": "a: 1"},
            subprotocols=["v2", "v1"],
            address=("192.0.2.1", 7),
        ) as client:
            handshake = client.connection.handshake
            assert (handshake.path, handshake.query) == ("/a b", {"room": "1", "x": "ä"})
            assert dict(handshake.headers) == {"authorization": "Bearer \xe4", "cookie": "a: 1"}
            assert (handshake.subprotocol, handshake.client) == ("v2", ("192.0.2.1", 7))

    async def test_the_servers_choice(self) -> None:
        for ours, chosen in ((["v1"], "v1"), (["v3"], None), ([], None)):
            server = ZapServer(subprotocols=ours)
            async with TestClient(server, subprotocols=["v2", "v1"]) as client:
                assert client.connection.handshake.subprotocol == chosen

    def test_what_is_refused(self, register: EventRegister) -> None:
        with pytest.raises(ValueError, match="path must begin with '/', got 'ws'"):
            TestClient(register, path="ws")
        with pytest.raises(TypeError, match="subprotocols"):
            TestClient(register, subprotocols="v1")
        with pytest.raises(ValueError, match="the header X must not have a control character"):
            TestClient(register, headers={"X": "a\r\nY: b"})


class TestUse:
    async def test_one_connection_each(self, register: EventRegister) -> None:
        client = TestClient(register)
        assert repr(client) == "<TestClient not entered>"
        with pytest.raises(RuntimeError, match="async with"):
            assert client.connection
        async with client:
            assert repr(client) == f"<TestClient {client.connection!r}>"
        with pytest.raises(RuntimeError, match="make another one"):
            await client.__aenter__()

    def test_pytest_does_not_collect_it(self) -> None:
        assert TestClient.__test__ is False

    def test_the_page_under_pytest(self, tmp_path: Path) -> None:
        """Its first program is tests too; that all of them run is tested with the other pages."""
        block = PAGE.partition("```python\n")[2].partition("```")[0]
        (tmp_path / "test_page.py").write_text(block, "utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), "."]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        assert "2 passed" in done.stdout, done.stdout + done.stderr


class TestRequests:
    async def test_a_reply(self, register: EventRegister) -> None:
        @register.on_event("price")
        async def price(ctx: EventContext) -> None:
            await ctx.connection.send("news", 1)
            await ctx.reply(ctx.payload * 2, {"currency": "EUR"})
            await ctx.connection.send("price", 2)

        async with TestClient(register) as client:
            await client.send("echo", 0)
            reply = await client.request("price", 40, {"lang": "en", "replyTo": "x"})
            assert (reply.payload, reply.headers["currency"]) == (80, "EUR")
            assert [(await client.receive()).payload for _ in range(3)] == [0, 1, 2]
            await client.receive_nothing()

    async def test_replies_to_several(self, register: EventRegister) -> None:
        register.on_event("late", lambda ctx: late.append(ctx))
        late: list[EventContext] = []
        async with TestClient(register) as client:
            asked = [asyncio.create_task(client.request("late", n)) for n in (1, 2)]
            await until(lambda: len(late) == 2)
            for context in reversed(late):
                await context.reply(-context.payload)
            assert [(await each).payload for each in asked] == [-1, -2]

    async def test_no_reply(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            with pytest.raises(
                TimeoutError, match=r"no reply to the event 'echo' .* received befo"
            ):
                await client.request("echo", 1, timeout=0.01)
            assert (await client.receive()).headers.keys() == {"requestId"}
            with pytest.raises(ConnectionClosedError):
                await client.request("close-me")
            with pytest.raises(ConnectionClosedError):
                await client.request("echo")

    async def test_what_the_server_asks(self, register: EventRegister) -> None:
        answers: list[Any] = []

        @register.on_event("begin")
        async def begin(ctx: EventContext) -> None:
            answers.append((await ctx.connection.request("name")).payload)
            await ctx.connection.send("done")

        async with TestClient(register) as client:
            await client.send("begin")
            await client.reply(await client.wait_for("name"), "Ada")
            done = await client.wait_for("done")
            assert answers == ["Ada"]
            with pytest.raises(NoRequestError):
                await client.reply(done)

    async def test_waiting_for_an_event(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            for number in range(3):
                await client.send("echo", number)
            await client.settle()
            odd = await client.wait_for("echo", predicate=lambda event: event.payload % 2)
            assert odd.payload == 1
            waiting = asyncio.create_task(client.wait_for("bye"))
            await asyncio.sleep(0)
            await client.send("close-me")
            assert (await waiting).event_name == "bye"
            assert [(await client.receive()).payload for _ in range(2)] == [0, 2]
            with pytest.raises(ConnectionClosedError):
                await client.wait_for("echo")

    async def test_waiting_for_nothing(self, register: EventRegister) -> None:
        async with TestClient(register) as client:
            with pytest.raises(
                TimeoutError, match=r"no event 'bye' within 0\.01 s; received before"
            ):
                await client.wait_for("bye", timeout=0.01)
            await client.send("echo")
            with pytest.raises(ZeroDivisionError):
                await client.wait_for("echo", predicate=lambda event: 1 / 0)

    async def test_text_that_is_no_event(self, register: EventRegister) -> None:
        register.on_event("raw", lambda ctx: ctx.connection.send("raw", msgspec.Raw(b"{")))
        async with TestClient(register) as client:
            await client.send("raw")
            for _ in range(2):  # it comes while it is waited for, or has come
                with pytest.raises(TimeoutError):
                    await client.wait_for("raw", timeout=0.01)
            with pytest.raises(CodecError):
                await client.receive()


async def test_a_refused_handshake() -> None:
    register = EventRegister()

    @register.on_handshake
    def check(request: HandshakeRequest) -> None:
        if request.query.get("token") != "t":
            raise Refuse(401, "who are you?", {"WWW-Authenticate": "Bearer"})
        request.state.user = "ada"

    client = TestClient(register)
    with pytest.raises(HandshakeError, match="401 Unauthorized") as info:
        await client.__aenter__()
    error = info.value
    assert (error.status, error.body) == (401, b"who are you?")
    assert error.headers["www-authenticate"] == "Bearer"
    for app in (register, ZapServer(register=register, limits=Limits(admission_timeout=1))):
        async with TestClient(app, path="/?token=t") as allowed:
            assert allowed.connection.state.user == "ada"
