"""What a scenario is: an async test with an id, a rule and a severity."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, ParamSpec

from ..engines.engine import Fault
from ..errors import Escaped, Violation
from ..records import Role
from ..roles.client import Client
from ..roles.judged import Judged
from ..roles.server import Server
from ..wire.log import Log

__all__ = ["Clients", "Faulting", "Needs", "Scenario", "Scope", "check_evidence", "scenario"]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Clients:
    """The `clients` argument: each call makes one more client of the cell, unopened."""

    make: Callable[[], Awaitable[Client]]
    server: Server

    async def __call__(self) -> Client:
        return await self.make()


Faulting = Callable[[Fault, Role], Awaitable[None]]
"""The `fault` argument: injects a fault into the whole peer of a side, in an isolated scenario."""


Scope = Literal["pair", "server", "client", "each"]
"""The cells that a scenario has: one for each pair; or for each server, each client or each of
both, with the judge on the other side."""

Needs = Literal["nothing", "echo", "url", "reconnects", "load", "control"]
"""What a scenario needs of a side that is not under control, for ``check`` and ``check-client``:
nothing from its application, an event that it echoes, a URL of the scenario's own for a client, a
client that connects again by itself, permission to put load on it, or control over it. A scenario
that would change something at a foreign server, or that assumes what its application does (its
other paths, its policy on origins), needs ``control``."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario's facts.

    Attributes:
        id: stable; a parametrized scenario's cells are ``id.parameter``.
        rule: the rule that it checks, one sentence.
        severity: ``must`` gates; ``should`` is shown and does not.
        should: ids of the parameters for which it is a *should* where the others are a *must*.
        timeout: seconds for the whole scenario; ``--timeout`` overrides it. Each wait has its own
            limit; this one ends a scenario that hangs elsewhere.
        escapes: whether it tolerates exceptions that escape the library.
        invalid_from: authors whose invalid frames it tolerates.
        cuts: authors whose frames it cuts: bytes that are no frame are tolerated.
        isolated: whether each side has a peer for this cell alone, which can take a `Fault`.
        side: the cells that it has. Only ``pair`` has a tap between two peers; the others take the
            argument `judged`.
        needs: what it needs of a side that is not under control.
        control: ids of the parameters that need ``control``, whatever the others need.
        serve: further arguments of ``serve``, in the cells of pairs. Where the judge is one side,
            the scenario starts the other.
        tls: whether the server serves TLS, in the cells of pairs, with the judge's certificate for
            the tap's host. The tap relays it unread.
        rules: the numbers of the rules in ``rules.toml`` that it looks at, of its own severity.
        rules_of: the rules of some parameters, in place of `rules`, by globs of their ids.
    """

    id: str
    rule: str
    severity: Literal["must", "should"] = "must"
    should: Sequence[str] = ()
    timeout: float = 300.0
    escapes: bool = False
    invalid_from: Sequence[str] = field(default=())
    cuts: Sequence[str] = field(default=())
    isolated: bool = False
    side: Scope = "pair"
    needs: Needs = "control"
    control: Sequence[str] = ()
    serve: Mapping[str, Any] = field(default_factory=dict)
    tls: bool = False
    rules: Sequence[str] = ()
    rules_of: Mapping[str, Sequence[str]] = field(default_factory=dict)


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
    """Check that a scenario that took too long did not wait for a hung peer.

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
    """Check the rules of every cell: valid messages on the wire, and no escaped exception.

    Raises:
        Violation: a frame breaks the wire's rules, or a library let an exception escape.
    """
    for frame in log.frames:
        if frame.author != "judge" and frame.author not in facts.invalid_from:
            for breach in frame.violations():
                raise Violation(f"the {frame.author} wrote {breach}: {frame.data[:120]!r}")
    for author, error in log.frame_errors:
        if author not in (*facts.invalid_from, *facts.cuts):
            raise Violation(f"the {author} wrote bytes that are no WebSocket frame: {error}")
    if facts.escapes:
        return
    for role in roles:
        for notification in role.session.notifications:
            if notification.on == "uncaught":
                raise Escaped(str(notification.data["message"]), api=role.api)
