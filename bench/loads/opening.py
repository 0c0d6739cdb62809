"""The rate of new connections, from plain sockets: asyncio's would cost more than the server."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import time
from typing import Self

from ..connection import request
from ..errors import MeasureError
from ..frames import CLOSE, frame
from ..sample import Sample, Target, Watch

__all__ = ["opening"]

_BATCH = 300
_AT_ONCE = 16
_TIMEOUT = 15.0
_GOODBYE_TIMEOUT = 2.0
_GOODBYE = frame(CLOSE, (1000).to_bytes(2), mask=True)


async def opening(target: Target) -> Sample:
    """Return the connections a second that get as far as the server's 101, 16 of them at once.

    They are opened in batches of 300, closed between the batches, and only the opening is timed.

    Raises:
        MeasureError: the server answers something else, or not at all.
    """
    return await asyncio.to_thread(_run, target)


def _run(target: Target) -> Sample:
    handshake = request(target.program.port, target.wire, deflated=target.deflated)
    watch = Watch(lambda: float(target.program.ask("cpu")))
    count, took = 0, 0.0
    with _Batch(target.program.port, handshake) as batch:
        batch.open(_BATCH)
    while took < target.seconds:
        with _Batch(target.program.port, handshake) as batch:
            watch.start()
            began = time.perf_counter()
            batch.open(_BATCH)
            took += time.perf_counter() - began
            watch.stop()
            count += _BATCH
    return watch.sample(count / took)


class _Batch:
    """Some connections, closed at the end as a client closes them.

    A server that is cut off would write an error to its log, which takes it time.
    """

    def __init__(self, port: int, handshake: bytes) -> None:
        self._port = port
        self._handshake = handshake
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.send(_GOODBYE)
        for sock in self._sockets:
            sock.settimeout(_GOODBYE_TIMEOUT)
            with contextlib.suppress(OSError):
                while sock.recv(4096):
                    pass
            sock.close()

    def open(self, count: int) -> None:
        """Open them, 16 at once."""
        opened = 0
        deadline = time.monotonic() + _TIMEOUT
        with selectors.DefaultSelector() as selector:
            for _ in range(min(_AT_ONCE, count)):
                self._begin(selector)
            while opened < count:
                ready = selector.select(_TIMEOUT)
                if not ready or time.monotonic() > deadline:
                    raise MeasureError(f"no answer to a handshake within {_TIMEOUT:g} s")
                for key, events in ready:
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    if events & selectors.EVENT_WRITE:
                        _send(sock, self._handshake)
                        selector.modify(sock, selectors.EVENT_READ)
                        continue
                    selector.unregister(sock)
                    _check(sock)
                    opened += 1
                    if len(self._sockets) < count:
                        self._begin(selector)

    def _begin(self, selector: selectors.BaseSelector) -> None:
        sock = socket.socket()
        self._sockets.append(sock)
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self._port))
        selector.register(sock, selectors.EVENT_WRITE)


def _send(sock: socket.socket, handshake: bytes) -> None:
    try:
        sock.sendall(handshake)
    except OSError as exc:
        raise MeasureError(f"the server cannot be reached: {exc}") from exc


def _check(sock: socket.socket) -> None:
    try:
        answer = sock.recv(4096)
    except OSError as exc:
        raise MeasureError(f"no answer to a handshake: {exc}") from exc
    if b" 101 " not in answer[:20]:
        raise MeasureError(f"the handshake was answered with {answer[:80]!r}")
