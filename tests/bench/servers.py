"""Servers to put under load: real ones in processes, and small false ones in this one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeAlias, cast

from bench.catalog import PEERS
from bench.environments import Environments
from bench.frames import TEXT, frame
from bench.program import Program
from bench.sample import Target
from bench.wires import EVENTS, Wire

Answer: TypeAlias = Callable[[int, bytes], bytes | None]

__all__ = ["SWITCHING", "FakeProgram", "answering", "target_of", "text"]

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


@contextmanager
def target_of(peer: str, *options: str, seconds: float = 0.05) -> Iterator[Target]:
    """Run the server of `peer`, which needs no environment of its own."""
    command, environment = Environments().command(PEERS[peer])
    with Program([*command, "--loop", "asyncio", *options], environment=environment) as program:
        wire = PEERS[peer].wire
        assert wire is not None
        yield Target(program, wire, seconds, "--deflate" in options)


class FakeProgram(Program):
    """A program that answers what it was told to."""

    def __init__(self, port: int = 0, answers: Sequence[Any] = (0.0,)) -> None:
        self.port = port
        self.versions = {}
        self.asked: list[tuple[object, ...]] = []
        self._answers = answers

    def ask(self, *words: object) -> Any:
        self.asked.append(words)
        return self._answers[min(len(self.asked), len(self._answers)) - 1]


def text(value: bytes) -> bytes:
    """Return the frame of a server's message."""
    return frame(TEXT, value, mask=False)


class _Answering(asyncio.Protocol):
    def __init__(self, answer: Answer, transports: list[asyncio.Transport]) -> None:
        self._answer = answer
        self._transports = transports
        self._reads = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        reply = self._answer(self._reads, data)
        self._reads += 1
        if reply is None:
            self._transport.close()
        else:
            self._transport.write(reply)


@asynccontextmanager
async def answering(
    answer: Answer, *, wire: Wire = EVENTS, seconds: float = 0.05
) -> AsyncIterator[Target]:
    """Serve in this process.

    Args:
        answer: gets the number of a read and what it brought, and returns what to write; None
            ends the connection.
    """
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    server = await loop.create_server(lambda: _Answering(answer, transports), "127.0.0.1", 0)
    try:
        yield Target(FakeProgram(server.sockets[0].getsockname()[1]), wire, seconds)
    finally:
        server.close()
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)
