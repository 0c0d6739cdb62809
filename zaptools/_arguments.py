"""What the application passes, checked where it passes it: the error names the argument.

Nothing here is called for each event.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import ssl as ssl_module
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = [
    "check_count",
    "check_flag",
    "check_function",
    "check_kind",
    "check_seconds",
    "check_ssl",
    "explained",
    "shown",
]

C = TypeVar("C", bound=type)

_SHOWN = 200


def shown(value: object) -> str:
    """Return an argument as an error shows it: not all of it, and no values of a mapping.

    Those may be a token, which a mapping of headers has.
    """
    if isinstance(value, Mapping):
        text = f"a {type(value).__name__} with {', '.join(map(repr, value)) or 'nothing'}"
    else:
        text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def check_kind(value: object, kind: type, name: str, cure: str = "", *, none: bool = False) -> None:
    """Raise TypeError unless `value` is a `kind`.

    Args:
        value: the argument.
        kind: its type.
        name: its name.
        cure: what to do, in words. Default none.
        none: whether it may be None. Default False.
    """
    if isinstance(value, kind) or (none and value is None):
        return
    article = "an" if kind.__name__[0] in "AEIOaeio" else "a"
    words = f"{name} must be {article} {kind.__name__}{' or None' if none else ''}"
    text = f"{words}, not {shown(value)}"
    raise TypeError(f"{text}: {cure}" if cure else text)


def check_flag(value: object, name: str) -> None:
    """Raise TypeError unless `value` is True or False."""
    check_kind(value, bool, name)


def check_function(value: object, name: str) -> None:
    """Raise TypeError unless `value` can be called, and what it returns need not be awaited."""
    if not callable(value):
        raise TypeError(f"{name} must be a callable, not {shown(value)}")
    if inspect.iscoroutinefunction(value):
        raise TypeError(f"{name} must be a plain function, and {shown(value)} is a coroutine one")


def check_count(value: object, name: str, least: int = 1) -> None:
    """Raise TypeError or ValueError unless `value` is an integer and at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {shown(value)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")


def check_seconds(value: object, name: str = "timeout", *, none: bool = True) -> None:
    """Raise TypeError or ValueError unless `value` is a time to wait.

    Args:
        value: the argument, a number of seconds.
        name: its name. Default ``"timeout"``.
        none: whether it may be None, which is no bound. Default True.
    """
    if value is None and none:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        words = "a number of seconds, or None for no bound" if none else "a number of seconds"
        raise TypeError(f"{name} must be {words}, not {shown(value)}")
    if not math.isfinite(value):
        words = "; None is no bound" if none else ""
        raise ValueError(f"{name} must be finite, not {value!r}{words}")
    if value < 0:
        raise ValueError(f"{name} cannot be negative: {value!r}")


def check_ssl(context: object) -> None:
    """Raise TypeError unless it is a TLS context or None."""
    cure = "ssl.create_default_context() makes one"
    check_kind(context, ssl_module.SSLContext, "ssl", cure, none=True)


def explained(**cures: str) -> Callable[[C], C]:
    """Let a class's constructor say what is wrong with its arguments in its own name.

    Python names the class that defines ``__init__``, which may be a private base.

    Args:
        cures: what to do in place of a keyword that the constructor does not have, by keyword.
    """

    def explain(cls: C) -> C:
        make = cls.__init__  # type: ignore[misc] # that of this very class is wanted

        @functools.wraps(make)
        def __init__(self: Any, *args: Any, **options: Any) -> None:
            try:
                make(self, *args, **options)
            except TypeError:
                words = _misfit(inspect.signature(make), cures, self, args, options)
                if words is None:
                    raise
                raise TypeError(f"{cls.__name__}() {words}") from None

        cls.__init__ = __init__  # type: ignore[misc] # as above
        return cls

    return explain


def _misfit(
    signature: inspect.Signature,
    cures: Mapping[str, str],
    self: object,
    args: tuple[Any, ...],
    options: Mapping[str, Any],
) -> str | None:
    """Return what is wrong with these arguments for a constructor; None if nothing is."""
    names = list(signature.parameters)[1:]
    for name in options:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            guess = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names)}"
            return f"has no argument {name!r}: {cures.get(name, guess)}"
    try:
        signature.bind(self, *args, **options)
    except TypeError as exc:
        return f"has {', '.join(names)}: {exc}"
    return None
