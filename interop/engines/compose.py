"""Peers as running services: containers of one compose project, or anything that listens."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

from ..control.contract import Address
from ..errors import TestbedError, Unsupported
from .engine import Faults

__all__ = ["CONTROL_PORT", "ComposeEngine"]

CONTROL_PORT = 7000
"""The control port of every peer's image."""

WAIT_TIMEOUT = 120.0
"""Seconds for a service to accept its first control connection after the matrix started."""


class ComposeEngine:
    """Waits for each service to accept a control connection.

    Args:
        addresses: each peer's control address; a compose service has its peer's name.
    """

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self._addresses = addresses
        self._up: set[str] = set()

    async def address(self, peer: str) -> Address:
        address = self._addresses[peer]
        if peer not in self._up:
            await _wait(peer, address, WAIT_TIMEOUT)
            self._up.add(peer)
        return address

    async def tap_host(self, address: Address) -> str:
        """Return the address of the interface that the route to the peer leaves by."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            infos = await asyncio.get_running_loop().getaddrinfo(
                address.host, address.port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
            probe.connect(infos[0][4])  # sends nothing: a datagram socket only picks its route
            return str(probe.getsockname()[0])

    async def restart(self, peer: str) -> None:
        """Wait for the service again at its next use; the compose project restarts it."""
        self._up.discard(peer)

    async def end(self, address: Address) -> str:
        return ""  # it sees no more of a service than its port

    def faults(self) -> Faults:
        raise Unsupported(
            "engine compose does nothing to a peer, a service that is not its own; "
            "--engine docker does"
        )

    async def close(self) -> None:
        """Leave the services running: they belong to the compose project."""


async def _wait(peer: str, address: Address, within: float) -> None:
    last: OSError | None = None
    try:
        async with asyncio.timeout(within):
            while True:
                try:
                    _, writer = await asyncio.open_connection(address.host, address.port)
                except OSError as exc:
                    last = exc
                    await asyncio.sleep(0.25)
                else:
                    writer.close()
                    return
    except TimeoutError:
        raise TestbedError(
            f"service {peer!r} did not answer at {address} within {within:.0f} s ({last})"
        ) from last
