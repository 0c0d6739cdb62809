"""`SanicConnector` on Sanic's own server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import MS, until, within
from tests.support.admission import AdmissionContract
from tests.support.contract import ConnectorContract, Log
from tests.support.fakes import event
from tests.support.hosts import SanicServer, sanic_server
from tests.support.raw import raw_client
from zaptools import EventRegister, Limits
from zaptools.connectors import SanicConnector


class TestSanic(ConnectorContract, AdmissionContract):
    accepts_first = True
    cancels = True
    handled = 1  # Sanic hands out one, then TCP ends, and it cancels the endpoint

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

    async def test_no_task_of_sanics_waits_behind_the_end(self) -> None:
        """One did for what was read and not fetched, with that."""
        register = Log()
        async with self.serve(register) as running:
            async with raw_client(running.port, "/ws") as peer:
                peer.event("gate")
                peer.event("echo")
                await until(feeding)
                await register.connection.close()
                register.gate.set()
                peer.event("echo")
                await register.ended()
            await until(lambda: not feeding())


def feeding() -> list[Any]:
    """Return Sanic's tasks that hand over what was read."""
    names = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return [name for name in names if name.endswith("async_data_received")]


class Socket:
    """Sanic's socket by hand, as its endpoint finds it in rarer moments."""

    def __init__(self, *received: Any, **protocol: Any) -> None:
        facts = {"close_rcvd": None, "close_sent": None, "close_rcvd_then_sent": None}
        self.ws_proto = SimpleNamespace(**{**facts, **protocol})
        self.io_proto = None
        self.connection_lost_waiter: asyncio.Future[None] | None = None
        self._received = list(received)

    async def recv(self) -> Any:
        item = self._received.pop(0)
        if isinstance(item, BaseException):
            raise item
        return await item if isinstance(item, Awaitable) else item

    async def send(self, message: str) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None: ...

    def fail_connection(self, code: int = 1006, reason: str = "") -> bool:
        raise NotImplementedError

    recv_cancel: asyncio.Future[None] | None = None


def close(code: int) -> SimpleNamespace:
    return SimpleNamespace(code=code, reason="")


async def test_giving_up_where_tcp_has_ended() -> None:
    register = Log()
    socket = Socket(event("close", [4000, ""]), asyncio.Event().wait())
    limits = Limits(close_timeout=10 * MS)
    await within(SanicConnector(register, socket, limits=limits).start())
    assert register.ends == [(4000, "", "local")]


@pytest.mark.parametrize(
    ("received", "protocol", "expected"),
    [
        (RuntimeError("closed"), {}, (1006, "", None)),
        (None, {}, (1006, "", None)),
        (asyncio.CancelledError(), {"close_rcvd": close(4000)}, (4000, "", "remote")),
        (asyncio.CancelledError(), {"close_sent": close(1009)}, (1009, "", "local")),
        (asyncio.CancelledError(), {"close_sent": close(1006)}, (1006, "", None)),
        (
            asyncio.CancelledError(),
            {"close_sent": close(4000), "close_rcvd": close(4000), "close_rcvd_then_sent": False},
            (4000, "", "local"),
        ),
    ],
)
async def test_endings(received: Any, protocol: Any, expected: Any) -> None:
    register = Log()
    await within(SanicConnector(register, Socket(received, **protocol)).start())
    assert register.ends == [expected]
    assert register.connection.handshake.path == ""
