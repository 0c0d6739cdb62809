"""One connection as the application sees it, without a socket."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from tests.support import PATIENCE, until, within
from tests.support.fakes import FakeTransport, Wired, event
from zaptools import (
    CloseInfo,
    CodecError,
    ConnectionClosedError,
    EventContext,
    EventData,
    EventRegister,
    NoRequestError,
    SendTimeoutError,
    WebSocketConnection,
    WrongThreadError,
)
from zaptools.connection.connection import mark_closed

LOOPS = [asyncio.SelectorEventLoop, uvloop.Loop]
LOOP_IDS = ["asyncio", "uvloop"]


class TestConnection:
    async def test_identity(self) -> None:
        one, other = Wired(EventRegister()).connection, Wired(EventRegister()).connection
        form = r"zpt-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
        assert re.fullmatch(form, one.id) and one.id != other.id
        assert repr(one) == f"<WebSocketConnection {one.id} open>"

    async def test_state_is_its_own(self) -> None:
        one, other = Wired(EventRegister()).connection, Wired(EventRegister()).connection
        assert isinstance(one.state, SimpleNamespace)
        one.state.user = "Ada"
        assert one.state.user == "Ada" and not hasattr(other.state, "user")

    async def test_send(self) -> None:
        wired = Wired(EventRegister())
        await wired.connection.send("a")
        await wired.connection.send("b", [1], {"h": 1})
        assert wired.transport.sent == [
            {"eventName": "a", "payload": None, "headers": {}},
            {"eventName": "b", "payload": [1], "headers": {"h": 1}},
        ]

    async def test_send_waits_for_the_transport(self) -> None:
        wired = Wired(EventRegister())
        wired.transport.gate = asyncio.Event()
        task = asyncio.create_task(wired.connection.send("a"))
        await asyncio.sleep(0)
        assert not task.done() and not wired.transport.sent
        wired.transport.gate.set()
        await within(task)
        assert len(wired.transport.sent) == 1

    async def test_unsendable(self) -> None:
        wired = Wired(EventRegister())
        with pytest.raises(CodecError):
            await wired.connection.send("a", float("nan"))
        assert not wired.transport.sent and wired.connection.is_open

    async def test_close(self) -> None:
        register = EventRegister()
        register.on_event("never", lambda ctx: pytest.fail("handled after the close"))
        wired = Wired(register)
        register.on_event("close", lambda ctx: ctx.connection.close(4001, "bye"))
        await wired.run(event("close"), event("never"))
        assert wired.transport.closes == [(4001, "bye")]
        assert not wired.connection.is_open
        assert repr(wired.connection).endswith(" closed>")

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1])
    async def test_codes_that_no_frame_may_carry(self, code: int) -> None:
        wired = Wired(EventRegister())
        with pytest.raises(ValueError, match=str(code)):
            await wired.connection.close(code)
        assert wired.connection.is_open

    async def test_reasons_that_fit_no_frame(self) -> None:
        connection = Wired(EventRegister()).connection
        with pytest.raises(ValueError, match="123 bytes"):
            await connection.close(1000, "ü" * 62)
        await connection.close(1000, "ü" * 61)

    async def test_after_the_end(self) -> None:
        errors: list[ConnectionClosedError] = []
        register = EventRegister()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            for use in (ctx.connection.send("late"), ctx.connection.close()):
                try:
                    await use
                except ConnectionClosedError as exc:
                    errors.append(exc)

        wired = Wired(register)
        await wired.end(CloseInfo(4002, "gone", "remote"))
        assert [(e.code, e.reason, e.by) for e in errors] == [(4002, "gone", "remote")] * 2
        assert not wired.transport.sent and not wired.transport.closes


class TestReply:
    """Requests, and waiting for events, are in tests/test_dispatcher.py."""

    async def test_to_a_request(self) -> None:
        register = EventRegister()
        register.on_event("ask", lambda ctx: ctx.reply("yes", {**ctx.headers, "h": 1}))
        wired = Wired(register)
        await wired.run(event("ask", headers={"requestId": "7"}))
        assert wired.transport.sent == [
            {"eventName": "ask", "payload": "yes", "headers": {"h": 1, "replyTo": "7"}}
        ]

    async def test_by_the_error_handler(self) -> None:
        register = EventRegister()
        register.on_event("ask", lambda ctx: 1 / 0)
        register.on_error(lambda ctx: ctx.reply({"error": str(ctx.error)}))
        wired = Wired(register)
        await wired.run(event("ask", headers={"requestId": "7"}))
        assert wired.transport.sent == [
            {"eventName": "ask", "payload": {"error": "division by zero"},
             "headers": {"replyTo": "7"}}
        ]  # fmt: skip

    async def test_to_no_request(self) -> None:
        wired = Wired(EventRegister())
        ctx = EventContext(EventData("ask", None, {"a": 1}), wired.connection)
        with pytest.raises(NoRequestError, match="'ask' is not a request"):
            await ctx.reply()
        assert not wired.transport.sent

    async def test_a_request_that_cannot_be_sent(self) -> None:
        wired = Wired(EventRegister())
        with pytest.raises(CodecError):
            await wired.connection.request("a", float("nan"))
        assert not wired.dispatcher.mailbox.has_waiters


def in_thread(function: Callable[..., None], *args: Any, **options: Any) -> Future[None]:
    """Call in a thread that ends with the program, even if the call never returns."""
    result: Future[None] = Future()

    def call() -> None:
        try:
            function(*args, **options)
        except BaseException as exc:  # whatever it is, the test has to see it
            result.set_exception(exc)
        else:
            result.set_result(None)

    threading.Thread(target=call, daemon=True).start()
    return result


class TestSendingFromAThread:
    async def test_send(self) -> None:
        connection = (wired := Wired(EventRegister())).connection
        await within(asyncio.to_thread(connection.send_from_thread, "a", 1, {"h": 2}))
        assert wired.transport.sent == [{"eventName": "a", "payload": 1, "headers": {"h": 2}}]

    async def test_it_waits_for_the_transport(self) -> None:
        wired = Wired(EventRegister())
        wired.transport.gate = asyncio.Event()
        sending = asyncio.create_task(
            asyncio.to_thread(wired.connection.send_from_thread, "a", timeout=30)
        )
        await asyncio.sleep(0)
        assert not wired.transport.sent
        wired.transport.gate.set()
        await within(sending)
        assert len(wired.transport.sent) == 1

    @pytest.mark.parametrize("seconds", [None, 30])
    def test_it_checks_the_loop_while_it_waits(self, seconds: float | None) -> None:
        checks = []

        class Loop(asyncio.SelectorEventLoop):
            """Counts the checks."""

            def is_closed(self) -> bool:
                if threading.current_thread() is not threading.main_thread():
                    checks.append(1)
                return super().is_closed()

        async def main() -> None:
            wired = Wired(EventRegister())
            wired.transport.gate = asyncio.Event()
            sending = in_thread(wired.connection.send_from_thread, "a", timeout=seconds)
            await until(lambda: len(checks) > 3)
            assert not sending.done()
            wired.transport.gate.set()
            await within(asyncio.wrap_future(sending))
            assert [sent["eventName"] for sent in wired.transport.sent] == ["a"]

        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(main())

    async def test_a_timeout(self) -> None:
        wired = Wired(EventRegister())
        wired.transport.gate = asyncio.Event()
        with pytest.raises(TimeoutError, match="'a' was not sent within 0"):
            await asyncio.to_thread(wired.connection.send_from_thread, "a", timeout=0.01)
        await asyncio.sleep(0)
        wired.transport.gate.set()
        await asyncio.sleep(0)
        assert not wired.transport.sent

    async def test_what_send_raises(self) -> None:
        wired = Wired(EventRegister())
        send = wired.connection.send_from_thread
        with pytest.raises(CodecError):
            await asyncio.to_thread(send, "a", float("nan"))
        await wired.end(CloseInfo(4000, "bye", "remote"))
        with pytest.raises(ConnectionClosedError, match="4000"):
            await asyncio.to_thread(send, "a")

    async def test_a_peer_that_does_not_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wired = Wired(EventRegister())

        def fail(data: bytes) -> None:
            raise SendTimeoutError(3)

        monkeypatch.setattr(wired.transport, "send", fail)
        with pytest.raises(SendTimeoutError, match="3 s"):
            await asyncio.to_thread(wired.connection.send_from_thread, "a")

    async def test_in_the_loops_own_thread(self) -> None:
        connection = Wired(EventRegister()).connection
        with pytest.raises(WrongThreadError, match=r"await send\(\)"):
            connection.send_from_thread("a")

    def test_when_the_loop_is_gone(self) -> None:
        async def connect() -> WebSocketConnection:
            return Wired(EventRegister()).connection

        connection = asyncio.run(connect())
        with pytest.raises(
            ConnectionClosedError, match=r"lost, code 1006: the event loop has ended"
        ):
            connection.send_from_thread("a")
        connection.closed = CloseInfo(4000, "bye", "remote")
        with pytest.raises(ConnectionClosedError, match="4000: bye"):
            connection.send_from_thread("a")

    @pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
    def test_a_loop_that_ends_cancels_a_send(self, factory: Any) -> None:
        """It may have begun, or be a callback of a loop that makes no more of it than a task."""

        async def main() -> Future[None]:
            wired = Wired(EventRegister())
            wired.transport.gate = asyncio.Event()
            sending = in_thread(wired.connection.send_from_thread, "a")
            await until(lambda: len(asyncio.all_tasks()) == 2)
            return sending

        with asyncio.Runner(loop_factory=factory) as runner:
            sending = runner.run(main())
        with pytest.raises(ConnectionClosedError, match="the event loop has ended"):
            sending.result(PATIENCE)

    @pytest.mark.parametrize("factory", LOOPS, ids=LOOP_IDS)
    @pytest.mark.parametrize("begun", [False, True])
    def test_a_loop_that_is_closed_forgets_a_send(self, factory: Any, begun: bool) -> None:
        """Nothing is cancelled where a program closes the loop by hand."""
        called = threading.Event()

        class Loop(factory):  # type: ignore[misc]  # a class of its own for each case
            """Tells that a thread has called it."""

            def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:
                handle = super().call_soon_threadsafe(*args, **options)
                called.set()
                return handle

        async def connect() -> WebSocketConnection:
            wired = Wired(EventRegister())
            wired.transport.gate = asyncio.Event()
            return wired.connection

        loop = Loop()
        connection = loop.run_until_complete(connect())
        called.clear()
        sending = in_thread(connection.send_from_thread, "a")
        assert called.wait(PATIENCE)
        if begun:
            loop.run_until_complete(asyncio.sleep(0))
        tasks = asyncio.all_tasks(loop)
        assert len(tasks) == begun
        loop.close()
        with pytest.raises(ConnectionClosedError, match="the event loop has ended"):
            sending.result(PATIENCE)
        for task in tasks:  # it would be reported as pending
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own way

    def test_a_connection_of_no_loop(self) -> None:
        with pytest.raises(WrongThreadError):
            WebSocketConnection("id", FakeTransport()).send_from_thread("a")


async def test_the_first_end_counts() -> None:
    connection = WebSocketConnection("x", FakeTransport())
    first, second = CloseInfo(4000, "a", "local"), CloseInfo(1006)
    assert mark_closed(connection, first) is first
    assert mark_closed(connection, second) is first
    assert connection.closed is first and not connection.is_open
