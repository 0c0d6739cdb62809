"""Both ends of a control connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from interop.control.contract import ContractError, parse_request
from interop.control.lines import Lines


class End:
    """One end, and what it was told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.lost: list[Exception | None] = []
        self.over = asyncio.Event()
        self.lines = Lines(self.take, self.end)

    def take(self, line: bytes) -> None:
        if not line.startswith(b"="):
            parse_request(line)
        self.taken.append(line)

    def end(self, exc: Exception | None) -> None:
        self.lost.append(exc)
        self.over.set()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[End, End]]:
    loop = asyncio.get_running_loop()
    here, there = End(), End()
    server = await loop.create_server(lambda: there.lines, "127.0.0.1", 0)
    await loop.create_connection(lambda: here.lines, *server.sockets[0].getsockname()[:2])
    try:
        yield here, there
    finally:
        here.lines.abort()
        there.lines.abort()
        server.close()


async def test_lines_come_whole_and_in_order_before_the_end() -> None:
    long = b"=" + b"x" * 3_000_000
    async with connected() as (here, there):
        for line in (b"=1\n", long + b"\n", b"=2\n"):
            here.lines.write(line)
        here.lines.close()
        await there.over.wait()
        assert there.taken == [b"=1", long, b"=2"]
        assert there.lost == [None]


class Recorder(asyncio.Transport):
    """A transport in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def test_the_lines_of_one_turn_are_one_write() -> None:
    end, transport = End(), Recorder()
    end.lines.connection_made(transport)
    end.lines.write(b"=1\n")
    end.lines.write(b"=2\n")
    assert transport.written == []
    await asyncio.sleep(0)
    assert transport.written == [b"=1\n=2\n"]


async def test_what_breaks_the_contract_ends_the_connection_once() -> None:
    async with connected() as (here, there):
        here.lines.write(b'=1\n{"id": 1}\n=3\n')
        await here.over.wait()
        assert there.taken == [b"=1"]
        assert [str(exc) for exc in there.lost] == [
            """a request needs a string 'op': b'{"id": 1}'"""
        ]
        assert isinstance(there.lost[0], ContractError)
        assert len(here.lost) == 1


async def test_lines_written_after_the_end_are_dropped() -> None:
    end, transport = End(), Recorder()
    end.lines.connection_made(transport)
    transport.close()
    end.lines.connection_lost(None)
    end.lines.write(b"=1\n")
    await asyncio.sleep(0)
    end.lines.close()
    assert transport.written == []
    assert end.lost == [None]


async def test_lines_may_come_from_any_thread() -> None:
    async with connected() as (here, there):
        await asyncio.to_thread(here.lines.write, b"=1\n")
        here.lines.write(b"=2\n")
        await asyncio.to_thread(here.lines.write, b"=3\n")
        await asyncio.sleep(0)
        here.lines.close()
        await there.over.wait()
        assert there.taken == [b"=1", b"=2", b"=3"]


async def test_an_end_that_was_never_connected() -> None:
    end = End()
    end.lines.write(b"=1\n")
    end.lines.close()
    end.lines.abort()
    await asyncio.sleep(0)
    assert end.lost == []
