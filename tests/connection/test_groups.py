"""Groups: a member leaves them once, when all of it is over, and keeps none alive."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.support.fakes import FakeTransport, Wired
from zaptools import CloseInfo, ConnectionClosedError, EventContext, EventRegister
from zaptools.connection import WebSocketConnection
from zaptools.connection.connection import groups_of, join_group, leave_all_groups, leave_group


class Log:
    """A group that writes down who left."""

    def __init__(self, log: list[str], name: str) -> None:
        self._log, self._name = log, name

    def member_ended(self, connection: WebSocketConnection) -> None:
        leave_group(connection, self)  # as a group may
        self._log.append(self._name)


def test_leaving_in_the_order_of_joining() -> None:
    log: list[str] = []
    groups = [Log(log, name) for name in "abc"]
    member = WebSocketConnection("a", FakeTransport())
    for group in (*groups, groups[0]):
        join_group(member, group)
    assert groups_of(member) == groups
    leave_group(member, groups[1])
    leave_group(member, groups[1])
    leave_all_groups(member)
    assert log == ["a", "c"]
    leave_all_groups(member)
    assert log == ["a", "c"]


def test_a_member_of_nothing() -> None:
    member = WebSocketConnection("a", FakeTransport())
    leave_group(member, Log([], ""))
    leave_all_groups(member)


def test_groups_are_not_kept_alive() -> None:
    log: list[str] = []
    group = Log(log, "a")
    member = WebSocketConnection("a", FakeTransport())
    join_group(member, group)
    gone = weakref.ref(group)
    del group
    gc.collect()
    assert gone() is None
    leave_all_groups(member)
    assert log == []


class TestEnd:
    async def test_after_the_disconnected_handler(self) -> None:
        log: list[str] = []
        group = Log(log, "left")
        register = EventRegister()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            join_group(ctx.connection, group)  # still possible
            log.append("disconnected")

        wired = Wired(register)
        await wired.run()
        await wired.end()
        await wired.end()
        assert log == ["disconnected", "left"]
        assert wired.finished == 1

    @pytest.mark.parametrize("handler", ["raises", "is cancelled"])
    async def test_whatever_the_handler_did(self, handler: str) -> None:
        log: list[str] = []
        group = Log(log, "left")
        register = EventRegister()

        @register.on_disconnected
        async def disconnected(ctx: EventContext) -> None:
            if handler == "is cancelled":
                task = wired.dispatcher.task
                assert task is not None
                task.cancel()
            raise ValueError("boom")

        wired = Wired(register)
        join_group(wired.connection, group)
        await wired.run()
        await wired.end()
        assert log == ["left"]

    async def test_joining_afterwards(self) -> None:
        wired = Wired(EventRegister())
        await wired.run()
        await wired.end(CloseInfo(4000, "over", "remote"))
        with pytest.raises(ConnectionClosedError) as info:
            join_group(wired.connection, Log([], ""))
        assert (info.value.code, info.value.reason, info.value.by) == (4000, "over", "remote")

    async def test_joining_when_nobody_noted_how_it_ended(self) -> None:
        connection = Wired(EventRegister()).connection
        leave_all_groups(connection)
        with pytest.raises(ConnectionClosedError) as info:
            join_group(connection, Log([], ""))
        assert (info.value.code, info.value.by) == (1006, None)
