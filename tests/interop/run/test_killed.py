"""Peers that are killed or stopped at any moment: that decides the cell, and blames no other side.

The two sides are programs of their own, each a real process of the local engine.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from interop.catalog import JUDGES, Api, load_peers
from interop.control import session as control
from interop.control.patience import Patience
from interop.engines.local import LocalEngine
from interop.errors import PeerDied, PeerHung
from interop.records import Role
from interop.roles.client import Client
from interop.roles.judged import Judged
from interop.run.cell import Cell, Ran
from interop.run.pool import Pool
from interop.run.record import record
from interop.scenarios.scenario import Scenario
from tests.support import until

from ..runs import PYTHON, SERVER

CLIENT = next(api for api in load_peers()["mutant"].apis if api.name == "sound-too")
COMMANDS = {"python": PYTHON, "mutant": [sys.executable, "-m", "interop.peers.mutant"]}
PROGRAMS: dict[Role, str] = {"server": "python", "client": "mutant"}

BUSY = Scenario("busy", "Echoes come back.")
BUSY_SIDE = Scenario("busy-side", "Echoes come back.", side="each")


async def echoes(client: Client) -> None:
    await client.open()
    while True:
        await client.echo("x")
        await client.server.event("echo")


async def judged_echoes(judged: Judged) -> None:
    connection = await judged.open()
    while True:
        await judged.works(connection)


@asynccontextmanager
async def pool(logs: Path) -> AsyncIterator[tuple[Pool, LocalEngine]]:
    engine = LocalEngine(COMMANDS, logs)
    try:
        yield Pool(engine), engine
    finally:
        with suppress(PeerDied):  # one that was killed and has not been used since
            await engine.close()


async def run_until(peers: Pool, pair: tuple[Api, Api], moment: asyncio.Event) -> Ran:
    """Run the endless scenario of that pair; set `moment` once its echoes have begun."""

    async def both(client: Client) -> None:
        moment.set()
        await echoes(client)

    async def one(judged: Judged) -> None:
        moment.set()
        await judged_echoes(judged)

    alone = JUDGES["server"] in pair or JUDGES["client"] in pair
    cell = Cell(BUSY_SIDE if alone else BUSY, pair, peers, Patience(20.0))
    await cell.run(one if alone else both, {})
    return cell.ran


def hit(engine: LocalEngine, program: str, number: signal.Signals) -> None:
    pid = engine.pid(program)
    assert pid is not None
    os.kill(pid, number)


def verdict(pair: tuple[Api, Api], ran: Ran) -> tuple[str, str]:
    cell = record(BUSY, "busy", pair, ran)
    return cell.verdict, cell.reason


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_the_side_that_was_killed_is_named_whatever_the_other_made_of_it(
    number: signal.Signals, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    async with pool(tmp_path) as (peers, engine):
        sides: list[tuple[Role, Role]] = [("server", "client"), ("client", "server")]
        for side, other in sides:
            for pair in ((SERVER, CLIENT), _with_judge(side)):
                begun = asyncio.Event()
                running = asyncio.ensure_future(run_until(peers, pair, begun))
                await begun.wait()
                await asyncio.sleep(chance.choice([0, chance.uniform(0, 0.05)]))
                hit(engine, PROGRAMS[side], number)
                found, reason = verdict(pair, await running)
                assert found == "error", reason
                api = pair[side == "client"]
                assert f"PeerDied: {side} {api.id}: the peer closed its control" in reason
                assert f"; its process was ended by {number.name}; its log: {tmp_path}" in reason
                assert f"PeerDied: {other}" not in reason


def _with_judge(side: str) -> tuple[Api, Api]:
    return (SERVER, JUDGES["client"]) if side == "server" else (JUDGES["server"], CLIENT)


async def test_a_stopped_peer_hung_in_every_cell_that_used_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with pool(tmp_path) as (peers, engine):
        begun = [asyncio.Event() for _ in range(5)]
        pairs = [(SERVER, CLIENT)] * 3 + [_with_judge("server")] * 2
        running = [
            asyncio.ensure_future(run_until(peers, pair, moment))
            for pair, moment in zip(pairs, begun, strict=True)
        ]
        for moment in begun:
            await moment.wait()
            monkeypatch.setattr(control, "PROBE_TIMEOUT", 0.5)
        hit(engine, "python", signal.SIGSTOP)
        for pair, ran in zip(pairs, await asyncio.gather(*running), strict=True):
            found, reason = verdict(pair, ran)
            assert found == "error", reason
            assert {type(exc) for exc in ran.failed.values()} == {PeerHung}, reason
            assert "PeerHung: server python/ZapServer: no reply to 'describe'" in reason
            assert "is stopped, as by SIGSTOP; its log: " in reason
            assert "PeerDied" not in reason


async def test_a_peer_killed_while_no_cell_used_it_is_told_with_its_end(tmp_path: Path) -> None:
    async with pool(tmp_path) as (peers, engine):
        await peers.close("python", await peers.open(SERVER))
        hit(engine, "python", signal.SIGKILL)
        await until(lambda: engine.pid("python") is None)
        with pytest.raises(PeerDied, match=r"while no cell used it; its process was .* SIGKILL"):
            await peers.open(SERVER)
