from __future__ import annotations

import asyncio
import gc
from typing import Any

from interop.check.endpoint import parse_endpoint
from interop.check.remote import Pace
from interop.gate.relay import Relay
from interop.wire.http import answer, parse_head, request
from interop.wire.passage import reset_on_close

from .. import servers


async def test_a_connection_that_the_server_resets_is_no_failure_of_the_relay() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
        await writer.drain()
        await reader.read(1)
        reset_on_close(writer.get_extra_info("socket"))
        writer.transport.abort()

    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, found: failures.append(found))
    async with servers.served(handle) as url, Relay(parse_endpoint(url), 5.0, Pace()) as relay:
        host, _, port = relay.url.removeprefix("ws://").removesuffix("/ws").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request(host="relay", path="/ws"))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()
    gc.collect()
    assert failures == []
    assert relay.refused == ""
