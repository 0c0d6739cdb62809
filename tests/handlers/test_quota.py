from __future__ import annotations

import logging

import pytest

from zaptools.handlers.quota import PER_MINUTE, Quota

logger = logging.getLogger(__name__)


def test_a_quota(caplog: pytest.LogCaptureFixture) -> None:
    quota = Quota("things")
    takes = [quota.take(logger) for _ in range(PER_MINUTE + 3)]
    assert takes == [True] * PER_MINUTE + [False] * 3
    assert caplog.messages == []
    quota._since -= 60  # a minute later
    assert quota.take(logger)
    assert caplog.messages == ["3 lines about things were left out"]
    quota._since -= 60
    assert quota.take(logger)
    assert len(caplog.messages) == 1
