"""The connections of a server: entering, leaving, and the end of all of them."""

from __future__ import annotations

import asyncio

import pytest

from tests.support import MS, within
from tests.support.fakes import FakeTransport
from zaptools import NameTakenError, WebSocketConnection
from zaptools.connection.ids import ConnectionIds
from zaptools.server.roster import Roster


class EndingTransport:
    """A transport that ends when it is closed, when it is cancelled, or not at all."""

    def __init__(self, ends: str, *, is_caller: bool = False) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_caller = is_caller
        self.calls: list[object] = []
        self._ends = ends

    def start_close(self, code: int, reason: str) -> None:
        self.calls.append((code, reason))
        if self._ends == "closed":
            self.over.set_result(None)

    def cancel(self) -> None:
        self.calls.append("cancel")
        if self._ends == "cancelled":
            self.over.set_result(None)


def roster() -> Roster:
    return Roster(ConnectionIds(), grace=10 * MS)


async def test_entering_and_leaving() -> None:
    made = roster()
    id = made.claim_id(lambda: "a")
    connection = WebSocketConnection(id, FakeTransport())
    assert made.connections == {}
    made.enter(id, connection)
    assert made.connections == {"a": connection}
    with pytest.raises(NameTakenError):
        made.claim_id(lambda: "a")
    for _ in range(2):
        made.leave("a")
        assert made.connections == {} and "a" not in made.ids


async def test_leaving_too_late() -> None:
    """Another connection has the id by then."""
    ids = ConnectionIds()
    one, other = Roster(ids), Roster(ids)
    one.enter(one.claim_id(lambda: "a"), WebSocketConnection("a", FakeTransport()))
    one.leave("a")
    other.enter(other.claim_id(lambda: "a"), WebSocketConnection("a", FakeTransport()))
    one.leave("a")
    assert "a" in ids


async def test_closing() -> None:
    made = roster()
    closed, stuck, stubborn = (
        EndingTransport("closed"),
        EndingTransport("cancelled"),
        EndingTransport("never"),
    )
    caller = EndingTransport("never", is_caller=True)
    made.transports |= {closed, stuck, stubborn}
    assert not made.has_caller
    made.transports.add(caller)
    assert made.has_caller
    await within(made.close(1001, 10 * MS))
    assert closed.calls == caller.calls == [(1001, "")]
    assert stuck.calls == stubborn.calls == [(1001, ""), "cancel"]


async def test_waiting_with_no_bound() -> None:
    made, transport = roster(), EndingTransport("never")
    await within(made.wait_over(None))
    made.transports.add(transport)
    waiting = asyncio.create_task(made.wait_over(None))
    await asyncio.sleep(20 * MS)
    assert not waiting.done()
    transport.over.set_result(None)
    await within(waiting)
    assert transport.calls == []
