"""One control connection of the `mutant` peer: the `python` peer's, its library with one defect.

Each API is named after its defect. ``sound``, a server, and ``sound-too``, a client, have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from interop.peers._control import PeerSession
from interop.peers._server import tls_context
from interop.peers.mutant import adapters, clients, frames, servers, texts
from interop.peers.mutant.seams import ClientSeam, ServerSeam
from interop.peers.python.client import ClientApi, ConsumerApi, SubscriberApi
from interop.peers.python.hosts import Host, Options, Uncaught, ZapServerHost
from interop.peers.python.server import ServerRole
from interop.peers.python.session import Session as Sound
from zaptools import EventRegister

__all__ = ["Session"]

ServerSeed = Callable[[ServerSeam], None]
ClientSeed = Callable[[ClientSeam], None]


def _nothing(seam: object) -> None:
    """No defect."""


SERVERS: Mapping[str, ServerSeed] = {
    "sound": _nothing,
    **texts.SERVER,
    **frames.SERVER,
    **servers.DEFECTS,
    **adapters.SERVER,
}
CONSUMERS: Mapping[str, ClientSeed] = {
    "sound-too": _nothing,
    **texts.CLIENT,
    **frames.CLIENT,
    **clients.DEFECTS,
}
SUBSCRIBERS: Mapping[str, ClientSeed] = clients.SUBSCRIBER_DEFECTS


def _host(
    role: ServerRole,
    seed: ServerSeed,
    register: EventRegister,
    address: str,
    path: str,
    uncaught: Uncaught,
    options: Options,
) -> Host:
    host = ZapServerHost(register, address, path, uncaught, options)
    seed(ServerSeam(role, host.server, register.book, tls_context(options.tls)))
    return host


def _client(
    make: type[ConsumerApi | SubscriberApi],
    seed: ClientSeed,
    session: PeerSession,
    url: str,
    **options: Any,
) -> ClientApi:
    api = make(session, url, **options)
    seed(ClientSeam(api))
    return api


class Session(Sound):
    """Both roles, with the defect that the API's name states."""

    PEER = "mutant"
    APIS: Mapping[str, Callable[..., ClientApi]] = {
        **{name: partial(_client, ConsumerApi, seed) for name, seed in CONSUMERS.items()},
        **{name: partial(_client, SubscriberApi, seed) for name, seed in SUBSCRIBERS.items()},
    }

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.HOSTS = {name: partial(_host, self, seed) for name, seed in SERVERS.items()}
