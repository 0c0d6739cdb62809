"""A peer that does nothing yet: the whole shell of `docs/peer-contract.md`, and no library.

It answers every operation with "unsupported", so it runs in the matrix from the first minute. It
uses only the standard library, not `interop`, to be ported to other languages.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import platform
import sys
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Unsupported(Exception):
    """The library has no such thing; the text says why."""


class Session:
    """What one control connection opened: at most one server and one client.

    An operation is a method named ``op_`` and its name, with ``_`` for ``-``. Its arguments are the
    request's, and what it returns is the reply's ``ok``.
    """

    def __init__(self, notify: Callable[[Message], None]) -> None:
        self.notify = notify
        """Call it when the library calls back: `notify({"on": "state", "state": "online"})`."""

    async def op_describe(self) -> Message:
        limits = ("message_bytes", "ping_interval_s", "ping_timeout_s", "close_timeout_s")
        return {
            "contract": 1,
            "peer": "_skeleton",
            "language": "Python",
            "runtime": platform.python_version(),
            "libraries": {},  # their versions, by their names
            "sources": {},  # digests of their files, by the same names
            "apis": {"server": [], "client": ["Client"]},
            "limits": {"client": dict.fromkeys(limits)},
        }

    async def op_open(self, *, api: str, url: str, events: list[str], **more: Any) -> Message:
        # Make the client, register a handler for each of `events` that notifies, connect.
        raise Unsupported(f"{api} is not written yet")

    # As soon as `open` works: send, subscribe, close, reconnect, try-reconnect, clean.
    # A server instead, or as well: serve, push, drop, stop, and the interop app.

    def teardown(self) -> None:
        """End all that was opened, by any means: the control connection is gone."""


async def answer(session: Session, request: Message) -> Message:
    """Return the reply to a request: exactly one of `ok`, `error` and `unsupported`."""
    number, op = request.pop("id"), request.pop("op")
    try:
        operation = getattr(session, "op_" + op.replace("-", "_"), None)
        if operation is None:
            raise Unsupported(f"no operation {op!r}")
        return {"id": number, "ok": await operation(**request)}
    except Unsupported as exc:
        return {"id": number, "unsupported": str(exc)}
    except Exception as exc:  # whatever the library raised is its answer
        return {"id": number, "error": {"kind": type(exc).__name__, "message": str(exc)}}


async def control(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one control connection. Requests are begun in the order they arrive."""

    def write(message: Message) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    async def reply(request: Message) -> None:
        write(await answer(session, request))

    session = Session(write)
    tasks: set[asyncio.Task[None]] = set()
    try:
        while line := await reader.readline():
            task = asyncio.create_task(reply(json.loads(line)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    finally:
        session.teardown()
        writer.close()


async def main(host: str, port: int, exit_with_stdin: bool) -> None:
    # A line can hold a whole payload, so the limit of one is far above the default.
    server = await asyncio.start_server(control, host, port, limit=64 << 20)
    print("READY", *server.sockets[0].getsockname()[:2], flush=True)  # noqa: T201  # the contract
    await (asyncio.to_thread(sys.stdin.read) if exit_with_stdin else server.serve_forever())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--exit-with-stdin", action="store_true")
    options = parser.parse_args()
    listen_host, _, listen_port = options.listen.rpartition(":")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(listen_host, int(listen_port), options.exit_with_stdin))
