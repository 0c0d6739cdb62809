"""The engines by name: what ``--engine`` offers, how each is made, and what a run must know of it.

A new engine is a module of this folder, an entry in `ENGINES`, and its name in
`interop.records.EngineName`, from which the schema of ``results.json`` is generated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..control.contract import Address
from ..errors import TestbedError
from .compose import ComposeEngine
from .engine import Engine
from .local import LocalEngine

__all__ = ["ENGINES", "EngineKind", "EngineSetup", "engine_kind"]


class EngineSetup(Protocol):
    """What an engine is made from: the fields of `interop.run.plan.Plan` that concern it."""

    @property
    def commands(self) -> Mapping[str, Sequence[str]]: ...
    @property
    def addresses(self) -> Mapping[str, Address]: ...
    @property
    def images(self) -> Mapping[str, str]: ...
    @property
    def run(self) -> str: ...
    @property
    def logs(self) -> Path | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineKind:
    """One engine, before it is made.

    Attributes:
        make: makes it, once in each worker.
        takes: what it needs of each peer: the ``command`` that starts it on this machine, an
            ``image`` or the address of a running ``service``.
        logs: where the peers' output is kept: in the ``cache``, below the run's ``results``, or
            None where the engine does not see it.
        faults: whether it can inject faults into whole peers.
        sweep: removes what interrupted workers of the named run left behind; None where their
            end leaves nothing.
    """

    make: Callable[[EngineSetup], Engine]
    takes: Literal["command", "image", "service"]
    logs: Literal["cache", "results"] | None = None
    faults: bool = False
    sweep: Callable[[str], None] | None = None

    @contextmanager
    def swept(self, run: str) -> Iterator[list[str]]:
        """Remove what the workers of that run leave behind, when they are interrupted too.

        Yields:
            The list of problems; filled at the end.
        """
        problems: list[str] = []
        try:
            yield problems
        finally:
            try:
                if self.sweep is not None:
                    self.sweep(run)
            except (TestbedError, OSError) as exc:  # docker's APIError is an OSError
                problems.append(str(exc))


def engine_kind(name: str) -> EngineKind:
    """Return what is known of the engine of that name.

    Raises:
        TestbedError: there is none of that name.
    """
    try:
        return ENGINES[name]
    except KeyError:
        known = ", ".join(ENGINES)
        raise TestbedError(f"no engine is named {name!r}; there are: {known}") from None


def _docker(setup: EngineSetup) -> Engine:
    from .docker import DockerEngine  # its SDK takes 0.2 s to import

    return DockerEngine(setup.images, run=setup.run, logs=setup.logs)


def _sweep_docker(run: str) -> None:
    from .docker import connect, sweep

    sweep(run, connect())


ENGINES: Mapping[str, EngineKind] = {
    "local": EngineKind(
        make=lambda setup: LocalEngine(setup.commands, setup.logs),
        takes="command",
        logs="cache",
    ),
    "docker": EngineKind(
        make=_docker, takes="image", logs="results", faults=True, sweep=_sweep_docker
    ),
    "compose": EngineKind(make=lambda setup: ComposeEngine(setup.addresses), takes="service"),
}
