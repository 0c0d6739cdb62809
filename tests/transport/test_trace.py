"""What websockets logs of handshakes, on its way through our loggers."""

from __future__ import annotations

import logging

import pytest

from tests.support.app import App
from zaptools import ZapConsumer
from zaptools.transport.trace import Trace

logger = logging.getLogger("zaptools.test")


def test_lines(caplog: pytest.LogCaptureFixture) -> None:
    trace = Trace(logger)
    with caplog.at_level(logging.DEBUG):
        trace.debug("< %s: %s", "AUTHORIZATION", "hunter2")
        trace.debug("< %s: %s", "X", "a\x9bb")
        trace.debug("< %s %s %s", "GET", "/\x1b[2J?token=hunter2", "HTTP/1.1")
        trace.info("%d of %s", 404, ["?a=1"])
        trace.debug("plain?a=1")
    assert [record.getMessage() for record in caplog.records] == [
        "< AUTHORIZATION: ***",
        r"< X: a\x9bb",
        r"< GET /\x1b[2J?token=*** HTTP/1.1",
        "404 of ['?a=1']",
        "plain?a=1",
    ]
    assert {record.filename for record in caplog.records} == {"test_trace.py"}
    caplog.clear()
    trace.debug("not at this level")
    assert not caplog.records


async def test_no_credentials_of_a_handshake(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with App() as app:
            client = ZapConsumer(app.url().replace("//", "//ada:hunter2@") + "?token=hunter2")
            await client.connect(
                headers={"Cookie": "hunter2", "X-Api-Key": "hunter2", "X-Seen": "seen"}
            )
            await client.disconnect()
    assert "GET /?token=*** HTTP/1.1" in caplog.text and "X-Seen: seen" in caplog.text
    assert "Authorization: ***" in caplog.text and "Cookie: ***" in caplog.text
    assert "hunter2" not in caplog.text and "YWRhOmh1bnRlcjI=" not in caplog.text
