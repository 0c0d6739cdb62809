"""Checks of the arguments that an application passes, with one wording.

``NAME must be WHAT, not VALUE`` is a TypeError, ``NAME must be WHAT, got VALUE`` a ValueError; a
hint for the caller follows a colon. Nothing here is called per event.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import ssl as ssl_module
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

__all__ = [
    "check_choice",
    "check_count",
    "check_flag",
    "check_function",
    "check_kind",
    "check_number",
    "check_path",
    "check_seconds",
    "check_ssl",
    "check_strings",
    "explained",
    "shown",
]

C = TypeVar("C", bound=type)

_SHOWN = 200
"""Characters of an argument that an error shows."""


def shown(value: object) -> str:
    """Return an argument as an error shows it: clipped, and without the values of a mapping.

    A mapping of headers may have a token among them.
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
        cure: a hint for the caller. Default none.
        none: whether it may be None. Default False.
    """
    if isinstance(value, kind) or (none and value is None):
        return
    article = "an" if kind.__name__[0] in "AEIOaeio" else "a"
    raise TypeError(_not(value, name, f"{article} {kind.__name__}", cure, none=none))


def _not(value: object, name: str, kind: str, cure: str = "", *, none: bool = False) -> str:
    text = f"{name} must be {kind}{' or None' if none else ''}, not {shown(value)}"
    return f"{text}: {cure}" if cure else text


def check_choice(value: object, name: str, choices: Sequence[object]) -> None:
    """Raise ValueError unless `value` is one of `choices`, of which there are several."""
    if value not in choices:
        *others, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {shown(value)}")


def check_path(value: object) -> None:
    """Raise TypeError or ValueError unless `value` is the path of a URL."""
    check_kind(value, str, "path")
    if not str(value).startswith("/"):
        raise ValueError(f"path must begin with '/', got {shown(value)}")


def check_flag(value: object, name: str) -> None:
    """Raise TypeError unless `value` is True or False."""
    check_kind(value, bool, name)


def check_function(value: object, name: str) -> None:
    """Raise TypeError unless `value` is callable, and not a coroutine function."""
    if not callable(value):
        raise TypeError(_not(value, name, "a callable"))
    if inspect.iscoroutinefunction(value):
        raise TypeError(_not(value, name, "a plain function", "it is a coroutine function"))


def check_number(value: object, name: str, least: float) -> None:
    """Raise TypeError or ValueError unless `value` is a finite number of at least `least`."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(_not(value, name, "a number"))
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")


def check_count(
    value: object, name: str, least: int = 1, most: int | None = None, *, none: bool = False
) -> None:
    """Raise TypeError or ValueError unless `value` is an integer in a range.

    Args:
        value: the argument.
        name: its name.
        least: the smallest valid value. Default 1.
        most: the largest valid value. Default None: no bound.
        none: whether it may be None. Default False.
    """
    if value is None and none:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(_not(value, name, "an int", none=none))
    if value < least or (most is not None and value > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {bounds}, got {shown(value)}")


def check_seconds(
    value: object, name: str = "timeout", *, none: bool = True, zero: bool = True
) -> None:
    """Raise TypeError or ValueError unless `value` is a time in seconds.

    Args:
        value: the argument.
        name: its name. Default ``"timeout"``.
        none: whether it may be None, for no bound. Default True.
        zero: whether it may be 0. Default True.
    """
    if value is None and none:
        return
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        kind = "a number of seconds, or None for no bound" if none else "a number of seconds"
        raise TypeError(_not(value, name, kind))
    if not math.isfinite(value):
        cure = ": None means no bound" if none else ""
        raise ValueError(f"{name} must be finite, got {value!r}{cure}")
    if value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {'at least' if zero else 'more than'} 0, got {value!r}")


def check_strings(
    values: Iterable[Any], name: str, *, none: bool = False, pairs: str = ""
) -> list[Any]:
    """Return an argument of several strings as a list.

    Args:
        values: the argument.
        name: its name.
        none: whether None may be among them. Default False.
        pairs: a hint for a caller that passed a mapping, or tuples. Default none.

    Raises:
        TypeError: it is a single string, a mapping or not iterable, or one of them is no string.
    """
    kind = f"an iterable of {'str or None' if none else 'str'}"
    if isinstance(values, str):
        raise TypeError(_not(values, name, kind, f"for one, write [{values!r}]"))
    if isinstance(values, (bytes, Mapping)) or not isinstance(values, Iterable):
        cure = pairs if isinstance(values, Mapping) else ""
        raise TypeError(_not(values, name, kind, cure))
    found = list(values)
    for value in found:
        if not isinstance(value, str) and not (none and value is None):
            # The value is not shown: it may be a pair of a header's name and a secret.
            text = f"{name} must be {kind}, not of {type(value).__name__}"
            raise TypeError(f"{text}: {pairs}" if pairs and isinstance(value, tuple) else text)
    return found


def check_ssl(context: object, name: str = "ssl") -> None:
    """Raise TypeError unless `context`, the argument `name`, is a TLS context or None."""
    cure = "ssl.create_default_context() makes one"
    check_kind(context, ssl_module.SSLContext, name, cure, none=True)


def explained(**cures: str) -> Callable[[C], C]:
    """Decorate a class: a TypeError for arguments that do not fit its constructor explains them.

    The error names the class, where Python would name the one that defines ``__init__``, which
    may be a private base.

    Args:
        cures: hints for keywords that the constructor does not have, by keyword.
    """

    def explain(cls: C) -> C:
        make = cls.__init__  # type: ignore[misc] # the one of this class, not of a subclass

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
    """Return why a constructor does not accept these arguments; None if it does."""
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
