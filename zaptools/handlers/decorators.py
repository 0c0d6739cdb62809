"""Methods that take a function, and are decorators too."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast, overload

__all__ = ["UNSET", "Registration", "Unset", "decorator"]

H = TypeVar("H", bound=Callable[..., Any])


class Unset:
    """The type of `UNSET`."""


UNSET: Final = Unset()
"""Stands for an argument that was not given, where None is a wrong one."""


class Registration(Protocol):
    """Takes a function and returns it; called with nothing, returns a decorator that does."""

    @overload
    def __call__(self, *, replace: bool = False) -> Callable[[H], H]: ...
    @overload
    def __call__(self, callback: H, *, replace: bool = False) -> H: ...


class _Method(Protocol):
    def __get__(self, instance: object, owner: type | None = None) -> Registration: ...


def decorator(method: Callable[[Any, Any, bool], None]) -> _Method:
    """Make of a method that records a function one that is a decorator as well.

    So a user may write ``client.on_connected(f)``, ``@client.on_connected`` and
    ``@client.on_connected()``. Each returns the function as it was. The method also gets whether
    another function may be replaced in silence.
    """

    @functools.wraps(method)
    def register(self: Any, callback: Any = UNSET, *, replace: bool = False) -> Any:
        if callback is UNSET:
            return functools.partial(register, self, replace=replace)
        method(self, callback, replace)
        return callback

    return cast(_Method, register)
