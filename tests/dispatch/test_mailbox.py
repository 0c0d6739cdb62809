"""The waiters in front of a connection's queue: which of them gets an event.

What a connection's `wait_for` and `request` do with them is in test_dispatcher.py.
"""

from __future__ import annotations

import pytest

from zaptools import ConnectionClosedError, EventData
from zaptools.connection.requests import Waiter
from zaptools.dispatch.mailbox import Exchange
from zaptools.protocol.close import CloseInfo


class TestExchange:
    async def test_replies(self) -> None:
        exchange = Exchange()
        one, two = Waiter("a", reply_to="1"), Waiter("a", reply_to="2")
        exchange.add(one)
        exchange.add(two)
        for headers in ({}, {"replyTo": "3"}, {"replyTo": ["1"]}, {"replyTo": 1}, {"a": "1"}):
            assert not exchange.is_reply(EventData("a", None, headers))
        assert not exchange.is_reply(EventData("b", None, {"replyTo": "1"}))
        assert exchange.is_reply(EventData("a", 2, {"replyTo": "2"}))
        assert not exchange.is_reply(EventData("a", 2, {"replyTo": "2"}))
        assert two.done and not one.done and exchange
        exchange.discard(one)
        exchange.discard(one)
        assert not exchange

    async def test_events(self) -> None:
        exchange = Exchange()
        waiters = [Waiter("a"), Waiter("a"), Waiter("b"), Waiter("a", predicate=lambda e: False)]
        for waiter in waiters:
            exchange.add(waiter)
        assert not exchange.show(EventData("c"))
        assert exchange.show(EventData("a"))
        assert [waiter.done for waiter in waiters] == [True, True, False, False]
        assert not exchange.show(EventData("a")) and exchange
        for waiter in waiters:
            exchange.discard(waiter)
        assert not exchange

    async def test_the_end(self) -> None:
        exchange = Exchange()
        waiters = [Waiter("a"), Waiter("a", reply_to="1")]
        for waiter in waiters:
            exchange.add(waiter)
        exchange.fail(CloseInfo(4000, "bye", "remote"))
        for waiter in waiters:
            with pytest.raises(ConnectionClosedError, match="4000: bye"):
                await waiter.event()
