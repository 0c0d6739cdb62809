"""A second handler for the same event replaces the first, with a warning."""

from __future__ import annotations

import functools
import inspect
import sys
import warnings
from types import CodeType, FrameType
from typing import Any, TypeVar

from .signatures import given

__all__ = ["in_place_of"]

T = TypeVar("T")

_PACKAGE = __name__.partition(".")[0]


def in_place_of(old: object, new: T, what: str, *, replace: bool) -> T:
    """Return `new`, after a warning at the application's line if it replaces another handler.

    There is no warning for the same function again, nor for a definition that has run again: a
    reloaded module, a notebook's cell.

    Args:
        old: the present handler, as `handlers.signatures.adapt` returned it; None without one.
        new: the handler that replaces it.
        what: the subject of both, for the warning.
        replace: whether the replacement is intended, and needs no warning.
    """
    if old is None or replace:
        return new
    before, after = given(old), given(new)
    if before != after and not _is_run_again(before, after):
        text = f"{_name(after)} replaces {_name(before)} as the handler of {what}"
        warnings.warn(f"{text}; if that is intended, pass replace=True", RuntimeWarning, _level())
    return new


def _is_run_again(old: Any, new: Any) -> bool:
    """Return whether two functions come from one definition that ran twice."""
    one, other = _code(old), _code(new)
    if one is None or other is None or one is other:
        return False
    if (one.co_qualname, old.__module__) != (other.co_qualname, new.__module__):
        return False
    return one.co_filename != other.co_filename or one.co_firstlineno == other.co_firstlineno


def _code(handler: Any) -> CodeType | None:
    code = getattr(inspect.unwrap(handler), "__code__", None)
    return code if isinstance(code, CodeType) else None


def _name(handler: Any) -> str:
    function = handler
    while isinstance(function, functools.partial):
        function = function.func
    code = _code(function)
    name = getattr(function, "__qualname__", None) or repr(function)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def _level() -> int:
    """Return the `stacklevel` of the frame that called into this package."""
    level = 1
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
