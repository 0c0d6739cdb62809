"""Tests of `zaptools.testing.memory`; `tests/test_testing.py` uses all of it."""

from __future__ import annotations

import asyncio

import pytest

from zaptools import CloseInfo, EventContext, EventRegister, encode_event
from zaptools.connection.handshake import NO_HANDSHAKE
from zaptools.connection.ids import ConnectionIds, ids_of
from zaptools.connection.requests import Waiter
from zaptools.handlers.book import HandlerBook
from zaptools.server.roster import Roster
from zaptools.testing.memory import ServerSide


def served(register: EventRegister) -> ServerSide:
    book = register.book
    return ServerSide(book, NO_HANDSHAKE, roster=Roster(ids_of(book)))


@pytest.fixture
async def side() -> ServerSide:
    return served(EventRegister())


class TestServerSide:
    async def test_sending(self, side: ServerSide) -> None:
        assert side.send(b"a" * 60000) is None
        waiting = side.send(b"b" * 60000)
        assert waiting is not None
        await waiting
        assert side.send(b"c") is None
        assert [bytes(data[:1]) for data in side.unreceived if isinstance(data, bytes)] == [
            b"a",
            b"b",
            b"c",
        ]

    async def test_empty_headers(self) -> None:
        roster = Roster(ConnectionIds())
        for omit in (False, True):
            side = ServerSide(HandlerBook(), NO_HANDSHAKE, roster=roster, omit_empty_headers=omit)
            await side.connection.send("a")
            (data,) = side.unreceived
            assert isinstance(data, bytes) and (b"headers" in data) != omit

    async def test_a_waiter_that_gives_up(self, side: ServerSide) -> None:
        waiter = Waiter("a")
        side.exchange.add(waiter)
        side.send(encode_event("a"))
        assert waiter.done and not side.unreceived
        side.exchange.discard(waiter)
        side.send(encode_event("a"))
        assert len(side.unreceived) == 1

    async def test_waiting(self, side: ServerSide) -> None:
        await side.until(lambda: side.unreceived, 0.01)
        asyncio.get_running_loop().call_soon(side.send, b"a")
        await side.until(lambda: side.unreceived, 10)
        assert side.unreceived

    async def test_errors_are_raised_once(self, side: ServerSide) -> None:
        side.raise_errors()
        side.errors.append(KeyError("a"))
        with pytest.raises(KeyError):
            side.raise_errors()
        side.raise_errors()

    async def test_the_first_end_counts(self, side: ServerSide) -> None:
        side.leave(CloseInfo(4000, "", "remote"))
        side.leave(CloseInfo(4001, "", "remote"))
        await side.until(lambda: side.dispatcher.finished, 10)
        side.lose(CloseInfo(1006))
        side.abort()
        side.leave(CloseInfo(4002, "", "remote"))
        assert side.connection.closed == CloseInfo(4000, "", "remote")

    async def test_cancelling_where_nothing_runs(self, side: ServerSide) -> None:
        await side.cancel()
        assert side.connection.closed == CloseInfo(1001, "", "local")

    async def test_cancelling_a_handler_that_refuses(self) -> None:
        register = EventRegister()
        cancelled = asyncio.Event()
        over = asyncio.Event()

        @register.on_event("stay")
        async def stay(ctx: EventContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
                await over.wait()

        side = served(register)
        side.dispatcher.feed([encode_event("stay").decode()])
        await asyncio.sleep(0)
        cancelling = asyncio.create_task(side.cancel())
        await cancelled.wait()
        over.set()
        await cancelling
        assert side.dispatcher.finished
