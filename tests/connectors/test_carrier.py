"""The loop that all connectors share, over a socket made by hand."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.support import MS, PATIENCE, until, within
from tests.support.contract import Log
from tests.support.fakes import event
from zaptools import ConnectionClosedError, EventContext, Limits, SendTimeoutError
from zaptools.connectors.carrier import Carrier
from zaptools.connectors.socket import FrameworkSocket
from zaptools.protocol.close import CloseInfo
from zaptools.rooms.broadcast import broadcast


class Socket(FrameworkSocket):
    """A socket whose messages a test puts into `incoming`; an exception there is raised."""

    def __init__(self, register: Log, **limits: Any) -> None:
        self.incoming: asyncio.Queue[str | bytes | CloseInfo | Exception] = asyncio.Queue()
        self.sent: list[str] = []
        self.shut: list[tuple[int, str]] = []
        self.failure: BaseException | None = None
        self.gate: asyncio.Event | None = None
        self.reads = self.writes = 0
        self.dropped = 0
        self.carrier = Carrier(self, register.book, Limits(**limits), connection_id="id")
        self.connection = self.carrier.connection

    async def run(self) -> None:
        await self.carrier.run()

    async def receive(self) -> str | bytes | CloseInfo:
        self.reads += 1
        message = await self.incoming.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def write(self, text: str) -> None:
        self.writes += 1
        if self.failure is not None:
            raise self.failure
        if self.gate is not None:
            await self.gate.wait()
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.shut.append((code, reason))
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure

    def drop(self) -> None:
        self.dropped += 1

    def put(self, *messages: str | bytes | CloseInfo | Exception) -> None:
        for message in messages:
            self.incoming.put_nowait(message)


BYE = CloseInfo(4000, "bye", "remote")


async def run(register: Log, *messages: Any, **limits: Any) -> Socket:
    socket = Socket(register, **limits)
    socket.put(*messages)
    await within(socket.run())
    return socket


async def test_a_life() -> None:
    register = Log()
    socket = await run(register, event("echo", 1), event("boom"), b"x", event("echo", 2), BYE)
    assert register.log == ["connected", 1, 2, "disconnected"]
    assert register.ends == [BYE]
    assert [type(error).__name__ for error in register.errors] == [
        "ZeroDivisionError",
        "CodecError",
    ]
    assert len(socket.sent) == 2 and not socket.shut


async def test_reading_that_fails() -> None:
    register = Log()
    await run(register, event("echo", 1), OSError("reset"))
    assert register.ends == [CloseInfo(1006)]


async def test_one_message_is_read_at_a_time() -> None:
    register = Log()
    socket = Socket(register)
    task = asyncio.create_task(socket.run())
    socket.put(event("gate", 1), event("gate", 2), BYE)
    await until(lambda: socket.incoming.qsize() == 2)
    await asyncio.sleep(0)
    assert socket.reads == 1
    register.gate.set()
    await within(task)
    assert register.log == ["connected", 1, 2, "disconnected"]


class TestCancelling:
    async def test_while_reading(self) -> None:
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]
        assert register.ends == [CloseInfo(1001, "", "local")]
        assert socket.shut == [(1001, "")]

    async def test_in_a_handler(self) -> None:
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1), event("echo", 2))
        await until(lambda: socket.incoming.qsize() == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]
        assert socket.shut == [(1001, "")]

    async def test_the_end_is_told_before_the_peer_is(self) -> None:
        register = Log()
        socket = Socket(register)
        told: list[list[tuple[int, str]]] = []

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            told.append(list(socket.shut))

        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1))
        await until(lambda: socket.reads == 1 and not socket.incoming.qsize())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert (told, socket.shut) == ([[]], [(1001, "")])

    async def test_in_the_connected_handler(self) -> None:
        register = Log()
        begun = asyncio.Event()

        @register.on_connected
        async def connected(ctx: EventContext) -> None:
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(Socket(register).run())
        await within(begun.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["disconnected"]

    async def test_a_peer_that_takes_no_close_frame(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.last_words = 10 * MS
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]

    async def test_after_the_end(self) -> None:
        """The last handler is cancelled; there is nothing to say any more."""
        register = Log()
        begun = asyncio.Event()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            begun.set()
            await asyncio.Event().wait()

        socket = Socket(register)
        socket.put(BYE)
        task = asyncio.create_task(socket.run())
        await within(begun.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert not socket.shut and socket.connection.closed == BYE


class TestSending:
    async def test_failing_because_the_connection_has_ended(self) -> None:
        """What came before the end is handled; the error says how it ended."""
        register = Log()
        socket = Socket(register)
        socket.failure = RuntimeError("closed")
        socket.put(event("echo", 1), event("boom"), BYE)
        await within(socket.run())
        assert register.log == ["connected", 1, "disconnected"]
        closed, boom = register.errors
        assert isinstance(closed, ConnectionClosedError)
        assert (closed.code, closed.reason, closed.by) == BYE
        assert isinstance(closed.__cause__, RuntimeError)
        assert isinstance(boom, ZeroDivisionError)

    async def test_failing_outside_of_a_handler(self) -> None:
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        socket.failure = asyncio.CancelledError()  # Sanic raises this without a cancelled task
        sending = [asyncio.create_task(socket.connection.send("x")) for _ in range(2)]
        await asyncio.sleep(0)
        socket.put(BYE)
        for each in sending:
            with pytest.raises(ConnectionClosedError) as caught:
                await within(each)
            assert (caught.value.code, caught.value.by) == (4000, "remote")
        await within(task)

    async def test_failing_without_an_end_in_time(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.last_words = 10 * MS
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        socket.failure = RuntimeError("closed")
        with pytest.raises(ConnectionClosedError) as caught:
            await within(socket.connection.send("x"))
        assert (caught.value.code, caught.value.by) == (1006, None)
        socket.put(BYE)
        await within(task)

    async def test_failing_outside_while_a_handler_runs(self) -> None:
        """Two tasks must not read at once; what the one has read, the other handles."""
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1))
        await until(lambda: socket.reads and socket.incoming.empty())
        socket.failure = RuntimeError("closed")
        sending = asyncio.create_task(socket.connection.send("x"))
        await until(lambda: socket.reads == 2)
        register.gate.set()
        await until(lambda: 1 in register.log)
        socket.failure = None
        socket.put(event("echo", 2), BYE)
        with pytest.raises(ConnectionClosedError) as caught:
            await within(sending)
        assert caught.value.code == 4000
        await within(task)
        assert register.log == ["connected", 1, 2, "disconnected"]

    async def test_failing_outside_until_a_handler_is_done(self) -> None:
        """The loop waits for the task that reads in its place."""
        register = Log()
        register.on_event("wait", lambda ctx: register.gate.wait())
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("wait"))
        await until(lambda: socket.reads and socket.incoming.empty())
        socket.failure = RuntimeError("closed")
        sending = asyncio.create_task(socket.connection.send("x"))
        await until(lambda: socket.reads == 2)
        register.gate.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert socket.reads == 2
        socket.failure = None
        socket.put(event("echo", 2), BYE)
        with pytest.raises(ConnectionClosedError) as caught:
            await within(sending)
        assert caught.value.code == 4000
        await within(task)
        assert register.log == ["connected", 2, "disconnected"]

    async def test_failing_after_the_end(self) -> None:
        socket = await run(Log(), BYE)
        socket.failure = RuntimeError("closed")
        waiting = socket.carrier.send(b"x")
        assert waiting is not None
        with pytest.raises(ConnectionClosedError) as caught:
            await within(waiting)
        assert (caught.value.code, caught.value.by) == (4000, "remote")

    async def test_being_cancelled(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.gate = asyncio.Event()
        sending = asyncio.create_task(socket.connection.send("x"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(sending)
        assert not socket.sent

    @pytest.mark.parametrize("seconds", [0, 10 * MS])
    async def test_a_peer_that_does_not_read(self, seconds: float) -> None:
        register = Log()
        socket = Socket(register, send_timeout=seconds)
        socket.gate = asyncio.Event()
        with pytest.raises(SendTimeoutError):
            await within(socket.connection.send("x"))
        socket.gate.set()
        await within(socket.connection.send("y"))
        assert len(socket.sent) == 1

    async def test_a_peer_that_reads_late(self) -> None:
        socket = Socket(Log())
        socket.gate = asyncio.Event()
        sending = asyncio.create_task(socket.connection.send("x"))
        await asyncio.sleep(0)
        assert not socket.sent
        socket.gate.set()
        await within(sending)
        assert len(socket.sent) == 1


def names(socket: Socket) -> str:
    """What was sent, of events with names of one letter."""
    return "".join(json.loads(text)["eventName"] for text in socket.sent)


async def tell(socket: Socket, name: str) -> Any:
    """Broadcast to the one connection, and return the error, if there is one."""
    result = await within(broadcast([socket.connection], name))
    return result.failed.get(socket.connection)


async def tell_in_task(socket: Socket, name: str) -> asyncio.Task[Any]:
    """Broadcast while writes wait, and return the task that writes."""
    before = asyncio.all_tasks()
    assert await tell(socket, name) is None
    (task,) = asyncio.all_tasks() - before
    return task


def no_task_is_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


class TestBroadcasts:
    """While the framework makes writes wait, `gate` not being set."""

    async def test_a_broadcast_does_not_wait_and_keeps_its_place(self) -> None:
        socket = Socket(Log())
        socket.gate = asyncio.Event()
        sends = list[asyncio.Task[None]]()
        for name in "abcdef":
            if name in "bce":
                sends.append(asyncio.create_task(socket.connection.send(name)))
                await asyncio.sleep(0)
            else:
                assert await tell(socket, name) is None
        assert not socket.sent
        socket.gate.set()
        await within(asyncio.gather(*sends))
        await until(lambda: names(socket) == "abcdef")
        assert await tell(socket, "g") is None
        await socket.connection.send("h")
        assert names(socket) == "abcdefgh"

    async def test_a_bound(self) -> None:
        socket = Socket(Log(), backlog_bytes=100)
        socket.gate = asyncio.Event()
        errors = [await tell(socket, name) for name in "abcdef"]  # of 45 bytes each
        assert [error is None for error in errors] == [True] * 4 + [False] * 2
        assert isinstance(errors[-1], SendTimeoutError)
        assert (errors[-1].seconds, errors[-1].backlog) == (0, 135)  # "b", "c" and "d"
        socket.gate.set()
        await until(lambda: names(socket) == "abcd")
        assert await tell(socket, "g") is None

    async def test_a_framework_that_says_the_connection_has_ended(self) -> None:
        socket = Socket(Log())
        socket.failure = RuntimeError("closed")
        error = await tell(socket, "a")
        assert isinstance(error, ConnectionClosedError) and error.code == 1006
        assert isinstance(error.__cause__, RuntimeError)

    async def test_a_framework_that_says_so_late(self) -> None:
        """Each write fails, and each send tells."""
        register = Log()
        socket = Socket(register)
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        assert await tell(socket, "a") is None
        sending = asyncio.create_task(socket.connection.send("b"))
        await asyncio.sleep(0)
        assert await tell(socket, "c") is None
        socket.failure = OSError("gone")
        socket.gate.set()
        await until(lambda: socket.writes == 3)
        await asyncio.sleep(0)
        socket.put(BYE)
        with pytest.raises(ConnectionClosedError, match="4000"):
            await within(sending)
        await within(task)
        assert register.ends == [BYE]

    async def test_a_task_that_is_cancelled_is_told(self) -> None:
        """By a framework that raises it as its own error, it is none."""
        socket = Socket(Log())
        socket.failure = asyncio.CancelledError()
        assert isinstance(await tell(socket, "a"), ConnectionClosedError)

        async def cancelled() -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await broadcast([socket.connection], "a")

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancelled())

    @pytest.mark.parametrize("how", ["ended", "cancelled", "closed"])
    async def test_the_end(self, how: str) -> None:
        """Sends know at once, the one in the framework too; events that were kept are dropped."""
        register = Log()
        socket = Socket(register, send_timeout=None, close_timeout=10 * MS)
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        sends = [asyncio.create_task(socket.connection.send(name)) for name in "ab"]
        await asyncio.sleep(0)
        assert await tell(socket, "c") is None
        if how == "ended":
            socket.put(BYE)
        elif how == "cancelled":
            socket.last_words = MS
            task.cancel()
        else:
            await within(socket.connection.close(4001))
        code = {"ended": 4000, "cancelled": 1001, "closed": 4001}[how]
        for each in sends:
            with pytest.raises(ConnectionClosedError) as caught:
                await within(each)
            assert caught.value.code == code
        await asyncio.wait([task])
        assert [end.code for end in register.ends] == [code]
        await until(no_task_is_left)
        assert not socket.sent

    async def test_the_end_while_an_event_is_written(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        for name in "ab":
            assert await tell(socket, name) is None
        socket.put(BYE)
        await within(task)
        await until(no_task_is_left)
        assert not socket.sent

    async def test_a_turn_that_is_not_taken(self) -> None:
        """The send is cancelled in the moment in which it is its turn."""
        socket = Socket(Log())
        socket.gate = asyncio.Event()
        writer = await tell_in_task(socket, "a")
        cancelled, last = (asyncio.create_task(socket.connection.send(name)) for name in "bc")
        await asyncio.sleep(0)
        writer.add_done_callback(lambda _: cancelled.cancel())
        socket.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await within(last)
        await within(socket.connection.send("d"))
        assert names(socket) == "acd"

    async def test_a_send_gives_up_while_it_is_its_turn(self) -> None:
        socket = Socket(Log(), send_timeout=20 * MS)
        socket.gate = asyncio.Event()
        writer = await tell_in_task(socket, "a")
        sending = asyncio.create_task(socket.connection.send("b"))
        await asyncio.sleep(0)
        writer.cancel()
        with pytest.raises(SendTimeoutError) as caught:
            await within(sending)
        assert caught.value.seconds == 20 * MS
        assert not socket.sent
        socket.gate = None
        await within(socket.connection.send("c"))
        assert names(socket) == "c"

    async def test_who_awaits_late(self) -> None:
        socket = Socket(Log())
        socket.gate = asyncio.Event()
        assert await tell(socket, "a") is None
        late, too_late = (
            socket.carrier.send(b'{"eventName":"b"}'),
            socket.carrier.send(b'{"eventName":"c"}'),
        )
        assert late is not None and too_late is not None
        socket.gate.set()
        await until(lambda: names(socket) == "a")
        await within(late)
        assert names(socket) == "ab"
        socket.connection.closed = BYE
        with pytest.raises(ConnectionClosedError):
            await within(too_late)


class TestClosing:
    async def test_it_comes_behind_broadcasts(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        for name in "ab":
            assert await tell(socket, name) is None
        closing = asyncio.create_task(socket.connection.close(4001))
        await asyncio.sleep(0)
        assert not socket.shut
        socket.gate.set()
        await within(closing)
        assert names(socket) == "ab" and socket.shut == [(4001, "")]
        socket.put(CloseInfo(4001, "", "remote"))
        await within(task)

    async def test_the_connection_ends_before_its_turn_comes(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.gate = asyncio.Event()
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        assert await tell(socket, "a") is None
        closing = asyncio.create_task(socket.connection.close(4001))
        await asyncio.sleep(0)
        socket.put(BYE)
        await within(closing)
        await within(task)
        assert register.ends == [CloseInfo(4001, "", "local")] and not socket.shut

    @pytest.mark.parametrize("in_line", [True, False])
    async def test_a_framework_whose_close_does_not_return(self, in_line: bool) -> None:
        """It is given up after the close timeout, in a handler and with others in line."""
        register = Log()
        socket = Socket(register, close_timeout=10 * MS)
        socket.gate = asyncio.Event()
        if in_line:
            assert await tell(socket, "a") is None
        socket.put(event("close", [4001, "x"]))
        await within(socket.run())
        assert register.ends == [CloseInfo(4001, "x", "local")]
        assert socket.shut == ([] if in_line else [(4001, "x")])
        assert socket.dropped
        await until(no_task_is_left)

    async def test_what_comes_afterwards_is_dropped(self) -> None:
        register = Log()
        messages = (event("close", [4001, "x"]), event("echo", 1), CloseInfo(4001, "x", "remote"))
        socket = await run(register, *messages)
        assert register.log == ["connected", "disconnected"]
        assert register.ends == [CloseInfo(4001, "x", "local")]
        assert socket.shut == [(4001, "x")] and not socket.sent

    async def test_a_framework_that_never_says_it_has_ended(self) -> None:
        register = Log()
        await run(register, event("close", [4001, "x"]), close_timeout=10 * MS)
        assert register.ends == [CloseInfo(4001, "x", "local")]

    async def test_giving_up_in_a_handler(self) -> None:
        """A handler that goes on after its close is not cut short."""
        register = Log()
        socket = Socket(register, close_timeout=10 * MS)

        @register.on_event("leave")
        async def leave(ctx: EventContext) -> None:
            await ctx.connection.close()
            await until(lambda: socket.dropped)
            register.log.append("left")

        socket.put(event("leave"))
        await within(socket.run())
        assert register.log == ["connected", "left", "disconnected"]

    async def test_no_bound(self) -> None:
        register = Log()
        socket = await run(register, event("close", [4001, "x"]), BYE, close_timeout=None)
        assert socket.shut == [(4001, "x")]

    async def test_a_close_that_fails(self) -> None:
        register = Log()
        socket = Socket(register)
        socket.failure = RuntimeError("closed")
        socket.put(event("close", [4001, ""]), BYE)
        await within(socket.run())
        assert not register.errors and register.ends == [CloseInfo(4001, "", "local")]

    async def test_soon(self) -> None:
        """From outside of any task, and never twice."""
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        socket.carrier.close_soon(4001, "x")
        await until(lambda: socket.shut)
        socket.carrier.close_soon(4002, "y")
        socket.put(CloseInfo(4001, "x", "remote"))
        await within(task)
        assert register.ends == [CloseInfo(4001, "x", "local")] and socket.shut == [(4001, "x")]
        assert no_task_is_left()

    async def test_cancelled_while_giving_up(self) -> None:
        """Two cancels at once: the one from outside counts."""
        register = Log()
        socket = Socket(register, close_timeout=0)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        await socket.connection.close()
        asyncio.get_running_loop().call_later(0, task.cancel)  # behind the close timeout
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]


@pytest.mark.parametrize(
    ("message", "limit", "taken"),
    [
        (event("echo", "x" * 60), 100, True),
        (event("echo", "x" * 100), 100, False),
        ('{"eventName":"echo","payload":"' + "ü" * 40 + '"}', 100, False),
        (b"x" * 100, 100, True),
        (b"x" * 101, 100, False),
        (event("echo", "x" * 1000), None, True),
    ],
)
async def test_long_messages(message: Any, limit: int | None, taken: bool) -> None:
    register = Log()
    socket = await run(register, message, BYE, message_bytes=limit)
    assert socket.shut == ([] if taken else [(1009, "the message is too long")])


def reply_to(socket: Socket, payload: Any = "yes", number: int = -1) -> str:
    """Return the reply to a request that was sent."""
    headers = {"replyTo": json.loads(socket.sent[number])["headers"]["requestId"]}
    return event("question", payload, headers=headers)


class TestReadingAhead:
    """While a handler waits for an event that arrives behind its own."""

    async def test_a_reply_in_the_connected_handler(self) -> None:
        register = Log()
        replies: list[Any] = []

        @register.on_connected
        async def connected(ctx: EventContext) -> None:
            replies.append(await ctx.connection.request("question"))

        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.sent)
        socket.put(event("echo", 1), reply_to(socket), BYE)
        await within(task)
        assert [reply.payload for reply in replies] == ["yes"]
        assert register.log == [1, "disconnected"] and register.ends == [BYE]

    @pytest.mark.parametrize("limits", [{"queue_events": 2}, {"queue_bytes": 200}])
    async def test_is_bounded(self, limits: dict[str, int]) -> None:
        register = Log()
        socket = Socket(register, **limits)
        task = asyncio.create_task(socket.run())
        socket.put(event("ask", 1), *[event("echo", "x" * 60)] * 10)
        await until(lambda: socket.incoming.qsize() == 7)
        for _ in range(10):
            await asyncio.sleep(0)
        assert socket.reads == 4 and socket.incoming.qsize() == 7
        asking = asyncio.create_task(socket.connection.request("question", timeout=5 * MS))
        with pytest.raises(TimeoutError):
            await asking
        assert socket.reads == 4  # another waiter does not move the bound
        await socket.connection.close()
        socket.put(BYE)
        await within(task)

    async def test_the_last_waiter_has_gone(self) -> None:
        """The call for the next message goes on, and the first task waits for that."""
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        socket.put(event("gate", 1))
        await until(lambda: socket.incoming.empty())
        with pytest.raises(TimeoutError):
            await socket.connection.wait_for("never", timeout=5 * MS)
        assert socket.reads == 2
        register.gate.set()
        await until(lambda: len(register.log) == 2)
        socket.put(event("echo", 2), event("echo", 3), BYE)
        await within(task)
        assert register.log == ["connected", 1, 2, 3, "disconnected"]
        assert socket.reads == 4

    async def test_a_waiter_before_the_handler_runs(self) -> None:
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        await until(lambda: socket.reads)
        waiting = asyncio.create_task(socket.connection.wait_for("echo"))
        await asyncio.sleep(0)
        socket.put(event("gate", 1), event("echo", 2))
        assert (await within(waiting)).payload == 2
        register.gate.set()
        socket.put(BYE)
        await within(task)
        assert register.log == ["connected", 1, 2, "disconnected"]

    async def test_cancelling(self) -> None:
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("ask", 1))
        await until(lambda: socket.reads == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]
        assert register.ends == [CloseInfo(1001, "", "local")] and socket.shut == [(1001, "")]

    async def test_a_framework_that_never_says_it_has_ended(self) -> None:
        register = Log()
        socket = Socket(register, close_timeout=5 * MS)
        task = asyncio.create_task(socket.run())
        socket.put(event("ask", 1))
        await until(lambda: socket.reads == 2)
        await socket.connection.close(4000)
        await within(task)
        assert register.log == ["connected", "disconnected"]
        assert [type(error) for error in register.errors] == [ConnectionClosedError]

    async def test_too_long_a_message(self) -> None:
        register = Log()
        socket = Socket(register, message_bytes=100)
        task = asyncio.create_task(socket.run())
        socket.put(event("ask", 1), event("echo", "x" * 100), BYE)
        await within(task)
        assert socket.shut == [(1009, "the message is too long")]
        assert register.log == ["connected", "disconnected"]

    async def test_a_send_fails_meanwhile(self) -> None:
        """The task that reads goes on to the end, which says how the connection ended."""
        register = Log()
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1))
        await until(lambda: socket.reads == 1 and socket.incoming.empty())
        waiting = asyncio.create_task(socket.connection.wait_for("echo"))
        await until(lambda: socket.reads == 2)
        socket.failure = OSError("gone")
        sending = asyncio.create_task(socket.connection.send("a"))
        await asyncio.sleep(0)
        socket.put(event("echo", 1), event("echo", 2), BYE)
        with pytest.raises(ConnectionClosedError, match="4000: bye"):
            await within(sending)
        assert (await within(waiting)).payload == 1
        register.gate.set()
        await within(task)
        assert register.ends == [BYE]


class TestConcurrency:
    async def test_cancelled_before_it_reads_ahead(self) -> None:
        """One handler begins to wait in the turn in which another is cancelled."""
        register = Log(concurrency=3)
        slow: list[asyncio.Task[Any]] = []

        @register.on_event("slow")
        async def run_long(ctx: EventContext) -> None:
            task = asyncio.current_task()
            assert task is not None
            slow.append(task)
            await asyncio.Event().wait()

        @register.on_event("go")
        async def go(ctx: EventContext) -> None:
            slow[0].cancel()
            await ctx.connection.wait_for("never", timeout=None)

        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("slow"))
        await until(lambda: slow)
        socket.put(event("go"))
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.cancelled()
        assert register.ends == [CloseInfo(1001, "", "local")] and socket.shut == [(1001, "")]

    async def test_reading_goes_on_while_there_is_room(self) -> None:
        register = Log(concurrency=2)
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1), event("gate", 2), event("gate", 3), BYE)
        await until(lambda: socket.incoming.qsize() == 2)
        for _ in range(10):
            await asyncio.sleep(0)
        assert socket.reads == 2
        register.gate.set()
        await within(task)
        assert register.log == ["connected", 1, 2, 3, "disconnected"]

    async def test_the_end_waits_for_all(self) -> None:
        register = Log(concurrency=3)
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1), event("gate", 2), BYE)
        await until(lambda: not socket.connection.is_open)
        assert register.log == ["connected"]
        register.gate.set()
        await within(task)
        assert register.log == ["connected", 1, 2, "disconnected"]

    @pytest.mark.parametrize("reading", [True, False])
    async def test_cancelling(self, reading: bool) -> None:
        register = Log(concurrency=3 if reading else 2)
        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("gate", 1), event("gate", 2))
        await until(lambda: socket.reads == (3 if reading else 2) and socket.incoming.empty())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(task)
        assert register.log == ["connected", "disconnected"]
        assert register.ends == [CloseInfo(1001, "", "local")]

    @pytest.mark.parametrize("reading", ["run", "ahead", "none"])
    async def test_a_handler_that_ends_the_connection(self, reading: str) -> None:
        """It is raised by `run`, with each task that may be reading at that moment."""

        class Fatal(BaseException):
            pass

        register = Log(concurrency=3 if reading == "run" else 2)
        gate = asyncio.Event()

        @register.on_event("fatal")
        async def fatal(ctx: EventContext) -> None:
            await gate.wait()
            raise Fatal("oh no")

        socket = Socket(register)
        task = asyncio.create_task(socket.run())
        socket.put(event("fatal"), event("ask" if reading == "ahead" else "gate", 1))
        await until(lambda: socket.reads == (2 if reading == "none" else 3))
        gate.set()
        with pytest.raises(Fatal):
            await within(task)
        assert register.log == ["connected", "disconnected"]
        assert register.ends == [CloseInfo(1001, "", "local")]
        assert [type(error) for error in register.errors][:1] == [Fatal]

    async def test_sends_that_fail_at_the_same_time(self) -> None:
        register = Log(concurrency=2)
        socket = Socket(register)
        socket.failure = OSError("gone")
        task = asyncio.create_task(socket.run())
        socket.put(event("echo", 1), event("echo", 2), BYE)
        await within(task)
        assert register.ends == [BYE]
        assert [error.code for error in register.errors] == [4000, 4000]
