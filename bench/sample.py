"""One measurement of one peer, and what was busy meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .machine import busy_seconds
from .program import Program
from .wires import Wire

__all__ = ["Sample", "Target", "Watch"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What came out.

    Attributes:
        value: in the measure's unit.
        measured_cpu: the share of a core that the measured program used, 1.0 for all of it.
        generator_cpu: the same of the program at the other end.
        foreign_cpu: the same of everything else on the machine; None where it is unknown.
    """

    value: float
    measured_cpu: float
    generator_cpu: float
    foreign_cpu: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """A server to put to work.

    Attributes:
        program: its process.
        wire: how it wants events.
        seconds: how long to measure.
        deflated: whether to agree on permessage-deflate.
    """

    program: Program
    wire: Wire
    seconds: float
    deflated: bool = False


class Watch:
    """Adds up the CPU time that is used between `start` and `stop`, by whom.

    Args:
        cpu: returns the CPU seconds of the measured program.
        busy: returns those of the whole machine.
    """

    def __init__(
        self, cpu: Callable[[], float], *, busy: Callable[[], float | None] = busy_seconds
    ) -> None:
        self._cpu = cpu
        self._busy = busy
        self.seconds = self.measured = self.generator = 0.0
        self.machine: float | None = 0.0

    def start(self) -> None:
        """Begin, or go on."""
        self._start = self._now()

    def stop(self) -> None:
        """Stop for now, or for good."""
        wall, own, busy, cpu = self._now()
        wall0, own0, busy0, cpu0 = self._start
        self.seconds += wall - wall0
        self.generator += own - own0
        self.measured += cpu - cpu0
        if busy is None or busy0 is None or self.machine is None:
            self.machine = None
        else:
            self.machine += busy - busy0

    def _now(self) -> tuple[float, float, float | None, float]:
        cpu = self._cpu()
        return time.perf_counter(), time.process_time(), self._busy(), cpu

    def sample(self, value: float) -> Sample:
        """Return `value` with the shares of what was watched."""
        foreign = None
        if self.machine is not None:
            foreign = max(0.0, self.machine - self.measured - self.generator) / self.seconds
        return Sample(value, self.measured / self.seconds, self.generator / self.seconds, foreign)
