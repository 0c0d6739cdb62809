"""Peers in containers that this engine starts: one network and one set of peers for each worker.

The worker runs on the host and reaches containers at their bridge addresses, which takes an engine
on the same Linux, not one behind a virtual machine's port forwarding. Every container and network
carries the run's label, by which `sweep` finds those of workers that ended early.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Mapping
from http.client import CONFLICT
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, DockerException, NotFound

from ..control.contract import Address
from ..errors import PeerDied, PeerHung, TestbedError
from .compose import CONTROL_PORT
from .engine import Fault, Faults, ended

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

__all__ = ["LABEL", "DockerEngine", "connect", "sweep"]

LABEL = "zaptools.interop"
"""The label of every container and network; its value is the run's name."""

START_TIMEOUT = 180.0
"""Seconds for a container to take its first control connection."""


def connect() -> DockerClient:
    """Return a client of the Docker engine that ``$DOCKER_HOST`` names, or the usual one.

    Raises:
        TestbedError: none answers.
    """
    import docker

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as exc:
        raise TestbedError(f"no Docker engine: {exc}; start one, or set DOCKER_HOST") from exc
    return client


def sweep(run: str, client: DockerClient) -> None:
    """Remove every container and network of `run`, which workers that were killed leave behind.

    Raises:
        docker.errors.APIError: something cannot be removed.
        OSError: the engine does not answer in time.
    """
    of_run: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={run}"}
    # A container whose removal has begun may be gone before it is inspected.
    for container in client.containers.list(all=True, filters=of_run, ignore_removed=True):
        _remove(container)
    for network in client.networks.list(filters=of_run):
        with contextlib.suppress(NotFound):
            network.remove()


class DockerEngine:
    """Starts a container for each peer at its first use, and another one if it has ended.

    A peer's name may end in ``!`` and a suffix, which names another container of the same peer.

    Args:
        images: each peer's image.
        run: the name of the run, common to its workers.
        logs: the folder for each container's output; None for no logs.
        client: the Docker client; by default that of `connect`.
    """

    def __init__(
        self,
        images: Mapping[str, str],
        *,
        run: str,
        logs: Path | None = None,
        client: DockerClient | None = None,
    ) -> None:
        self._images = images
        self._labels = {LABEL: run}
        self._logs = logs
        self._client = client if client is not None else connect()
        self._worker = f"{LABEL}-{uuid.uuid4().hex[:12]}"
        self._network: Network | None = None  # this worker's, once a peer was started
        self._running: dict[str, tuple[Container, Address]] = {}  # by the peer's name
        self._lock = asyncio.Lock()

    async def address(self, peer: str) -> Address:
        async with self._lock:
            if peer in self._running:
                container, address = self._running[peer]
                if await asyncio.to_thread(_is_running, container):
                    return address
                await self._discard(peer)
            container = await asyncio.to_thread(self._start, peer.partition("!")[0])
            self._running[peer] = (
                container,
                Address("", CONTROL_PORT),
            )  # `close` ends it from here on
            address = await self._reach(peer, container)
            self._running[peer] = (container, address)
            return address

    async def tap_host(self, address: Address) -> str:
        """Return the host's own address in the worker's network: its gateway."""
        network = await asyncio.to_thread(self._ensure_network)
        return str((network.attrs or {})["IPAM"]["Config"][0]["Gateway"])

    async def restart(self, peer: str) -> None:
        async with self._lock:
            if peer in self._running:
                await self._discard(peer)

    async def end(self, address: Address) -> str:
        async with self._lock:
            for peer, (container, where) in self._running.items():
                if where is address:
                    how = await asyncio.to_thread(_state, container)
                    return how if self._logs is None else f"{how}; its log: {self._log_file(peer)}"
        return ""

    def faults(self) -> Faults:
        return self

    async def fault(self, fault: Fault, peer: str) -> None:
        container, _ = self._running[peer]
        network = self._ensure_network()
        act = {
            "pause": container.pause,
            "resume": container.unpause,
            "kill": container.kill,
            "disconnect": lambda: network.disconnect(container, force=True),
        }[fault]
        try:
            await asyncio.to_thread(act)
        except APIError as exc:
            raise TestbedError(f"{peer}: {fault} failed: {exc.explanation}") from exc

    async def discard(self, peer: str) -> None:
        await self.restart(peer)

    async def close(self) -> None:
        async with self._lock:
            for peer in list(self._running):
                await self._discard(peer)
            if self._network is not None:
                await asyncio.to_thread(self._network.remove)
                self._network = None

    def _start(self, peer: str) -> Container:
        try:
            return self._client.containers.run(
                self._images[peer],
                detach=True,
                init=True,
                network=self._ensure_network().name,
                labels=self._labels,
                cap_drop=["ALL"],
                security_opt=["no-new-privileges:true"],
            )
        except DockerException as exc:
            raise PeerDied(f"cannot start a container of {peer}: {exc}") from exc

    def _ensure_network(self) -> Network:
        if self._network is None:
            try:
                network = self._client.networks.create(
                    self._worker, driver="bridge", labels=self._labels
                )
                network.reload()
            except DockerException as exc:
                raise TestbedError(f"no network for a worker: {exc}") from exc
            self._network = network
        return self._network

    async def _reach(self, peer: str, container: Container) -> Address:
        last: OSError | None = None
        failure: type[PeerDied] = PeerDied
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while await asyncio.to_thread(_is_running, container):
                    address = Address(_ip(container, self._worker), CONTROL_PORT)
                    try:
                        _, writer = await asyncio.open_connection(address.host, address.port)
                    except OSError as exc:
                        last = exc
                        await asyncio.sleep(0.05)
                    else:
                        writer.close()
                        return address
                why = "its container ended"
        except TimeoutError:
            failure, why = PeerHung, f"no control connection within {START_TIMEOUT:g} s ({last})"
        said = container.logs(tail=8).decode("utf-8", "replace").rstrip()
        raise failure(f"{peer} did not start: {why}" + (f"\n  {said}" if said else ""))

    async def _discard(self, peer: str) -> None:
        container, _ = self._running.pop(peer)
        await asyncio.to_thread(self._keep_log, peer, container)
        await asyncio.to_thread(_remove, container)

    def _log_file(self, peer: str) -> Path:
        assert self._logs is not None
        return self._logs / f"{peer}.{os.getpid()}.log"

    def _keep_log(self, peer: str, container: Container) -> None:
        if self._logs is None:
            return
        # A container that was removed has no log, and a full disk no room for one; the container is
        # to be removed all the same, and no cell is at fault.
        with contextlib.suppress(APIError, OSError):
            self._logs.mkdir(parents=True, exist_ok=True)
            with self._log_file(peer).open("ab") as file:
                file.write(container.logs())


def _is_running(container: Container) -> bool:
    try:
        container.reload()
    except NotFound:
        return False
    return bool(container.status in ("running", "paused"))


def _state(container: Container) -> str:
    """Return in words how a container ended, or that it has not."""
    try:
        container.reload()
    except NotFound:
        return "its container is gone"
    if container.status in ("running", "paused"):
        return f"its container is {container.status}"
    state: dict[str, Any] = (container.attrs or {}).get("State", {})
    return f"its container {ended(_as_of_a_child(int(state.get('ExitCode', 0))))}"


def _as_of_a_child(status: int) -> int:
    """Return an exit status as `subprocess` gives it: a signal is negative there, not over 128."""
    return 128 - status if status > 128 else status


def _ip(container: Container, network: str) -> str:
    attrs: dict[str, Any] = container.attrs or {}
    return str(attrs["NetworkSettings"]["Networks"][network]["IPAddress"])


def _remove(container: Container) -> None:
    """Remove a container, and return once it is gone; another process may be removing it."""
    with contextlib.suppress(NotFound):
        try:
            container.remove(force=True, v=True)
        except APIError as exc:
            if exc.status_code != CONFLICT:
                raise
            container.wait(condition="removed")  # its removal is under way
