"""The bounds' defaults, which the documentation promises."""

from __future__ import annotations

import dataclasses

import pytest

from zaptools import Limits


def test_defaults() -> None:
    assert dataclasses.asdict(Limits()) == {
        "message_bytes": 1024 * 1024,
        "ping_interval": 20,
        "ping_timeout": 20,
        "open_timeout": 10,
        "close_timeout": 10,
        "queue_events": 256,
        "queue_bytes": 256 * 1024,
        "write_bytes": 64 * 1024,
        "send_timeout": 20,
        "backlog_bytes": 256 * 1024,
    }


def test_each_is_described() -> None:
    for field in dataclasses.fields(Limits):
        assert f"{field.name}: " in (Limits.__doc__ or "")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Limits)])
def test_negative(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        Limits(**{field: -1})
