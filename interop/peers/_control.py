"""The control shell of the Python peers: `docs/peer-contract.md` over asyncio.

It imports the standard library and `interop.contract` alone: the peer of the published package
runs it in an environment of its own, from any Python that has `asyncio.timeout`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import functools
import importlib.metadata
import json
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from interop.contract import (
    CONTRACT_VERSION,
    ContractError,
    LineDecoder,
    Notification,
    Reply,
    Request,
    encode,
    parse_request,
)

__all__ = ["Failure", "PeerSession", "Unsupported", "describe", "main"]

_READ = 1 << 16


class Unsupported(Exception):
    """The library has no such thing; the text says why."""


class Failure(Exception):
    """The request cannot be carried out, through no fault of the library's."""


class PeerSession:
    """What one control connection opened. Peers derive from it.

    An operation is a method named ``op_`` and its name, ``-`` replaced by ``_``; its arguments
    are the request's. What it returns is the reply's ``ok``; `Unsupported` makes the reply
    ``unsupported``, any other exception ``error``.
    """

    def __init__(self, host: str, notify: Callable[[Notification], None]) -> None:
        self.host = host
        self._notify = notify

    def notify(self, on: str, **data: Any) -> None:
        """Report to the testbed, now and in order."""
        try:
            self._notify(Notification(on, data))
        except ContractError:
            self._notify(Notification(on, {k: _encodable(v) for k, v in data.items()}))

    def uncaught(self, error: BaseException | None, message: str) -> None:
        """Report an exception that the library let escape."""
        text = message if error is None else f"{message}: {type(error).__name__}: {error}"
        self.notify("uncaught", message=text)

    async def teardown(self) -> None:
        """End all that the session opened."""


_version = functools.cache(importlib.metadata.version)
"""The version of an installed package. Finding it reads files, and `describe` is asked often: its
answer is the testbed's measure of a peer's pace."""


def describe(peer: str, libraries: Iterable[str], **more: Any) -> dict[str, Any]:
    """Return the reply to ``describe``; of the libraries, the versions that are installed."""
    return {
        "contract": CONTRACT_VERSION,
        "peer": peer,
        "language": "Python",
        "runtime": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
        **more,
    }


def _encodable(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {"$unencodable": str(value)}
    return value


class _Control:
    """One control connection: requests in; replies and notifications out."""

    def __init__(self, session: PeerSession, writer: asyncio.StreamWriter) -> None:
        self.session = session
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        decoder = LineDecoder()
        try:
            while data := await reader.read(_READ):
                for line in decoder.feed(data):
                    # Tasks start in the order in which they are made.
                    task = asyncio.create_task(self._answer(parse_request(line)))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.session.teardown()

    async def _answer(self, request: Request) -> None:
        try:
            operation = getattr(self.session, "op_" + request.op.replace("-", "_"), None)
            if operation is None:
                raise Unsupported(f"no operation {request.op!r}")
            reply = Reply(request.id, ok=await operation(**request.args) or {})
        except Unsupported as exc:
            reply = Reply(request.id, unsupported=str(exc))
        except Exception as exc:
            traceback.print_exc()
            kind = type(exc).__name__
            reply = Reply(request.id, error={"kind": kind, "message": str(exc) or kind})
        self._writer.write(encode(reply))


_current: contextvars.ContextVar[PeerSession | None] = contextvars.ContextVar(
    "_current", default=None
)


class _Host:
    """All control connections of this process."""

    def __init__(self, make: Callable[[str, Callable[[Notification], None]], PeerSession]) -> None:
        self._make = make
        self._sessions: set[PeerSession] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self.host = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        session = self._make(self.host, lambda note: writer.write(encode(note)))
        self._sessions.add(session)
        _current.set(session)
        try:
            await _Control(session, writer).serve(reader)
        except (ContractError, ConnectionError) as exc:
            print(f"control connection: {exc}", file=sys.stderr)  # noqa: T201 # stderr is free
        except asyncio.CancelledError:
            # Only `end` cancels, after which the loop stops; a stream's own callback would
            # report the cancellation as an error.
            pass
        finally:
            self._sessions.discard(session)
            self._connections.discard(task)
            writer.close()

    async def end(self) -> None:
        connections = list(self._connections)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report what reached the loop's exception handler to the session that it belongs to."""
        loop.default_exception_handler(context)
        session = _session_of(context)
        for each in self._sessions if session is None else (session,):
            each.uncaught(context.get("exception"), str(context.get("message")))

    def make_task(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> asyncio.Task[Any]:
        """Make a task that knows its session: Python 3.11 has no `Task.get_context`."""
        task = asyncio.Task(coro, loop=loop, **options)
        session = _current.get()
        if session is not None:
            _owners[task] = session
        return task


_owners: WeakKeyDictionary[asyncio.Task[Any], PeerSession] = WeakKeyDictionary()


def _session_of(context: Mapping[str, Any]) -> PeerSession | None:
    session = _current.get()
    if session is None and (task := context.get("task") or context.get("future")) is not None:
        session = _owners.get(task)
    if session is None and (handle := context.get("handle")) is not None:
        session = handle._context.get(_current)
    return session


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _run(
    make: Callable[[str, Callable[[Notification], None]], PeerSession],
    listen: tuple[str, int],
    exit_with_stdin: bool,
) -> None:
    loop = asyncio.get_running_loop()
    host = _Host(make)
    loop.set_exception_handler(host.escaped)
    loop.set_task_factory(host.make_task)
    stop = asyncio.Event()
    if exit_with_stdin:
        stdin = sys.stdin.fileno()
        loop.add_reader(stdin, lambda: None if os.read(stdin, _READ) else stop.set())
    server = await asyncio.start_server(host.connected, *listen)
    host.host, port = server.sockets[0].getsockname()[:2]
    print("READY", host.host, port, flush=True)  # noqa: T201 # the contract's first line
    try:
        await stop.wait()
    finally:
        server.close()
        await host.end()


def main(make: Callable[[str, Callable[[Notification], None]], PeerSession]) -> None:
    """Be a peer: read the command line, print READY, and serve control connections.

    Args:
        make: makes what one control connection needs, from the host to bind servers to and the
            function that sends a notification.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=_host_and_port, required=True, metavar="HOST:PORT")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when stdin is closed")
    options = parser.parse_args()
    logging.basicConfig()
    logging.disable(logging.INFO)  # some libraries tell of each message, which takes them time
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(make, options.listen, options.exit_with_stdin))
