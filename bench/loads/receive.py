"""The client's side: events as fast as a client takes them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import cast

from ..frames import TEXT, deflate, frame
from ..machine import busy_seconds
from ..program import Program
from ..sample import Sample
from ..wires import EVENTS, payload_of

__all__ = ["Source", "event_count", "receive"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CHUNK = 65536


def event_count(seconds: float) -> int:
    """Return how many events a client has to receive."""
    return round(30_000 * seconds)


class Source(asyncio.Protocol):
    """A server that sends the event ``tick`` as long as the client reads."""

    def __init__(self, *, deflated: bool = False) -> None:
        self._deflated = deflated
        text = EVENTS.event("tick", payload_of(0))
        data = deflate(text) if deflated else text
        event = frame(TEXT, data, mask=False, compressed=deflated)
        self._events = event * (_CHUNK // len(event))
        self._request = b""
        self._open = self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._paused = True

    def data_received(self, data: bytes) -> None:
        if self._open:
            return
        self._request += data
        if b"\r\n\r\n" not in self._request:
            return
        self._open = True
        answer = self._answer()
        self._transport.write(answer)
        if b" 101 " in answer:
            self._send()
        else:
            self._transport.close()

    def _answer(self) -> bytes:
        lines = self._request.split(b"\r\n")[1:]
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        if self._deflated and b"permessage-deflate" not in headers.get(
            b"sec-websocket-extensions", b""
        ):
            return b"HTTP/1.1 400 No permessage-deflate offered\r\nContent-Length: 0\r\n\r\n"
        key = headers[b"sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n" if self._deflated else b""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + extension + b"\r\n"
        )

    def _send(self) -> None:
        if self._paused or self._transport.is_closing():
            return
        self._transport.write(self._events)
        if not self._paused:
            asyncio.get_running_loop().call_soon(self._send)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()


async def receive(program: Callable[[int], Program], *, deflated: bool = False) -> Sample:
    """Return the events a second that a client handles.

    Args:
        program: makes the client that connects to a port.
        deflated: whether to agree on permessage-deflate.

    Raises:
        MeasureError: the client fails, or does not get its events in time.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Source(deflated=deflated), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        return await asyncio.to_thread(_run, program(port))
    finally:
        server.close()


def _run(program: Program) -> Sample:
    with program:
        began, own, busy = time.perf_counter(), time.process_time(), busy_seconds()
        told = json.loads(program.line())
        took = time.perf_counter() - began
        own = time.process_time() - own
        now = busy_seconds()
    foreign = None
    if busy is not None and now is not None:
        foreign = max(0.0, now - busy - own - told["spent"]) / took
    return Sample(told["rate"], told["cpu"], own / took, foreign)
