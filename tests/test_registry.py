"""Registering handlers: both spellings, what replaces what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from zaptools import EventContext, EventRegister, RegistrationError
from zaptools.protocol import LIFECYCLE_EVENTS


async def handler(ctx: EventContext) -> None: ...


def plain(ctx: EventContext) -> None: ...


LIFECYCLE = {
    "connected": EventRegister.on_connected,
    "disconnected": EventRegister.on_disconnected,
    "error": EventRegister.on_error,
}


@pytest.mark.parametrize("function", [handler, plain])
def test_events(function: Callable[[EventContext], Any]) -> None:
    register = EventRegister()
    assert register.on_event("a", function) is function
    assert register.on_event("b")(function) is function
    assert register._book.events == {"a": function, "b": function}


def test_decorator_returns_the_function() -> None:
    register = EventRegister()

    @register.on_event("a")
    @register.on_connected
    @register.on_any_event
    async def mine(ctx: EventContext) -> None: ...

    @register.on_any_event()
    @register.on_error()
    def other(ctx: EventContext) -> None: ...

    assert callable(mine) and register._book.events == {"a": mine}
    assert register._book.lifecycle == {"connected": mine, "error": other}
    assert register._book.any_event is other


@pytest.mark.parametrize("name", sorted(LIFECYCLE_EVENTS))
def test_lifecycle(name: str) -> None:
    method: Any = LIFECYCLE[name]
    for register_it in (
        lambda r: method(r, handler),
        lambda r: method(r)(handler),
        lambda r: r.on_event(name, handler),
        lambda r: r.on_event(name)(handler),
    ):
        register = EventRegister()
        assert register_it(register) is handler
        assert register._book.lifecycle == {name: handler}
        assert not register._book.events


def test_last_wins() -> None:
    register = EventRegister()
    register.on_event("a", handler)
    register.on_event("a", plain)
    assert register._book.events["a"] is plain


def test_registers_share_nothing() -> None:
    first, second = EventRegister(), EventRegister()
    first.on_event("a", handler)
    first.on_connected(handler)
    assert not second._book.events and not second._book.lifecycle


@pytest.mark.parametrize("bad", [3, "x", [], object()])
def test_handlers_must_be_callable(bad: Any) -> None:
    register = EventRegister()
    for refuse in (
        lambda: register.on_event("a", bad),
        lambda: register.on_event("a")(bad),
        lambda: register.on_connected(bad),
        lambda: register.on_disconnected(bad),
        lambda: register.on_error(bad),
        lambda: register.on_any_event(bad),
    ):
        with pytest.raises(RegistrationError) as info:
            refuse()
        assert (info.value.what, info.value.value) == ("handler", bad)


@pytest.mark.parametrize("bad", [3, None, b"x", handler])
def test_names_must_be_strings(bad: Any) -> None:
    with pytest.raises(RegistrationError, match="event name must be a string"):
        EventRegister().on_event(bad)
    with pytest.raises(RegistrationError):
        EventRegister().on_event(bad, handler)
