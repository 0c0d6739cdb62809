"""Payloads of a declared type: converted by msgspec, or by pydantic for its models."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from ..exceptions import PayloadError

__all__ = ["converter", "is_payload_type"]

_MANY = 256
"""Keys of a dict, or items of a set, whose hashes need no check."""

_ALIKE = 100
"""Most keys or items with the same hash."""

_PLACE = re.compile(r"(?s)(.*) - at (`key` in )?`([^`]*)`")
"""A message of msgspec (0.19 to 0.22): the reason, then the place."""


def is_payload_type(kind: Any) -> bool:
    """Return whether JSON can be converted to `kind`; to any other class msgspec cannot.

    Raises:
        TypeError, NameError: msgspec does not support `kind`, or a type in it.
    """
    msgspec.json.Decoder(kind)
    found = msgspec.inspect.type_info(kind)
    every = found.types if isinstance(found, msgspec.inspect.UnionType) else (found,)
    return all(
        _is_model(each.cls) for each in every if isinstance(each, msgspec.inspect.CustomType)
    )


def converter(kind: Any) -> Callable[[Any, str], Any]:
    """Return a function of a payload and its event's name that returns the payload as `kind`.

    It is as strict as `msgspec.convert`, ``"1"`` is not an int, but converts the keys of a JSON
    object to the type of ``dict[int, …]``. A pydantic model is validated by its own
    ``model_validate``. The function raises `PayloadError`.
    """
    hashes = _hashes_numbers(msgspec.inspect.type_info(kind))

    def convert(payload: Any, event_name: str) -> Any:
        if hashes:
            _check_hashes(payload, event_name)
        try:
            return msgspec.convert(payload, kind, dec_hook=_decode_other, str_keys=True)
        except msgspec.ValidationError as exc:
            error = _explain(exc, event_name)
        raise error  # outside the except clause: its context would show the payload

    return convert


_SAFE_KEYS = (
    msgspec.inspect.StrType,
    msgspec.inspect.BytesType,
    msgspec.inspect.BoolType,
    msgspec.inspect.NoneType,
    msgspec.inspect.EnumType,
    msgspec.inspect.LiteralType,
)
"""Types of keys whose hashes a peer cannot predict, or of which there are few."""

_PARTS = (msgspec.inspect.Type, msgspec.inspect.Field)


def _hashes_numbers(kind: Any) -> bool:
    """Return whether a payload of this type has keys that are numbers, or hash like numbers.

    Args:
        kind: a type of `msgspec.inspect`.
    """
    waiting, seen = [kind], set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, (list, tuple)):
            waiting.extend(each)
        elif isinstance(each, msgspec.inspect.CustomType):
            return True  # a model, whose fields are unknown
        elif isinstance(each, _PARTS) and id(each) not in seen:
            seen.add(id(each))
            key: Any = getattr(each, "key_type", None)
            if isinstance(each, msgspec.inspect.SetType | msgspec.inspect.FrozenSetType):
                key = each.item_type
            keys = key.types if isinstance(key, msgspec.inspect.UnionType) else (key,)
            if key is not None and not all(isinstance(one, _SAFE_KEYS) for one in keys):
                return not isinstance(key, msgspec.inspect.AnyType) or _is_set(each)
            waiting.extend(getattr(each, name) for name in each.__struct_fields__)
    return False


def _is_set(kind: Any) -> bool:
    return isinstance(kind, msgspec.inspect.SetType | msgspec.inspect.FrozenSetType)


def _check_hashes(payload: Any, event_name: str) -> None:
    """Refuse many keys or items that a peer chose to have the same hash.

    Python randomizes the hashes of strings, but not those of numbers: an integer's is its
    remainder by 2**61 - 1. Putting n numbers with the same hash into a dict or set takes time that
    grows with the square of n: 5 s for 20,000 of them.

    Raises:
        PayloadError: a dict or list has more than 100 of them.
    """
    waiting = [("$", payload)]
    while waiting:
        path, value = waiting.pop()
        if type(value) is dict:
            items: Iterable[tuple[Any, Any]] = value.items()
        elif type(value) is list:
            items = enumerate(value)
        else:
            continue
        if len(value) > _MANY and _most_alike(value) > _ALIKE:
            reason = f"more than {_ALIKE} different keys or items with the same hash"
            raise PayloadError(event_name, path, reason)
        for key, item in items:
            kind = type(item)
            if kind is dict or kind is list:
                step = f"[{key}]" if type(value) is list else f".{key}"
                waiting.append((path + step, item))


def _most_alike(values: Iterable[Any]) -> int:
    """Return how many different `values` have the same hash, as numbers or as UUIDs."""
    different = {str(value): value for value in values if type(value) is not dict}.values()
    return max(
        count for make in (_hash_number, _hash_uuid) for count in _counts(map(make, different))
    )


def _counts(hashes: Iterable[int]) -> Iterable[int]:
    return Counter(hashes).values() or (0,)


def _hash_number(value: Any) -> int:
    if type(value) is list:
        return hash(tuple(map(_hash_number, value)))
    if type(value) is str:
        with suppress(ArithmeticError):
            return hash(Decimal(value))
    return hash(value) if type(value) is not dict else id(value)


def _hash_uuid(value: Any) -> int:
    if type(value) is list:
        return hash(tuple(map(_hash_uuid, value)))
    if type(value) is str and len(value) in (32, 36):
        with suppress(ValueError):
            return hash(int(value.replace("-", ""), 16))
    return id(value)


def _is_model(kind: Any) -> bool:
    """Return whether `kind` is a pydantic model, by its methods: pydantic is not imported."""
    return callable(getattr(kind, "model_validate", None))


def _decode_other(kind: Any, value: Any) -> Any:
    """Convert to a `kind` that msgspec does not know; it checks the result with isinstance."""
    return kind.model_validate(value) if _is_model(kind) else value


def _explain(error: msgspec.ValidationError, event_name: str) -> PayloadError:
    found = _PLACE.fullmatch(str(error))
    reason, in_key, path = found.groups() if found is not None else (str(error), None, "$")
    cause: Any = error.__cause__
    if hasattr(cause, "errors"):  # pydantic's, whose text shows the input
        first, *more = cause.errors(include_url=False, include_context=False, include_input=False)
        reason = first["msg"]
        for step in first["loc"]:
            path += f"[{step}]" if isinstance(step, int) else f".{step}"
        if more:
            reason += f" (and {len(more)} more)"
    elif in_key:
        reason += " in a key"
    return PayloadError(event_name, path, reason)
