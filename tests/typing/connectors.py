# pyright: strict
"""What type checkers make of the options of connectors."""

from __future__ import annotations

from typing import Any, assert_type

from aiohttp import web

from zaptools import EventRegister, Limits
from zaptools.connectors import AioHttpConnector, FastApiConnector, SanicConnector


async def options(register: EventRegister, request: web.Request, socket: Any) -> None:
    limits = Limits(message_bytes=1)
    response = await AioHttpConnector.plug_and_start(
        register, request, "id", limits=limits, compress=True, subprotocols=["a"]
    )
    assert_type(response, web.WebSocketResponse)
    await FastApiConnector.plug_and_start(register, socket, limits=None, subprotocols=("a",))
    await SanicConnector.plug_and_start(register, socket, "id", omit_empty_headers=True)


# What must be seen: each of these comments asserts an error, by mypy's warn_unused_ignores.


async def wrong(register: EventRegister, request: web.Request, socket: Any) -> None:
    await AioHttpConnector.plug_and_start(register, request, limits={})  # type: ignore[arg-type]
    await FastApiConnector.plug_and_start(register, socket, compress=True)  # type: ignore[call-arg]
    await SanicConnector.plug_and_start(register, socket, subprotocols=[])  # type: ignore[call-arg]
