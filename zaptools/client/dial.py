"""From a host's name to a connected socket: Happy Eyeballs (RFC 8305).

`asyncio.loop.create_connection` has it, but uvloop's does not take its arguments. This does the
same on each event loop, with what all of them have.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import zip_longest
from typing import Any, TypeAlias

__all__ = ["Address", "connect_first", "dial", "interleave"]

Address: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]
"""What `socket.getaddrinfo` returns for one: family, type, protocol, name, and the address."""

_TCP = (socket.SOCK_STREAM, socket.IPPROTO_TCP)
"""asyncio sets TCP_NODELAY for a socket whose protocol is said to be TCP, and not 0."""

_DELAY = 0.25
"""Seconds until the next address is tried beside those that do not answer (RFC 8305, section 5)."""


async def dial(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers.

    Raises:
        OSError: the name has no address, or none of them could be reached.
        UnicodeError: it cannot be a name.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return await _connect((family, *_TCP, "", (host, port)))  # which needs no thread
    kind, protocol = _TCP
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=kind, proto=protocol)
    return await connect_first(interleave(addresses))


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Return addresses so that families take turns, each in its order (RFC 8305, section 4)."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


async def connect_first(addresses: Iterable[Address], delay: float = _DELAY) -> socket.socket:
    """Connect to one of `addresses`: the first, and another one each time that this takes long.

    Args:
        addresses: in the order in which to try them.
        delay: how long to wait for one, in seconds, before the next is tried too. One that fails
            is followed at once.

    Raises:
        OSError: none could be reached.
    """
    waiting = deque(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(_connect(waiting.popleft())))
            done, _ = await asyncio.wait(
                trying,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                trying.discard(task)
                try:
                    return task.result()
                except OSError as exc:
                    errors.append(exc)
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_drop)
    if len(errors) == 1:
        raise errors[0]
    raise OSError("; ".join(str(error) for error in errors) or "the name has no address")


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except OSError as exc:
        sock.close()
        if exc.errno is None:
            raise
        # asyncio's own words are "Connect call failed", whatever the reason.
        raise OSError(exc.errno, f"{os.strerror(exc.errno)} ({place[0]} port {place[1]})") from exc
    except BaseException:  # cancellation too: another address was faster, or the caller gave up
        sock.close()
        raise
    return sock


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Close what was connected though another address was faster."""
    with suppress(asyncio.CancelledError, OSError):
        task.result().close()
