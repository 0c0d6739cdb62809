"""The loop that brings events to handlers: order, errors, endings."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support import MS, until, within
from tests.support.app import Defaults
from tests.support.fakes import Wired, event
from zaptools import (
    CloseInfo,
    CodecError,
    ConnectionClosedError,
    EventContext,
    EventData,
    EventRegister,
    RemoteError,
)
from zaptools.dispatch import dispatcher, mailbox
from zaptools.exceptions import ReservedEventError
from zaptools.protocol import decode_event

LIFE = ("connected", "disconnected", "error")


class Log(list[Any]):
    """A register whose handlers write down what they get."""

    def __init__(self, *names: str, any_event: bool = False) -> None:
        self.register = EventRegister(Defaults())
        for name in (*LIFE, *names):
            self.register.on_event(name, self._write)
        if any_event:
            self.register.on_any_event(lambda ctx: self.append(("any", ctx.event_name)))

    def _write(self, ctx: EventContext) -> None:
        if ctx.event_name == "error":
            self.append(("error", type(ctx.error).__name__, str(ctx.payload)))
        else:
            self.append(ctx.event_name if ctx.event_name in LIFE else (ctx.event_name, ctx.payload))


class TestDispatch:
    async def test_order(self) -> None:
        log = Log("a", "b")
        wired = Wired(log.register)
        await wired.run(event("a", 1), event("b", 2), event("a", 3))
        await wired.end()
        assert log == ["connected", ("a", 1), ("b", 2), ("a", 3), "disconnected"]
        assert (wired.finished, wired.dispatcher.finished, wired.dispatcher.busy) == (
            1,
            True,
            False,
        )

    async def test_context(self) -> None:
        got: list[EventContext] = []
        register = EventRegister()
        register.on_event("a", got.append)
        wired = Wired(register)
        await wired.run('{"eventName":"a","payload":[1],"headers":{"h":2}}')
        (ctx,) = got
        assert ctx.connection is wired.connection
        assert (ctx.event_name, ctx.payload, ctx.headers) == ("a", [1], {"h": 2})
        assert (ctx.event_data.payload, ctx.error, ctx.source) == ([1], None, None)

    async def test_one_after_the_other(self) -> None:
        log: list[str] = []
        gate = asyncio.Event()
        register = EventRegister()

        @register.on_event("slow")
        async def slow(ctx: EventContext) -> None:
            log.append("slow begins")
            await gate.wait()
            log.append("slow ends")

        @register.on_event("quick")
        def quick(ctx: EventContext) -> None:
            log.append("quick")

        one, other = Wired(register), Wired(register)
        one.dispatcher.feed([event("slow"), event("quick")])
        await other.run(event("quick"))
        assert log.count("quick") == 1  # not delayed by another connection's slow handler
        assert one.dispatcher.busy and len(one.dispatcher) == 1
        gate.set()
        await one.settle()
        assert log[-2:] == ["slow ends", "quick"]
        assert one.idle == other.idle == 1

    async def test_events_fed_while_running(self) -> None:
        log = Log("a")
        wired = Wired(log.register)

        @log.register.on_event("feed")
        async def feed(ctx: EventContext) -> None:
            wired.dispatcher.feed([event("a", "fed")])
            await asyncio.sleep(0)

        await wired.run(event("feed"), event("a", "first"))
        assert log == ["connected", ("a", "first"), ("a", "fed")]

    async def test_any_event_comes_after_its_own(self) -> None:
        log = Log("a", any_event=True)
        await Wired(log.register).run(event("a"), event("unknown"), event("error"))
        assert log[:4] == ["connected", ("a", None), ("any", "a"), ("any", "unknown")]
        assert log[4][:2] == ("error", "ReservedEventError")
        assert len(log) == 5

    async def test_unknown_events_are_ignored(self) -> None:
        log = Log()
        await Wired(log.register).run(event("unknown"), event(""))
        assert log == ["connected"]

    async def test_long_batches_let_others_run(self) -> None:
        log = Log("a")
        wired = Wired(log.register)
        seen: list[int] = []
        wired.dispatcher.feed([event("a")] * 2000)
        while len(log) < 2001:
            seen.append(len(log))
            await asyncio.sleep(0)
        assert len(seen) >= 5

    async def test_a_read_in_many_pieces_lets_others_run(self) -> None:
        register = EventRegister()
        handled: list[Any] = []
        register.on_event("e", lambda ctx: handled.append(ctx.payload))
        wired = Wired(register)
        for _ in range(20):  # with no turn of the loop between them
            wired.dispatcher.feed([event("e")] * 90)
        assert len(handled) < 300
        await until(lambda: len(handled) == 1800)

    async def test_discarded_during_a_turn(self) -> None:
        log = Log("a")
        wired = Wired(log.register)
        wired.dispatcher.feed([event("a")] * 300)
        if not log:  # before Python 3.12 a task starts in the loop's next turn
            await asyncio.sleep(0)
        wired.dispatcher.drop_messages()
        await wired.settle()
        assert 100 < len(log) < 301  # "connected", and those before the turn's end

    async def test_callables_of_every_kind(self) -> None:
        log: list[str] = []

        class Callable:
            async def __call__(self, ctx: EventContext) -> None:
                log.append("object")

            async def method(self, ctx: EventContext) -> None:
                log.append("method")

        register = EventRegister()
        register.on_event("object", Callable())
        register.on_event("method", Callable().method)
        register.on_event("lambda", lambda ctx: log.append("lambda") or 3)
        register.on_event("future", lambda ctx: asyncio.ensure_future(asyncio.sleep(0)))
        await Wired(register).run(*map(event, ("object", "method", "lambda", "future")))
        assert log == ["object", "method", "lambda"]


class TestWaiting:
    """A handler may wait for an event that arrives behind its own."""

    async def test_a_reply_overtakes(self) -> None:
        log = Log("a")
        got: list[EventData] = []

        @log.register.on_event("ask")
        async def ask(ctx: EventContext) -> None:
            got.append(await ctx.connection.request("question", 1, {"h": 1}))
            log.append("asked")

        wired = Wired(log.register)
        wired.dispatcher.feed([event("ask"), event("a", 1)])
        await until(lambda: wired.transport.sent)
        (sent,) = wired.transport.sent
        request_id = sent["headers"].pop("requestId")
        assert sent == {"eventName": "question", "payload": 1, "headers": {"h": 1}}
        headers = {"replyTo": request_id, "x": 2}
        wired.dispatcher.feed(
            [
                "{",
                b"binary",
                event("connected"),
                event("a", 2, headers={"replyTo": "another"}),
                event("other", 3, headers=headers),
                event("question", "yes", headers=headers),
                event("a", 4),
            ]
        )
        await wired.settle()
        assert got == [EventData("question", "yes", headers)]
        kinds = [entry[1] if entry[0] == "error" else entry for entry in log]
        assert kinds == [
            "connected", "asked", ("a", 1),
            "CodecError", "CodecError", "ReservedEventError", ("a", 2), ("a", 4),
        ]  # fmt: skip
        assert not wired.dispatcher.mailbox.has_waiters

    async def test_a_second_reply_is_an_event(self) -> None:
        log = Log("question")

        @log.register.on_event("ask")
        async def ask(ctx: EventContext) -> None:
            await ctx.connection.request("question")

        wired = Wired(log.register)
        wired.dispatcher.feed([event("ask")])
        await until(lambda: wired.transport.sent)
        headers = {"replyTo": wired.transport.sent[0]["headers"]["requestId"]}
        await wired.run(*[event("question", n, headers=headers) for n in (1, 2)])
        assert log == ["connected", ("question", 2)]

    async def test_the_next_events(self) -> None:
        """Those that came before the call, while it waits, and in one piece with others."""
        log = Log("n")
        got: list[Any] = []

        @log.register.on_event("collect")
        async def collect(ctx: EventContext) -> None:
            for _ in range(4):
                got.append((await ctx.connection.wait_for("n")).payload)
            wait = ctx.connection.wait_for("n", predicate=lambda event: event.payload == 9)
            got.append((await wait).payload)

        wired = Wired(log.register)
        wired.dispatcher.feed(
            [event("collect"), "{", b"x", event("error"), event("n", 1), event("n", 2)]
        )
        await until(lambda: len(got) == 2)
        wired.dispatcher.feed([event("other"), event("n", 3), event("n", 4), event("n", 5)])
        await until(lambda: len(got) == 4)
        await wired.run(event("n", 9), event("n", 10))
        assert got == [1, 2, 3, 4, 9]
        handled = [entry[1] for entry in log if entry[0] == "n"]
        assert handled == [1, 2, 3, 4, 5, 9, 10]
        assert [entry[1] for entry in log if entry[0] == "error"] == [
            "CodecError",
            "CodecError",
            "ReservedEventError",
        ]

    async def test_each_text_is_decoded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However often a handler waits, and also what is no event."""
        decoded: list[str] = []

        def decode(text: str) -> EventData:
            decoded.append(text)
            return decode_event(text)

        for module in (dispatcher, mailbox):
            monkeypatch.setattr(module, "decode_event", decode)
        log = Log("n")

        @log.register.on_event("w")
        async def w(ctx: EventContext) -> None:
            for _ in range(5):
                with pytest.raises(TimeoutError):
                    await ctx.connection.wait_for("never", timeout=MS)

        texts = ["", '{"eventName":1}', event("n", 1), "[]", event("n", 2)]
        await Wired(log.register).run(event("w"), *texts)
        assert sorted(decoded) == sorted([event("w"), *texts])
        kinds = [entry if isinstance(entry, str) else entry[0] for entry in log]
        assert kinds == ["connected", "error", "error", "n", "error", "n"]

    async def test_what_comes_for_one_that_waits_lets_others_run(self) -> None:
        """What is shown to it is decoded; a turn of that is no longer than one of handling."""
        log = Log("n")
        wired = Wired(log.register)
        waiting = asyncio.create_task(wired.connection.wait_for("last", timeout=None))
        await until(lambda: wired.dispatcher.mailbox.has_waiters)
        log.register.on_event("block", lambda ctx: asyncio.sleep(60))
        wired.dispatcher.feed([event("block")] + [event("n", "x" * 2000)] * 100 + [event("last")])
        turns = 0
        while not waiting.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 5 and len(wired.dispatcher) >= 100
        wired.dispatcher.cancel()
        await wired.settle()

    @pytest.mark.parametrize("waited_for", ["last", "never"])
    async def test_what_came_before_the_end_is_shown_first(self, waited_for: str) -> None:
        """Also where that takes more than one turn."""
        wired = Wired(Log("n", "last").register)
        waiting = asyncio.create_task(wired.connection.wait_for(waited_for, timeout=None))
        await until(lambda: wired.dispatcher.mailbox.has_waiters)
        wired.dispatcher.feed([event("n", "x" * 1000)] * 100 + [event("last")])
        await wired.end()
        if waited_for == "last":
            assert (await within(waiting)).event_name == "last"
        else:
            with pytest.raises(ConnectionClosedError):
                await within(waiting)

    async def test_all_is_handled_in_order_though_one_waits(self) -> None:
        log = Log("n", "last")
        wired = Wired(log.register)
        waiting = asyncio.create_task(wired.connection.wait_for("last", timeout=None))
        await until(lambda: wired.dispatcher.mailbox.has_waiters)
        for start in range(0, 300, 10):
            wired.dispatcher.feed([event("n", number) for number in range(start, start + 10)])
        await wired.run(event("last"), event("n", 300))
        await within(waiting)
        expected: list[Any] = ["connected", *(("n", number) for number in range(300))]
        assert log == [*expected, ("last", None), ("n", 300)]

    async def test_two_wait_for_the_same(self) -> None:
        log = Log("n")
        wired = Wired(log.register)
        waits = [asyncio.create_task(wired.connection.wait_for("n")) for _ in range(2)]
        await asyncio.sleep(0)
        await wired.run(event("n", 1))
        assert [(await within(each)).payload for each in waits] == [1, 1]
        assert log == ["connected", ("n", 1)]

    async def test_what_was_shown_to_one_is_shown_to_the_next(self) -> None:
        """While it is queued for its handler; to one of the later waiters, and in order."""
        log = Log("n")
        gate = asyncio.Event()
        log.register.on_event("slow", lambda ctx: gate.wait())
        wired = Wired(log.register)
        wait_for = wired.connection.wait_for
        first = asyncio.create_task(wait_for("never", timeout=None))
        await asyncio.sleep(0)
        wired.dispatcher.feed([event("slow")])
        await until(lambda: log == ["connected"])
        wired.dispatcher.feed(["[]", event("error"), *(event("n", number) for number in range(3))])
        second = await within(wait_for("n", predicate=lambda event: event.payload == 1))
        assert second.payload == 1
        with pytest.raises(ZeroDivisionError):
            await wait_for("n", predicate=lambda event: 1 / event.payload)
        assert [(await within(wait_for("n"))).payload for _ in range(2)] == [0, 2]
        last = asyncio.create_task(wait_for("n", timeout=None))  # each was for one
        await asyncio.sleep(0)
        assert not last.done()
        gate.set()
        await wired.run(event("n", 3))
        assert (await within(last)).payload == 3
        assert [entry for entry in log if entry[0] == "n"] == [("n", number) for number in range(4)]
        first.cancel()

    @pytest.mark.parametrize("verdict", [False, True])
    async def test_a_predicate_that_ends_the_connection(self, verdict: bool) -> None:
        log = Log("n")
        wired = Wired(log.register)

        def predicate(event: EventData) -> bool:
            wired.connection.closed = CloseInfo(4000, "enough", "local")
            wired.dispatcher.drop_messages()
            return verdict

        waiting = asyncio.create_task(wired.connection.wait_for("n", predicate=predicate))
        await asyncio.sleep(0)
        await wired.run(event("n"))
        with pytest.raises(ConnectionClosedError, match="4000: enough"):
            await within(waiting)
        await wired.end()
        assert not wired.dispatcher.mailbox.has_waiters and log[-1] == "disconnected"

    async def test_a_predicate_that_fails(self) -> None:
        log = Log("n")

        @log.register.on_event("wait")
        async def wait(ctx: EventContext) -> None:
            await ctx.connection.wait_for("n", predicate=lambda event: 1 / event.payload)

        await Wired(log.register).run(event("wait"), event("n", 0))
        assert [log[0], log[1][:2], log[2]] == ["connected", ("error", "ZeroDivisionError"),
                                                ("n", 0)]  # fmt: skip

    async def test_a_timeout(self) -> None:
        connection = Wired(EventRegister()).connection
        with pytest.raises(TimeoutError, match="no reply to the event 'a' within 0 s"):
            await connection.request("a", timeout=0)
        with pytest.raises(TimeoutError, match="no event 'a' within 0 s"):
            await connection.wait_for("a", timeout=0)

    async def test_the_end(self) -> None:
        """All waiters fail at once, those in a handler too."""
        log = Log()

        @log.register.on_event("ask")
        async def ask(ctx: EventContext) -> None:
            await ctx.connection.request("question", timeout=None)

        wired = Wired(log.register)
        wired.dispatcher.feed([event("ask")])
        outside = asyncio.create_task(wired.connection.wait_for("n", timeout=None))
        await until(lambda: wired.transport.sent)
        await wired.end(CloseInfo(4000, "bye", "remote"))
        assert log[1][:2] == ("error", "ConnectionClosedError") and log[2] == "disconnected"
        with pytest.raises(ConnectionClosedError, match="4000: bye"):
            await within(outside)
        for late in (wired.connection.request("a"), wired.connection.wait_for("a")):
            with pytest.raises(ConnectionClosedError, match="4000: bye"):
                await within(late)

    async def test_an_end_that_is_not_told_yet(self) -> None:
        """The peer's close is answered once the handlers are done: no reply will come."""
        log = Log("n")
        info = CloseInfo(4000, "bye", "remote")

        @log.register.on_event("ask")
        async def ask(ctx: EventContext) -> None:
            for _ in range(2):
                try:
                    await ctx.connection.request("question", timeout=None)
                except ConnectionClosedError as exc:
                    log.append(exc.code)
            log.append((await ctx.connection.wait_for("n")).payload)
            await ctx.connection.wait_for("n")

        wired = Wired(log.register)
        wired.dispatcher.feed([event("ask")])
        await until(lambda: wired.transport.sent)
        wired.dispatcher.feed([event("n", 1)])
        wired.dispatcher.end(info)
        await wired.settle()
        assert log[1:4] == [4000, 4000, 1]
        assert log[4][:2] == ("error", "ConnectionClosedError") and log[5] == ("n", 1)

    async def test_a_close_of_ones_own(self) -> None:
        wired = Wired(EventRegister())
        waiting = asyncio.create_task(wired.connection.request("a", timeout=None))
        await until(lambda: wired.transport.sent)
        await wired.connection.close(4001)
        with pytest.raises(ConnectionClosedError, match="closed by this side, code 4001"):
            await within(waiting)

    async def test_discarding_what_is_open(self) -> None:
        wired = Wired(EventRegister())
        waiting = asyncio.create_task(wired.connection.wait_for("a"))
        await asyncio.sleep(0)
        wired.dispatcher.drop_messages()
        await wired.run(event("a"))
        assert (await within(waiting)).event_name == "a"


class TestErrors:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            ("{", "not-json"),
            (b"\x00\x01", "binary"),
            ("[]", "not-object"),
            ('{"eventName":1}', "event-name"),
            ('{"eventName":"a","headers":[]}', "headers"),
        ],
    )
    async def test_malformed(self, message: str | bytes, reason: str) -> None:
        errors: list[EventContext] = []
        log = Log("a")
        log.register.on_error(errors.append)
        wired = Wired(log.register)
        await wired.run(message, event("a", 1))
        (ctx,) = errors
        assert isinstance(ctx.error, CodecError) and ctx.error.reason == reason
        assert (ctx.event_name, ctx.source, ctx.connection) == ("error", None, wired.connection)
        assert log == ["connected", ("a", 1)]
        assert wired.connection.is_open

    @pytest.mark.parametrize("name", LIFE)
    async def test_lifecycle_names_from_the_wire(self, name: str) -> None:
        errors: list[EventContext] = []
        log = Log(any_event=True)
        log.register.on_error(errors.append)
        await Wired(log.register).run(event(name, "forged"))
        assert log == ["connected"]
        (ctx,) = errors
        assert isinstance(ctx.error, ReservedEventError) and ctx.error.event_name == name

    async def test_no_name_is_reserved_for_a_client(self) -> None:
        log = Log(any_event=True)
        await Wired(log.register, reserved=frozenset()).run(event("error", 1))
        assert log == ["connected", ("any", "error")]

    @pytest.mark.parametrize("handler", ["sync", "async"])
    async def test_raising_handlers(self, handler: str) -> None:
        errors: list[EventContext] = []
        log = Log("a")
        log.register.on_error(errors.append)

        @log.register.on_event("sync")
        def sync(ctx: EventContext) -> None:
            raise ValueError("boom")

        @log.register.on_event("async")
        async def asynchronous(ctx: EventContext) -> None:
            await asyncio.sleep(0)
            raise ValueError("boom")

        wired = Wired(log.register)
        await wired.run(event(handler, [1]), event("a", 2))
        (ctx,) = errors
        assert isinstance(ctx.error, ValueError)
        assert ctx.source is not None
        assert (ctx.source.event_name, ctx.source.payload) == (handler, [1])
        assert ctx.payload == f"An error occurred in the event '{handler}': ValueError: boom"
        assert log == ["connected", ("a", 2)]

    async def test_raising_any_event_handler(self) -> None:
        log = Log("a")
        log.register.on_any_event(lambda ctx: 1 / 0)
        await Wired(log.register).run(event("a", 1), event("a", 2))
        assert [entry for entry in log if entry[0] == "a"] == [("a", 1), ("a", 2)]
        assert [entry[1] for entry in log if entry[0] == "error"] == ["ZeroDivisionError"] * 2

    async def test_raising_lifecycle_handlers(self) -> None:
        log = Log("a")
        log.register.on_connected(lambda ctx: 1 / 0)
        log.register.on_disconnected(lambda ctx: 1 / 0)
        wired = Wired(log.register)
        await wired.run(event("a", 1))
        await wired.end()
        assert [entry[:2] for entry in log] == [
            ("error", "ZeroDivisionError"),
            ("a", 1),
            ("error", "ZeroDivisionError"),
        ]
        assert wired.finished == 1

    async def test_raising_error_handler(self, caplog: pytest.LogCaptureFixture) -> None:
        log = Log("a")
        log.register.on_error(lambda ctx: 1 / 0)
        await Wired(log.register).run("{", event("a", 1))
        assert log == ["connected", ("a", 1)]
        messages = [record.getMessage() for record in caplog.records]
        assert len(messages) == 1 and messages[0].endswith(": the error handler failed")

    async def test_logged_without_an_error_handler(self, caplog: pytest.LogCaptureFixture) -> None:
        register = EventRegister()
        register.on_event("a", lambda ctx: 1 / 0)
        wired = Wired(register)
        with caplog.at_level(logging.INFO, "zaptools"):
            await wired.run(event("a", "secret"), '{"secret"', event("error", "secret"))
            await wired.end()
        failed, malformed, count = caplog.records
        assert failed.levelno == logging.ERROR and failed.exc_info is not None
        assert failed.getMessage() == f"{wired.connection.id}: the handler of 'a' failed"
        assert malformed.getMessage().endswith("message is no event: not-json at byte 9")
        assert count.getMessage().endswith(": 2 messages of the peer could not be handled")
        assert "secret" not in caplog.text  # payloads are for DEBUG

    async def test_payloads_are_logged_at_debug(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG, "zaptools"):
            await Wired(EventRegister()).run('{"secret"', event("unknown"))
        assert "secret" in caplog.text and "no handler for the event 'unknown'" in caplog.text

    async def test_what_others_cancelled_is_an_error(self) -> None:
        log = Log("a")

        @log.register.on_event("wait")
        async def wait(ctx: EventContext) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future

        wired = Wired(log.register)
        await wired.run(event("wait"), event("a", 1))
        assert log[1][:2] == ("error", "CancelledError") and log[2] == ("a", 1)
        log.register.on_error(wait)
        await wired.run("{", event("a", 2))
        assert log[-1] == ("a", 2)


class TestLife:
    async def test_connected_comes_first_and_once(self) -> None:
        log = Log("a")

        @log.register.on_connected
        async def connected(ctx: EventContext) -> None:
            await asyncio.sleep(0)
            log.append("connected")

        wired = Wired(log.register)
        wired.dispatcher.wake()
        await wired.run(event("a", 1))
        await wired.run(event("a", 2))
        assert log == ["connected", ("a", 1), ("a", 2)]

    async def test_cancelled_before_it_begins(self) -> None:
        """As by `asyncio.run`, at its end, in the turn in which a message has come."""
        log = Log("a")
        wired = Wired(log.register)
        await wired.run()
        others = asyncio.all_tasks()
        wired.dispatcher.feed([event("a", 1)])
        for task in asyncio.all_tasks() - others:
            task.cancel()
        await asyncio.sleep(0)
        await within(wired.end())
        assert log == ["connected", ("a", 1), "disconnected"]
        assert wired.finished == 1 and not wired.dispatcher.busy

    async def test_disconnected_once(self) -> None:
        log = Log()
        wired = Wired(log.register)
        await wired.end()
        await wired.end()
        assert log == ["connected", "disconnected"]
        assert wired.finished == 1

    async def test_what_waits_is_handled_before_the_end(self) -> None:
        log = Log("a")
        wired = Wired(log.register)
        wired.dispatcher.feed([event("a", 1), event("a", 2)])
        wired.dispatcher.end()
        await wired.settle()
        assert log == ["connected", ("a", 1), ("a", 2), "disconnected"]

    async def test_nothing_waits_for_the_end_twice(self) -> None:
        """`end` while the ``disconnected`` handler runs starts no second one."""
        log = Log()
        gate = asyncio.Event()

        @log.register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            log.append("disconnected")
            await gate.wait()

        wired = Wired(log.register)
        wired.dispatcher.end()
        await until(lambda: "disconnected" in log)
        assert not wired.dispatcher.finished
        wired.dispatcher.end()
        gate.set()
        await wired.settle()
        assert log == ["connected", "disconnected"] and wired.finished == 1

    @pytest.mark.parametrize("where", ["connected", "event", "error", "any"])
    async def test_cancellation(self, where: str) -> None:
        log = Log()
        forever = asyncio.Event()

        async def wait(ctx: EventContext) -> None:
            await forever.wait()

        register = log.register
        if where == "connected":
            register.on_connected(wait)
        elif where == "any":
            register.on_any_event(wait)
        elif where == "error":
            register.on_error(wait)
        register.on_event("event", wait if where == "event" else lambda ctx: 1 / 0)
        wired = Wired(register)
        wired.dispatcher.feed([event("event"), event("event")])
        await asyncio.sleep(0)
        task = wired.dispatcher.task
        assert task is not None
        await asyncio.sleep(0)
        task.cancel()
        if where == "any":  # the first error goes to the log's own handler
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [entry for entry in log if entry == "disconnected"] == ["disconnected"]
        assert wired.transport.aborted and wired.finished == 1
        assert wired.connection.closed == CloseInfo(1001, "", "local")
        await wired.end()
        assert log.count("disconnected") == 1

    async def test_cancelled_before_it_began(self) -> None:
        """Which is possible where tasks do not begin at once, before Python 3.12."""
        log = Log("a")
        wired = Wired(log.register)
        await wired.run(event("a", 1))
        wired.dispatcher.feed([event("a", 2)])
        handled = [("a", 2)] if not wired.dispatcher.busy else []
        wired.dispatcher.cancel()
        await wired.end()
        assert log == ["connected", ("a", 1), *handled, "disconnected"]
        assert wired.finished == 1 and not wired.dispatcher.busy

    async def test_cancelled_in_the_last_handler(self) -> None:
        log = Log()

        @log.register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            log.append("disconnected")
            await asyncio.Event().wait()

        wired = Wired(log.register)
        wired.dispatcher.end()
        await until(lambda: "disconnected" in log)
        task = wired.dispatcher.task
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["connected", "disconnected"] and wired.finished == 1


class Fatal(BaseException):
    pass


def fatal(ctx: EventContext) -> None:
    raise Fatal("oh no")


class TestWhatIsNoException:
    @pytest.mark.parametrize("where", ["connected", "a", "any", "disconnected"])
    async def test_it_is_reported_and_ends_the_connection(self, where: str) -> None:
        log = Log("a")
        if where == "any":
            log.register.on_any_event(fatal)
        else:
            log.register.on_event(where, fatal)
        wired = Wired(log.register)
        wired.dispatcher.feed([event("a", 1), event("a", 2)])
        if where == "disconnected":
            wired.dispatcher.end()
        await wired.settle()
        assert [entry[1] for entry in log if entry[0] == "error"] == ["Fatal"]
        assert wired.transport.aborted and wired.finished == 1 and not wired.dispatcher.busy
        assert (("a", 2) in log) is (where == "disconnected")
        assert log.count("disconnected") == (where != "disconnected")

    async def test_a_transport_that_cannot_be_aborted(self, monkeypatch: Any) -> None:
        """The end is told all the same."""
        log = Log()
        log.register.on_event("a", fatal)
        wired = Wired(log.register)
        monkeypatch.setattr(wired.transport, "abort", lambda: 1 / 0)
        wired.dispatcher.mailbox.put(event("a"))
        with pytest.raises(ZeroDivisionError):
            await wired.dispatcher.run()
        assert log[-1] == "disconnected" and wired.finished == 1

    async def test_without_an_error_handler(self, caplog: pytest.LogCaptureFixture) -> None:
        register = EventRegister()
        register.on_event("a", fatal)
        wired = Wired(register)
        wired.dispatcher.feed([event("a")])
        await wired.settle()
        assert "the handler of 'a' failed" in caplog.text and "oh no" in caplog.text
        assert wired.transport.aborted and wired.finished == 1


class TestWhatEndsTheProcess:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
    async def test_no_handler_is_called_any_more(self, error: type[BaseException]) -> None:
        log = Log("a")

        def leave(ctx: EventContext) -> None:
            raise error

        log.register.on_event("leave", leave)
        wired = Wired(log.register)
        wired.dispatcher.mailbox.put(event("leave"))
        wired.dispatcher.mailbox.put(event("a", 1))
        with pytest.raises(error):
            wired.dispatcher.run().send(None)
        assert log == ["connected"] and wired.finished == 0
        assert wired.transport.aborted is (error is not GeneratorExit)
        assert not wired.dispatcher.busy

    async def test_a_task_that_goes_on_and_is_cancelled(self) -> None:
        """That of a server may catch what a handler raises; its end is nothing to log then."""
        problems: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: problems.append(about))
        register = EventRegister()

        @register.on_event("leave")
        def leave(ctx: EventContext) -> None:
            raise KeyboardInterrupt

        wired = Wired(register)
        wired.dispatcher.mailbox.put(event("leave"))

        async def serve() -> None:
            with pytest.raises(KeyboardInterrupt):
                await wired.dispatcher.run()
            await asyncio.Event().wait()

        serving = asyncio.create_task(serve())
        await until(lambda: wired.transport.aborted)
        serving.cancel()
        await asyncio.wait([serving])
        await asyncio.sleep(0)
        assert serving.cancelled() and not problems


class Gates:
    """A register whose handler ``wait`` notes that it began and waits to be let go."""

    def __init__(self, concurrency: int) -> None:
        self.log: list[Any] = []
        self.gates: dict[Any, asyncio.Event] = {}
        self.register = EventRegister(Defaults(), concurrency=concurrency)
        self.register.on_connected(lambda ctx: self.log.append("connected"))
        self.register.on_disconnected(lambda ctx: self.log.append("disconnected"))
        self.register.on_error(lambda ctx: self.log.append(type(ctx.error).__name__))
        self.register.on_event("wait", self._wait)
        self.register.on_event("boom", lambda ctx: 1 / 0)
        self.wired = Wired(self.register)

    async def _wait(self, ctx: EventContext) -> None:
        gate = self.gates[ctx.payload] = asyncio.Event()
        self.log.append(f"{ctx.payload}>")
        await gate.wait()
        self.log.append(f"<{ctx.payload}")

    def feed(self, *payloads: Any) -> None:
        self.wired.dispatcher.feed([event("wait", payload) for payload in payloads])

    async def reach(self, *entries: Any) -> None:
        """Wait for what is new in the log, and for nothing more to come."""
        await until(lambda: len(self.log) >= len(entries))
        for _ in range(5):
            await asyncio.sleep(0)
        assert self.log == list(entries)
        self.log.clear()

    def open(self, *payloads: Any) -> None:
        for payload in payloads:
            self.gates[payload].set()


class TestConcurrency:
    async def test_as_many_as_there_may_be(self) -> None:
        gates = Gates(2)
        gates.feed(1, 2, 3, 4)
        await gates.reach("connected", "1>", "2>")
        assert len(gates.wired.dispatcher) == 2 and gates.wired.dispatcher.busy
        gates.open(2)
        await gates.reach("<2", "3>")
        gates.open(1, 3)
        await gates.reach("<1", "<3", "4>")
        gates.feed(5)
        await gates.reach("5>")
        assert gates.wired.idle == 0
        gates.open(4, 5)
        await within(gates.wired.settle())
        assert gates.wired.idle == 1 and not gates.wired.dispatcher.busy

    async def test_an_end_waits_for_all(self) -> None:
        gates = Gates(2)
        gates.feed(1, 2)
        gates.wired.dispatcher.end()
        await gates.reach("connected", "1>", "2>")
        gates.open(2)
        await gates.reach("<2")
        gates.open(1)
        await within(gates.wired.settle())
        assert gates.log == ["<1", "disconnected"] and gates.wired.finished == 1

    async def test_a_close_drops_what_waits(self) -> None:
        gates = Gates(2)
        gates.feed(1, 2, 3)
        await gates.reach("connected", "1>", "2>")
        await gates.wired.connection.close()
        gates.open(1, 2)
        await within(gates.wired.settle())
        assert gates.log == ["<1", "<2", "disconnected"]

    async def test_errors(self, caplog: pytest.LogCaptureFixture) -> None:
        gates = Gates(3)
        with caplog.at_level(logging.DEBUG, "zaptools"):
            gates.wired.dispatcher.feed(
                [event("wait", 1), "{", b"x", event("boom"), event("error"), event("what"), "[]"]
            )
            await until(lambda: len(gates.log) == 7)
        assert sorted(gates.log) == sorted(
            ["connected", "1>", *["CodecError"] * 3, "ReservedEventError", "ZeroDivisionError"]
        )
        assert "no handler for the event 'what'" in caplog.text
        gates.open(1)
        await within(gates.wired.settle())
        assert gates.wired.connection.is_open

    async def test_two_requests_with_one_id(self) -> None:
        """The end of one handler does not lose the reply of the other."""
        gates = Gates(2)
        gate = asyncio.Event()

        gates.register.on_event("quick", lambda ctx: None)

        @gates.register.on_event("late")
        async def late(ctx: EventContext) -> None:
            await gate.wait()
            raise RemoteError("no")

        wired, headers = gates.wired, {"requestId": "7"}
        wired.dispatcher.feed([event(name, headers=headers) for name in ("late", "quick")])
        await gates.reach("connected")
        gate.set()
        await within(wired.settle())
        replies = [each["headers"] for each in wired.transport.sent]
        assert replies == [{"replyTo": "7", "replyError": "no"}]

    async def test_any_event_comes_after_the_named(self) -> None:
        gates = Gates(2)
        gates.register.on_any_event(lambda ctx: gates.log.append(ctx.payload))
        gates.feed(1, 2)
        await gates.reach("connected", "1>", "2>")
        gates.open(2)
        await gates.reach("<2", 2)
        gates.open(1)
        await within(gates.wired.settle())
        assert gates.log == ["<1", 1]

    async def test_other_connections_get_their_turn(self) -> None:
        gates = Gates(2)
        gates.register.on_event("wait", lambda ctx: gates.log.append(ctx.payload))
        gates.feed(*range(250))
        gates.wired.dispatcher.end()
        await within(gates.wired.settle())
        assert gates.log == ["connected", *range(250), "disconnected"]

    async def test_cancellation(self) -> None:
        gates = Gates(2)
        gates.feed(1, 2, 3)
        await gates.reach("connected", "1>", "2>")
        task = gates.wired.dispatcher.task
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert gates.log == ["disconnected"]
        assert gates.wired.transport.aborted and gates.wired.finished == 1

    async def test_what_is_no_exception(self) -> None:
        """It is reported, ends the other handlers and the connection."""
        gates = Gates(2)
        gates.register.on_event("fatal", fatal)
        gates.wired.dispatcher.feed([event("wait", 1), event("fatal"), event("wait", 2)])
        await within(gates.wired.settle())
        assert gates.log == ["connected", "1>", "Fatal", "disconnected"]
        assert gates.wired.transport.aborted and gates.wired.finished == 1

    @pytest.mark.parametrize("concurrency", [1, 2])
    async def test_whether_a_handler_is_the_caller(self, concurrency: int) -> None:
        """Of its own connection, in any task or thread that it starts, and only while it runs."""
        register = EventRegister(concurrency=concurrency)
        wired, other = Wired(register), Wired(register)
        gate = asyncio.Event()
        found: list[bool] = []
        late: list[asyncio.Task[bool]] = []

        async def ask(each: Wired) -> bool:
            return each.dispatcher.is_caller

        async def ask_late() -> bool:
            await gate.wait()
            return wired.dispatcher.is_caller

        @register.on_event("a")
        async def handler(ctx: EventContext) -> None:
            await asyncio.sleep(0)
            found.append(wired.dispatcher.is_caller)
            found.append(await asyncio.create_task(ask(wired)))
            found.append(await asyncio.to_thread(lambda: wired.dispatcher.is_caller))
            found.append(await asyncio.create_task(ask(other)))
            late.append(asyncio.create_task(ask_late()))

        assert not wired.dispatcher.is_caller
        await within(wired.run(event("a")))
        gate.set()
        assert found == [True, True, True, False]
        assert not await within(late[0]) and not wired.dispatcher.is_caller

    async def test_replies(self) -> None:
        """All that may run wait for one, and the replies come in another order."""
        gates = Gates(2)

        @gates.register.on_event("ask")
        async def ask(ctx: EventContext) -> None:
            gates.log.append((ctx.payload, (await ctx.connection.request("question")).payload))

        wired = gates.wired
        wired.dispatcher.feed([event("ask", n) for n in (1, 2)])
        await until(lambda: len(wired.transport.sent) == 2)
        for number in (1, 0):
            headers = {"replyTo": wired.transport.sent[number]["headers"]["requestId"]}
            wired.dispatcher.feed([event("question", number, headers=headers)])
        await within(wired.settle())
        assert gates.log == ["connected", (2, 1), (1, 0)]
