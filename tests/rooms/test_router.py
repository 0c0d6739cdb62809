"""`ConnectionRouter`: connections by id, as zaptools 0.5 had them."""

from __future__ import annotations

import logging

import pytest

from tests.rooms.test_rooms import Failing, connection, payloads
from tests.support.fakes import Wired
from zaptools import CloseInfo, CodecError, ConnectionRouter, EventRegister, WebSocketConnection


def test_connections() -> None:
    router = ConnectionRouter()
    first, second = connection("a"), connection("b")
    for each in (first, second, first):
        router.add_connection(each)
    assert router.get_all_connections() == [first, second]
    assert router.get_connection("b") is second and router.get_connection("c") is None
    router.get_all_connections().clear()
    router.remove_connection(first)
    router.remove_connection(first)
    assert router.get_all_connections() == [second]


async def test_a_second_connection_with_the_same_id() -> None:
    router = ConnectionRouter()
    wired = Wired(EventRegister())
    newer = connection(wired.connection.id)
    router.add_connection(wired.connection)
    router.add_connection(newer)
    router.remove_connection(wired.connection)
    await wired.run()
    await wired.end()
    assert router.get_all_connections() == [newer]


async def test_ending() -> None:
    router = ConnectionRouter()
    register = EventRegister()
    register.on_connected(lambda ctx: router.add_connection(ctx.connection))
    by_hand, by_itself = Wired(register), Wired(register)
    await by_hand.run()
    await by_itself.run()
    assert len(router.get_all_connections()) == 2
    await by_itself.end()
    register.on_disconnected(lambda ctx: router.remove_connection(ctx.connection))
    await by_hand.end()
    assert router.get_all_connections() == []


async def test_broadcast() -> None:
    router = ConnectionRouter()
    first, second = connection("a"), connection("b")
    router.add_connection(first)
    router.add_connection(second)
    result = await router.broadcast("e", 1, {"h": 1}, [first])
    assert result.sent == [second]
    await router.broadcast("e", 2, exclude=None)
    assert (payloads(first), payloads(second)) == ([2], [1, 2])
    with pytest.raises(CodecError):
        await router.broadcast("e", object())


async def test_to_one(caplog: pytest.LogCaptureFixture) -> None:
    router = ConnectionRouter()
    there, broken = connection("a"), WebSocketConnection("b", Failing())
    router.add_connection(there)
    router.add_connection(broken)
    assert await router.send_to_connection("a", "e", 1, {"h": 1}) is True
    assert payloads(there) == [1]
    assert await router.send_to_connection("c", "e") is False
    with caplog.at_level(logging.INFO, "zaptools"):
        assert await router.send_to_connection("b", "e") is False
        there.closed = CloseInfo(1001, "", "remote")
        assert await router.send_to_connection("a", "e") is False
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "b: sending 'e' failed"),
        ("INFO", "a: sending 'e' failed: connection closed by the peer, code 1001"),
    ]
    with pytest.raises(CodecError):
        await router.send_to_connection("a", "e", float("inf"))


async def test_what_may_be_none() -> None:
    """A program for zaptools 0.5 may pass on what it found, or did not."""
    router, one, two = ConnectionRouter(), Wired(EventRegister()), Wired(EventRegister())
    router.add_connection(one.connection)
    router.add_connection(two.connection)
    assert router.get_connection(None) is None
    assert await router.send_to_connection(None, "a") is False
    left_out = [router.get_connection("nobody"), two.connection]
    assert (await router.broadcast("a", exclude=left_out)).sent == [one.connection]
