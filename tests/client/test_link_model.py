"""A client's link, model-checked: any calls, handlers and answers of a server, in any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from websockets.utils import accept_key

from tests.support import MS, until, within
from zaptools import (
    AlreadyConnectedError,
    ConnectError,
    HandshakeError,
    Limits,
    ReconnectPolicy,
    ZapClientState,
    ZapConsumer,
)
from zaptools.client.link import Attempt, Offer

URL = "ws://127.0.0.1:1/"


class TestAttempt:
    async def test_it_succeeds_once(self) -> None:
        attempt = Attempt(URL, Offer())
        attempt.succeed()
        attempt.fail(ConnectError(URL, "too late"))
        attempt.succeed()
        await attempt.wait()

    async def test_it_fails_once(self) -> None:
        attempt, error = Attempt(URL, Offer()), ConnectError(URL, "no")
        attempt.fail(error)
        attempt.succeed()
        attempt.fail(ConnectError(URL, "again"))
        with pytest.raises(ConnectError) as info:
            await attempt.wait()
        assert info.value is error

    async def test_it_is_settled_once(self) -> None:
        attempt = Attempt(URL, Offer())
        attempt.settle()
        attempt.settle()
        assert attempt.settled.done() and not attempt.online.done()

    async def test_the_first_dismissal_counts(self) -> None:
        attempt = Attempt(URL, Offer())
        attempt.opening = asyncio.ensure_future(asyncio.sleep(3600))
        attempt.dismiss("one")
        attempt.dismiss("two")
        assert attempt.dismissal().detail == "one"
        await asyncio.wait([attempt.opening])
        assert attempt.opening.cancelled()

    async def test_dismissed_when_it_was_online(self) -> None:
        attempt = Attempt(URL, Offer())
        attempt.succeed()
        attempt.dismiss("done")
        with pytest.raises(ConnectError, match="done"):
            await attempt.wait()

    async def test_dismissed_when_it_has_ended(self) -> None:
        attempt = Attempt(URL, Offer())
        attempt.succeed()
        attempt.ended = True
        attempt.dismiss("done")
        await attempt.wait()
        assert attempt.dismissed == "done"


# The model

AFTER: dict[str, set[str]] = {
    "begin": {"CONNECTING"},
    "CONNECTING": {"ONLINE", "OFFLINE", "ERROR"},
    "ONLINE": {"connected"},
    "connected": {"OFFLINE*"},
    "OFFLINE*": {"disconnected"},
    "disconnected": {"CONNECTING", "ERROR"},
    "OFFLINE": {"CONNECTING"},
    "ERROR": {"CONNECTING"},
}
"""The announcements that may follow each; ``OFFLINE*`` is that of an ended connection."""

ANSWERS = ["stay", "close", "close", "drop", "refuse", "fatal", "reset", "hang", "late"]
"""What a server does with a connection after its request."""

ACTIONS = ["connect", "connect in a task", "disconnect", "disconnect in a task", "pause", "raise"]
"""What a handler does. A call that it may not await itself raises, and the error says so."""

MOMENTS = ["CONNECTING", "ONLINE", "OFFLINE", "ERROR", "connected", "disconnected", "go"]
"""The handler that does it: of a state, of a connection's begin and end, of an event."""

PLANS = st.tuples(
    st.sampled_from([*MOMENTS, "disconnected", "connected"]),
    st.sampled_from([*ACTIONS, "connect"]),
)

TURNS = st.sampled_from([0, 1, 2, 4, None, None])
"""Turns of the loop to wait for; None for 3 ms, in which all that needs no call happens."""


class Server:
    """Answers each connection with the next of `answers`; with "stay" when there is none.

    Attributes:
        answers: for the connections to come.
        open: connections that were accepted and have not ended.
    """

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.open: set[asyncio.StreamWriter] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            await self.answer(self.answers.pop(0) if self.answers else "stay", request, writer)
            await reader.read(1 << 16)  # a close frame, or the end
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open.discard(writer)
            self.tasks.discard(task)
            writer.transport.abort()

    async def answer(self, how: str, request: bytes, writer: asyncio.StreamWriter) -> None:
        fields = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:] if line)
        accept = accept_key(fields[b"Sec-WebSocket-Key"].decode())
        hello = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()
        if how == "hang":
            return
        if how == "reset":
            writer.transport.abort()
            raise ConnectionResetError
        if how in ("refuse", "fatal"):
            status = 401 if how == "fatal" else 503
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
            return
        if how == "late":
            for _ in range(5):
                await asyncio.sleep(0)
        writer.write(hello + (b"\x88\x02\x03\xe9" if how == "close" else b""))
        self.open.add(writer)
        if how == "drop":
            writer.transport.abort()
            raise ConnectionResetError

    def event(self) -> None:
        for writer in self.open:
            writer.write(b'\x81\x12{"eventName":"go"}')

    def end(self, how: str) -> None:
        for writer in self.open:
            if how == "drop":
                writer.transport.abort()
            else:
                writer.write(b"\x88\x02\x03\xe9")


class ClientMachine(RuleBasedStateMachine):
    """A real client and a real server, driven by rules that hypothesis combines."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.loop = self.runner.get_loop()
        self.loop.set_exception_handler(lambda _, context: self.faults.append(str(context)))
        self.server = Server()
        self.faults: list[str] = []
        self.log = ["begin"]
        self.plans: list[tuple[str, str]] = []
        self.calls: dict[asyncio.Task[None], None] = {}  # in order
        self.errors: list[BaseException] = []
        self.begun = 0  # calls of connect
        self.down = False  # whether disconnect has returned, and connect was not called since

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.runner.run(within(coroutine))

    @initialize(
        reconnect=st.booleans(),
        plans=st.lists(PLANS, max_size=4),
        answers=st.lists(st.sampled_from(ANSWERS), max_size=4),
    )
    def begin(self, reconnect: bool, plans: list[tuple[str, str]], answers: list[str]) -> None:
        self.plans, self.server.answers, self.reconnects = plans, answers, reconnect

        async def start() -> None:
            self.listener = await asyncio.start_server(self.server.serve, "127.0.0.1", 0)
            port = self.listener.sockets[0].getsockname()[1]
            policy = ReconnectPolicy(
                initial_delay=MS, max_delay=MS, max_attempts=5, random=random.Random(1).random
            )
            self.client = client = ZapConsumer(
                f"ws://127.0.0.1:{port}/",
                reconnect=policy if reconnect else False,
                limits=Limits(close_timeout=20 * MS, open_timeout=None, ping_interval=None),
            )
            client.on_connection_state_changed(lambda state: self.announced(state.name))
            client.on_connected(lambda event: self.announced("connected"))
            client.on_disconnected(lambda event: self.announced("disconnected"))
            client.on_event("go", lambda event: self.act("go"))
            client.on_error(lambda error: None)

        self.run(start())

    # Announcements

    def announced(self, name: str) -> Coroutine[Any, Any, None]:
        last = self.log[-1]
        if name == "OFFLINE" and last == "connected":
            name = "OFFLINE*"
        if name not in AFTER[last]:
            self.faults.append(f"{name} announced after {last}")
        if name == "CONNECTING" and self.down:
            self.faults.append("a connect that was not asked for after disconnect")
        if name.rstrip("*") in ZapClientState.__members__:
            state = self.client.current_connection_state.name
            if state != name.rstrip("*"):
                self.faults.append(f"{name} announced while the state is {state}")
        self.log.append(name)
        return self.act(name.rstrip("*"))

    async def act(self, moment: str) -> None:
        action = next((action for when, action in self.plans if when == moment), None)
        if action is None:
            return
        self.plans.remove((moment, action))
        do: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "connect": self.connect,
            "disconnect": self.disconnect,
        }
        name, _, task = action.partition(" ")
        if name == "pause":
            for _ in range(4):
                await asyncio.sleep(0)
        elif name == "raise":
            raise RuntimeError
        elif task:
            self.call(do[name]())
        else:
            await do[name]()

    # Calls

    def call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(coroutine)
        self.calls[task] = None
        task.add_done_callback(self.calls.pop)

    async def connect(self, *, if_needed: bool = False, retry: bool = False) -> None:
        self.begun += 1
        self.down = False
        before = len(self.log)
        try:
            await self.client.connect(if_needed=if_needed, retry=retry)
        except AlreadyConnectedError:
            pass
        except ConnectError as exc:
            if not if_needed and any(exc is error for error in self.errors):
                self.faults.append("two calls of connect raised one attempt's error")
            self.errors.append(exc)
        else:
            if not if_needed and "ONLINE" not in self.log[before:]:
                self.faults.append("connect returned, and the client was not online")

    async def disconnect(self) -> None:
        begun = self.begun
        await self.client.disconnect()
        if self.begun == begun:
            self.down = True
            if self.client.is_connected:
                self.faults.append("disconnect returned, and the client is connected")

    @rule(if_needed=st.booleans(), retry=st.booleans(), turns=TURNS)
    def connects(self, if_needed: bool, retry: bool, turns: int | None) -> None:
        retry = retry and self.reconnects
        self.call(self.connect(if_needed=if_needed, retry=retry))
        self.pass_time(turns)

    @rule(turns=TURNS)
    def disconnects(self, turns: int | None) -> None:
        self.call(self.disconnect())
        self.pass_time(turns)

    @rule(index=st.integers(0, 3), turns=TURNS)
    def cancels_a_call(self, index: int, turns: int | None) -> None:
        for task in list(self.calls)[index : index + 1]:
            task.cancel()
        self.pass_time(turns)

    @rule(plans=st.lists(PLANS, max_size=3), answers=st.lists(st.sampled_from(ANSWERS), max_size=4))
    def more_plans_and_answers(self, plans: list[tuple[str, str]], answers: list[str]) -> None:
        self.plans += plans
        self.server.answers += answers

    @rule(how=st.sampled_from(["drop", "close", "event"]), turns=TURNS)
    def the_server_does(self, how: str, turns: int | None) -> None:
        if how == "event":
            self.server.event()
        else:
            self.server.end(how)
        self.pass_time(turns)

    @rule(turns=TURNS)
    def pass_time(self, turns: int | None) -> None:
        async def turn() -> None:
            for _ in range(turns or 0):
                await asyncio.sleep(0)
            if turns is None:
                await asyncio.sleep(3 * MS)

        self.run(turn())

    # Invariants

    @invariant()
    def nothing_is_wrong(self) -> None:
        assert not self.faults, (self.faults, self.log)

    def teardown(self) -> None:
        if not hasattr(self, "client"):
            self.runner.close()
            return
        try:
            self.run(self.end_cleanly())
            assert not self.faults, (self.faults, self.log)
        finally:
            self.runner.close()

    async def end_cleanly(self) -> None:
        """In any state a client can be disconnected, connected, and disconnected again."""
        await asyncio.sleep(MS)
        self.plans.clear()
        self.server.answers.clear()
        for task in list(self.calls):
            task.cancel()
        if self.calls:
            await asyncio.wait(self.calls)
        await self.disconnect()
        await self.connect()
        assert self.client.is_connected and self.log[-2:] == ["ONLINE", "connected"], self.log
        await until(lambda: len(self.server.open) == 1)  # the earlier ones have ended
        await self.client.disconnect()
        assert self.log[-2:] == ["OFFLINE*", "disconnected"], self.log
        self.listener.close()
        for serving in list(self.server.tasks):
            serving.cancel()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()} - self.server.tasks
        assert not left, left


TestClientMachine = ClientMachine.TestCase
TestClientMachine.settings = settings(max_examples=150, stateful_step_count=20)


async def test_a_connection_that_ends_in_the_segment_of_its_answer() -> None:
    """Its `disconnected` handler connects again; each call of connect has its own outcome."""
    server = Server()
    server.answers[:] = ["close", "refuse"]
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    client = ZapConsumer(f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/")
    log: list[str] = []
    client.on_connection_state_changed(lambda state: log.append(state.name))
    done = asyncio.Event()

    @client.on_disconnected
    async def disconnected(event: Any) -> None:
        with pytest.raises(HandshakeError):
            await client.connect()
        done.set()

    async with listener:
        await within(client.connect())  # it was online
        await within(done.wait())
        await client.disconnect()
    assert log == ["CONNECTING", "ONLINE", "OFFLINE", "CONNECTING", "ERROR"]
