"""Importing the library changes nothing in logging; what goes wrong reaches stderr."""

from __future__ import annotations

import asyncio
import importlib
import logging
import subprocess
import sys
import traceback

import pytest

from tests.support import until
from tests.support.app import App
from tests.support.raw import raw_client
from zaptools import ConnectError, Limits, ReconnectPolicy, ZapConsumer

LOGGERS = [
    "client.base",
    "client.consumer",
    "client.link",
    "client.opening",
    "dispatch.errors",
    "server.server",
]


def test_nothing_is_installed_on_import() -> None:
    program = (
        "import logging; root = logging.getLogger(); import zaptools\n"
        "assert root.handlers == [] and root.level == logging.WARNING\n"
        "loggers = [l for n, l in logging.root.manager.loggerDict.items()\n"
        "           if n.startswith('zaptools') and isinstance(l, logging.Logger)]\n"
        "assert all(l.level == logging.NOTSET and l.propagate for l in loggers)\n"
        "assert not any(l.handlers for l in loggers)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


PROGRAM = """
import asyncio
from zaptools import ZapClientState, ZapConsumer, ZapServer

server = ZapServer(port=0)

def fail(where):
    def handler(*args):
        raise LookupError("in " + where)
    return handler

async def middleware(ctx, call_next):
    if ctx.event_name == "guarded":
        raise LookupError("in the middleware")
    await call_next(ctx)

@server.on_event("typed")
async def typed(ctx, number: int):
    raise AssertionError

@server.on_event("echo")
async def echo(ctx):
    await ctx.connection.send("echo", ctx.payload)

async def main(broken):
    client = ZapConsumer("ws://127.0.0.1:0/")
    if broken:
        server.middleware(middleware)
        server.on_event("guarded", echo)
        server.on_event("raise", fail("the handler"))
        server.on_connected(fail("connected"))
        server.on_disconnected(fail("disconnected"))
        client.on_connected(fail("the client's connected"))
        client.on_disconnected(fail("the client's disconnected"))
        client.on_connection_state_changed(fail("the handler of states"))
        client.on_event("echo", fail("the client's handler"))
        client.on_any_event(fail("the client's any event"))
    async with server:
        client.url = f"ws://127.0.0.1:{server.port}/?token=secret"
        async with client:
            if broken:
                for name in ("guarded", "raise", "typed", "connected"):
                    await client.send_event(name, "text")
            await client.send_event("unknown")
            for _ in range(2):  # when the second comes, the first has been handled
                await client.send_event("echo")
                await client.wait_for("echo")

asyncio.run(main(%r))
"""


@pytest.mark.parametrize("broken", [False, True])
def test_a_program_that_configures_no_logging(broken: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % broken], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    if not broken:
        assert done.stderr == ""
        return
    for place in (
        "the middleware",
        "the handler",
        "connected",
        "disconnected",
        "the client's connected",
        "the client's disconnected",
        "the handler of states",
        "the client's handler",
        "the client's any event",
    ):
        assert f"LookupError: in {place}\n" in done.stderr
    assert "the payload of 'typed': Expected `int`, got `str` at $\n" in done.stderr
    assert "2 messages of the peer could not be handled\n" in done.stderr
    assert done.stderr.count("Traceback") == done.stderr.count("LookupError: ")


@pytest.mark.parametrize("name", LOGGERS)
def test_loggers(name: str) -> None:
    module = importlib.import_module(f"zaptools.{name}")
    assert module.logger.name == f"zaptools.{name}"
    assert module.logger.handlers == []  # else Python's last resort would say nothing


async def test_nothing_of_a_payload_above_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with App(limits=Limits(message_bytes=1000)) as app, raw_client(app.port) as peer:
            app.book.lifecycle.pop("error")
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
            app.book.lifecycle.pop("error")
            app.on_any_event(lambda ctx: 1 / 0)
            peer.send(f'{{"eventName":"a","payload":{{"{long}":1,"{long}":2}}}}')
            peer.event(long)
            peer.event("echo")
            await peer.text()
    messages = [record.getMessage() for record in caplog.records if "x" * 100 in str(record.args)]
    assert len(messages) == 2 and all(len(message) < 400 for message in messages)


async def test_a_refused_request_is_one_printable_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "zaptools"):
        async with App() as app:
            for head, line in (
                (b"GET /a?token=secret HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a: 404"),
                (b"GET /\x1b[2J\ra HTTP/1.1\r\nHost: a\r\n\r\n", "GET /\\x1b[2J\\ra: 404"),
                (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET /: 426"),
                (b"GET / HTTP/1.1\r\n" + b"x" * 3000 + b"\r\n\r\n", "no HTTP request: "),
            ):
                caplog.clear()
                reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
                writer.write(head)
                await reader.readline()
                for _ in range(20):
                    writer.write(b"x")
                    await asyncio.sleep(0)
                assert await reader.read()
                writer.close()
                told = [r.getMessage() for r in caplog.records]
                assert len([each for each in told if each.startswith(line)]) == 1
                assert not any("HTTP request" in each for each in told if line not in each)
                assert all(each.isprintable() and len(each) < 300 for each in told)
                assert not any("secret" in each for each in told)
                assert {r.levelno for r in caplog.records} == {logging.INFO}


@pytest.mark.parametrize(
    "url",
    ["ws://ada:hunter2@127.0.0.1:9/", "ws://127.0.0.1:9/?token=hunter2", "ws://a:hunt/er2@b/"],
)
async def test_no_secret_of_an_url(url: str, caplog: pytest.LogCaptureFixture) -> None:
    soon = ReconnectPolicy(initial_delay=0.001, max_attempts=2)
    with caplog.at_level(logging.INFO), pytest.raises(ConnectError) as caught:
        client = ZapConsumer(url, reconnect=soon)
        await client.connect(retry=True)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert "***" in shown
    assert "hunter2" not in shown and "er2@" not in shown
