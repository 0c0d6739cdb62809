"""From a host's name to a connected socket: Happy Eyeballs (RFC 8305).

`asyncio.loop.create_connection` implements it, but uvloop's does not take those arguments. This
works on every event loop.
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
"""One result of `socket.getaddrinfo`: family, type, protocol, canonical name, socket address."""

_TCP = (socket.SOCK_STREAM, socket.IPPROTO_TCP)
"""asyncio sets TCP_NODELAY only for a socket whose protocol is TCP by name, not 0."""

_ATTEMPT_DELAY = 0.25
"""Seconds before the next address is tried in parallel (RFC 8305, section 5)."""


async def dial(host: str, port: int, local_address: tuple[str, int] | None = None) -> socket.socket:
    """Return a socket that is connected to the first address of `host` that answers.

    Args:
        host: a name, or an address.
        port: a TCP port.
        local_address: the address and port to connect from; only addresses of its family are
            tried. Default None: the system's choice.

    Raises:
        OSError: the name has no address, or none of its addresses could be reached.
        UnicodeError: `host` is not a valid name.
    """
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        # No resolver, so no thread.
        return await _connect((family, *_TCP, "", (host, port)), local_address)
    kind, protocol = _TCP
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=kind, proto=protocol)
    if local_address is not None:
        family = socket.AF_INET6 if ":" in local_address[0] else socket.AF_INET
        addresses = [address for address in addresses if address[0] == family]
    return await connect_first(interleave(addresses), local_address=local_address)


def interleave(addresses: Iterable[Address]) -> list[Address]:
    """Return addresses so that families take turns, each in its order (RFC 8305, section 4)."""
    families: dict[int, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


async def connect_first(
    addresses: Iterable[Address],
    delay: float = _ATTEMPT_DELAY,
    *,
    local_address: tuple[str, int] | None = None,
) -> socket.socket:
    """Connect to the first of `addresses` that answers.

    Args:
        addresses: in the order in which to try them.
        delay: seconds to wait for an address before the next one is tried in parallel. After a
            failure the next one is tried at once.
        local_address: see `dial`.

    Raises:
        OSError: no address could be reached.
    """
    waiting = deque(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.ensure_future(_connect(waiting.popleft(), local_address)))
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


async def _connect(address: Address, local_address: tuple[str, int] | None = None) -> socket.socket:
    family, kind, protocol, _, place = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if local_address is not None:
            sock.bind(local_address)
        await asyncio.get_running_loop().sock_connect(sock, place)
    except OSError as exc:
        sock.close()
        if exc.errno is None:
            raise
        # asyncio's own message is "Connect call failed", whatever the reason.
        raise OSError(exc.errno, f"{os.strerror(exc.errno)} ({place[0]} port {place[1]})") from exc
    except BaseException:  # a cancellation too: another address was faster, or the caller gave up
        sock.close()
        raise
    return sock


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Close a socket that was connected after another address was faster."""
    with suppress(asyncio.CancelledError, OSError):
        task.result().close()
