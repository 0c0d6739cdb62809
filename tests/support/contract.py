"""What every connector owes, whatever the framework: run for each on its real server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from websockets.frames import Close, Frame, Opcode

import zaptools
from tests.support import MS, PATIENCE, until, within
from tests.support.app import Notes
from tests.support.raw import RawPeer, raw_client
from zaptools import (
    CodecError,
    ConnectionClosedError,
    EventContext,
    EventRegister,
    Limits,
    RemoteError,
    ReservedEventError,
    SendTimeoutError,
    WebSocketConnection,
)
from zaptools.handlers.quota import PER_MINUTE
from zaptools.rooms.broadcast import broadcast

__all__ = ["ConnectorContract", "Log"]

_PACKAGE = str(Path(zaptools.__file__).parent)


def tasks_of_ours() -> list[Any]:
    """Return the tasks that run code of zaptools' own."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return [each for each in coroutines if _PACKAGE in getattr(each, "cr_code").co_filename]  # noqa: B009  # not every coroutine is one of CPython's


class Running(Protocol):
    """A framework's server."""

    port: int

    async def stop(self) -> None: ...


class Log(Notes):
    """One connection's notes; ``close`` closes with the payload's code and reason."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.on_event("ask", self._ask)
        self.on_event("close", lambda ctx: ctx.connection.close(*ctx.payload))

    @property
    def connection(self) -> WebSocketConnection:
        (connection,) = self.seen
        return connection

    async def ended(self) -> Any:
        """Wait for the one ``disconnected``, and return how the connection ended."""
        await until(lambda: self.ends)
        (end,) = self.ends
        return end

    async def _ask(self, ctx: EventContext) -> None:
        """Ask back as often as the payload says, and say what the peer replied."""
        for number in range(ctx.payload):
            reply = await ctx.connection.request("question", number)
            self.log.append(["reply", reply.payload])
        await ctx.connection.send("asked")


class ConnectorContract:
    """Derive from it, and say how to serve a register at ``/ws``.

    Attributes:
        cancels: whether the framework cancels an endpoint whose client has gone.
        tells_faults: whether a fault that the framework finds is answered with a close frame.
        handled, answered: how many of five events are handled and answered that come in one
            piece with a close frame.
    """

    cancels = False
    tells_faults = True
    handled = 5
    answered = 0

    def serve(
        self, register: EventRegister, **options: Any
    ) -> AbstractAsyncContextManager[Running]:
        raise NotImplementedError

    @asynccontextmanager
    async def peer(
        self, concurrency: int = 1, **options: Any
    ) -> AsyncIterator[tuple[Log, RawPeer, Running]]:
        register = Log(concurrency=concurrency)
        async with self.serve(register, **options) as running:
            async with raw_client(running.port, "/ws") as peer:
                await until(lambda: register.seen)
                yield register, peer, running
            await until(lambda: register.ends)
        assert register.log.count("disconnected") == 1

    async def test_events(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.send('{"eventName":"echo","payload":{"a":[1,1.0,"\\u00fc"]},"headers":{"h":1}}')
            assert await peer.text() == {
                "eventName": "echo",
                "payload": {"a": [1, 1.0, "ü"]},
                "headers": {"h": 1},
            }
            await register.connection.send("pushed")
            assert (await peer.text())["eventName"] == "pushed"
            assert register.connection.id.startswith("zpt-")

    async def test_order(self) -> None:
        async with self.peer() as (register, peer, _):
            for number in range(300):
                peer.event("echo", number)
            answers = [(await peer.text())["payload"] for _ in range(300)]
            assert answers == list(range(300)) == register.log[1:]

    async def test_the_request(self) -> None:
        register = Log()
        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws?token=a%20b&x=1&x=2") as peer:
                await until(lambda: register.seen)
                request = register.connection.handshake
                assert request.path == "/ws"
                assert request.query == {"token": "a b", "x": "2"}
                assert request.headers["Sec-WebSocket-Version"] == "13"
                assert request.client == peer.writer.get_extra_info("sockname")
                assert request.subprotocol is None
                with pytest.raises(AttributeError):
                    request.path = "/other"  # type: ignore[misc]  # that is the point

    async def test_the_query_is_decoded_once(self) -> None:
        register = Log()
        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws?a=%2541&b=x%26y+z%2Bw&c=%C3%A9&d=&%3D=%23"):
                await until(lambda: register.seen)
                request = register.connection.handshake
                assert request.query_string == "a=%2541&b=x%26y+z%2Bw&c=%C3%A9&d=&%3D=%23"
                assert request.query == {"a": "%41", "b": "x&y z+w", "c": "é", "d": "", "=": "#"}
            await register.ended()

    async def test_an_id_of_ones_own(self) -> None:
        async with self.peer(connection_id="mine") as (register, _, _):
            assert register.connection.id == "mine"

    async def test_an_id_that_is_taken(self, caplog: pytest.LogCaptureFixture) -> None:
        register = Log()
        async with self.serve(register, connection_id="mine") as running:
            async with raw_client(running.port, "/ws") as first:
                await until(lambda: register.seen)
                async with raw_client(running.port, "/ws") as second:
                    close = await second.closed()
                    assert (close.code, close.reason) == (1008, "the connection's id is taken")
                first.event("echo", 1)
                assert (await first.text())["payload"] == 1
            await register.ended()
            async with raw_client(running.port, "/ws") as third:
                third.event("echo", 2)
                assert (await third.text())["payload"] == 2
        assert register.log == ["connected", 1, "disconnected", "connected", 2, "disconnected"]
        assert "the connection id 'mine' is taken" in caplog.text

    async def test_an_id_that_is_taken_fills_no_log(self, caplog: pytest.LogCaptureFixture) -> None:
        register = Log()
        for _ in range(PER_MINUTE):
            register.book.faults.take(logging.getLogger())
        async with self.serve(register, connection_id="mine") as running:
            async with raw_client(running.port, "/ws"):
                await until(lambda: register.seen)
                async with raw_client(running.port, "/ws") as second:
                    assert (await second.closed()).code == 1008
            await register.ended()
        assert "is taken" not in caplog.text

    @pytest.mark.parametrize("by", ["send", "broadcast"])
    async def test_a_stream_to_a_peer_that_is_gone(
        self, by: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It ends, also where a framework's own call neither waits nor fails."""
        sent = 0
        async with self.peer() as (register, peer, _):

            @register.on_event("stream")
            async def stream(ctx: EventContext) -> None:
                nonlocal sent
                peer.writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                while sent < 5000:
                    if by == "send":
                        await ctx.connection.send("news")
                    elif (await broadcast([ctx.connection], "news")).failed:
                        break
                    sent += 1

            peer.event("stream")
            await until(lambda: register.ends)
        assert sent < 100
        assert caplog.text.count("socket.send() raised exception") < 20

    @pytest.mark.parametrize(("offered", "chosen"), [(["b", "a"], "a"), (["c"], None)])
    async def test_subprotocols(self, offered: list[str], chosen: str | None) -> None:
        register = Log()
        async with self.serve(register, subprotocols=["a"]) as running:
            async with raw_client(running.port, "/ws", subprotocols=offered) as peer:
                await until(lambda: register.seen)
                assert peer.protocol.subprotocol == chosen
                assert register.connection.handshake.subprotocol == chosen

    async def test_omitting_empty_headers(self) -> None:
        async with self.peer(omit_empty_headers=True) as (_, peer, _):
            peer.event("echo", 1)
            assert await peer.text() == {"eventName": "echo", "payload": 1}

    @pytest.mark.parametrize(
        ("message", "expected"),
        [
            ("{not json", CodecError),
            ("", CodecError),
            ("[1]", CodecError),
            ('{"eventName":1}', CodecError),
            ('{"eventName":"connected"}', ReservedEventError),
            ('{"eventName":"disconnected"}', ReservedEventError),
            ('{"eventName":"boom"}', ZeroDivisionError),
        ],
    )
    async def test_bad_messages(self, message: str, expected: type[Exception]) -> None:
        async with self.peer() as (register, peer, _):
            peer.send(message)
            peer.event("echo", 1)
            await peer.text()
            assert [type(error) for error in register.errors] == [expected]
            assert register.log == ["connected", 1]

    async def test_a_binary_message(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.protocol.send_binary(b'{"eventName":"echo"}')
            peer.event("echo", 1)
            await peer.text()
            assert [error.reason for error in register.errors] == ["binary"]

    async def test_too_long_a_message(self) -> None:
        async with self.peer(limits=Limits(message_bytes=1000)) as (register, peer, _):
            peer.event("echo", "x" * 900)
            await peer.text()
            peer.event("echo", "x" * 1000)
            assert (await peer.closed()).code == 1009
            peer.drop()
            end = await register.ended()
            assert (end.code, end.by) == (1009, "local")

    @pytest.mark.parametrize("place", ["whole", "last", "first", "behind", "beside"])
    async def test_a_text_that_is_not_utf8(self, place: str) -> None:
        """It is answered with 1007 (RFC 6455, section 8.1), also behind one that is handled."""
        good, bad = b'{"eventName":', b"\xff\xfe"
        async with self.peer() as (register, peer, _):
            begun = asyncio.Event()

            @register.on_event("begin")
            async def begin(ctx: EventContext) -> None:
                begun.set()
                await register.gate.wait()

            if place == "behind":
                peer.event("gate", 1)
                peer.event("gate", 2)
            if place == "beside":
                peer.event("begin")
                await within(begun.wait())
            if place in ("whole", "behind", "beside"):
                frames = [Frame(Opcode.TEXT, bad)]
            else:
                parts = (good, bad) if place == "last" else (bad, good)
                frames = [Frame(Opcode.TEXT, parts[0], fin=False), Frame(Opcode.CONT, parts[1])]
            peer.writer.write(b"".join(frame.serialize(mask=True) for frame in frames))
            if place == "beside":
                await self.some_turns()  # some frameworks find the fault now, some afterwards
            register.gate.set()
            await self.fault(register, peer, 1007)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
    async def test_a_code_that_no_close_frame_may_carry(self, code: int) -> None:
        """RFC 6455, sections 7.4.1 and 7.4.2: it is a fault, and never sent back."""
        async with self.peer() as (register, peer, _):
            frame = Frame(Opcode.CLOSE, code.to_bytes(2) + b"?")
            peer.writer.write(frame.serialize(mask=True))
            await self.fault(register, peer, 1002)

    async def fault(self, register: Log, peer: RawPeer, code: int) -> None:
        """See a fault answered with `code`, behind what was answered before."""
        while (frame := await peer.next()) is not None and frame.opcode is not Opcode.CLOSE:
            pass
        told = None if frame is None else Close.parse(frame.data).code
        assert told == (code if self.tells_faults else None)
        peer.drop()
        assert (await register.ended()).code == code

    async def answer(self, peer: RawPeer, *first: tuple[str, Any]) -> None:
        """Read a request, and answer it behind the events `first`."""
        question = await peer.text()
        assert question["eventName"] == "question"
        headers = {"replyTo": question["headers"]["requestId"]}
        texts = [{"eventName": name, "payload": payload} for name, payload in first]
        texts.append({"eventName": "question", "payload": "yes", "headers": headers})
        peer.send(*(json.dumps(text) for text in texts))

    async def test_handlers_at_the_same_time(self) -> None:
        """Two of them; the third event waits, and the last handler ends before the end."""
        async with self.peer(concurrency=2) as (register, peer, _):
            peer.send(*(f'{{"eventName":"gate","payload":{n}}}' for n in (1, 2)))
            peer.event("echo", 3)
            peer.event("boom")
            await self.no_more(register, ["connected"])
            register.gate.set()
            assert [(await peer.text())["payload"] for _ in range(3)] == [1, 2, 3]
            register.gate.clear()
            peer.event("gate", 4)
            peer.event("echo", 5)
            assert (await peer.text())["payload"] == 5
            peer.event("ask", 1)
            await self.answer(peer)
            assert (await peer.text())["eventName"] == "asked"
            register.gate.set()
            assert (await peer.text())["payload"] == 4
            assert [type(error) for error in register.errors] == [ZeroDivisionError]

    async def no_more(self, register: Log, log: list[Any]) -> None:
        """Give what must not happen a chance to."""
        await self.some_turns()
        assert register.log == log

    async def some_turns(self) -> None:
        for _ in range(20):
            await asyncio.sleep(MS / 4)

    async def test_every_handler_waits_for_a_reply(self) -> None:
        async with self.peer(concurrency=2) as (_, peer, _):
            peer.event("ask", 1)
            peer.event("ask", 1)
            peer.event("echo", 1)
            questions = [await peer.text() for _ in range(2)]
            for question in reversed(questions):
                peer.event("question", "yes", {"replyTo": question["headers"]["requestId"]})
            names = [(await peer.text())["eventName"] for _ in range(3)]
            assert sorted(names) == ["asked", "asked", "echo"]

    async def test_a_handler_is_cancelled_as_another_begins_to_wait(self) -> None:
        """The connection ends, whatever has not begun yet."""
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

        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                peer.event("slow")
                await until(lambda: slow)
                peer.event("go")
                assert (await peer.closed()).code == 1001
                peer.drop()
            await register.ended()
        assert register.log == ["connected", "disconnected"]

    async def test_the_server_stops_while_handlers_hang(self) -> None:
        async with self.peer(concurrency=2) as (register, peer, running):
            peer.event("gate", 1)
            peer.event("gate", 2)
            peer.event("never", 1)
            await until(lambda: register.seen)
            stopping = asyncio.create_task(running.stop())
            await register.ended()
            peer.drop()
            await within(stopping)
            assert register.log == ["connected", "disconnected"]

    async def test_a_request_in_a_handler(self) -> None:
        """The reply overtakes what waits for handlers, and nothing is lost or reordered."""
        async with self.peer() as (register, peer, _):
            peer.event("ask", 3)
            await self.answer(peer, ("echo", 1), ("echo", 2))
            await self.answer(peer)
            await self.answer(peer, ("echo", 3))
            peer.event("echo", 4)
            assert (await peer.text())["eventName"] == "asked"
            assert [(await peer.text())["payload"] for _ in range(4)] == [1, 2, 3, 4]
            assert register.log == ["connected", *[["reply", "yes"]] * 3, 1, 2, 3, 4]
            assert not register.errors

    async def test_a_request_from_outside(self) -> None:
        async with self.peer() as (register, peer, _):
            asking = asyncio.create_task(register.connection.request("question"))
            await self.answer(peer, ("echo", 1))
            assert (await within(asking)).payload == "yes"
            assert (await peer.text())["payload"] == 1

    async def test_a_request_from_outside_while_a_handler_runs(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("gate", 1)
            asking = asyncio.create_task(register.connection.request("question"))
            await self.answer(peer, ("echo", 2))
            assert (await within(asking)).payload == "yes"
            register.gate.set()
            assert [(await peer.text())["payload"] for _ in range(2)] == [1, 2]

    async def test_a_request_that_nobody_answers(self) -> None:
        """The events that came meanwhile are handled, and the next are read as ever."""
        register = Log()

        @register.on_event("hopeless")
        async def hopeless(ctx: EventContext) -> None:
            with pytest.raises(TimeoutError, match="no reply to the event 'question' within"):
                await ctx.connection.request("question", timeout=20 * MS)
            register.log.append("hopeless")

        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                for number in range(3):
                    peer.event("hopeless")
                    peer.event("echo", number)
                    for name in ("question", "echo"):
                        assert (await peer.text())["eventName"] == name
            await register.ended()
        events = [entry for number in range(3) for entry in ("hopeless", number)]
        assert register.log == ["connected", *events, "disconnected"]

    @pytest.mark.parametrize("concurrency", [1, 2])
    async def test_a_handler_that_raises_is_the_reply(self, concurrency: int) -> None:
        async with self.peer(concurrency) as (register, peer, _):
            for number in range(2):
                peer.event("boom", number, {"requestId": f"{number}"})
                reply = await peer.text()
                assert (reply["eventName"], reply["payload"]) == ("boom", {})
                text = "the handler failed"
                assert reply["headers"] == {"replyTo": f"{number}", "replyError": text}
            peer.event("boom", 2)  # asks for nothing
            peer.event("echo", 3)
            assert (await peer.text())["eventName"] == "echo"
            assert len(register.errors) == 3

    async def test_an_error_is_the_reply(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("ask", 1)
            question = await peer.text()
            headers = {"replyTo": question["headers"]["requestId"], "replyError": "no idea"}
            peer.event("question", None, headers)
            await until(lambda: register.errors)
            (error,) = register.errors
            assert isinstance(error, RemoteError)
            assert (error.message, error.event_name) == ("no idea", "question")

    async def test_the_client_leaves_in_a_request(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("ask", 1)
            await peer.text()
            peer.drop()
            await register.ended()
            assert register.log == ["connected", "disconnected"]
            if not self.cancels:
                (error,) = register.errors
                assert isinstance(error, ConnectionClosedError)
                assert (error.code, error.by) == (1006, None)

    async def test_the_client_closes_in_a_request(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("ask", 1)
            await peer.text()
            peer.protocol.send_close(4001, "enough")
            peer.flush()
            assert (await peer.closed()).code == 4001
            assert tuple(await register.ended()) == (4001, "enough", "remote")

    async def test_waiting_for_an_event(self) -> None:
        register = Log()

        @register.on_event("collect")
        async def collect(ctx: EventContext) -> None:
            for _ in range(3):
                register.log.append((await ctx.connection.wait_for("echo")).payload * 10)

        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                peer.send('{"eventName":"collect"}', '{"eventName":"echo","payload":1}')
                await until(lambda: 10 in register.log)
                peer.send(*(f'{{"eventName":"echo","payload":{n}}}' for n in (2, 3, 4)))
                assert [(await peer.text())["payload"] for _ in range(4)] == [1, 2, 3, 4]
            await register.ended()
        assert register.log == ["connected", 10, 20, 30, 1, 2, 3, 4, "disconnected"]

    async def test_the_server_stops_in_a_request(self) -> None:
        async with self.peer() as (register, peer, running):
            peer.event("ask", 1)
            await peer.text()
            stopping = asyncio.create_task(running.stop())
            await register.ended()
            peer.drop()
            await within(stopping)
            assert register.log == ["connected", "disconnected"]

    @pytest.mark.parametrize(("code", "reason"), [(4001, "enough"), (1000, ""), (1001, "bye")])
    async def test_the_client_closes(self, code: int, reason: str) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("echo", 1)
            await peer.text()
            peer.protocol.send_close(code, reason)
            peer.flush()
            assert (await peer.closed()).code == code
            assert tuple(await register.ended()) == (code, reason, "remote")

    async def test_events_in_front_of_a_close(self) -> None:
        """All in one piece: they are handled, and answered where the framework lets them be."""
        async with self.peer() as (register, peer, _):
            peer.send(*(f'{{"eventName":"echo","payload":{n}}}' for n in range(5)), close=4000)
            answers = []
            while (frame := await peer.next()) is not None:
                answers.append(frame.opcode.name)
            assert tuple(await register.ended()) == (4000, "", "remote")
            assert register.log[1 : 1 + self.handled] == list(range(self.handled))
            assert answers == ["TEXT"] * self.answered + ["CLOSE"]

    async def test_the_client_closes_with_no_code(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.protocol.send_close()
            peer.flush()
            await peer.closed()
            assert tuple(await register.ended()) == (1005, "", "remote")

    async def test_a_handler_closes(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("close", [4002, "moved"])
            closed = await peer.closed()
            assert (closed.code, closed.reason) == (4002, "moved")
            peer.drop()
            assert tuple(await register.ended()) == (4002, "moved", "local")

    async def test_a_close_from_outside(self) -> None:
        async with self.peer() as (register, peer, _):
            closing = asyncio.create_task(register.connection.close(4003, "out"))
            assert (await peer.closed()).code == 4003
            peer.drop()
            await within(closing)
            assert tuple(await register.ended()) == (4003, "out", "local")

    async def test_a_peer_that_does_not_close(self) -> None:
        """It neither answers the close frame nor ends TCP."""
        async with self.peer(limits=Limits(close_timeout=30 * MS)) as (register, peer, _):
            peer.answers = False
            await within(register.connection.close(4003))
            assert (await register.ended()).code == 4003

    async def test_tcp_is_cut(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("echo", 1)
            await peer.text()
            peer.drop()
            assert tuple(await register.ended()) == (1006, "", None)

    async def test_tcp_ends(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.writer.write_eof()
            assert tuple(await register.ended()) == (1006, "", None)

    async def test_after_the_end(self) -> None:
        errors: list[ConnectionClosedError] = []
        register = Log()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            for use in (ctx.connection.send("late"), ctx.connection.close()):
                try:
                    await use
                except ConnectionClosedError as exc:
                    errors.append(exc)

        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                peer.send(close=4004)
                await until(lambda: len(errors) == 2)
        assert [(e.code, e.by) for e in errors] == [(4004, "remote")] * 2

    async def test_the_client_leaves_while_a_handler_runs(self) -> None:
        async with self.peer() as (register, peer, _):
            peer.event("gate", 1)
            await until(lambda: register.seen)
            peer.event("never", 2)
            peer.drop()
            await self.gone(register)
            register.gate.set()
            await register.ended()
            if self.cancels:
                assert register.log == ["connected", "disconnected"]
                assert register.ends == [(1006, "", None)]
                return
            assert register.log == ["connected", 1, "disconnected"]
            (error,) = register.errors
            assert isinstance(error, ConnectionClosedError)
            assert (error.code, error.by) == (1006, None)

    async def gone(self, register: Log) -> None:
        """Wait until sending fails, which is all that a running handler can see."""
        while True:
            try:
                await within(register.connection.send("there?", "x" * 1000))
            except ConnectionClosedError:
                return
            await asyncio.sleep(MS)

    async def test_the_connected_handler_raises(self) -> None:
        register = Log()
        register.on_connected(lambda ctx: 1 / 0)
        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                peer.event("echo", 1)
                await peer.text()
            await register.ended()
        assert [type(error) for error in register.errors] == [ZeroDivisionError]

    async def test_a_peer_that_does_not_read(self) -> None:
        limits = Limits(send_timeout=50 * MS)
        async with self.peer(limits=limits) as (register, peer, _):
            peer.pause_reading()
            sent = 0
            with pytest.raises(TimeoutError) as caught:
                for _ in range(2000):
                    await within(register.connection.send("big", "x" * 65536))
                    sent += 1
            assert type(caught.value).__name__ == "SendTimeoutError"
            peer.resume_reading()
            for _ in range(sent):
                assert len((await peer.text())["payload"]) == 65536
            async with asyncio.timeout(PATIENCE):
                while True:  # who gives up has written nothing
                    with contextlib.suppress(SendTimeoutError):
                        await register.connection.send("after")
                        break
            assert (await peer.text())["eventName"] == "after"

    async def stall(self, peer: RawPeer, register: Log) -> int:
        """Read no more; broadcast until the peer misses an event. Return how many it will get."""
        peer.pause_reading()
        member = register.connection
        for number in range(2000):
            result = await within(broadcast([member], "tick", [number, "x" * 50_000]))
            if result.failed:
                assert isinstance(result.failed[member], SendTimeoutError)
                assert member.is_open
                return number
        raise AssertionError("there is no bound")

    async def resume(self, peer: RawPeer, count: int) -> None:
        """Read again, and see the events of `stall`."""
        peer.resume_reading()
        for number in range(count):
            event = await peer.text()
            assert (event["eventName"], event["payload"][0]) == ("tick", number)

    async def test_a_broadcast_waits_for_nobody(self) -> None:
        """Though a send would wait for ever; and nobody overtakes what was sent first."""
        limits = Limits(send_timeout=None, backlog_bytes=100_000)
        register = Log()
        async with self.serve(register, limits=limits) as running:
            async with raw_client(running.port, "/ws") as stuck:
                await until(lambda: register.seen)
                count = await self.stall(stuck, register)
                async with raw_client(running.port, "/ws") as reader:
                    await until(lambda: len(register.seen) == 2)
                    for number in range(20):
                        result = await within(broadcast(register.seen, "tock", number))
                        assert result.sent == register.seen[1:] and len(result.failed) == 1
                        assert (await reader.text())["payload"] == number
                behind = register.seen[0]
                sending = asyncio.create_task(behind.send("sent"))
                await asyncio.sleep(0)
                assert not sending.done()
                await self.resume(stuck, count)
                assert (await stuck.text())["eventName"] == "sent"
                await within(sending)
                result = await broadcast([behind], "caught up")
                assert not result.failed
                assert (await stuck.text())["eventName"] == "caught up"
            await until(lambda: len(register.ends) == 2)

    async def test_broadcasts_and_sends_are_in_order(self) -> None:
        limits = Limits(send_timeout=None, backlog_bytes=1 << 20)
        async with self.peer(limits=limits) as (register, peer, _):
            peer.pause_reading()
            connection = register.connection
            number, sends = 0, list[asyncio.Task[None]]()
            while not sends or sends[-1].done() or number < 200:
                text = [number, "x" * 20_000]
                if number % 2:
                    result = await within(broadcast([connection], "tick", text))
                    if result.failed:
                        break
                else:
                    sends.append(asyncio.create_task(connection.send("tick", text)))
                    await asyncio.sleep(0)
                number += 1
            assert not sends[-1].done()
            await self.resume(peer, number)
            await within(asyncio.gather(*sends))

    async def test_a_close_comes_behind_broadcasts(self) -> None:
        """They were taken before. A send that waits was not, and fails."""
        async with self.peer() as (register, peer, _):
            count = await self.stall(peer, register)
            sending = asyncio.create_task(register.connection.send("sent"))
            await asyncio.sleep(0)
            closing = asyncio.create_task(register.connection.close(4003))
            with pytest.raises(ConnectionClosedError) as caught:
                await within(sending)
            assert (caught.value.code, caught.value.by) == (4003, "local")
            await self.resume(peer, count)
            assert (await peer.closed()).code == 4003
            peer.drop()
            await within(closing)
            assert (await register.ended()).code == 4003

    @pytest.mark.parametrize("where", ["outside", "handler"])
    async def test_a_close_while_the_peer_does_not_read(self, where: str) -> None:
        """The close timeout holds, and nothing of the connection is left."""
        limits = Limits(close_timeout=50 * MS, send_timeout=None)
        async with self.peer(limits=limits) as (register, peer, _):
            connection = register.connection
            if where == "outside":
                await self.stall(peer, register)
                await within(connection.close(4003))
            else:

                @register.on_event("leave")
                async def leave(ctx: EventContext) -> None:
                    await register.gate.wait()
                    await ctx.connection.close(4003)
                    register.log.append("left")

                peer.event("leave")
                await self.stall(peer, register)
                register.gate.set()
            assert tuple(await register.ended()) == (4003, "", "local")
            assert ("left" in register.log) is (where == "handler")
            await until(lambda: not tasks_of_ours())

    async def test_tcp_is_cut_while_broadcasts_wait(self) -> None:
        async with self.peer(limits=Limits(send_timeout=None)) as (register, peer, _):
            await self.stall(peer, register)
            sending = asyncio.create_task(register.connection.send("sent"))
            await asyncio.sleep(0)
            peer.drop()
            with pytest.raises(ConnectionClosedError):
                await within(sending)
            await register.ended()
            await until(lambda: not tasks_of_ours())

    async def test_the_server_stops_while_broadcasts_wait(self) -> None:
        async with self.peer() as (register, peer, running):
            await self.stall(peer, register)
            stopping = asyncio.create_task(running.stop())
            await register.ended()
            peer.drop()
            await within(stopping)
            # In the end aiohttp cancels an endpoint without waiting for it.
            await until(lambda: not tasks_of_ours())

    async def test_reading_waits_for_the_handlers(self) -> None:
        """What a client can send while nothing is handled is bounded."""
        async with self.peer() as (register, peer, _):
            peer.event("gate", 0)
            text = b'{"eventName":"echo","payload":"' + b"x" * 100_000 + b'"}'
            sent = 0
            while peer.writer.transport.get_write_buffer_size() < 200_000:
                peer.send(text)
                sent += 1
                assert sent < 500, "50 MB were taken"
                await asyncio.sleep(MS)
            register.gate.set()
            assert (await peer.text())["eventName"] == "gate"
            for _ in range(sent):
                assert len((await peer.text())["payload"]) == 100_000

    async def test_the_server_stops(self) -> None:
        async with self.peer() as (register, peer, running):
            peer.event("echo", 1)
            await peer.text()
            stopping = asyncio.create_task(running.stop())
            await register.ended()
            peer.drop()
            await within(stopping)

    async def test_the_server_stops_while_a_handler_hangs(self) -> None:
        async with self.peer() as (register, peer, running):
            peer.event("gate", 1)
            peer.event("never", 1)
            await until(lambda: register.seen)
            stopping = asyncio.create_task(running.stop())
            await register.ended()
            peer.drop()
            await within(stopping)
            assert register.log == ["connected", "disconnected"]
