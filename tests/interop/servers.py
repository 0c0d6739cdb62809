"""Servers for the tests of ``check`` and ``replay``: in this loop, or in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress

from interop.wire.frames import PING, PONG, FrameReader, frame
from interop.wire.http import answer, parse_head
from tests.support import tls
from tests.support.app import App

__all__ = ["app", "background", "ends", "scripted", "served"]

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Make = Callable[[], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def app(*, secure: bool = False) -> AsyncIterator[str]:
    """Run this library's server, with an ``echo``; give its URL."""
    async with App(ssl=tls.server_context() if secure else None) as running:
        url = running.url()
        yield url.replace("ws://127.0.0.1", "wss://localhost") if secure else url


@asynccontextmanager
async def scripted(head: bytes | None = None, *more: bytes, times: int = 0) -> AsyncIterator[str]:
    """Answer every request with these bytes, or with 101, and then `more`; keep the connection.

    The ping by which `check` begins gets its pong, and no other. With ``b""`` for `head` the
    connection ends instead. With `times` nobody listens any more once so many have connected.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = parse_head(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer(asked) if head is None else head)
        writer.write(b"".join(more))
        frames = FrameReader("client")
        while head != b"" and (data := await reader.read(65536)):
            for found in frames.feed(data):
                if (found.opcode, found.payload) == (PING, b"still there?"):
                    writer.write(frame(PONG, found.payload))

    async with served(handle, times=times) as url:
        yield url


@asynccontextmanager
async def served(handle: Handle, *, times: int = 0) -> AsyncIterator[str]:
    """Let `handle` see to every connection, which ends when it is done; `times` as above."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[object] | None] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.current_task())
        if len(writers) == times:
            server.close()
        with suppress(OSError, EOFError):
            await handle(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


@contextmanager
def background(make: Make) -> Iterator[str]:
    """Run a server in a thread, for what runs a loop of its own; give its URL."""
    ready = threading.Event()
    found: list[str] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        over = asyncio.Event()
        stop.append((asyncio.get_running_loop(), over))
        async with make() as url:
            found.append(url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        loop, over = stop[0]
        loop.call_soon_threadsafe(over.set)
        thread.join()


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[int, asyncio.Future[str]]]:
    """Answer a handshake, if there is one; give the port, and how the connection ended."""
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(answer(parse_head(await reader.readuntil(b"\r\n\r\n"))))
            await reader.read()
            ended.set_result("end")
        except asyncio.IncompleteReadError:
            ended.set_result("end")
        except ConnectionResetError:
            ended.set_result("reset")
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], ended
