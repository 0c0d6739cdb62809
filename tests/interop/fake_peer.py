"""A scripted peer: says what it is told to say. Runs as a program or inside a test.

As a program: ``python -m tests.interop.fake_peer MODE``, where MODE is
``good``, or what it does wrong: ``silent`` (ends before READY), ``mute`` (never says READY),
``chatty`` (another first line), ``endless`` (a first line without an end), ``dies`` (ends at its
first request), ``stubborn`` (does not end when its stdin does), ``deaf`` (claims this library's
APIs and reports nothing), ``hangs`` (as deaf, and answers nothing any more once a client opened),
``dies-once`` (as deaf, and ends at its first ``open`` if the file that the next argument names is
not there yet; it makes it).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Answer = dict[str, Any] | list[dict[str, Any]] | bytes | None
Script = Callable[[dict[str, Any]], Answer]

DESCRIBE = {
    "contract": 1,
    "peer": "fake",
    "language": "none",
    "runtime": "0",
    "libraries": {},
    "apis": {"server": ["Fake"], "client": ["Fake"]},
    "limits": {"server": {"message_bytes": None}, "client": {"message_bytes": None}},
}


def good(request: dict[str, Any]) -> Answer:
    """Describe; echo any other known op's arguments; the unknown is unsupported."""
    match request:
        case {"op": "describe"}:
            return {"ok": DESCRIBE}
        case {"op": "serve" | "open" | "send" | "close"}:
            return {"ok": {"port": 1, "got": request}}
    return {"unsupported": f"no op {request['op']!r}"}


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[tuple[str, int]]:
    """Listen on loopback and answer each request with what `script` makes of it.

    A dict is a reply and gets the request's id; a list holds replies and notifications, sent
    as they are; bytes are sent as they are; None closes the connection.
    """

    writers: list[asyncio.StreamWriter] = []

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while line := await reader.readline():
            request = json.loads(line)
            answer = script(request)
            if answer is None:
                break
            if isinstance(answer, dict):
                answer = [{"id": request["id"], **answer}]
            if isinstance(answer, list):
                answer = b"".join(json.dumps(message).encode() + b"\n" for message in answer)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(session, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def main(mode: str) -> None:
    if mode == "silent":
        print("nothing to say", file=sys.stderr)  # noqa: T201  # a program's stderr
        return
    if mode == "endless":
        print("x" * 200_000, end="", flush=True)  # noqa: T201  # in the place of READY
    if mode in ("mute", "endless"):
        await asyncio.to_thread(sys.stdin.read)
        return
    first = "HELLO" if mode == "chatty" else "READY"

    opened: list[bool] = []

    def script(request: dict[str, Any]) -> Answer:
        if mode == "dies":
            os._exit(3)
        if mode == "dies-once" and request["op"] == "open" and not os.path.exists(sys.argv[2]):
            os.close(os.open(sys.argv[2], os.O_CREAT))
            os._exit(3)
        if mode == "hangs" and (opened or request["op"] == "open"):
            opened.append(True)
            return []
        if mode in ("deaf", "hangs", "dies-once") and request["op"] == "describe":
            apis = {"server": ["ZapServer"], "client": ["ZapConsumer"]}
            return {"ok": {**DESCRIBE, "apis": apis}}
        return good(request)

    async with serve(script) as (host, port):
        print(first, host, port, flush=True)  # noqa: T201  # the contract's READY line
        await asyncio.to_thread(sys.stdin.read)
        if mode == "stubborn":
            await asyncio.sleep(60)


if __name__ == "__main__":
    # The local engine adds its own arguments behind ours.
    asyncio.run(main(sys.argv[1]))
