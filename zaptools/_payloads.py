"""Payloads of a declared type: checked and made by msgspec, or by pydantic for its models."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from .exceptions import PayloadError

__all__ = ["converter", "is_payload_type"]

_PLACE = re.compile(r"(?s)(.*) - at (`key` in )?`([^`]*)`")
"""How msgspec (0.19 to 0.22) says where it found something wrong."""


def is_payload_type(kind: Any) -> bool:
    """Tell whether JSON can become a `kind`: any other class is left as msgspec finds it.

    Raises:
        TypeError, NameError: msgspec cannot work with `kind`, or with a type in it.
    """
    msgspec.json.Decoder(kind)
    found = msgspec.inspect.type_info(kind)
    every = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return all(
        _is_model(each.cls) for each in every if isinstance(each, msgspec.inspect.CustomType)
    )


def converter(kind: Any) -> Callable[[Any, str], Any]:
    """Return a function of a payload and its event's name that returns the payload as `kind`.

    It is as strict as `msgspec.convert`, ``"1"`` is no int, but takes the keys of a JSON object
    for what ``dict[int, …]`` says. A pydantic model decides by its own ``model_validate``. That
    function raises `PayloadError`.
    """

    def convert(payload: Any, event_name: str) -> Any:
        try:
            return msgspec.convert(payload, kind, dec_hook=_decode_other, str_keys=True)
        except msgspec.ValidationError as exc:
            error = _explain(exc, event_name)
        raise error  # out of there: with no context, whose text may have the payload in it

    return convert


def _is_model(kind: Any) -> bool:
    """Whether `kind` is a pydantic model, which says so itself: pydantic is not imported."""
    return callable(getattr(kind, "model_validate", None))


def _decode_other(kind: Any, value: Any) -> Any:
    """Make a `kind` that msgspec does not know; what this returns it checks with isinstance."""
    return kind.model_validate(value) if _is_model(kind) else value


def _explain(error: msgspec.ValidationError, event_name: str) -> PayloadError:
    found = _PLACE.fullmatch(str(error))
    reason, in_key, path = found.groups() if found is not None else (str(error), None, "$")
    cause: Any = error.__cause__
    if hasattr(cause, "errors"):  # pydantic's; its text has the input
        first, *more = cause.errors(include_url=False, include_context=False, include_input=False)
        reason = first["msg"]
        for step in first["loc"]:
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
        if more:
            reason += f" (and {len(more)} more)"
    elif in_key:
        reason += " in a key"
    return PayloadError(event_name, path, reason)
