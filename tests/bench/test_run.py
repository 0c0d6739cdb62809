"""The order of the turns, and what becomes of peers that fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench import run
from bench.catalog import MEASURES, PEERS, Peer, Row, choose
from bench.environments import ROOT, Environments
from bench.errors import MeasureError
from bench.results import Key
from bench.run import Plan, Runner

from .made import sample


class FakeEnvironments(Environments):
    """Runs what it is told to in place of the peers' programs."""

    def __init__(self, **commands: list[str] | MeasureError) -> None:
        super().__init__(Path("/nowhere"))
        self._commands = commands

    def command(self, peer: Peer) -> tuple[list[str], dict[str, str]]:
        command = self._commands.get(peer.name)
        if isinstance(command, MeasureError):
            raise command
        return (list(command), {}) if command else super().command(peer)


def test_the_peers_alternate() -> None:
    rows = [
        Row("echo", "zaptools", "websockets"),
        Row("echo", "zaptools", "picows"),
        Row("memory", "zaptools", None),
    ]
    turns = Plan(rows, rounds=2, loops=("uvloop",), modes=("plain", "deflate")).turns()
    assert [(number, key.mode, key.measure, key.peer) for number, key in turns] == [
        (1, "plain", "echo", "zaptools"),
        (1, "plain", "echo", "websockets"),
        (1, "plain", "echo", "picows"),
        (2, "plain", "echo", "zaptools"),
        (2, "plain", "echo", "websockets"),
        (2, "plain", "echo", "picows"),
        (1, "plain", "memory", "zaptools"),
        (2, "plain", "memory", "zaptools"),
        # picows knows no compression.
        (1, "deflate", "echo", "zaptools"),
        (1, "deflate", "echo", "websockets"),
        (2, "deflate", "echo", "zaptools"),
        (2, "deflate", "echo", "websockets"),
        (1, "deflate", "memory", "zaptools"),
        (2, "deflate", "memory", "zaptools"),
    ]


def test_both_loops_have_their_turn_in_a_round() -> None:
    plan = Plan([Row("memory", "zaptools", None)], rounds=2)
    assert [(n, key.loop) for n, key in plan.turns()] == [
        (1, "uvloop"),
        (1, "asyncio"),
        (2, "uvloop"),
        (2, "asyncio"),
    ]


def test_servers_and_clients_are_measured() -> None:
    told: list[str] = []
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    runner = Runner(Environments(), (core, None), told.append)
    rows = [
        *choose(["echo"], ["zaptools", "websockets"]),
        *choose(["receive"], ["zaptools-consumer", "websockets-client"]),
    ]
    outcome = runner.run(Plan(rows, rounds=1, seconds=0.02, modes=("plain", "deflate")))
    assert outcome.failures == []
    assert len(outcome.samples) == len(told) == 4 * 2 * 2
    assert all(len(samples) == 1 for samples in outcome.samples.values())
    assert outcome.versions["zaptools"]["python"]
    assert outcome.versions["websockets-client"]["websockets"]
    assert "echoes/s (measured " in told[0]


def test_a_peer_that_fails_is_told_once_and_the_others_go_on() -> None:
    told: list[str] = []
    dying = [sys.executable, "-c", "import sys; sys.exit('no luck')"]
    environments = FakeEnvironments(websockets=dying, picows=MeasureError("no wheel"))
    rows = choose(["echo"], ["zaptools", "websockets", "picows"])
    plan = Plan(rows, rounds=2, seconds=0.02, loops=("asyncio",))
    outcome = Runner(environments, (None, None), told.append).run(plan)
    assert [key.peer for key in outcome.samples] == ["zaptools"]
    assert [failure.key.peer for failure in outcome.failures] == ["websockets", "picows"]
    assert "ended with status 1:\nno luck" in outcome.failures[0].error
    assert outcome.failures[1].error == "no wheel"
    assert len([line for line in told if "FAILED" in line]) == 2
    assert len(outcome.samples[Key("plain", "asyncio", "echo", "zaptools")]) == 2


def test_a_program_that_is_not_there_is_told() -> None:
    environments = FakeEnvironments(websockets=["/nowhere/python"])
    plan = Plan([Row("echo", "websockets", None)], rounds=1, seconds=0.01, loops=("asyncio",))
    outcome = Runner(environments, (None, None), lambda line: None).run(plan)
    (failure,) = outcome.failures
    assert "cannot be started" in failure.error
    assert "/nowhere/python" in failure.error


@pytest.mark.parametrize("name", ["zaptools-fastapi", "zaptools-asgi", "aiohttp"])
def test_peers_serve_whose_libraries_are_here_too(name: str) -> None:
    command = [sys.executable, str(ROOT / "bench" / "peers" / PEERS[name].program)]
    runner = Runner(FakeEnvironments(**{name: command}), (None, None), lambda line: None)
    plan = Plan([Row("ping-pong", name, None)], rounds=1, seconds=0.02, loops=("asyncio",))
    outcome = runner.run(plan)
    assert outcome.failures == []
    assert len(outcome.samples) == 1


def test_without_uvloop_the_generator_runs_on_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    plan = Plan([Row("echo", "zaptools", None)], rounds=1, seconds=0.02, loops=("asyncio",))
    assert Runner(Environments(), (None, None), lambda line: None).run(plan).failures == []


def test_a_line_tells_of_others_only_where_they_can_be_seen() -> None:
    seen = run._line(sample(1234.5, foreign=0.2), MEASURES["echo"])
    assert seen == "1,234 echoes/s (measured 100%, generator 50% of a core, others 20%)"
    unseen = run._line(sample(1.25, foreign=None), MEASURES["memory"])
    assert unseen == "1.2 KiB (measured 100%, generator 50% of a core)"
