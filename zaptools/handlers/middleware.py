"""Functions around handlers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from ..connection.context import EventContext
from .signatures import check_middleware

__all__ = ["CallNext", "Middleware", "check_middleware", "compose"]

CallNext: TypeAlias = Callable[[EventContext], Awaitable[None]]
"""What a middleware calls to go on: the next one, or the handler at last."""

Middleware: TypeAlias = Callable[[EventContext, CallNext], Awaitable[Any]]
"""A coroutine function around handlers. What it returns is not used."""


def compose(
    middleware: Sequence[Middleware], handler: Callable[[EventContext], Any]
) -> Callable[[EventContext], Any]:
    """Return `handler` with `middleware` around it, the first outermost; itself with none."""
    for each in reversed(middleware):
        handler = _around(each, handler)
    return handler


def _around(
    middleware: Middleware, inner: Callable[[EventContext], Any]
) -> Callable[[EventContext], Any]:
    async def call_next(context: EventContext) -> None:
        result = inner(context)
        if result is not None and inspect.isawaitable(result):
            await result

    return lambda context: middleware(context, call_next)
