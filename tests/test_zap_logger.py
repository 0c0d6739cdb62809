"""The old logger's calls, with nothing installed."""

from __future__ import annotations

import logging

import pytest

from zaptools.zap_logger import ZapLogger, zap_logger


def test_calls(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "zaptools")
    for call in (zap_logger.info, zap_logger.info_green, zap_logger.warning, zap_logger.error):
        call("hello")
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO", "WARNING", "ERROR"]


def test_nothing_is_installed() -> None:
    before = list(logging.getLogger("zaptools").handlers)
    ZapLogger()
    assert logging.getLogger("zaptools").handlers == before
    assert logging.getLogger("zaptools").level == logging.NOTSET
