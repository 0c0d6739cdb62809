"""The rate of new connections, from plain sockets: asyncio's would cost more than the server."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import time

from ..connection import request
from ..errors import MeasureError
from ..frames import CLOSE, frame
from ..sample import Sample, Target, Watch

__all__ = ["opening"]

_BATCH = 300
_AT_ONCE = 16
_TIMEOUT = 15.0
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
    _close(_open(target.program.port, handshake, _BATCH))
    while took < target.seconds:
        watch.start()
        began = time.perf_counter()
        opened = _open(target.program.port, handshake, _BATCH)
        took += time.perf_counter() - began
        watch.stop()
        count += len(opened)
        _close(opened)
    return watch.sample(count / took)


def _open(port: int, handshake: bytes, count: int) -> list[socket.socket]:
    opened: list[socket.socket] = []
    left = count
    deadline = time.monotonic() + _TIMEOUT
    with selectors.DefaultSelector() as selector:
        for _ in range(min(_AT_ONCE, count)):
            _begin(selector, port)
            left -= 1
        while len(opened) < count:
            ready = selector.select(1.0)
            if not ready and time.monotonic() > deadline:
                raise MeasureError(f"no answer to a handshake within {_TIMEOUT:.0f} s")
            for key, events in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if events & selectors.EVENT_WRITE:
                    _send(sock, handshake)
                    selector.modify(sock, selectors.EVENT_READ)
                    continue
                selector.unregister(sock)
                _check(sock)
                opened.append(sock)
                if left:
                    _begin(selector, port)
                    left -= 1
    return opened


def _begin(selector: selectors.BaseSelector, port: int) -> None:
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", port))
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


def _close(opened: list[socket.socket]) -> None:
    """Close them as a client does: a server that is cut off would write an error to its log."""
    for sock in opened:
        with contextlib.suppress(OSError):
            sock.send(_GOODBYE)
    for sock in opened:
        sock.settimeout(2.0)
        with contextlib.suppress(OSError):
            while sock.recv(4096):
                pass
        sock.close()
