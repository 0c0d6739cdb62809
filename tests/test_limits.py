"""The bounds' defaults, which the documentation promises."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from zaptools import Limits


def with_bound(field: str, value: Any) -> Limits:
    return Limits(**{field: value})


def test_defaults() -> None:
    assert dataclasses.asdict(Limits()) == {
        "message_bytes": 1024 * 1024,
        "ping_interval": 20,
        "ping_timeout": 20,
        "open_timeout": 10,
        "admission_timeout": 10,
        "close_timeout": 10,
        "queue_events": 256,
        "queue_bytes": 256 * 1024,
        "write_bytes": 64 * 1024,
        "send_timeout": 20,
        "backlog_bytes": 256 * 1024,
        "head_bytes": 64 * 1024,
    }


def test_each_is_described() -> None:
    for field in dataclasses.fields(Limits):
        assert f"{field.name}: " in (Limits.__doc__ or "")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Limits)])
def test_negative(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: -1})


FIELDS = [field.name for field in dataclasses.fields(Limits)]
COUNTS = ["message_bytes", "queue_events", "queue_bytes", "write_bytes", "backlog_bytes"]
COUNTS += ["head_bytes"]
NEVER_NONE = COUNTS[1:]
POSITIVE = ["message_bytes", "head_bytes", "ping_interval", "ping_timeout", "open_timeout"]
POSITIVE += ["admission_timeout"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [True, "20", b"1", [1], 1j, object()])
def test_no_numbers(field: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"{field} must be a"):
        with_bound(field, value)


@pytest.mark.parametrize("field", FIELDS)
def test_none(field: str) -> None:
    if field in NEVER_NONE:
        with pytest.raises(TypeError, match=f"{field} must be an int, not None"):
            with_bound(field, None)
    else:
        assert getattr(with_bound(field, None), field) is None


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.5])
def test_fractions(field: str, value: float) -> None:
    if field in COUNTS:
        with pytest.raises(TypeError, match=f"{field} must be an int"):
            with_bound(field, value)
    elif math.isfinite(value):
        assert getattr(with_bound(field, value), field) == value
    else:
        with pytest.raises(ValueError, match=f"{field} must be finite"):
            with_bound(field, value)


@pytest.mark.parametrize("field", FIELDS)
def test_zero(field: str) -> None:
    if field in POSITIVE:
        with pytest.raises(ValueError, match=f"{field} must be (more than|at least)"):
            Limits(**{field: 0})
    else:
        assert getattr(Limits(**{field: 0}), field) == 0
