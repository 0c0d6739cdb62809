"""The control shell of the Python peers: `docs/peer-contract.md` over asyncio.

It imports only the standard library, `interop.control.contract` and `interop.control.lines`: the
peer of the published package runs it in an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import contextvars
import functools
import gc
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import sys
import traceback
from collections.abc import Callable, Collection, Coroutine, Mapping
from pathlib import Path
from typing import Any

from interop.control.contract import (
    CONTRACT_VERSION,
    ContractError,
    Notification,
    Reply,
    Request,
    encode,
    parse_request,
)
from interop.control.lines import Lines

__all__ = [
    "Failure",
    "PeerSession",
    "Unsupported",
    "at_exit",
    "current_session",
    "describe",
    "keep",
    "main",
    "make_task",
    "session_of",
]

_READ = 1 << 16

at_exit = contextlib.ExitStack()
"""What to end with the process. `atexit` is not run: see `main`."""


class Unsupported(Exception):
    """The library cannot do it; the text says why."""


class Failure(Exception):
    """The request cannot be carried out, and the library is not at fault."""


class PeerSession:
    """Everything that one control connection opened. Peers derive their session from it.

    An operation is a method ``op_NAME``, with ``_`` for ``-``; its arguments are the request's.
    The returned mapping is the reply's ``ok``; `Unsupported` makes the reply ``unsupported``, any
    other exception ``error``.
    """

    def __init__(self, host: str, notify: Callable[[Notification], None]) -> None:
        self.host = host
        self._notify = notify
        self._begun: set[asyncio.Task[None]] = set()

    def begin(self, coro: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task that ends with the session."""
        task = asyncio.get_running_loop().create_task(coro)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)

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
        """End everything that the session opened."""
        await _cancelled(self._begun)


async def _cancelled(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_version = functools.cache(importlib.metadata.version)
"""The version of an installed package. Looking it up reads files, and `describe` is called often:
the time of its answer is the testbed's measure of a peer's pace."""


@functools.cache
def _digest(package: str) -> str:
    """Return a digest of a package's Python sources, their names included.

    Compiled modules are left out: they differ from platform to platform.
    """
    spec = importlib.util.find_spec(package)
    digest = hashlib.sha256()
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).rglob("*.py")):
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def describe(peer: str, libraries: Collection[str], **more: Any) -> dict[str, Any]:
    """Return the reply to ``describe``, with the installed versions of the libraries.

    Args:
        libraries: the names of distributions, each also that of its package.
    """
    return {
        "contract": CONTRACT_VERSION,
        "peer": peer,
        "language": "Python",
        "runtime": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
        "sources": {name: _digest(name) for name in libraries},
        **more,
    }


def keep() -> None:
    """Exempt the objects that exist now from garbage collection: they stay, and outnumber those of
    all cells."""
    gc.collect()  # first, so that garbage is not kept
    gc.freeze()


def _encodable(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return {"$unencodable": str(value)}
    return value


class _Control:
    """One control connection: requests in; replies and notifications out."""

    def __init__(self, host: _Host) -> None:
        self.lines = Lines(self._take, self._lost)
        self.session = host.make(host.host, lambda note: self.lines.write(encode(note)))
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self.context = contextvars.copy_context()
        self.context.run(current_session.set, self.session)

    def _take(self, line: bytes) -> None:
        # Tasks start in the order in which they are made.
        answer = self._answer(parse_request(line))
        task = asyncio.get_running_loop().create_task(answer, context=self.context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lost(self, exc: Exception | None) -> None:
        if exc is not None:
            print(f"control connection: {exc}", file=sys.stderr)  # noqa: T201 # stderr is free
        self._host.leave(self)

    async def end(self) -> None:
        """End everything that it opened."""
        await _cancelled(self._tasks)
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
        self.lines.write(encode(reply))


current_session: contextvars.ContextVar[PeerSession | None] = contextvars.ContextVar(
    "current_session", default=None
)
"""The session whose code runs."""


class _Host:
    """All control connections of this process."""

    def __init__(self, make: Callable[[str, Callable[[Notification], None]], PeerSession]) -> None:
        self.make = make
        self.host = ""
        self._controls: set[_Control] = set()
        self._endings: set[asyncio.Task[None]] = set()

    def accept(self) -> Lines:
        control = _Control(self)
        self._controls.add(control)
        return control.lines

    def leave(self, control: _Control) -> None:
        """Start ending what a lost connection opened."""
        loop = asyncio.get_running_loop()
        ending = loop.create_task(self._end(control), context=control.context)
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _end(self, control: _Control) -> None:
        try:
            await control.end()
        finally:
            self._controls.discard(control)

    async def end(self) -> None:
        for control in self._controls:
            control.lines.abort()
        await asyncio.sleep(0)  # `_lost` is called in the loop's next turn
        await asyncio.gather(*self._endings, return_exceptions=True)

    def escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Report what reached the loop's exception handler, to its session or else to all."""
        loop.default_exception_handler(context)
        session = session_of(context)
        sessions = [control.session for control in self._controls]
        for each in sessions if session is None else (session,):
            each.uncaught(context.get("exception"), str(context.get("message")))


class Task(asyncio.Task[Any]):
    """A task that knows its session: Python 3.11 has no `Task.get_context`.

    It has this name because asyncio shows it with an exception that was never retrieved.
    """

    session: PeerSession | None = None


def make_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a `Task`, as the loop's factory of tasks."""
    task = Task(coro, loop=loop, **options)
    context = options.get("context")
    task.session = current_session.get() if context is None else context.get(current_session)
    return task


def session_of(context: Mapping[str, Any]) -> PeerSession | None:
    """Return the session that the context of an exception, as a loop's handler gets it, is of."""
    # An object may be collected, and reported, while another session's code runs.
    task, handle = context.get("task") or context.get("future"), context.get("handle")
    if isinstance(task, Task) and task.session is not None:
        return task.session
    return current_session.get() if handle is None else handle._context.get(current_session)


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
    loop.set_task_factory(make_task)
    stop = asyncio.Event()
    if exit_with_stdin:
        stdin = sys.stdin.fileno()
        loop.add_reader(stdin, lambda: None if os.read(stdin, _READ) else stop.set())
    server = await loop.create_server(host.accept, *listen)
    host.host, port = server.sockets[0].getsockname()[:2]
    print("READY", host.host, port, flush=True)  # noqa: T201 # the contract's first line
    try:
        await stop.wait()
    finally:
        server.close()
        await host.end()


def main(make: Callable[[str, Callable[[Notification], None]], PeerSession]) -> None:
    """Run a peer: read the command line, print READY, and serve control connections.

    Args:
        make: makes a control connection's session, from the host to bind servers to and the
            function that sends a notification.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=_host_and_port, required=True, metavar="HOST:PORT")
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when stdin is closed")
    options = parser.parse_args()
    logging.basicConfig()
    logging.disable(logging.INFO)  # some libraries log each message, which takes time
    keep()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(make, options.listen, options.exit_with_stdin))
    at_exit.close()
    sys.stderr.flush()
    os._exit(0)  # finalizing the modules of four frameworks takes a third of a second
