"""`Quota`: a bound for the log lines that peers can cause."""

from __future__ import annotations

import logging

import pytest

from zaptools.handlers.quota import PER_MINUTE, Quota

logger = logging.getLogger(__name__)


def test_a_quota(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    quota = Quota("things", clock=lambda: now)
    takes = [quota.take(logger) for _ in range(PER_MINUTE + 3)]
    assert takes == [True] * PER_MINUTE + [False] * 3
    now = 59.0
    assert not quota.take(logger)
    assert caplog.messages == []
    now = 60.0
    assert quota.take(logger)
    assert caplog.messages == ["4 lines about things were left out"]
    now = 120.0
    assert quota.take(logger)
    assert len(caplog.messages) == 1
