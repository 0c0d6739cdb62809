"""`SanicConnector` on Sanic's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support import until
from tests.support.contract import ConnectorContract
from tests.support.hosts import SanicServer, sanic_server
from zaptools import EventRegister
from zaptools.connectors import SanicConnector


class TestSanic(ConnectorContract):
    cancels = True

    @asynccontextmanager
    async def serve(self, register: EventRegister, **options: Any) -> AsyncIterator[SanicServer]:
        route = {}
        if "subprotocols" in options:
            route["subprotocols"] = options.pop("subprotocols")

        async def endpoint(request: Any, websocket: Any) -> None:
            await SanicConnector.plug_and_start(register, websocket, **options)

        async with sanic_server(endpoint, **route) as running:
            yield running

    @pytest.mark.parametrize(("offered", "chosen"), [(["b", "a"], "a")])
    async def test_subprotocols(self, offered: list[str], chosen: str | None) -> None:
        """With none in common Sanic itself refuses, with 400."""
        await super().test_subprotocols(offered, chosen)

    async def test_cancelling_is_not_swallowed(self) -> None:
        async with self.peer() as (register, peer, running):
            assert isinstance(running, SanicServer)
            (task,) = running.app.websocket_tasks
            running.cancel()
            assert (await peer.closed()).code == 1001
            end = await register.ended()
            assert (end.code, end.by) == (1001, "local")
            await until(task.done)
            assert task.cancelled()
