"""The alternations: every peer of a measure in turn, again and again, each in a fresh process."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from .catalog import MEASURES, PEERS, Measure, Peer, Row
from .environments import Environments
from .errors import MeasureError
from .loads.receive import event_count, receive
from .machine import Cores
from .program import Program
from .results import Failure, Key, Outcome
from .sample import Sample, Target

__all__ = ["Plan", "Runner"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do.

    Attributes:
        rows: what to compare.
        rounds: how often each peer has its turn.
        seconds: how long each turn measures.
        loops: the event loops, ``uvloop`` and ``asyncio``.
        modes: ``plain``, ``deflate``.
    """

    rows: Sequence[Row]
    rounds: int = 5
    seconds: float = 2.0
    loops: Sequence[str] = ("uvloop", "asyncio")
    modes: Sequence[str] = ("plain",)

    def turns(self) -> Iterator[tuple[int, Key]]:
        """Return every turn in order, with the number of its round.

        The peers of a measure alternate, so that a drift of the machine's speed meets them all.
        """
        measures = dict.fromkeys(row.measure for row in self.rows)
        for mode in self.modes:
            for measure in measures:
                for number in range(1, self.rounds + 1):
                    for loop in self.loops:
                        for peer in self._peers(measure, mode):
                            yield number, Key(mode, loop, measure, peer)

    def _peers(self, measure: str, mode: str) -> list[str]:
        rows = [row for row in self.rows if row.measure == measure]
        names = [name for row in rows for name in (row.ours, row.theirs) if name is not None]
        return [name for name in dict.fromkeys(names) if mode == "plain" or PEERS[name].deflates]


@dataclass(slots=True)
class Runner:
    """Carries out a plan.

    Args:
        environments: where the peers run.
        cores: the server's and the generator's.
        tell: gets a line about each turn.
    """

    environments: Environments
    cores: Cores
    tell: Callable[[str], None]
    _dead: set[Key] = field(default_factory=set)

    def run(self, plan: Plan) -> Outcome:
        """Return what was measured, and what could not be.

        A peer that fails has no further turn in that measure.
        """
        outcome = Outcome()
        for number, key in plan.turns():
            if key in self._dead:
                continue
            try:
                sample, versions = self._turn(key, plan)
            except MeasureError as exc:
                self._dead.add(key)
                outcome.failures.append(Failure(key, str(exc)))
                self.tell(f"{number} {key}: FAILED: {exc}")
                continue
            outcome.samples.setdefault(key, []).append(sample)
            outcome.versions[key.peer] = versions
            self.tell(f"{number} {key}: {_line(sample, MEASURES[key.measure])}")
        return outcome

    def _turn(self, key: Key, plan: Plan) -> tuple[Sample, dict[str, str]]:
        peer, measure = PEERS[key.peer], MEASURES[key.measure]
        seconds, deflated = plan.seconds, key.mode == "deflate"
        command, environment = self._command(peer, key, deflated)
        if measure.load is None:
            made: list[Program] = []

            def program(port: int) -> Program:
                more = ["--port", str(port), "--count", str(event_count(seconds))]
                made.append(Program([*command, *more], environment=environment))
                return made[0]

            sample = _run(receive(program, deflated=deflated))
            return sample, made[0].versions
        assert peer.wire is not None
        with Program(command, environment=environment) as server:
            target = Target(server, peer.wire, seconds, deflated)
            return _run(measure.load(target)), server.versions

    def _command(self, peer: Peer, key: Key, deflated: bool) -> tuple[list[str], dict[str, str]]:
        command, environment = self.environments.command(peer)
        command += ["--loop", key.loop]
        if deflated:
            command.append("--deflate")
        if self.cores[0] is not None:
            command += ["--core", str(self.cores[0])]
        return command, environment


def _run(load: object) -> Sample:
    """Run a load on uvloop, whatever the server runs on; on asyncio where there is no uvloop."""
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        sample: Sample = runner.run(load)  # type: ignore[arg-type]  # a coroutine
        return sample


def _line(sample: Sample, measure: Measure) -> str:
    shares = f"measured {sample.measured_cpu:.0%}, generator {sample.generator_cpu:.0%} of a core"
    if sample.foreign_cpu is not None:
        shares += f", others {sample.foreign_cpu:.0%}"
    return f"{sample.value:,.{measure.digits}f} {measure.unit} ({shares})"
