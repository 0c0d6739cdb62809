"""Programs of the README of zaptools 0.5.2 run unchanged; the README is the published wheel's own.

Three of them use the name ``reg``, which the README forgets to define (it has ``register``), and
one ``FastApiConnector``, which it forgets to import: a NameError with any library, so those names
are given to them. The client's is a fragment with
``await`` at its top, as in a notebook, and is run as one; its port is replaced.
"""

from __future__ import annotations

import ast
import asyncio
import re
import types
import zipfile
from functools import cache
from typing import Any

import pytest

from tests.support import until, within
from tests.support.app import App
from tests.support.hosts import sanic_serving, uvicorned
from tests.support.published import wheel
from tests.support.raw import RawPeer, raw_client
from zaptools.connectors import FastApiConnector

FASTAPI, IMPORTS, EVENT, ENDPOINT, SANIC = range(1, 6)
LIFECYCLE, CLIENT, ROUTER = 9, 10, 12
"""Which program of the README is which; the rest are lists of names."""


@cache
def programs() -> dict[int, str]:
    """Return the programs of the README that the published wheel carries, numbered from 1."""
    readme = zipfile.ZipFile(wheel()).read("zaptools-0.5.2.dist-info/METADATA").decode()
    return dict(enumerate(re.findall(r"^```python\s*\n(.*?)```", readme, re.M | re.S), 1))


def load(*numbers: int) -> dict[str, Any]:
    """Run programs one after the other in one module, and return its names."""
    module = types.ModuleType("program")
    for number in numbers:
        exec(compile(programs()[number], f"program {number}", "exec"), module.__dict__)
    module.__dict__.setdefault("reg", module.__dict__.get("register"))
    module.__dict__.setdefault("FastApiConnector", FastApiConnector)
    return module.__dict__


async def says_hello(peer: RawPeer) -> None:
    peer.event("hello", {"any": "thing"})
    answer = await peer.text()
    assert (answer["eventName"], answer["payload"]) == ("hello", "HELLO FROM SERVER !!!")


async def test_fastapi() -> None:
    async with uvicorned(load(FASTAPI)["app"]) as running:
        async with raw_client(running.port, "/ws") as peer:
            await says_hello(peer)


async def test_the_tutorial(capsys: pytest.CaptureFixture[str]) -> None:
    names = load(IMPORTS, EVENT, ENDPOINT, LIFECYCLE)
    names["register"].on_event("boom", lambda ctx: 1 / 0)
    async with uvicorned(names["app"]) as running:
        async with raw_client(running.port, "/ws") as peer:
            await says_hello(peer)
            peer.event("boom")
            await says_hello(peer)
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["Connection started", "An error ocurred in a event"]
    assert "division by zero" in out[2] and out[3:] == ["Connection closed"]


async def test_sanic() -> None:
    async with sanic_serving(load(SANIC)["app"]) as running:
        async with raw_client(running.port, "/") as peer:
            await says_hello(peer)


async def test_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    async with App() as app:
        app.on_event("event1", lambda ctx: ctx.connection.send("event2", ctx.payload))
        source = programs()[CLIENT].replace("8000", str(app.port))
        code = compile(source, "client.py", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        program = types.FunctionType(code, {"__name__": "client"})()
        task = asyncio.ensure_future(program)
        out = ""
        await until(lambda: app.seen and "event1" in app.book.events)
        while "from client" not in out:
            await asyncio.sleep(0)
            out += capsys.readouterr().out
        await within(app.seen[0].close())
        while "OFFLINE" not in out:
            await asyncio.sleep(0)
            out += capsys.readouterr().out
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    states = [f"ZapClientState.{name}" for name in ("CONNECTING", "ONLINE", "OFFLINE")]
    assert out.splitlines() == ["{'hello': 'from client'}", *states]


async def test_the_router() -> None:
    async with uvicorned(load(ROUTER)["app"]) as running:
        async with raw_client(running.port, "/") as first:
            async with raw_client(running.port, "/") as second:
                assert (await first.text())["eventName"] == "new-user"
                second.drop()
            assert (await first.text())["eventName"] == "user-disconnected"
