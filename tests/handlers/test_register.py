"""Registering handlers: both spellings, what replaces what, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fakes import Wired, event
from zaptools import (
    CallNext,
    EventContext,
    EventRegister,
    NameTakenError,
    RegistrationError,
    ZapConsumer,
    ZapServer,
)
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
    assert register.book.events == {"a": function, "b": function}


def test_decorator_returns_the_function() -> None:
    register = EventRegister()

    @register.on_event("a")
    @register.on_connected
    @register.on_any_event
    async def mine(ctx: EventContext) -> None: ...

    @register.on_any_event(replace=True)
    @register.on_error()
    def other(ctx: EventContext) -> None: ...

    assert callable(mine) and register.book.events == {"a": mine}
    assert register.book.lifecycle == {"connected": mine, "error": other}
    assert register.book.any_event is other


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
        assert register.book.lifecycle == {name: handler}
        assert not register.book.events


def test_last_wins() -> None:
    register = EventRegister()
    register.on_event("a", handler)
    with pytest.warns(RuntimeWarning, match="plain .* replaces handler .* of the event 'a'"):
        register.on_event("a", plain)
    assert register.book.events["a"] is plain


def test_registers_share_nothing() -> None:
    first, second = EventRegister(), EventRegister()
    first.on_event("a", handler)
    first.on_connected(handler)
    assert not second.book.events and not second.book.lifecycle


@pytest.mark.parametrize("bad", [3, "x", [], object(), None])
def test_handlers_must_be_callable(bad: Any) -> None:
    register = EventRegister()
    for refuse in (
        lambda: register.on_event("a", bad),
        lambda: register.on_event("a")(bad),
        lambda: register.on_connected(bad),
        lambda: register.on_connected()(bad),
        lambda: register.on_disconnected(bad),
        lambda: register.on_error(bad),
        lambda: register.on_any_event(bad),
    ):
        with pytest.raises(RegistrationError) as info:
            refuse()
        assert (info.value.what, info.value.value) == ("handler", bad)


def test_handlers_must_fit() -> None:
    """What a handler may look like is for tests/test_signatures.py."""

    def two(ctx: EventContext, payload: Any) -> None: ...
    def three(a: Any, b: Any, c: Any) -> None: ...

    register: Any = EventRegister()
    for refuse in (
        lambda: register.on_event("a", three),
        lambda: register.on_any_event(three),
        lambda: register.on_connected(two),
        lambda: register.on_event("disconnected")(two),
        lambda: register.on_error(two),
    ):
        with pytest.raises(RegistrationError, match="one "):
            refuse()
    assert not register.book.events and not register.book.lifecycle


@pytest.mark.parametrize("bad", [3, None, b"x", handler])
def test_names_must_be_strings(bad: Any) -> None:
    with pytest.raises(RegistrationError, match="event name must be a str"):
        EventRegister().on_event(bad)
    with pytest.raises(RegistrationError):
        EventRegister().on_event(bad, handler)


@pytest.mark.parametrize("owner", [EventRegister(), ZapServer(), ZapConsumer("ws://127.0.0.1/")])
def test_a_decorator_without_the_name(owner: Any) -> None:
    cure = re.escape("the name comes first: @on_event('greet')")
    with pytest.raises(RegistrationError, match=f"must be a str, not <function .*: {cure}"):

        @owner.on_event
        def greet(ctx: EventContext) -> None: ...

    with pytest.raises(RegistrationError, match=cure):
        owner.on_event(handler, "greet")


async def test_middleware_as_a_decorator_with_parentheses() -> None:
    register, names = EventRegister(), list[str]()

    @register.middleware()
    async def around(ctx: EventContext, call_next: CallNext) -> None:
        names.append(f"before {ctx.event_name}")
        await call_next(ctx)

    register.on_event("a", lambda ctx: names.append(ctx.event_name))
    await Wired(register).run(event("a"))
    assert callable(around) and names == ["before a", "a"]


class TestInclude:
    def test_prefix(self) -> None:
        register, part = EventRegister(), EventRegister()
        register.on_event("say", plain)
        part.on_event("say", handler)
        part.on_event("", plain)
        register.include(part, prefix="chat.")
        assert register.book.events == {"say": plain, "chat.say": handler, "chat.": plain}
        assert part.book.events == {"say": handler, "": plain}

    def test_no_prefix(self) -> None:
        register, part = EventRegister(), EventRegister()
        part.on_event("say", handler)
        register.include(part)
        part.on_event("later", handler)
        assert register.book.events == {"say": handler}
        register.on_event("say", plain, replace=True)
        assert part.book.events["say"] is handler

    def test_parts_of_parts(self) -> None:
        inner, middle, outer = EventRegister(), EventRegister(), EventRegister()
        inner.on_event("c", handler)
        middle.include(inner, prefix="b.")
        outer.include(middle, prefix="a.")
        outer.include(middle, prefix="x.")
        assert outer.book.events == {"a.b.c": handler, "x.b.c": handler}

    def test_handlers_without_a_name_come_along(self) -> None:
        register, part = EventRegister(), EventRegister()
        part.on_connected(handler)
        part.on_any_event(plain)
        register.on_error(plain)
        register.include(part, prefix="chat.")
        assert register.book.lifecycle == {"connected": handler, "error": plain}
        assert register.book.any_event is plain
        register.include(EventRegister())
        assert register.book.any_event is plain

    @pytest.mark.parametrize(
        ("fill", "what", "name"),
        [
            (lambda r, h: r.on_event("b", h), "event name", "b"),
            (lambda r, h: r.on_connected(h), "handler", "connected"),
            (lambda r, h: r.on_error(h), "handler", "error"),
            (lambda r, h: r.on_any_event(h), "handler", "any event"),
        ],
    )
    def test_conflicts_change_nothing(self, fill: Any, what: str, name: str) -> None:
        register, part = EventRegister(), EventRegister()
        fill(register, plain)
        part.on_event("a", handler)
        part.on_disconnected(handler)
        fill(part, handler)
        before = dict(register.book.events), dict(register.book.lifecycle)
        with pytest.raises(NameTakenError) as info:
            register.include(part)
        assert (info.value.what, info.value.name) == (what, name)
        assert (register.book.events, register.book.lifecycle) == before
        assert register.book.any_event in (None, plain)

    def test_the_same_function_is_no_conflict(self) -> None:
        class Part:
            def method(self, ctx: EventContext) -> None: ...

        register, part, owner = EventRegister(), EventRegister(), Part()
        part.on_event("a", owner.method)
        part.on_connected(owner.method)
        part.on_any_event(owner.method)
        for target in (register, register, part):
            target.include(part)
        register.on_event("a", owner.method)
        register.include(part)
        assert register.book.events == {"a": owner.method}

    def test_a_prefix_makes_no_lifecycle_name(self) -> None:
        register, part = EventRegister(), EventRegister()
        part.on_event("nected", handler)
        with pytest.raises(NameTakenError, match="'connected' is taken"):
            register.include(part, prefix="con")
        assert not register.book.events and not register.book.lifecycle

    @pytest.mark.parametrize("bad", [3, None, b"x"])
    def test_a_prefix_is_a_string(self, bad: Any) -> None:
        with pytest.raises(RegistrationError):
            EventRegister().include(EventRegister(), prefix=bad)

    def test_the_same_function_with_a_payload_is_no_conflict(self) -> None:
        def typed(ctx: EventContext, payload: int) -> None: ...
        def other(ctx: EventContext, payload: int) -> None: ...

        register, part = EventRegister(), EventRegister()
        for target in (register, part):
            target.on_event("a", typed)
            target.on_any_event(typed)
        register.include(part)
        part.on_event("a", other, replace=True)
        with pytest.raises(NameTakenError, match="'a' is taken"):
            register.include(part)

    async def test_on_a_connection_that_is_open(self) -> None:
        names: list[str] = []
        register, part = EventRegister(), EventRegister()
        part.on_event("say", lambda ctx: names.append(ctx.event_name))
        part.on_any_event(lambda ctx: names.append(f"any {ctx.event_name}"))
        wired = Wired(register)
        await wired.run(event("chat.say"))
        register.include(part, prefix="chat.")
        await wired.run(event("chat.say"), event("say"))
        assert names == ["chat.say", "any chat.say", "any say"]


class TestConcurrency:
    """What it does is in tests/test_dispatcher.py."""

    def test_where_it_is(self) -> None:
        register = EventRegister(concurrency=3)
        assert register.book.concurrency == 3
        assert EventRegister(register.book).book.concurrency == 3
        assert EventRegister(register.book, concurrency=2).book.concurrency == 2
        assert EventRegister().book.concurrency == 1

    def test_it_does_not_come_along(self) -> None:
        register = EventRegister()
        register.include(EventRegister(concurrency=3))
        assert register.book.concurrency == 1

    @pytest.mark.parametrize("bad", [0, -1])
    def test_too_few(self, bad: int) -> None:
        with pytest.raises(ValueError, match=f"concurrency must be at least 1, got {bad}"):
            EventRegister(concurrency=bad)

    @pytest.mark.parametrize("bad", ["2", 1.5, True])
    def test_no_number(self, bad: Any) -> None:
        with pytest.raises(TypeError, match="concurrency must be an int, not"):
            EventRegister(concurrency=bad)
