"""Functions around handlers: their order, what they may do, and what goes wrong in them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from tests.support.fakes import Wired, event
from zaptools import CallNext, EventContext, EventRegister, NameTakenError, RegistrationError
from zaptools.handlers.book import Middleware, compose


def noted(log: list[Any], name: str) -> Middleware:
    async def middleware(ctx: EventContext, call_next: CallNext) -> None:
        log.append(f"{name}>")
        await call_next(ctx)
        log.append(f"<{name}")

    return middleware


def test_none_is_no_cost() -> None:
    def handler(ctx: EventContext) -> None: ...

    assert compose((), handler) is handler
    register = EventRegister()
    register.on_event("a", handler)
    assert register.book.events["a"] is handler


@pytest.mark.parametrize("late", [False, True])
async def test_the_first_is_outermost(late: bool) -> None:
    log: list[Any] = []
    register = EventRegister()

    async def handler(ctx: EventContext) -> None:
        log.append(ctx.payload)

    def handlers() -> None:
        register.on_event("a", handler)
        register.on_any_event(lambda ctx: log.append("any"))

    if not late:
        handlers()
    for name in "xy":
        middleware = noted(log, name)
        assert register.middleware(middleware) is middleware
    if late:
        handlers()
    register.on_connected(lambda ctx: log.append("connected"))
    await Wired(register).run(event("a", 1))
    assert log == [
        "connected",
        *["x>", "y>", 1, "<y", "<x"],
        *["x>", "y>", "any", "<y", "<x"],
    ]


async def test_stopping_an_event_and_changing_one() -> None:
    log: list[Any] = []
    register = EventRegister()
    register.on_event("a", lambda ctx: log.append(ctx.payload))

    @register.middleware
    async def only_even(ctx: EventContext, call_next: CallNext) -> None:
        if ctx.payload % 2 == 0:
            data = msgspec.structs.replace(ctx.event_data, payload=ctx.payload * 10)
            await call_next(msgspec.structs.replace(ctx, event_data=data))

    await Wired(register).run(*(event("a", number) for number in range(4)))
    assert log == [0, 20]


async def test_errors() -> None:
    """Of a handler, of its payload and of a middleware; and one that a middleware takes."""
    log: list[Any] = []
    register = EventRegister()
    register.on_error(lambda ctx: log.append(type(ctx.error).__name__))
    register.on_event("a", lambda ctx: 1 / ctx.payload)

    @register.on_event("typed")
    def typed(ctx: EventContext, number: int) -> None:
        log.append(number)

    @register.middleware
    async def guard(ctx: EventContext, call_next: CallNext) -> None:
        if ctx.event_name == "bad":
            raise KeyError("no")
        try:
            await call_next(ctx)
        except ZeroDivisionError:
            log.append("taken")
            if ctx.payload == 0.0:
                raise

    register.on_event("bad", lambda ctx: log.append("never"))
    wired = Wired(register)
    await wired.run(event("a", False), event("a", 0), event("bad"), event("typed", "x"))
    await wired.run(event("typed", 3))
    assert log == ["taken", "ZeroDivisionError"] * 2 + ["KeyError", "PayloadError", 3]


class TestInclude:
    async def test_it_comes_along_with_its_own_handlers(self) -> None:
        log: list[Any] = []
        outer, part, inner = EventRegister(), EventRegister(), EventRegister()
        for register, name in ((outer, "o"), (part, "p"), (inner, "i")):
            register.middleware(noted(log, name))
            register.on_event(name, lambda ctx: log.append(ctx.event_name))
        inner.on_any_event(lambda ctx: log.append("any"))
        part.include(inner, prefix="sub.")
        outer.include(part)
        part.middleware(noted(log, "late"))
        any_event = ["o>", "p>", "i>", "any", "<i", "<p", "<o"]
        for name, around in (("o", "o"), ("p", "op"), ("sub.i", "opi")):
            log.clear()
            await Wired(outer).run(event(name))
            before = [f"{each}>" for each in around]
            after = [f"<{each}" for each in reversed(around)]
            assert log == [*before, name, *after, *any_event]

    def test_conflicts(self) -> None:
        """The same function is no conflict where the same is around it."""

        def handler(ctx: EventContext) -> None: ...

        register, part = EventRegister(), EventRegister()
        for each in (register, part):
            each.on_event("a", handler)
        register.include(part)
        part.middleware(noted([], "p"))
        with pytest.raises(NameTakenError, match="'a' is taken"):
            register.include(part)
        register.include(part, prefix="x.")
        register.include(part, prefix="x.")
        part.include(part)
        assert register.book.events["a"] is handler


async def two(ctx: EventContext, call_next: CallNext) -> None: ...
async def more(ctx: EventContext, call_next: CallNext, own: int = 3) -> None: ...
async def three(first: int, ctx: EventContext, call_next: CallNext) -> None: ...
async def rest(*args: Any) -> None: ...
async def one(ctx: EventContext) -> None: ...
async def generator(ctx: EventContext, call_next: CallNext) -> AsyncIterator[int]:
    yield 1


def plain(ctx: EventContext, call_next: CallNext) -> None: ...


@functools.wraps(two)
def wrapped(*args: Any) -> Any:
    return two(*args)


class Both:
    async def method(self, ctx: EventContext, call_next: CallNext) -> None: ...

    async def __call__(self, ctx: EventContext, call_next: CallNext) -> None: ...


@pytest.mark.parametrize(
    "middleware", [two, more, rest, wrapped, functools.partial(three, 1), Both(), Both().method]
)
async def test_what_is_one(middleware: Callable[..., Any]) -> None:
    register = EventRegister()
    register.middleware(middleware)
    register.on_event("a", lambda ctx: pytest.fail("called"))
    await Wired(register).run(event("a"))


@pytest.mark.parametrize("bad", [plain, one, three, generator, 3, None, lambda ctx, go: go(ctx)])
def test_what_is_none(bad: Any) -> None:
    with pytest.raises(RegistrationError) as info:
        EventRegister().middleware(bad)
    assert info.value.what == "middleware"
    assert "middleware" in str(info.value)
