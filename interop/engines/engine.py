"""What every engine does, and the faults that some can inject."""

from __future__ import annotations

import contextlib
import signal
from typing import Literal, Protocol

from ..control.contract import Address

__all__ = ["Engine", "Fault", "Faults", "ended"]

Fault = Literal["pause", "resume", "kill", "disconnect"]
"""Faults of a whole peer: stop it, continue it, end it, cut its network."""


class Engine(Protocol):
    """Starts peers, and gives their control addresses."""

    async def address(self, peer: str) -> Address:
        """Return the address for control connections to `peer`; start it if it does not run.

        The same object means the same process or container; a new one may have an equal address.

        Raises:
            TestbedError: it cannot be started or reached.
        """

    async def tap_host(self, address: Address) -> str:
        """Return this machine's address as the peer at `address` can reach it."""

    async def restart(self, peer: str) -> None:
        """End `peer` if this engine started it; its next use starts a new one."""

    async def end(self, address: Address) -> str:
        """Return in words how the peer at `address`, which failed, ended, and where its log is.

        Args:
            address: what `address` returned for it, the same object.

        Returns:
            Empty where this engine cannot tell, or ended the peer itself.
        """

    def faults(self) -> Faults:
        """Return the fault injector.

        Raises:
            Unsupported: this engine has none.
        """

    async def close(self) -> None:
        """Stop every peer that was started."""


class Faults(Protocol):
    """Injects faults into whole peers."""

    async def fault(self, fault: Fault, peer: str) -> None:
        """Inject `fault` into `peer`, which `Engine.address` has started.

        Raises:
            TestbedError: it failed.
        """

    async def discard(self, peer: str) -> None:
        """End `peer`, if it runs: so that the fault cannot affect other cells."""


def ended(status: int | None) -> str:
    """Return in words how a process ended.

    Args:
        status: its exit status; minus a signal's number if that ended it.
    """
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):  # not every number has a name
            return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
