"""What a scenario is: an async test with an id, a rule and a severity."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec

from ..engines.engine import Fault
from ..errors import Escaped, Violation
from ..roles.client import Client
from ..roles.judged import Judged
from ..roles.server import Server
from ..wire.log import Log

__all__ = ["Clients", "Faulting", "Needs", "Scenario", "Side", "check_evidence", "scenario"]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Clients:
    """The `clients` fixture: makes one more client of the cell's client API, not yet opened."""

    make: Callable[[], Awaitable[Client]]
    server: Server

    async def __call__(self) -> Client:
        return await self.make()


Faulting = Callable[[Fault, Literal["server", "client"]], Awaitable[None]]
"""The `fault` fixture: does something to the whole peer of a side, in an isolated scenario."""


Side = Literal["pair", "server", "client", "each"]
"""What a scenario runs for: each pair, or each server, each client or each of both with the judge
itself on the other side."""

Needs = Literal["nothing", "echo", "load", "control"]
"""What a scenario of a server needs beside its address, for ``check``: nothing of its
application, an event that it echoes, that it bears load, or control over it. What changes
something at a server that is not the interop app, or guesses at what its application does (its
other paths, its policy of origins), counts as ``control``."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario's facts.

    Attributes:
        id: stable; a parametrized scenario's cells are ``id.parameter``.
        rule: the rule that it checks, one sentence.
        severity: ``must`` gates; ``should`` is shown and does not.
        should: ids of the parameters for which it is a *should* where the rest is a *must*.
        timeout: seconds for the whole scenario; ``--timeout`` overrides it. What it waits for has
            its own limits, so that this one is for what nobody thought of.
        escapes: whether an exception that escapes the library is not judged here.
        faults: authors whose frames are not held against them here.
        isolated: whether each side has a peer for this cell alone, that `Fault`s can befall.
        side: what it runs for. Only ``pair`` has a tap between two peers; the others take the
            fixture `judged`.
        needs: what it needs of a server that is not under control.
        control: ids of the parameters for which that is ``control`` whatever the rest needs.
    """

    id: str
    rule: str
    severity: Literal["must", "should"] = "must"
    should: Sequence[str] = ()
    timeout: float = 300.0
    escapes: bool = False
    faults: Sequence[str] = field(default=())
    isolated: bool = False
    side: Side = "pair"
    needs: Needs = "control"
    control: Sequence[str] = ()


def scenario(
    id: str, rule: str, **more: Any
) -> Callable[[Callable[P, Awaitable[None]]], Callable[P, Awaitable[None]]]:
    """Mark an async function as the scenario `id`; the other arguments are `Scenario`'s."""
    facts = Scenario(id, rule, **more)

    def decorate(function: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> None:
            seconds: float = getattr(run, "timeout", None) or facts.timeout
            try:
                async with asyncio.timeout(seconds):
                    await function(*args, **kwargs)
            except TimeoutError:
                await _check_alive(*args, *kwargs.values())
                raise Violation("not done", within=f"{seconds:g} s") from None

        run.scenario = facts  # type: ignore[attr-defined]  # read back by the plugin
        return run

    return decorate


async def _check_alive(*fixtures: object) -> None:
    """Check that it is not a hung peer that a scenario waited for in vain.

    Raises:
        PeerDied: one of the cell's peers does not answer.
    """
    for fixture in fixtures:
        if isinstance(fixture, Judged):
            await fixture.role.session.check_alive()
            continue
        server = fixture if isinstance(fixture, Server) else getattr(fixture, "server", None)
        for session in getattr(server, "sessions", ()):
            await session.check_alive()


def check_evidence(facts: Scenario, log: Log, roles: Sequence[Server | Client]) -> None:
    """Check what holds in every cell: valid messages on the wire, and nothing escaped.

    Raises:
        Violation: a frame breaks the wire's rules, or a library let an exception escape.
    """
    for frame in log.frames:
        if frame.author != "judge" and frame.author not in facts.faults:
            for violation in frame.violations():
                raise Violation(f"the {frame.author} wrote {violation}: {frame.data[:120]!r}")
    for author, fault in log.faults:
        if author not in facts.faults:
            raise Violation(f"the {author} wrote bytes that are no WebSocket frame: {fault}")
    if facts.escapes:
        return
    for role in roles:
        for notification in role.session.notifications:
            if notification.on == "uncaught":
                raise Escaped(str(notification.data["message"]), api=role.api)
