"""The judge at a server without control, by this library's server and by scripted ones."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest

from interop.check.endpoint import EndpointError, parse_endpoint
from interop.check.remote import Pace, Remote
from interop.errors import TestbedError, Violation
from interop.wire.frames import CLOSE, PONG, TEXT, close_payload, frame
from interop.wire.http import answer, parse_head
from tests.support import within

from .. import servers

ECHO = b'{"eventName":"back","payload":"still there?","headers":{}}'


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted servers answer no close frame."""
    monkeypatch.setattr("interop.check.remote.FAREWELL_TIMEOUT", 0.05)


def remote(url: str, echo: str | None = None, **more: object) -> Remote:
    return Remote(parse_endpoint(url, **more), 0.2, echo)  # type: ignore[arg-type]  # as it takes


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", r"'HTTP/1.1 404 Not Found' \(is the path right\?\)"),
        (b"HTTP/1.1 401 No\r\n\r\n", "it refuses the handshake with 'HTTP/1.1 401 No': it wants "),
        (b"HTTP/1.1 403 No\r\n\r\n", "header-file FILE from a file; or it wants an Origin$"),
        (b"HTTP/1.1 503 No\r\n\r\n", r"503 No' \(--rate N makes fewer"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login?from=x\r\n\r\n", "it redirects to '/login'"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no WebSocket server there: it answered 'HTTP/1.1 200 OK'$"),
        (b"", r"no WebSocket server there: the server ended .*should it be wss://\?"),
        (b"HTTP/1.1 101 Yes\r\n\r\n", "Sec-WebSocket-Accept does not belong to the key"),
    ],
)
async def test_what_is_no_websocket_server_is_said(head: bytes, words: str) -> None:
    async with servers.scripted(head) as url:
        judged = remote(url)
        with pytest.raises(EndpointError, match=words):
            await judged.check_reachable()
        await judged.close()


async def test_an_event_that_is_not_echoed_is_said() -> None:
    async with servers.app() as url:
        judged = remote(url, "nobody")
        with pytest.raises(EndpointError, match="--echo 'nobody' is not echoed: no echo of"):
            await judged.check_reachable()
        await judged.close()


async def test_a_pong_that_answers_another_ping_is_no_answer() -> None:
    pongs = frame(PONG, b"another"), frame(PONG, b"still there? 1")
    async with servers.scripted(None, *pongs) as url:
        judged = remote(url)
        await judged.works(await judged.open())
        await judged.close()


async def test_an_echo_may_have_another_name() -> None:
    noise = [frame(TEXT, data) for data in (b"welcome", b"[]", b'{"eventName":"hello"}', ECHO)]
    async with servers.scripted(None, *noise) as url:
        judged = remote(url, "there")
        await judged.check_reachable()
        assert judged.answer_name == "back"
        assert judged.event(1) == b'{"eventName":"there","payload":1,"headers":{}}'
        assert judged.named('{"eventName":"echo"}') == '{"eventName":"there"}'
        await judged.close()


async def test_connections_are_made_no_faster_than_the_rate_allows() -> None:
    times = iter((5.0, 5.001, 5.0135, 5.1))
    pace = Pace(100.0, clock=lambda: next(times))
    waited = []
    for _ in range(4):
        await pace.turn()
        waited.append(pace.waited)
    assert waited == pytest.approx([0.0, 0.009, 0.0155, 0.0155]), "a hundredth of a second apart"


async def test_without_a_rate_no_connection_waits() -> None:
    pace = Pace()
    for _ in range(3):
        await pace.turn()
    assert pace.waited == 0


async def test_one_connection_at_a_time_each_left_in_order() -> None:
    async with servers.app() as url:
        judged = remote(url)
        first = await judged.open()
        await judged.works(first)
        await judged.works(await judged.open())
        assert [found.code for found in first.frames if found.opcode == CLOSE] == [1000]
        await judged.close()


async def test_a_server_that_does_not_answer_the_farewell_is_left() -> None:
    async with servers.scripted() as url:
        judged = remote(url)
        connection = await judged.open()
        await judged.close()
        assert not connection.frames


async def test_a_server_that_others_use_is_not_left_with_a_reset() -> None:
    async with servers.ends() as (port, ended):
        judged = remote(f"ws://127.0.0.1:{port}/ws")
        await judged.open()
        await judged.close()
        assert await within(ended) == "end"


@pytest.mark.parametrize("echo", ["echo", None])
async def test_an_event_without_an_echo_was_not_received(echo: str | None) -> None:
    async with servers.app() as url:
        judged = remote(url, echo)
        await judged.check_reachable()
        connection = await judged.open()
        await judged.works(connection)
        await judged.nothing_received()
        connection.send_event("echo", "once")
        await judged.works(connection)
        if echo is None:
            await judged.nothing_received()
        else:
            with pytest.raises(Violation, match="the server echoed 1 event, not none"):
                await judged.nothing_received()
        connection.send_close(1000)
        await connection.next(CLOSE)
        if echo is None:
            await judged.nothing_received()
        await judged.ended()
        await judged.close()


async def test_a_silent_application_is_no_proof_unless_the_connection_ended() -> None:
    async with servers.scripted() as url:
        judged = remote(url, "echo")
        await judged.open()
        with pytest.raises(Violation, match="no echo of"):
            await judged.nothing_received()
        await judged.close()


async def test_a_connection_that_ends_under_the_probe_received_nothing() -> None:
    class Ending(Remote):
        async def works(self, connection: object, probe: str = "") -> None:
            self.connections[-1].ended.set()
            raise Violation("it ended")

    async with servers.scripted() as url:
        judged = Ending(parse_endpoint(url), 0.2, "echo")
        await judged.open()
        await judged.nothing_received()
        await judged.close()


async def test_what_came_back_is_told() -> None:
    async with servers.app() as url:
        judged = remote(url, "echo")
        connection = await judged.open()
        connection.write(connection.frame(TEXT, judged.event([1, {"a": None}])))
        got = await judged.received("echo", [1, {"a": None}])
        assert got.data == {"name": "echo", "payload": [1, {"a": None}]}
        await judged.close()


def test_the_handshake_has_what_the_user_gave_whatever_a_scenario_wants() -> None:
    judged = remote(
        "ws://h/ws?t=1", headers=["Cookie: mine", "X-A: 1", "X-A: 2"], subprotocols=["a", "b"]
    )
    data = judged.request(
        headers={"COOKIE": "yours", "X-B": "3", "Upgrade": None}, extra=[("C", "4")]
    )
    assert data.decode().split("\r\n") == [
        "GET /ws?t=1 HTTP/1.1",
        "Host: h",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "X-B: 3",
        "Cookie: mine",
        "X-A: 1",
        "X-A: 2",
        "Sec-WebSocket-Protocol: a, b",
        "C: 4",
        "",
        "",
    ]
    assert judged.with_query("?x") == "/ws?t=1&x"
    assert remote("ws://h/ws").with_query("?x") == "/ws?x"
    assert b"POST /x HTTP/1.1" in judged.request(method="POST", path="/x")


async def test_control_that_is_asked_for_all_the_same_is_the_testbeds_fault() -> None:
    judged = remote("ws://h/ws")
    await judged.serve()
    await judged.role.session.check_alive()
    with pytest.raises(TestbedError, match="need no control set"):
        await judged.serve(deflate=True)
    with pytest.raises(TestbedError, match="asked for 'drop'"):
        await judged.server.drop("1")
    with pytest.raises(TestbedError, match="waited for 'connected'"):
        await judged.server.connected()


async def test_a_close_frame_says_that_it_is_over() -> None:
    async with servers.scripted(None, frame(CLOSE, close_payload(1001))) as url:
        judged = remote(url, "echo")
        connection = await judged.open()
        await connection.next(CLOSE)
        await judged.nothing_received()
        await judged.close()


@pytest.mark.parametrize(
    ("query", "headers", "words"),
    [
        ("", ["Cookie: a=bcdef"], "it does not accept what was given in Cookie, or wants"),
        ("?token=abcdef", ["A: b", "B: c", "A: d"], "given in A, B and the query, or wants"),
    ],
)
async def test_credentials_that_are_refused_are_named_without_their_values(
    query: str, headers: list[str], words: str
) -> None:
    async with servers.scripted(b"HTTP/1.1 401 No\r\n\r\n") as url:
        judged = remote(url + query, headers=headers)
        with pytest.raises(EndpointError, match=words) as caught:
            await judged.check_reachable()
        assert "cdef" not in str(caught.value)
        await judged.close()


def closes(payload: bytes) -> AbstractAsyncContextManager[str]:
    """A server that lets everybody in, and then closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = parse_head(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(asked) + frame(CLOSE, payload))
        await reader.read()

    return servers.served(handle)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (close_payload(1008, "log in"), "it closes every connection with 1008 'log in': it wants"),
        (close_payload(4401), "it closes every connection with 4401: it wants credentials"),
        (close_payload(1011), "cannot tell whether it works"),
        (b"", "cannot tell whether it works"),
    ],
)
async def test_a_close_behind_the_handshake_can_be_a_refusal(payload: bytes, words: str) -> None:
    async with closes(payload) as url:
        judged = remote(url)
        with pytest.raises(EndpointError, match=words):
            await judged.check_reachable()
        await judged.close()
