"""The public names of the libraries, each read from the library itself or from its page."""

from __future__ import annotations

import enum
import inspect
from types import ModuleType

import zaptools
from zaptools import asgi, connectors

__all__ = ["python"]


def python() -> list[str]:
    """Return the public names of this library: classes, their members, and their arguments."""
    found: list[str] = []
    for module in (zaptools, connectors, asgi):
        front = "" if module is zaptools else module.__name__.partition(".")[2] + "."
        for name in module.__all__:
            found += [front + each for each in (name, *_of_class(module, name))]
    return found


def _of_class(module: ModuleType, name: str) -> list[str]:
    value = getattr(module, name)
    if not inspect.isclass(value) or issubclass(value, BaseException):
        return []
    members = [f"{name}.{member}" for member in dir(value) if not member.startswith("_")]
    if issubclass(value, enum.Enum) or value is zaptools.Transport:
        return members  # made by no application
    return members + [f"{name}({argument})" for argument in inspect.signature(value).parameters]
