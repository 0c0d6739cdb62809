"""The servers of a register: `ZapServer`, and each framework with its connector.

A framework is imported at its first use: most take longer to import than a cell takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any, Literal, Protocol, cast

from interop.peers._control import Unsupported, keep
from interop.peers._server import tls_context
from zaptools import EventRegister, Limits, ZapServer

__all__ = [
    "GRACE",
    "HOSTS",
    "Host",
    "Options",
    "Uncaught",
    "ZapServerHost",
    "above",
    "limits_of",
    "no_open_timeout",
    "no_origins",
]

Uncaught = Callable[[BaseException, str], None]

GRACE = 1
"""Seconds for which a framework that stops waits for its connections."""


@dataclass(frozen=True)
class Options:
    """The arguments of ``serve`` beside the API and the path."""

    limits: Limits = field(default_factory=Limits)
    protocols: Sequence[str] = ()
    origins: Sequence[str] | None = None
    deflate: bool = False
    tls: str | None = None
    open_timeout_s: float | None = None

    @property
    def compression(self) -> Literal["deflate"] | None:
        return "deflate" if self.deflate else None


_LIMITS = {
    "message_bytes": "message_bytes",
    "ping_interval_s": "ping_interval",
    "ping_timeout_s": "ping_timeout",
    "close_timeout_s": "close_timeout",
}


def limits_of(arguments: dict[str, Any]) -> Limits:
    """Take the limits out of the arguments of ``serve`` or ``open``."""
    given = {_LIMITS[name]: arguments.pop(name) for name in _LIMITS if name in arguments}
    return Limits(**given)


class Host(Protocol):
    """A server, as the control operations use it."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None: ...

    async def start(self) -> int:
        """Listen on a free port, and return it."""

    async def stop(self) -> None:
        """Stop as a user would."""

    async def kill(self) -> None:
        """Stop at once; it may have been stopped."""


class ZapServerHost:
    """`ZapServer` itself."""

    def __init__(
        self, register: EventRegister, host: str, path: str, uncaught: Uncaught, options: Options
    ) -> None:
        self.server = ZapServer(
            host,
            0,
            path,
            register=register,
            limits=_with_open_timeout(options),
            compression=options.compression,
            origins=options.origins,
            subprotocols=options.protocols,
            ssl=tls_context(options.tls),
        )

    async def start(self) -> int:
        await self.server.start()
        return self.server.port

    async def stop(self) -> None:
        await self.server.close()

    kill = stop


def _with_open_timeout(options: Options) -> Limits:
    given = options.open_timeout_s
    return options.limits if given is None else replace(options.limits, open_timeout=given)


def no_origins(options: Options) -> None:
    if options.origins is not None:
        raise Unsupported("a connector checks no origins: that is the framework's business")


def no_open_timeout(options: Options) -> None:
    if options.open_timeout_s is not None:
        raise Unsupported("the framework has no time limit for the first request of a connection")


def above(message_bytes: int | None) -> int:
    """Return the framework's limit, far enough above the connector's not to interfere."""
    return 4 * (message_bytes or 1 << 28)


def _of(module: str, name: str, *arguments: Any) -> Host:
    """Make a host from a module of this package."""
    module = f"{__package__}.{module}"
    if module not in sys.modules:
        import_module(module)
        keep()
    return cast(Host, getattr(sys.modules[module], name)(*arguments))


HOSTS: Mapping[str, Callable[..., Host]] = {
    "ZapServer": ZapServerHost,
    "FastApiConnector": partial(_of, "asgi_hosts", "FastApiHost"),
    "AsgiApp": partial(_of, "asgi_hosts", "AsgiHost"),
    "AioHttpConnector": partial(_of, "aiohttp_host", "AioHttpHost"),
    "SanicConnector": partial(_of, "sanic_host", "SanicHost"),
}
