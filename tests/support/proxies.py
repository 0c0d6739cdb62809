"""Proxies on loopback, which tests look into: HTTP with ``CONNECT``, and SOCKS 5."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl as ssl_module
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Proxy", "http_proxy", "socks_proxy"]


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        port: its TCP port.
        asked: the hosts and ports that it was asked to connect to.
        heads: of HTTP, the heads of the requests.
        peers: the addresses of its clients.
    """

    port: int = 0
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    peers: list[tuple[str, int]] = field(default_factory=list)


Serve = Callable[[Proxy, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def http_proxy(
    *, user: str | None = None, answer: bytes = b"", ssl: ssl_module.SSLContext | None = None
) -> AsyncIterator[Proxy]:
    """Run a proxy with ``CONNECT``.

    Args:
        user: ``user:password`` that it asks for.
        answer: what it answers in place of a tunnel.
        ssl: its TLS context.
    """

    async def serve(
        proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        proxy.heads.append(head)
        wanted = b"" if user is None else b"Basic " + base64.b64encode(user.encode())
        if wanted not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        elif answer:
            writer.write(answer)
        else:
            place = head.split(b" ")[1].decode()
            proxy.asked.append(place)
            host, _, port = place.rpartition(":")
            there = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n")
            await _join((reader, writer), there)

    async with _running(serve, ssl) as proxy:
        yield proxy


@asynccontextmanager
async def socks_proxy(*, user: str | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy of SOCKS 5 (RFC 1928; user and password: RFC 1929)."""

    async def serve(
        proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        if user is not None:
            if 2 not in methods:
                writer.write(b"\x05\xff")
                return
            writer.write(b"\x05\x02")
            await reader.readexactly(1)
            given = [await _counted(reader), await _counted(reader)]
            right = given == [part.encode() for part in user.split(":")]
            writer.write(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                return
        else:
            writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await _counted(reader)).decode()
        else:
            host = ".".join(map(str, await reader.readexactly(4)))
        (port,) = struct.unpack(">H", await reader.readexactly(2))
        proxy.asked.append(f"{host}:{port}")
        try:
            there = await asyncio.open_connection(host, port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))  # connection refused
            return
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await _join((reader, writer), there)

    async with _running(serve, None) as proxy:
        yield proxy


async def _counted(reader: asyncio.StreamReader) -> bytes:
    (size,) = await reader.readexactly(1)
    return await reader.readexactly(size)


@asynccontextmanager
async def _running(serve: Serve, ssl: ssl_module.SSLContext | None) -> AsyncIterator[Proxy]:
    proxy, tasks = Proxy(), set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        proxy.peers.append(writer.get_extra_info("peername")[:2])
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(proxy, reader, writer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=ssl)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: Ends, other: Ends) -> None:
    """Pass on what each side writes, until one of them ends."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()

    tasks = [
        asyncio.ensure_future(copy(one[0], other[1])),
        asyncio.ensure_future(copy(other[0], one[1])),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        other[1].transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
