"""Replays by hand-made steps, to a scripted peer and a scripted server or client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from interop.catalog import Api
from interop.errors import TestbedError
from interop.records import Role
from interop.replay.recording import Answer, Ask, Connect, Ended, Expect, Play, Step, Told
from interop.replay.replay import Replay
from interop.wire.frames import BINARY, CLOSE, PING, PONG, TEXT, close_payload, frame, new_mask
from interop.wire.http import request

from .. import servers
from ..control.test_session import connected
from ..fake_peer import DESCRIBE

CONNECT = Connect(1, "/ws", [], 101, None)
SERVE = Ask(0, 0, "serve", {"api": "Old", "path": "/ws"})
SERVED = Answer(0, 0, "serve", "ok")
EVENT = '{"eventName":"e","payload":1,"headers":{}}'


async def play(live: Role, steps: list[Step], script: Callable[[dict[str, Any]], Any]) -> Replay:
    """Return the replay of `steps` to a peer that answers as `script` does."""

    def scripted(asked: dict[str, Any]) -> Any:
        return {"ok": DESCRIBE} if asked["op"] == "describe" else script(asked)

    async with connected(scripted) as session:
        replay = Replay(live, Api("x", live, "New"), [session], host="127.0.0.1", patience=0.2)
        await replay.run(steps)
    return replay


async def to_server(url: str, *steps: Step, told: tuple[dict[str, Any], ...] = ()) -> Replay:
    """Return the replay of `steps` to the server at `url`, whose peer tells these things."""
    port = urlsplit(url).port

    def script(asked: dict[str, Any]) -> Any:
        assert asked["op"] != "serve" or asked["api"] == "New"
        return [{"id": asked["id"], "ok": {"port": port}}, *told]

    return await play("server", [SERVE, SERVED, *steps], script)


@asynccontextmanager
async def client(*written: bytes) -> AsyncIterator[Callable[[dict[str, Any]], Any]]:
    """A peer's script: its client connects wherever it is told to, and writes these bytes."""
    tasks: list[asyncio.Task[None]] = []

    async def dial(url: str) -> None:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request(host=parts.netloc, path=parts.path))
        writer.write(b"".join(written))
        while await reader.read(65536):
            pass
        writer.close()

    def script(asked: dict[str, Any]) -> Any:
        if asked["op"] == "open":
            tasks.append(asyncio.create_task(dial(asked["url"])))
        return {"ok": {}}

    yield script
    await asyncio.gather(*tasks, return_exceptions=True)


def opened(url: str = "ws://h:9/ws") -> list[Step]:
    return [Ask(0, 0, "open", {"api": "Old", "url": url}), Answer(0, 0, "open", "ok")]


def expect(text: str = EVENT, kind: str = "text", code: int | None = None) -> Expect:
    return Expect(1, 7, kind, text, code)


async def test_what_is_as_recorded_is_counted() -> None:
    other_form = '{ "payload":1, "eventName":"e" }'
    async with servers.scripted(None, frame(TEXT, other_form.encode())) as url:
        replay = await to_server(url, CONNECT, Play(1, 0, "text", EVENT, None), expect(), Ended(1))
    assert replay.differences == []
    assert replay.same == 3  # what became of serve, the answer to the handshake, the frame


async def test_another_text_is_said_with_both() -> None:
    async with servers.scripted(None, frame(TEXT, EVENT.replace("1", "2").encode())) as url:
        replay = await to_server(url, CONNECT, expect())
    assert replay.differences == [
        "frame 7: another value at $.payload: expected a number 1, got a number 2\n"
        f"   recorded text {EVENT}\n   came     text {EVENT.replace('1', '2')}"
    ]


@pytest.mark.parametrize(
    ("written", "step", "difference"),
    [
        (frame(PONG, b"x"), expect("y", "pong"), "frame 7: other bytes\n   recorded pong y"),
        (frame(PONG, b"y"), expect("y", "pong"), ""),
        (frame(BINARY, b"y"), expect("y"), "frame 7: recorded text y, came binary y"),
        (frame(TEXT, b"no json"), expect("no JSON"), "frame 7: other text from character 3"),
        (frame(CLOSE, close_payload(1001, "x")), expect("y", "close", 1001), ""),
        (frame(CLOSE), expect("", "close", 1005), ""),
        (frame(CLOSE), expect("", "close", 1000), "frame 7, close: recorded 1000, came 1005"),
        (b"", expect(), f"frame 7: recorded text {EVENT}, but the server wrote no frame"),
        (frame(TEXT, EVENT.encode()), Ended(1), "not recorded, and came: text {"),
        (frame(PING) + frame(TEXT, EVENT.encode()), expect(), ""),
        (frame(PING), Ended(1), ""),
    ],
)
async def test_frames_are_compared(written: bytes, step: Step, difference: str) -> None:
    async with servers.scripted(None, written) as url:
        replay = await to_server(url, CONNECT, *_settled(written), step)
    assert len(replay.differences) == bool(difference)
    assert difference in "".join(replay.differences)[: len(difference)]


async def test_a_ping_of_the_live_side_is_answered() -> None:
    async with servers.scripted(None, frame(PING, b"p"), frame(PONG, b"q")) as url:
        replay = await to_server(url, CONNECT, expect("q", "pong"))
    answers = [f.data for f in replay.log.frames if f.author == "judge"]
    assert (replay.differences, answers) == ([], [b"p"])


def _settled(written: bytes) -> list[Step]:
    """A step that takes until a frame has been read, where nothing waits for it."""
    return [Ask(0, 1, "push", {}), Answer(0, 1, "push", "ok")] if written else []


async def test_the_handshakes_answer_is_compared() -> None:
    async with servers.scripted(b"HTTP/1.1 404 Not Found\r\n\r\n") as url:
        replay = await to_server(url, CONNECT, expect())
        assert replay.differences[0] == "the answer to connection 1: recorded 101, came 404"
        assert replay.differences[1].startswith("the remaining steps need the connection")
        refused = await to_server(url, Connect(1, "/ws", [], 404, None), Ended(1))
        assert refused.differences == []
    async with servers.scripted(b"") as url:
        replay = await to_server(url, CONNECT)
        assert "connection 1: the server ended the connection" in replay.differences[0]
        silent = await to_server(url, Connect(1, "/ws", [], 0, None))
        assert silent.differences == []


async def test_a_server_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        replay = await to_server(url, CONNECT)
        assert "Connect call failed" in replay.differences[0]
        replay = await to_server(url, Connect(1, "/ws", [], 0, None), Ended(1))
        assert (replay.differences, replay.same) == ([], 2)


async def test_what_was_reported_is_compared() -> None:
    event = {"on": "event", "conn": "1", "name": "e", "payload": 1, "headers": {}, "via": "named"}
    error = {"on": "error", "conn": "1", "message": "in other words"}
    async with servers.scripted() as url:
        replay = await to_server(
            url,
            Told(0, event),
            Told(0, {**error, "message": "in words"}),
            told=({**event, "payload": 2}, error, {"on": "uncaught", "message": "oh"}, event),
        )
    assert replay.differences == [
        "what 'event 1 e' reported: recorded "
        '{"conn":"1","headers":{},"name":"e","payload":1,"via":"named"}, came '
        '{"conn":"1","headers":{},"name":"e","payload":2,"via":"named"}',
        "'event' was reported 2 times, not 1",
        "'uncaught' was reported 1 times, not 0",
    ]


async def test_why_a_connection_ended_is_compared_where_it_is_told() -> None:
    end = {"on": "disconnected", "conn": "1"}
    for live, difference in (({}, ""), ({"code": 1001}, '"code":1000,"conn":"1"}, came ')):
        async with servers.scripted() as url:
            note = Told(0, {**end, "code": 1000, "reason": ""})
            replay = await to_server(url, note, told=({**end, **live},))
        assert len(replay.differences) == bool(difference)
        assert difference in "".join(replay.differences)


async def test_what_was_not_reported_ends_it() -> None:
    async with servers.scripted() as url:
        replay = await to_server(url, Told(0, {"on": "state", "state": "online"}), expect())
    (difference,) = replay.differences
    assert difference.startswith("recorded, and not reported: state online: ")


async def test_what_became_of_a_request_is_compared() -> None:
    def script(asked: dict[str, Any]) -> Any:
        if asked["op"] == "push":
            return {"error": {"kind": "Gone", "message": "it went"}}
        return {"unsupported": "no such thing"}

    asked = [Ask(0, 0, "push", {}), Ask(0, 1, "drop", {})]
    gone, dropped = Answer(0, 0, "push", "ok"), Answer(0, 1, "drop", "unsupported")
    replay = await play("server", [*asked, gone, dropped], script)
    assert replay.differences == ["'push': recorded ok, came Gone (it went)"]
    replay = await play("server", [*asked, Answer(0, 0, "push", "Gone"), dropped], script)
    assert (replay.differences, replay.same) == ([], 2)
    with pytest.raises(TestbedError, match="cannot do 'drop': no such thing"):
        await play("server", [*asked, Answer(0, 1, "drop", "ok")], script)


async def test_a_request_that_is_never_done_ends_it() -> None:
    replay = await play("server", [SERVE, SERVED], lambda asked: [])
    assert replay.differences == ["'serve' was not done within 0.2 s; recorded: ok"]


async def test_a_live_client_is_led_to_the_judge() -> None:
    async with client(frame(TEXT, EVENT.encode(), mask=new_mask())) as script:
        replay = await play(
            "client",
            [
                *opened(),
                Connect(1, "/ws", [], 101, "a"),
                expect(),
                Play(1, 0, "text", EVENT, None),
                Play(1, 1, "close", "", 1005),
                Play(1, 2, "close", "why", 1001),
                Ended(1),
            ],
            script,
        )
    assert (replay.differences, replay.same) == ([], 3)


@pytest.mark.parametrize("status", [404, 0])
async def test_a_live_client_is_refused_as_recorded(status: int) -> None:
    async with client() as script:
        replay = await play("client", [*opened(), Connect(1, "/ws", [], status, None)], script)
    assert replay.differences == []


async def test_a_live_client_that_asks_for_another_target() -> None:
    async with client() as script:
        steps = [*opened("ws://h:9/other"), Connect(1, "/ws", [], 101, None)]
        replay = await play("client", steps, script)
    assert replay.differences == ["the target asked for: recorded /ws, came /other"]


async def test_a_live_client_that_does_not_connect() -> None:
    replay = await play("client", [*opened(), CONNECT], lambda asked: {"ok": {}})
    assert replay.differences == ["connection 1: the client did not connect within 0.2 s"]


async def test_an_address_without_a_listener_is_kept() -> None:
    asked: list[str] = []

    def script(request: dict[str, Any]) -> Any:
        asked.append(request["url"])
        return {"ok": {}}

    await play("client", opened("ws://127.0.0.1:1/ws"), script)
    assert asked == ["ws://127.0.0.1:1/ws"]


async def test_ids_that_a_client_makes_are_its_own() -> None:
    def asks(id: str) -> str:
        return f'{{"eventName":"e","payload":"given-1","headers":{{"requestId":"{id}"}}}}'

    answered = '{"eventName":"e","headers":{"replyTo":"old-1"}}'
    async with client(frame(TEXT, asks("new-7").encode(), mask=new_mask())) as script:
        steps = [*opened(), CONNECT, expect(asks("old-1")), Play(1, 0, "text", answered, None)]
        replay = await play("client", steps, script)
    assert replay.differences == []
    assert replay.log.frames[-1].data == answered.replace("old-1", "new-7").encode()


async def test_ids_that_were_given_are_compared() -> None:
    was, now = (f'{{"eventName":"e","headers":{{"requestId":"{id}"}}}}' for id in ("mine", "yours"))
    async with client(frame(TEXT, now.encode(), mask=new_mask())) as script:
        send = Ask(0, 1, "send", {"event": "e", "headers": {"requestId": "mine"}})
        replay = await play("client", [*opened(), CONNECT, send, expect(was)], script)
    assert "another requestId: 'yours', not 'mine'" in replay.differences[0]


async def test_ids_that_a_server_makes_are_its_own_and_those_of_its_replies_are_not() -> None:
    def asks(id: str) -> str:
        return f'{{"eventName":"e","headers":{{"requestId":"{id}"}}}}'

    def replies(id: str) -> str:
        return f'{{"eventName":"e","headers":{{"replyTo":"{id}"}}}}'

    written = frame(TEXT, asks("new-7").encode()) + frame(TEXT, replies("other").encode())
    async with servers.scripted(None, written) as url:
        answer = Play(1, 1, "text", replies("old-1"), None)
        steps = (CONNECT, expect(asks("old-1")), answer, expect(replies("mine")))
        replay = await to_server(url, *steps)
    (difference,) = replay.differences
    assert "another replyTo: 'other', not 'mine'" in difference
    played = [f.data for f in replay.log.frames if f.author == "judge"]
    assert played == [replies("new-7").encode()]
