"""A cell: one scenario between one server and one client, from its set-up to its end."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from ..catalog import JUDGES, Api
from ..control.contract import Address
from ..control.patience import Patience
from ..control.session import Session
from ..engines.engine import Fault
from ..errors import PeerDied, TestbedError, Unsupported, Violation
from ..records import ROLES, Evidence, Notifications, Requests, Role
from ..roles.client import Client
from ..roles.judged import Judged, JudgedClient, JudgedServer
from ..roles.server import Server
from ..scenarios.scenario import Clients, Faulting, Scenario, check_evidence
from ..wire.certificate import certificate
from ..wire.log import Log
from ..wire.tap import Tap
from . import evidence
from .pool import Pool

__all__ = ["Cell", "Ran"]


_ISOLATED = itertools.count(1)
"""Numbers appended to the names of peers that one cell alone uses."""


@functools.cache
def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


@dataclass
class Ran:
    """The outcome of one run of a cell.

    Attributes:
        error: what the scenario, or its set-up, raised.
        begun: whether the scenario itself had started.
        seen: the evidence of the tap and both peers until the scenario ended.
        features: the features of each side's library that were used, as `asked_of` names them.
        escaped: the exceptions that escaped a library, each once, with its side.
        failed: the peers that died or hung, as `Pool.started` names them, if other cells use them.
        teardown_error: the first error after the scenario, or None.
        short: whether this process ran out of file descriptors while the cell ran.
        setup_ms, duration_ms, teardown_ms: how long each part took.
    """

    error: BaseException | None = None
    begun: bool = False
    seen: Evidence = field(default_factory=Evidence)
    features: dict[Role, frozenset[str]] = field(default_factory=dict)
    escaped: list[tuple[Role, str]] = field(default_factory=list)
    failed: dict[str, PeerDied] = field(default_factory=dict)
    teardown_error: Exception | None = None
    short: bool = False
    setup_ms: float = 0.0
    duration_ms: float = 0.0
    teardown_ms: float = 0.0


class Cell:
    """One cell, while it runs.

    Where the judge is one side, nothing serves when the scenario begins, and there is no tap.

    Args:
        patience: how long to wait for what must come.

    Attributes:
        ran: the outcome so far.
    """

    def __init__(
        self, facts: Scenario, pair: tuple[Api, Api], pool: Pool, patience: Patience
    ) -> None:
        self.ran = Ran()
        self._facts = facts
        self._pair = pair
        self._pool = pool
        self._patience = patience
        self._programs = [api.program for api in pair]
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._other: Server | None = None  # a second one, in another session of the same program
        self._clients: list[Client] = []
        self._host = ""  # where the judge listens, or finds the server under test
        self._log: Log | None = None  # begun once the server serves
        self._tap: Tap | None = None  # where both sides are peers

    async def run(
        self, function: Callable[..., Awaitable[None]], parameters: Mapping[str, Any]
    ) -> None:
        """Run a scenario's function, and fill `ran`.

        The outcome is not returned, because `asyncio.Runner` formats a task, its result included,
        whenever it checks whether its signal handler is still in place.

        Args:
            parameters: the arguments that the cell does not provide.
        """
        ran, times = self.ran, [time.monotonic()]
        try:
            async with self._stack:
                try:
                    await self._scenario(function, parameters, times)
                except Exception as exc:
                    ran.error = exc
                    await self._check_peers()
                finally:
                    times += [time.monotonic()] * (1 if ran.begun else 2)
                    self._record_evidence()
        finally:
            times.append(time.monotonic())
            ran.setup_ms, ran.duration_ms, ran.teardown_ms = (
                round((after - before) * 1000, 3) for before, after in itertools.pairwise(times)
            )

    def _at_the_end(self, callback: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        """Call `callback` when the cell ends, in reverse order; the first error is kept."""

        async def call() -> None:
            try:
                await callback(*arguments)
            except Exception as exc:
                self.ran.teardown_error = self.ran.teardown_error or exc

        self._stack.push_async_callback(call)

    async def _scenario(
        self,
        function: Callable[..., Awaitable[None]],
        parameters: Mapping[str, Any],
        times: list[float],
    ) -> None:
        if self._facts.isolated:
            await self._isolate()
        if self._pair[0] != JUDGES["server"]:
            session = await self._open(self._pair[0], self._programs[0])
            self._server = Server(session, self._patience)
        self._log = log = await self._start_log(self._server)
        wanted = [name for name in _arguments(function) if name not in parameters]
        given = {name: await self._give(name) for name in wanted}
        self.ran.begun = True
        times.append(time.monotonic())
        await function(**given, **parameters)
        check_evidence(self._facts, log, self._roles)

    # --- What a scenario is given -----------------------------------------------------------

    async def _give(self, name: str) -> Any:
        """Return the value of a scenario's argument of that name."""
        match name:
            case "tap":
                assert self._tap is not None
                return self._tap
            case "server":
                assert self._server is not None
                return self._server
            case "client":
                return await self._add_client()
            case "clients":
                assert self._server is not None
                return Clients(self._add_client, self._server)
            case "judged":
                assert self._log is not None
                judged: Judged = (
                    JudgedServer(self._server, self._host, self._log)
                    if self._server is not None
                    else JudgedClient(await self._add_client(), self._host, self._log)
                )
                self._at_the_end(judged.close)
                return judged
            case "other":
                assert self._log is not None
                other = await self._second()
                self._at_the_end(other.close)
                return other
            case "fault":
                assert self._facts.isolated  # the fault would hit other cells' peers
                return self._faulting()
        raise TypeError(f"{self._facts.id}: a scenario is given no {name!r}")

    async def _second(self) -> Judged:
        """Return a second side under test, which the same process runs."""
        assert self._log is not None
        if self._server is None:
            return JudgedClient(await self._add_client(), self._host, self._log)
        session = await self._open(self._pair[0], self._programs[0])
        self._other = Server(session, self._patience)
        return JudgedServer(self._other, self._host, self._log)

    async def _open(self, api: Api, program: str) -> Session:
        try:
            session = await self._pool.open(api, program)
        except PeerDied as exc:
            if not self._facts.isolated:
                self.ran.failed[self._pool.started(program)] = exc
            raise
        self._at_the_end(self._pool.close, program, session)
        return session

    async def _add_client(self) -> Client:
        session = await self._open(self._pair[1], self._programs[1])
        client = Client(session, self._patience, self._tap, self._server)
        self._clients.append(client)
        return client

    def _faulting(self) -> Faulting:
        """Return the function that injects a fault into the whole peer of one side."""

        async def act(fault: Fault, side: Role) -> None:
            for role in self._roles:
                role.exclude_from_pace(side)
            program = self._programs[ROLES.index(side)]
            await self._pool.engine.faults().fault(fault, program)

        return act

    async def _isolate(self) -> None:
        """Take peers that no other cell uses, and that end with this one."""
        faults = self._pool.engine.faults()
        self._programs = [f"{program}!{next(_ISOLATED)}" for program in self._programs]
        for name in self._programs:
            self._at_the_end(faults.discard, name)

    async def _start_log(self, server: Server | None) -> Log:
        """Return the cell's log; start the server and the tap where both sides are peers."""
        engine = self._pool.engine
        if server is None:
            self._host = await engine.tap_host(await engine.address(self._programs[1]))
            return Log()
        upstream = (await engine.address(self._programs[0])).host
        if self._pair[1] == JUDGES["client"]:
            self._host = upstream
            return Log()
        host = await engine.tap_host(await engine.address(self._programs[1]))
        tls = {"tls": certificate(host).with_key} if self._facts.tls else {}
        await server.serve(**self._facts.serve, **tls)
        upstream_address = Address(upstream, server.port)
        self._tap = await Tap(host, upstream_address, Log(), tls=self._facts.tls).start()
        self._at_the_end(self._tap.close)
        return self._tap.log

    async def _check_peers(self) -> None:
        """Check whether a peer's end caused the failure: its connection may not show it yet."""
        if not self._facts.isolated and not isinstance(self.ran.error, Unsupported):
            for role in self._roles:
                with contextlib.suppress(TestbedError, Violation, Unsupported):
                    await role.session.check_alive()

    # --- What was seen ----------------------------------------------------------------------

    @property
    def _roles(self) -> list[Server | Client]:
        """The sides under test."""
        return [*(each for each in (self._server, self._other) if each), *self._clients]

    def _record_evidence(self) -> None:
        """Record what was seen so far, without the effects of the cell's end."""
        ran = self.ran
        ran.features = {"server": frozenset(), "client": frozenset()}
        for role in self._roles:
            ran.features[role.api.role] |= role.session.features
            if role.session.ended is not None and not self._facts.isolated:
                ran.failed[role.session.peer] = role.session.ended
        ran.escaped = list(
            {
                (role.api.role, str(note.data.get("message"))): None
                for role in self._roles
                for note in role.session.notifications
                if note.on == "uncaught"
            }
        )
        if self._log is None:
            return
        try:
            ran.seen = self._evidence(self._log)
            if ran.error is not None:
                ran.seen.passages = evidence.passages(self._log)
        except Exception as exc:
            ran.error = ran.error or exc

    def _evidence(self, log: Log) -> Evidence:
        waited = log.waited + sum(role.session.waited for role in self._roles)
        tap = self._tap
        servers = [each.session for each in (self._server, self._other) if each]
        clients = [client.session for client in self._clients]
        return Evidence(
            waited_ms=round(waited * 1000, 1),
            escapes=self._facts.escapes,
            frames=evidence.frames(log),
            frames_total=len(log.frames),
            violations=evidence.violations(self._facts, log),
            notifications=Notifications(
                server=[note for each in servers for note in evidence.notes(each, log.opened)],
                clients=[evidence.notes(each, log.opened) for each in clients],
            ),
            requests=Requests(
                server=[asked for each in servers for asked in evidence.requests(each, log.opened)],
                clients=[evidence.requests(each, log.opened) for each in clients],
            ),
            connections=evidence.connections(tap.connections if tap else ()),
            acts=sorted(
                (tap.acts if tap else set()) | ({"fault"} if self._facts.isolated else set())
            ),
        )
