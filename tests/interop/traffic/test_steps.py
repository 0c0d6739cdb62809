"""Recordings written by hand, played to servers that do one thing otherwise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from interop.traffic.recording import (
    Answered,
    Asked,
    Begun,
    Closed,
    Ended,
    Line,
    Lost,
    Recording,
    Said,
)

from .sessions import replayed

Handler = Callable[[ServerConnection], Awaitable[None]]


def recording(*lines: Line, path: str = "/") -> Recording:
    begun = Begun(0, 1, "ws://old/", path, "then")
    return Recording(begun, list(enumerate(lines, 2)), whole=True)


def opened(c: int = 1, t: float = 0, target: str = "/", status: int = 101) -> tuple[Line, Line]:
    return Asked(t, c, target, []), Answered(t, c, status)


def event(author: Any, name: str, payload: Any = None, c: int = 1, t: float = 0) -> Said:
    text = json.dumps({"eventName": name, "payload": payload, "headers": {}})
    return Said(t, c, author, "text", len(text), text)


@asynccontextmanager
async def server(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, **options) as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/"


async def say(connection: ServerConnection, name: str, payload: Any = None) -> None:
    await connection.send(json.dumps({"eventName": name, "payload": payload, "headers": {}}))


async def test_what_one_client_says_reaches_another_in_the_recorded_order() -> None:
    joined: list[ServerConnection] = []

    async def chat(connection: ServerConnection) -> None:
        async for text in connection:
            message = json.loads(text)
            if message["eventName"] == "join":  # with no answer
                await asyncio.sleep(0.02)
                joined.append(connection)
            else:
                for each in joined:
                    await say(each, "message", message["payload"])

    lines = [
        *opened(1), *opened(2), event("client", "join", c=1), event("client", "join", c=2),
        event("client", "say", "hi", c=1, t=1), event("server", "message", "hi", c=1, t=1),
        event("server", "message", "hi", c=2, t=1), event("client", "say", "ho", c=2, t=2),
        event("server", "message", "ho", c=2, t=2), event("server", "message", "ho", c=1, t=2),
    ]  # fmt: skip
    async with server(chat) as url:
        playback, found = await replayed(recording(*lines), url, values=True, order=True)
    assert (found, playback.events, playback.played) == ([], 4, 2)


async def test_a_server_that_writes_without_end_is_not_read_without_end() -> None:
    async def flooding(connection: ServerConnection) -> None:
        while True:
            await say(connection, "tick")

    lines = [*opened(), event("client", "go"), event("server", "done"), event("client", "more")]
    async with server(flooding) as url:
        playback, found = await replayed(recording(*lines), url, patience=60)
    words = "connection 1: writes without end: over 1010 frames or "
    assert [each.startswith(words) for each in found].count(True) == 1, found
    assert playback.events == 1010


async def test_pushes_may_come_at_other_times_and_more_often() -> None:
    async def ticking(connection: ServerConnection) -> None:
        for _ in range(5):
            await say(connection, "tick", 1)
        async for _ in connection:
            await say(connection, "pong")

    lines = [*opened(), event("client", "ping", t=5), event("server", "pong", t=5.1),
             event("server", "tick", 2, t=8)]  # fmt: skip
    async with server(ticking) as url:
        assert (await replayed(recording(*lines), url))[1] == []
        (found,) = (await replayed(recording(*lines), url, order=True))[1]
        assert found.startswith(
            "connection 1: said event 'tick' as event 1, where event 'pong' came"
        )


async def test_a_push_that_was_late_is_not_missed_for_sure() -> None:
    async def quiet(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(quiet) as url:
        (found,) = (await replayed(recording(*opened(), event("server", "news", t=60)), url))[1]
        assert found == (
            "note: event 'news': has not come; it came once, after 60 s "
            "(--patience 61 waits so long) (line 4, connection 1)"
        )


async def test_fewer_answers_are_a_note() -> None:
    async def lazy(connection: ServerConnection) -> None:
        await connection.recv()
        await say(connection, "done")
        await connection.wait_closed()

    lines = [line for _ in range(3) for line in (event("client", "do"), event("server", "done"))]
    async with server(lazy) as url:
        (found,) = (await replayed(recording(*opened(), *lines), url))[1]
    assert found.startswith("note: event 'done': came 3 times on a connection and comes once now")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4001, []),
        (4002, ["connection 1: was closed by the server with 4001, is with 4002 now "
                "(line 5, connection 1)"]),
        (0, ["connection 1: was closed by the server with 4001, and stays open now "
             "(line 5, connection 1)"]),
    ],
)  # fmt: skip
async def test_a_close_of_the_server(code: int, words: list[str]) -> None:
    async def closing(connection: ServerConnection) -> None:
        await connection.recv()
        if code:
            await connection.close(code)
        await connection.wait_closed()

    lines = [
        *opened(),
        event("client", "bye"),
        Closed(0.1, 1, "server", 4001),
        Ended(0.1, 1, "server"),
    ]
    async with server(closing) as url:
        assert (await replayed(recording(*lines), url))[1] == words


async def test_a_server_that_was_stopped_is_no_close_to_expect() -> None:
    async def open_(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(open_) as url:
        assert (await replayed(recording(*opened(), Closed(0.1, 1, "server", 1001)), url))[1] == []


@pytest.mark.parametrize(("was", "now"), [(101, 403), (403, 101), (403, 403)])
async def test_the_status_of_the_handshake(was: int, now: int) -> None:
    def check(connection: ServerConnection, asked: Request) -> Response | None:
        return None if now == 101 else connection.respond(now, "no")

    async def open_(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(open_, process_request=check) as url:
        playback, found = await replayed(recording(*opened(status=was)), url)
    expected = f"connection 1: was answered with {was}, is with {now} now (line 2, connection 1)"
    assert found == ([] if was == now else [expected])
    assert playback.played == (was == now)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cut": True}, "is cut in the recording"),
        ({"text": None}, "is binary, and not in the recording"),
    ],
)
async def test_a_message_that_is_not_known_whole_is_not_played(
    change: dict[str, Any], why: str
) -> None:
    heard: list[object] = []

    async def listening(connection: ServerConnection) -> None:
        async for text in connection:
            heard.append(text)

    unknown = msgspec.structs.replace(event("client", "b"), **change)
    lines = [*opened(), event("client", "a"), unknown, event("client", "c"), *opened(2)]
    async with server(listening) as url:
        playback, found = await replayed(recording(*lines), url)
    assert (found, len(heard), playback.played) == ([], 1, 1)
    assert playback.unplayed == {1: f"line 5 {why}"}


async def test_a_connection_that_is_not_recorded_to_its_end() -> None:
    async def open_(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(open_) as url:
        playback, _ = await replayed(recording(*opened(), Lost(0, "why", 1)), url)
    assert playback.unplayed == {1: "from line 4 on it is not recorded"}
    assert playback.played == 0


async def test_paths_and_queries() -> None:
    asked: list[str] = []

    async def look(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        await connection.wait_closed()

    made = recording(*opened(target="/ws/room?token=<masked:token:0123456789ab>&a=1"), path="/ws")
    async with server(look) as url:
        await replayed(made, url, secrets={"token": "a b"})
        await replayed(made, f"{url}v2?token=x")
    assert asked == ["/ws/room?token=a%20b&a=1", "/v2/room?a=1&token=x"]


async def test_ids_that_the_server_made_go_back_to_it() -> None:
    async def orders(connection: ServerConnection) -> None:
        await connection.recv()
        await say(connection, "created", {"orderId": 77, "state": "new", "uid": "b" * 32})
        got = json.loads(await connection.recv())["payload"]
        await say(
            connection, "same", got == {"orderId": 77, "count": 5, "on": "b" * 32, "is": "old"}
        )
        await connection.wait_closed()

    lines = [
        *opened(), event("client", "create"),
        event("server", "created", {"orderId": 5, "state": "old", "uid": "a" * 32}),
        event("client", "pay", {"orderId": 5, "count": 5, "on": "a" * 32, "is": "old"}),
        event("server", "same", True),
    ]  # fmt: skip
    async with server(orders) as url:
        (found,) = (await replayed(recording(*lines), url, values=True))[1]
    assert found.startswith('event \'created\': payload.state was "old", is "new" now')


async def test_chosen_connections_alone() -> None:
    async def open_(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with server(open_) as url:
        made = recording(*opened(1), *opened(2), *opened(3))
        playback, _ = await replayed(made, url, connections=frozenset({1, 3}))
    assert playback.played == 2
