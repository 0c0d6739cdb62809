"""The peers of one worker: started once, probed once, started again when they died or hang."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from ..catalog import Api
from ..control.contract import CONTRACT_VERSION, Address
from ..control.session import Session
from ..engines.engine import Engine
from ..errors import PeerDied, PeerHung, TestbedError, Unsupported
from ..records import PeerRecord

__all__ = ["Pool"]

MAX_HANGS = 4
"""Hangs after which a peer is given up, so that not each of its cells waits for it in turn. One
cell makes two: with the cells that run at the same time, and alone."""


class Pool:
    """Opens control connections to the peers that an engine runs.

    Args:
        connect: makes each of them.

    Attributes:
        peers: what the peer of each API said of itself when it passed `_probe`, by the API's id; a
            peer that starts again is not probed again.
    """

    def __init__(
        self,
        engine: Engine,
        connect: Callable[[Api, Address], Awaitable[Session]] = Session.connect,
    ) -> None:
        self.engine = engine
        self._connect = connect
        self.peers: dict[str, PeerRecord] = {}
        # By program: how often it hung, how often it was started, where it runs now.
        self._hangs: Counter[str] = Counter()
        self._starts: Counter[str] = Counter()
        self._running: dict[str, Address] = {}
        # Open sessions by the peer's `started` name: one of them would see the peer's end.
        self._open: defaultdict[str, set[Session]] = defaultdict(set)
        # By the same name: where the engine found that start, and how it ended, once it failed.
        self._addresses: dict[str, Address] = {}
        self._ends: dict[str, str] = {}
        # By program: held while the engine is asked how it ended.
        self._ending: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        # By program: held while its address is looked up, which may start it.
        self._starting: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def open(self, api: Api, program: str = "") -> Session:
        """Return a session of its own with `api`'s peer.

        Args:
            program: the engine's name for that peer; by default `api`'s own program.

        Raises:
            TestbedError: the peer does not start, does not answer, breaks the contract or lacks
                the API; or it ended while it had no session, which only this reports.
        """
        program = program or api.program
        address = await self._address(program)
        peer = self.started(program)
        try:
            session = await self._connect(api, address)
        except PeerDied as exc:
            await self._explain(exc, program, peer)
            if isinstance(exc, PeerHung):
                await self._end(program, peer, exc)
            raise
        session.peer = peer
        self._open[peer].add(session)
        try:
            if api.id not in self.peers:
                self.peers[api.id] = await _probe(session, api)
        except BaseException:  # cancellation too: the caller has no session to close
            await self.close(program, session)
            raise
        return session

    async def close(self, program: str, session: Session) -> None:
        """Close a session; a peer that failed it is ended, and starts anew at its next use."""
        self._open[session.peer].discard(session)
        await session.close()
        if session.ended is not None:
            await self._explain(session.ended, program, session.peer)
            await self._end(program, session.peer, session.ended)

    def started(self, program: str) -> str:
        """Return the name of a program's current start: ``program#number``."""
        return f"{program}#{self._starts[program]}"

    async def _address(self, program: str) -> Address:
        async with self._starting[program]:
            if self._hangs[program] >= MAX_HANGS:
                raise PeerHung(f"{program} is given up: it hung {MAX_HANGS} times")
            try:
                address = await self.engine.address(program)
            except PeerHung:
                self._hangs[program] += 1
                await self.engine.restart(program)
                raise
            before = self._running.get(program)
            idle = not self._open[self.started(program)]
            if before is not None and before is not address and idle:
                del self._running[program]
                alone = PeerDied(f"{program} ended by itself while no cell used it")
                alone.end = await self.engine.end(before)
                raise alone
            if before is not address:
                self._running[program] = address
                self._starts[program] += 1
                self._addresses[self.started(program)] = address
        return address

    async def _end(self, program: str, peer: str, failure: PeerDied) -> None:
        """End a peer that failed, once: its sessions fail all at the same time."""
        if program in self._running and self.started(program) == peer:
            del self._running[program]
            if isinstance(failure, PeerHung):
                self._hangs[program] += 1
                for other in list(self._open[peer]):
                    other.end(failure)  # it hung them too, however their connections end
            await self.engine.restart(program)

    async def _explain(self, failure: PeerDied, program: str, peer: str) -> None:
        """Add to the failure of a peer how its program ended."""
        async with self._ending[program]:
            if peer not in self._ends:
                self._ends[peer] = await self.engine.end(self._addresses[peer])
        failure.end = self._ends[peer]


async def _probe(session: Session, api: Api) -> PeerRecord:
    """Check a peer before its first cell: the contract, its APIs, its answer to an unknown op."""
    try:
        about = await session.call("describe")
    except Unsupported as exc:
        raise TestbedError(f"{api.peer} does not describe itself: {exc}") from exc
    if about.get("contract") != CONTRACT_VERSION:
        raise TestbedError(
            f"{api.peer} speaks contract {about.get('contract')!r}, not {CONTRACT_VERSION}"
        )
    if api.name not in about.get("apis", {}).get(api.role, []):
        raise TestbedError(f"{api.peer} does not offer {api.name} as a {api.role}")
    op = f"no-such-op-{uuid.uuid4().hex[:8]}"
    try:
        await session.call(op)
    except Unsupported:
        session.features.discard(op)
        session.requests.clear()
        return _described(api, about)
    raise TestbedError(f"{api.peer} did not answer the unknown op {op!r} with unsupported")


def _described(api: Api, about: Mapping[str, Any]) -> PeerRecord:
    try:
        return msgspec.convert(about, PeerRecord)
    except msgspec.ValidationError as exc:
        raise TestbedError(f"{api.peer} answers 'describe' against the contract: {exc}") from exc
