"""Where a client program connects."""

from __future__ import annotations

import asyncio

import pytest

from interop.check_client import door as doors
from interop.check_client.door import ClientError, Door
from interop.control.patience import Patience
from interop.errors import Violation
from interop.wire.http import request
from interop.wire.log import Log
from tests.support import PATIENCE, until, within

ASKED = request(host="h", path="/mine")


async def dial(door: Door, data: bytes = ASKED) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(data)
    return writer


async def test_a_program_that_has_gone_again_is_passed_over() -> None:
    door = await Door("127.0.0.1").open()
    for data in (b"", b"GET / HT", request(host="h", path="/gone")):
        (await dial(door, data)).close()
    writer = await dial(door)
    await asyncio.sleep(0.05)
    connection = await within(door.take(Log(), Patience(PATIENCE)))
    assert connection.head.target == "/mine"
    await connection.close()
    writer.close()
    await door.close()


async def test_a_browser_is_told_and_passed_over() -> None:
    door = await Door("127.0.0.1").open()
    reader, page = await asyncio.open_connection("127.0.0.1", door.port)
    page.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    taking = asyncio.ensure_future(door.take(Log(), Patience(PATIENCE)))
    answer = await within(reader.read())
    assert answer.startswith(b"HTTP/1.1 426 ") and b"waits here for the WebSocket" in answer
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    writer = await dial(door)
    connection = await within(taking)
    assert connection.head.target == "/mine"
    await connection.close()
    for each in (page, writer):
        each.close()
    await door.close()


async def test_a_handshake_without_end_is_a_violation() -> None:
    door = await Door("127.0.0.1").open()
    writer = await dial(door, b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
    with pytest.raises(Violation, match="does not end within 65536 bytes"):
        await within(door.take(Log(), Patience(PATIENCE)))
    writer.close()
    await door.close()


async def test_connections_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "_MOST_WAITING", 3)
    door = await Door("127.0.0.1").open()
    writers = [await dial(door) for _ in range(5)]
    await until(lambda: door.crowd)
    assert door.crowd == "it makes connections without end: over 3 wait at once"
    await door.close()
    for writer in writers:
        writer.close()


async def test_a_port_that_is_taken_is_named() -> None:
    door = await Door("127.0.0.1").open()
    words = rf"cannot listen on 127\.0\.0\.1:{door.port}: .*\(another program has it\)"
    with pytest.raises(ClientError, match=words):
        await Door("127.0.0.1", door.port).open()
    await door.close()


async def test_its_url_is_that_of_the_host_that_reaches_it() -> None:
    door = await Door("127.0.0.1").open()
    assert door.url("/ws") == f"ws://127.0.0.1:{door.port}/ws"
    assert door.url("/ws", "10.0.2.2") == f"ws://10.0.2.2:{door.port}/ws"
    assert door.authority("::1") == f"[::1]:{door.port}"
    await door.close()
