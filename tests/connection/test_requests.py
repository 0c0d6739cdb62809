"""Waiters, and the headers of requests and replies."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from tests.support import MS, within
from zaptools import CodecError, EventData, NoRequestError, RemoteError
from zaptools.connection.requests import (
    OpenRequests,
    Waiter,
    check_reply,
    error_headers,
    new_request_id,
    reply_headers,
    request_headers,
    waiting,
)
from zaptools.protocol.close import CloseInfo


def test_ids() -> None:
    ids = [new_request_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}-\d+", each) for each in ids)


class TestHeaders:
    def test_of_a_request(self) -> None:
        assert request_headers(None, "7") == {"requestId": "7"}
        given = {"a": 1, "requestId": "old", "replyTo": "older", "replyError": "no"}
        before = dict(given)
        assert request_headers(given, "7") == {"a": 1, "requestId": "7"}
        assert given == before

    @pytest.mark.parametrize("request_id", ["7", 7, ["any", "JSON"]])
    def test_of_a_reply(self, request_id: Any) -> None:
        event = EventData("a", None, {"requestId": request_id, "b": 1})
        assert reply_headers(event, None) == {"replyTo": request_id}
        assert reply_headers(event, event.headers) == {"b": 1, "replyTo": request_id}

    @pytest.mark.parametrize("headers", [{}, {"requestId": None}, {"replyTo": "1"}])
    def test_of_a_reply_to_no_request(self, headers: dict[str, Any]) -> None:
        with pytest.raises(NoRequestError) as info:
            reply_headers(EventData("a", None, headers), None)
        assert info.value.event_name == "a"

    def test_of_an_error(self) -> None:
        assert error_headers("7", "no") == {"replyTo": "7", "replyError": "no"}
        event = EventData("a", None, {"requestId": "7"})
        given = {"replyError": "no"}  # by the application's own wish
        assert reply_headers(event, given) == {"replyTo": "7", "replyError": "no"}

    @pytest.mark.parametrize("error", [None, False])
    def test_a_reply(self, error: Any) -> None:
        for headers in ({"replyTo": "7"}, {"replyTo": "7", "replyError": error}):
            reply = EventData("a", 1, headers)
            assert check_reply(reply) is reply

    @pytest.mark.parametrize(
        ("error", "text"),
        [("no", "no"), ("", ""), (True, "true"), (0, "0"), ({"é": [1]}, '{"é": [1]}')],
    )
    def test_a_reply_that_is_an_error(self, error: Any, text: str) -> None:
        reply = EventData("a", 1, {"replyTo": "7", "replyError": error})
        with pytest.raises(RemoteError) as info:
            check_reply(reply)
        assert (info.value.message, info.value.reply) == (text, reply)

    def test_that_are_none(self) -> None:
        headers: Any = [1]
        with pytest.raises(CodecError, match=r"\$\.headers: headers of type list"):
            request_headers(headers, "7")
        with pytest.raises(CodecError):
            reply_headers(EventData("a", None, {"requestId": 1}), headers)


class TestOpenRequests:
    @staticmethod
    def request(request_id: Any) -> EventData:
        return EventData("a", None, {"requestId": request_id})

    def test_a_reply(self) -> None:
        requests, one, other = OpenRequests(), self.request("7"), self.request("8")
        requests.open("7", one)
        requests.open("8", other)
        given: list[dict[str, Any]] = [{}, {"replyTo": None}, {"replyTo": ["7"]}, {"a": "7"}]
        for headers in [*given, {"replyTo": "9"}]:
            requests.note_reply(headers)
        assert requests.is_open(one) and requests.is_open(other)
        requests.note_reply({"replyTo": "7"})
        assert not requests.is_open(one) and requests.is_open(other)
        requests.close("7", one)
        requests.close("8", other)
        assert not requests

    def test_one_id_twice(self) -> None:
        """A reply counts for the older one."""
        requests, older, newer = OpenRequests(), self.request("7"), self.request("7")
        requests.open("7", older)
        requests.open("7", newer)
        requests.note_reply({"replyTo": "7"})
        assert not requests.is_open(older) and requests.is_open(newer)
        requests.close("7", older)
        assert requests.is_open(newer)

    @pytest.mark.parametrize("request_id", [None, 7, ["7"]])
    def test_no_request(self, request_id: Any) -> None:
        assert not OpenRequests().is_open(self.request(request_id))


class TestWaiter:
    async def test_a_name(self) -> None:
        waiter = Waiter("a")
        event = EventData("a")
        assert not waiter.look(EventData("b")) and not waiter.done
        assert waiter.look(event) and waiter.done
        assert not waiter.look(EventData("a"))
        assert await within(waiter.event()) is event

    async def test_a_predicate(self) -> None:
        waiter = Waiter("a", predicate=lambda event: event.payload > 1)
        assert not waiter.look(EventData("a", 1))
        assert waiter.look(EventData("a", 2))

    async def test_a_predicate_that_fails(self) -> None:
        waiter = Waiter("a", predicate=lambda event: event.payload > 1)
        assert not waiter.look(EventData("a", "x")) and waiter.done
        with pytest.raises(TypeError, match="not supported"):
            await waiter.event()

    async def test_a_predicate_that_is_none(self) -> None:
        async def predicate(event: EventData) -> bool:
            return True

        with pytest.raises(TypeError, match="predicate must be a plain function"):
            Waiter("a", predicate=predicate)

    async def test_failing(self) -> None:
        waiter = Waiter("a")
        waiter.fail(ValueError("x"))
        waiter.fail(KeyError("y"))
        with pytest.raises(ValueError, match="x"):
            await waiter.event()


class Source:
    """An event source that only records its waiters."""

    end_info: CloseInfo | None = None

    def __init__(self) -> None:
        self.waiters: list[Waiter] = []

    def expect(self, waiter: Waiter) -> None:
        self.waiters.append(waiter)

    def forget(self, waiter: Waiter) -> None:
        self.waiters.remove(waiter)


class TestWaiting:
    async def test_in_time(self) -> None:
        source, waiter, event = Source(), Waiter("a"), EventData("a")
        async with waiting(source, waiter, None, ""):
            assert source.waiters == [waiter]
            waiter.look(event)
            assert await waiter.event() is event
        assert not source.waiters

    async def test_too_late(self) -> None:
        source, waiter = Source(), Waiter("a")
        with pytest.raises(TimeoutError) as info:
            async with waiting(source, waiter, MS / 1000, "no such thing"):
                await waiter.event()
        assert type(info.value) is TimeoutError
        assert str(info.value).startswith("no such thing within ")
        assert not source.waiters

    async def test_what_else_fails(self) -> None:
        source = Source()
        with pytest.raises(TimeoutError, match="another"):
            async with waiting(source, Waiter("a"), 5, ""):
                raise TimeoutError("another")
        assert not source.waiters

    async def test_cancelled(self) -> None:
        source, waiter = Source(), Waiter("a")

        async def wait() -> None:
            async with waiting(source, waiter, None, ""):
                await waiter.event()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not source.waiters
