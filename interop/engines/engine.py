"""What each engine does, and the faults that some can cause."""

from __future__ import annotations

from typing import Literal, Protocol

from ..control.contract import Address

__all__ = ["Engine", "Fault", "Faults"]

Fault = Literal["pause", "resume", "kill", "disconnect"]
"""What can be done to a whole peer: stop and continue it, end it, take its network away."""


class Engine(Protocol):
    """Gives the control address of each peer, starting what must be started."""

    async def address(self, peer: str) -> Address:
        """Return where `peer` takes control connections; start it when it does not run yet.

        It is the same object for as long as it is the same peer: one that was started anew may
        have an equal address.

        Raises:
            TestbedError: it cannot be started or reached.
        """

    async def tap_host(self, address: Address) -> str:
        """Return the address of this machine at which the peer at `address` can reach a tap."""

    async def restart(self, peer: str) -> None:
        """End `peer` if this engine started it, so that its next use starts it anew."""

    def faults(self) -> Faults:
        """Return what does faults to peers.

        Raises:
            Unsupported: this engine has nothing that does.
        """

    async def close(self) -> None:
        """Stop what was started."""


class Faults(Protocol):
    """Does to whole peers what can befall them."""

    async def fault(self, fault: Fault, peer: str) -> None:
        """Do `fault` to `peer`, which `Engine.address` has started.

        Raises:
            TestbedError: it failed.
        """

    async def discard(self, peer: str) -> None:
        """End `peer`, if it runs: no other cell shall meet what was done to it."""
