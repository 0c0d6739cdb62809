"""What type checkers see of the decorators: checked by mypy --strict, and never run."""

from __future__ import annotations

import functools
from typing import Any, assert_type

from zaptools import CallNext, EventContext, EventData, EventRegister, ZapConsumer, ZapServer


class User: ...


register = EventRegister()
server = ZapServer()
client = ZapConsumer("ws://127.0.0.1")


@register.on_event("a")
async def typed(ctx: EventContext, user: User) -> int:
    return 1


@register.on_event("a")
@server.on_any_event()
@server.on_any_event
def plain(ctx: EventContext) -> None: ...


@server.on_event("a")
def payload_alone(user: User) -> None: ...


@register.on_connected
@register.on_disconnected()
@register.on_error
async def life(ctx: EventContext) -> None: ...


class Things:
    def method(self, ctx: EventContext, user: User) -> None: ...

    async def __call__(self, ctx: EventContext) -> None: ...


def of_three(number: int, ctx: EventContext, user: User) -> None: ...
def wide(ctx: object, payload: Any, more: int = 3) -> None: ...


contexts: list[EventContext] = []
assert_type(register.on_event("a", Things()), Things)
register.on_event("a", Things().method)
register.on_event("a", functools.partial(of_three, 1))
register.on_event("a", contexts.append)
register.on_event("a", wide)
register.on_event("a", lambda ctx: None)
register.on_event("a", lambda ctx, payload: None)
register.on_any_event(lambda ctx: str(ctx))
register.on_connected(lambda ctx: str(ctx.connection.id))
register.on_error(contexts.append)


@register.middleware
async def around(ctx: EventContext, call_next: CallNext) -> int:
    await call_next(ctx)
    return 1


@client.on_event("a")
async def of_client(event: EventData, user: User) -> None: ...


async def typed_next(ctx: EventContext) -> None: ...


async def uses(ctx: EventContext, event: EventData) -> None:
    """A decorated function is what it was, its parameters' names included."""
    assert_type(await typed(ctx, user=User()), int)
    assert_type(plain(ctx=ctx), None)
    assert_type(await around(ctx, call_next=typed_next), int)
    assert_type(payload_alone(user=User()), None)
    assert_type(await life(ctx=ctx), None)
    assert_type(await of_client(event=event, user=User()), None)


# What must be seen: each of these comments asserts an error, by mypy's warn_unused_ignores.


@register.on_event("a")  # type: ignore[type-var]
def swapped(user: User, ctx: EventContext) -> None: ...


@register.on_event("a")  # type: ignore[type-var]
def none_at_all() -> None: ...


@register.on_event("a")  # type: ignore[type-var]
def too_many(ctx: EventContext, user: User, more: int) -> None: ...


@register.on_connected  # type: ignore[type-var]
def life_with_payload(ctx: EventContext, user: User) -> None: ...


@register.on_error  # type: ignore[type-var]
def life_of_a_client(event: EventData) -> None: ...


@register.middleware  # type: ignore[type-var]
def no_coroutine(ctx: EventContext, call_next: CallNext) -> None: ...
