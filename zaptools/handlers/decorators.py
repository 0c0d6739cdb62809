"""Methods that register a function, and are decorators too.

A user may write ``client.on_connected(f)``, ``@client.on_connected`` and
``@client.on_connected()``. Each returns the function unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast, overload

__all__ = ["UNSET", "Registration", "Unset", "decorator", "record_or_decorate"]

H = TypeVar("H", bound=Callable[..., Any])


class Unset:
    """The type of `UNSET`."""


UNSET: Final = Unset()
"""The sentinel for "not passed". None is not: a caller that passes None made an error."""


def record_or_decorate(record: Callable[[H], object], function: H | Unset) -> H | Callable[[H], H]:
    """Record `function` and return it; if none was passed, return a decorator that does so."""
    if isinstance(function, Unset):
        return lambda decorated: cast(H, record_or_decorate(record, decorated))
    record(function)
    return function


class Registration(Protocol):
    """Takes a function and returns it; without one, returns a decorator that does so."""

    @overload
    def __call__(self, *, replace: bool = False) -> Callable[[H], H]: ...
    @overload
    def __call__(self, callback: H, *, replace: bool = False) -> H: ...


class _Method(Protocol):
    def __get__(self, instance: object, owner: type | None = None) -> Registration: ...


def decorator(method: Callable[[Any, Any, bool], None]) -> _Method:
    """Make a method that records a function a decorator as well.

    The method gets the function, and whether it may replace another one without a warning.
    """

    @functools.wraps(method)
    def register(self: Any, callback: Any = UNSET, *, replace: bool = False) -> Any:
        return record_or_decorate(lambda function: method(self, function, replace), callback)

    return cast(_Method, register)
