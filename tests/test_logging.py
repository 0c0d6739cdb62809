"""Importing the library changes nothing in logging; its loggers are quiet unless asked."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys

import pytest

from tests.support import until
from tests.support.app import App
from tests.support.raw import raw_client
from zaptools import Limits

LOGGERS = ["_client_core", "_client_life", "_opening", "client", "server", "transport"]


def test_nothing_is_installed_on_import() -> None:
    program = (
        "import logging; root = logging.getLogger(); import zaptools\n"
        "assert root.handlers == [] and root.level == logging.WARNING\n"
        "loggers = [l for n, l in logging.root.manager.loggerDict.items()\n"
        "           if n.startswith('zaptools') and isinstance(l, logging.Logger)]\n"
        "assert all(l.level == logging.NOTSET and l.propagate for l in loggers)\n"
        "kinds = {type(h) for l in loggers for h in l.handlers}\n"
        "assert kinds == {logging.NullHandler}, kinds\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("name", LOGGERS)
def test_loggers(name: str) -> None:
    module = importlib.import_module(f"zaptools.{name}")
    assert module.logger.name == f"zaptools.{name}"
    assert [type(handler) for handler in module.logger.handlers] == [logging.NullHandler]


async def test_nothing_of_a_payload_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with App(limits=Limits(message_bytes=1000)) as app, raw_client(app.port) as peer:
            app._book.lifecycle.pop("error")
            peer.event("echo", "secret")
            peer.send('{"secret":', '{"eventName":"nobody","payload":"secret"}', "x" * 2000)
            await until(lambda: app.ends)
    assert caplog.records and "secret" not in caplog.text


async def test_names_of_events_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with App() as app, raw_client(app.port) as peer:
            peer.event("nobody", "secret")
            peer.event("echo")
            await peer.text()
    assert "no handler for the event 'nobody'" in caplog.text


async def test_what_a_peer_sends_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    long = "x" * 30_000
    with caplog.at_level(logging.INFO):
        async with App() as app, raw_client(app.port) as peer:
            app._book.lifecycle.pop("error")
            app.on_any_event(lambda ctx: 1 / 0)
            peer.send(f'{{"eventName":"a","payload":{{"{long}":1,"{long}":2}}}}')
            peer.event(long)
            peer.event("echo")
            await peer.text()
    messages = [record.getMessage() for record in caplog.records if "x" * 100 in str(record.args)]
    assert len(messages) == 2 and all(len(message) < 400 for message in messages)
