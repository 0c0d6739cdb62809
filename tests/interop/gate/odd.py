"""A server that answers in odd forms, made of the judge's own frames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from interop.wire.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameReader, close_payload, frame
from interop.wire.http import answer, parse_head

from .. import servers

__all__ = ["odd", "sound"]

Respond = Callable[[dict[str, Any]], str | bytes | int | None]
"""Answers an event: with a text, a binary message, a close code, or with nothing."""


def sound(event: dict[str, Any]) -> str | None:
    """Echo an ``echo`` as every version reads it."""
    if event["eventName"] != "echo":
        return None
    return json.dumps(
        {"eventName": "echo", "payload": event.get("payload"), "headers": event.get("headers", {})},
        separators=(",", ":"),
        ensure_ascii=False,
    )


@asynccontextmanager
async def odd(
    respond: Respond = sound,
    *,
    pushes: Sequence[str | bytes] = (),
    heads: list[bytes] | None = None,
    extra: Sequence[tuple[str, str]] = (),
    times: int = 0,
    only: int = 0,
    deaf: int = 0,
    deaf_to: bytes = b"",
    answers: int = 0,
) -> AsyncIterator[str]:
    """Serve; give the URL.

    Args:
        pushes: what it writes after each handshake.
        heads: takes the requests that came.
        extra: headers of its answer to the handshake.
        only: with it, the number of the one connection that it writes `pushes` to.
        times: with it, nothing listens any more once so many have connected.
        answers: with it, it closes each connection right behind so many answers.
        deaf: with it, the number of the one connection that ends without an answer.
        deaf_to: with it, requests that it is in get no answer, but the end of the connection.
    """

    count: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(asked)
        count.append(asked)
        if len(count) == deaf or (deaf_to and deaf_to in asked):
            return
        writer.write(answer(parse_head(asked), extra=extra))
        for push in pushes if only in (0, len(count)) else ():
            writer.write(_framed(push))
        frames, answered = FrameReader("client"), 0
        while data := await reader.read(65536):
            for found in frames.feed(data):
                if found.opcode == CLOSE:
                    writer.write(frame(CLOSE, found.payload))
                    return
                if found.opcode == PING:
                    writer.write(frame(PONG, found.payload))
                elif (said := respond(json.loads(found.payload))) is not None:
                    answered += 1
                    ends = isinstance(said, int) or answered == answers
                    end = _framed(1001) if answered == answers else b""
                    writer.write(_framed(said) + end)
                    if ends:
                        return

    async with servers.served(handle, times=times) as url:
        yield url


def _framed(said: str | bytes | int) -> bytes:
    if isinstance(said, int):
        return frame(CLOSE, close_payload(said))
    return frame(BINARY, said) if isinstance(said, bytes) else frame(TEXT, said.encode())
