"""Where peers run: `local` starts processes, `compose` finds running services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Address", "Engine"]


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Engine(Protocol):
    """Gives the control address of each peer, starting what must be started."""

    async def address(self, peer: str) -> Address:
        """Return where `peer` takes control connections; start it when it does not run yet.

        Raises:
            TestbedError: it cannot be started or reached.
        """

    async def tap_host(self, address: Address) -> str:
        """Return the address of this machine at which the peer at `address` can reach a tap."""

    async def restart(self, peer: str) -> None:
        """End `peer` if this engine started it, so that its next use starts it anew."""

    async def close(self) -> None:
        """Stop what was started."""
