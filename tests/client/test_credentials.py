"""Headers and parameters of the query that a function gives, anew for each attempt to connect."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.client.support import BEGIN, END, Client
from tests.support import within
from tests.support.raw import RawPeer, raw_server
from zaptools import (
    AlreadyConnectedError,
    ConnectError,
    ConnectTimeoutError,
    HandshakeError,
    Limits,
    ReconnectPolicy,
    Route,
    ZapClient,
    ZapClientState,
    ZapConsumer,
)

AT_ONCE = ReconnectPolicy(initial_delay=0.01, max_delay=0.01, max_attempts=5)


class Door:
    """Lets in the requests whose last value is one of `valid`, each once; others get 401.

    Attributes:
        seen: the target and the ``Authorization`` of each request.
    """

    def __init__(self, *valid: str) -> None:
        self.valid = list(valid)
        self.seen: list[tuple[str, str | None]] = []

    async def __call__(self, peer: RawPeer) -> None:
        assert peer.request is not None
        path, token = peer.request.path, peer.request.headers.get("Authorization")
        self.seen.append((path, token))
        sent = (token or path).rpartition("=")[2]
        if sent not in self.valid:
            peer.writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        self.valid.remove(sent)
        peer.accept()
        peer.flush()
        if self.valid:  # the client is to come again
            await asyncio.sleep(0.01)
            peer.drop()
        await peer.next()

    @property
    def tokens(self) -> list[str | None]:
        return [token for _, token in self.seen]


def tokens(*values: str) -> Callable[[], dict[str, str]]:
    """Return a function that returns headers with each of these tokens in turn."""
    left = iter(values)
    return lambda: {"Authorization": next(left)}


def later(function: Callable[[], dict[str, str]]) -> Callable[[], Any]:
    """Return a coroutine function that returns what `function` does."""

    async def call() -> dict[str, str]:
        await asyncio.sleep(0)
        return function()

    return call


async def until_online(client: ZapConsumer, door: Door) -> None:
    while door.valid or not client.is_connected:  # noqa: ASYNC110  # polls what has no event
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", [lambda function: function, later], ids=["sync", "async"])
async def test_each_attempt_asks_for_headers(kind: Any) -> None:
    door = Door("1", "2", "3")
    async with raw_server(door, accept=False) as port:
        client = ZapConsumer(f"ws://127.0.0.1:{port}", reconnect=AT_ONCE)
        await client.connect(headers=kind(tokens("1", "2", "3")))
        await within(until_online(client, door))
        await client.disconnect()
    assert door.tokens == ["1", "2", "3"]


async def test_each_attempt_asks_for_the_query() -> None:
    door, values = Door("1", "2"), iter("12")
    async with raw_server(door, accept=False) as port:
        client = ZapConsumer(f"ws://127.0.0.1:{port}/a?b=c&token=old&d", reconnect=AT_ONCE)
        await client.connect(query=lambda: {"token": next(values)})
        await within(until_online(client, door))
        await client.disconnect()
    assert [path for path, _ in door.seen] == ["/a?b=c&d&token=1", "/a?b=c&d&token=2"]


async def test_values_in_a_query_are_encoded() -> None:
    door = Door("%2F%26+%C3%A9")
    async with raw_server(door, accept=False) as port:
        client = ZapClient()
        await client.connect(f"ws://127.0.0.1:{port}", query={"to ken": "/& é"})
        await client.close()
    assert door.seen == [("/?to+ken=%2F%26+%C3%A9", None)]


async def test_try_reconnect_asks_again() -> None:
    door = Door("1", "2")
    async with raw_server(door, accept=False) as port:
        client = ZapConsumer(f"ws://127.0.0.1:{port}")
        await client.connect(headers=tokens("1", "2"))
        await client.disconnect()
        assert await client.try_reconnect(0)
        await client.disconnect()
    assert door.tokens == ["1", "2"]


async def test_refused_credentials_are_asked_for_once_more() -> None:
    """The function sees the refusal, and no state is announced between the two requests."""
    door = Door("new")
    refusals: list[Any] = []

    def headers() -> dict[str, str]:
        refusals.append(client.last_error)
        return {"Authorization": "old" if client.last_error is None else "new"}

    async with raw_server(door, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}")
        await client.connect(headers=headers)
        assert client.last_error is None
        await client.disconnect()
    assert door.tokens == ["old", "new"]
    assert refusals[0] is None
    assert isinstance(refusals[1], HandshakeError) and refusals[1].status == 401
    assert client.log == [*BEGIN, *END]


async def test_a_socket_that_was_passed_serves_one_request() -> None:
    """The refusal is the error, and not that the socket has been used."""
    door = Door("1")
    async with raw_server(door, accept=False) as port:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            client = Client(f"ws://127.0.0.1:{port}", route=Route(sock=sock))
            with pytest.raises(HandshakeError, match="401"):
                await client.connect(headers=lambda: {"Authorization": f"{len(door.tokens)}"})


async def test_refused_twice_it_gives_up() -> None:
    door = Door()
    async with raw_server(door, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}", reconnect=AT_ONCE)
        with pytest.raises(HandshakeError, match="401"):
            await client.connect(headers=tokens("1", "2", "3"), retry=True)
    assert door.tokens == ["1", "2"]
    assert client.log == ["CONNECTING", "ERROR"]


async def test_the_same_credentials_are_not_sent_again() -> None:
    door = Door()
    async with raw_server(door, accept=False) as port:
        client = ZapConsumer(f"ws://127.0.0.1:{port}")
        for headers in (tokens("1", "1"), {"Authorization": "2"}):
            with pytest.raises(HandshakeError, match="401"):
                await client.connect(headers=headers)
    assert door.tokens == ["1", "2"]


async def test_a_function_that_fails_fails_the_attempt() -> None:
    """The next attempt asks it again."""
    door, problem = Door("1"), OSError("no token server")
    answers: list[Any] = [problem, {"Authorization": "1"}]

    def headers() -> dict[str, str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    async with raw_server(door, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}", reconnect=AT_ONCE)
        await client.connect(headers=headers, retry=True)
        await client.disconnect()
        answers.append(problem)
        with pytest.raises(ConnectError, match=r"headers\(\) raised OSError") as info:
            await client.connect(headers=headers)
    assert info.value.__cause__ is problem
    assert client.log[:2] == ["CONNECTING", "OFFLINE"] and client.log[-1] == "ERROR"
    assert door.tokens == ["1"]


async def test_a_function_that_awaits_what_is_cancelled_fails_the_attempt() -> None:
    """It is no cancellation of `connect`: the client tries again."""
    door, asked = Door("1"), 0

    async def headers() -> dict[str, str]:
        nonlocal asked
        asked += 1
        if asked == 1:
            renewal = asyncio.ensure_future(asyncio.sleep(10))
            renewal.cancel()
            await renewal
        return {"Authorization": "1"}

    async with raw_server(door, accept=False) as port:
        client = Client(f"ws://127.0.0.1:{port}", reconnect=AT_ONCE)
        await client.connect(headers=headers, retry=True)
        await client.disconnect()
        asked = 0
        with pytest.raises(ConnectError, match=r"headers\(\) raised CancelledError"):
            await client.connect(headers=headers)
    assert door.tokens == ["1"]


async def test_a_function_has_as_long_as_the_opening() -> None:
    client = ZapConsumer("ws://127.0.0.1:9", limits=Limits(open_timeout=0.01))
    with pytest.raises(ConnectTimeoutError, match=r"query\(\) took longer than 0\.01 s"):
        await client.connect(query=lambda: asyncio.sleep(10, {}))
    assert client.current_connection_state is ZapClientState.ERROR


async def test_disconnect_ends_a_function_that_waits() -> None:
    begun = asyncio.Event()

    async def headers() -> dict[str, str]:
        begun.set()
        await asyncio.sleep(10)
        return {}

    client = ZapConsumer("ws://127.0.0.1:9")
    connecting = asyncio.create_task(client.connect(headers=headers))
    await within(begun.wait())
    with pytest.raises(AlreadyConnectedError):
        await client.connect()
    await within(client.disconnect())
    with pytest.raises(ConnectError, match="disconnect was called"):
        await connecting


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"headers": "token"}, TypeError, "headers must be a Mapping or None, not str"),
        ({"query": "a=b"}, TypeError, "query must be a Mapping, a function or None, not str"),
        ({"query": {1: "b"}}, TypeError, "name of a parameter must be a str, not int"),
        ({"query": {"a": 1}}, TypeError, "value of the parameter 'a' must be a str, not int"),
        ({"headers": lambda: {"Upgrade": "h2c"}}, ValueError, "set by the opening handshake"),
        ({"headers": lambda: "token"}, TypeError, "headers must be a Mapping"),
        ({"query": lambda: {"a": 1}}, TypeError, "value of the parameter 'a' must be a str"),
        ({"query": lambda: None}, ConnectError, "9"),  # nothing to add
    ],
)
async def test_what_is_no_credentials(
    given: dict[str, Any], error: type[Exception], words: str
) -> None:
    client = ZapConsumer("ws://127.0.0.1:9", reconnect=AT_ONCE)
    with pytest.raises(error, match=words):
        await client.connect(**given)


async def test_a_coroutine_is_not_a_function() -> None:
    async def headers() -> dict[str, str]:
        return {}

    with pytest.raises(TypeError, match="not a coroutine: do not call it"):
        await ZapConsumer("ws://127.0.0.1:9").connect(headers=headers())  # type: ignore[arg-type]  # on purpose
