"""Where connections come from: programs that are started anew, and apps that are waited for."""

from __future__ import annotations

import asyncio

import pytest

from interop.check_client.door import ClientError, Door
from interop.check_client.source import Awaited, Started
from interop.control.patience import Patience
from interop.errors import Violation
from interop.wire.http import request
from interop.wire.log import Log
from tests.support import PATIENCE

from .programs import odd

LONG = Patience(PATIENCE)


async def test_a_program_that_has_ended_is_started_anew() -> None:
    source = Started(await Door("127.0.0.1").open(), odd("good"), within=20, reconnects=True)
    first = await source.first(Log(), LONG)
    first.end_tcp()  # it ends with its connection
    with pytest.raises(Violation, match="the client did not connect again within"):
        await source.another(Log(), LONG)
    second = await source.first(Log(), LONG)
    assert second.head.target == "/ws"
    assert (source.restarts, source.ends) == (0, 1)
    await second.close()
    await first.close()
    await source.close()


async def test_one_that_is_to_have_another_url_is_started_with_it() -> None:
    source = Started(await Door("127.0.0.1").open(), odd("good"), within=20, reconnects=True)
    for path in ("/ws?a=1", "/ws"):
        connection = await source.first(Log(), LONG, path=path)
        assert connection.head.target == path
        assert source.asked_for(connection) == (path, f"127.0.0.1:{source.door.port}")
        await connection.close()
    assert (source.restarts, source.ends) == (0, 0)
    await source.close()


async def test_an_app_that_does_not_come_again_is_asked_for() -> None:
    told: list[str] = []
    door = await Door("127.0.0.1").open()
    source = Awaited(door, within=0.05, at_most=0.1, tell=told.append)
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request(host="h", path="/mine"))
    connection = await source.first(Log(), LONG)
    assert (source.asked_for(connection), told) == (("/mine", "h"), [])
    with pytest.raises(ClientError, match=r"no app connected to port \d+ within 0\.1 s"):
        await source.first(Log(), LONG)
    assert told == [
        "the app has not connected again for 0.05 s: restart it, or let it connect again by itself"
    ]
    await connection.close()
    writer.close()
    await source.close()
