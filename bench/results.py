"""What was measured, in memory and in ``results.json``, and the ratios that follow from it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .catalog import MEASURES, Row
from .errors import UsageError
from .sample import Sample

__all__ = ["Compared", "Failure", "Key", "Outcome", "Results", "compare", "read", "write"]

_FORMAT = 1

_LOADED = 0.1
"""Others' share of a core from which on the machine counts as loaded."""


class Key(NamedTuple):
    """What a sample is of."""

    mode: str
    loop: str
    measure: str
    peer: str

    def __str__(self) -> str:
        more = f", {self.mode}" if self.mode != "plain" else ""
        return f"{self.measure} {self.peer} ({self.loop}{more})"


class Failure(NamedTuple):
    """What could not be measured, and why."""

    key: Key
    error: str


@dataclass(slots=True)
class Outcome:
    """The samples of a run, in the order of the rounds."""

    samples: dict[Key, list[Sample]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    """A run with its circumstances.

    Attributes:
        machine: see `bench.machine.describe`.
        settings: ``rounds``, ``seconds``, ``whole``: whether nothing was left out or shortened.
    """

    machine: dict[str, Any]
    settings: dict[str, Any]
    outcome: Outcome

    @property
    def foreign_cpu(self) -> float | None:
        """The median share of a core that others used meanwhile; None if unknown."""
        shares = [
            sample.foreign_cpu
            for samples in self.outcome.samples.values()
            for sample in samples
            if sample.foreign_cpu is not None
        ]
        return statistics.median(shares) if shares else None

    @property
    def loaded(self) -> bool:
        """Whether the machine was busy with other things."""
        return (self.foreign_cpu or 0) >= _LOADED


@dataclass(frozen=True, slots=True)
class Compared:
    """A row with its numbers.

    Attributes:
        ours: the median of our values.
        theirs: the median of theirs; None in a row about ours alone.
        ratio: the median of the rounds' ratios; in a row about ours alone, our median.
        spread: the lowest and the highest of what `ratio` is the median of.
        reached: whether the target is; None if there is none.
        bound: whether the generator was the busier of the two, so that the measured one was
            not at its limit.
    """

    row: Row
    ours: float
    theirs: float | None
    ratio: float
    spread: tuple[float, float]
    reached: bool | None
    bound: bool


def compare(outcome: Outcome, row: Row, mode: str, loop: str) -> Compared | None:
    """Return the numbers of `row`; None if one of the two was not measured."""
    measure = MEASURES[row.measure]
    ours = outcome.samples.get(Key(mode, loop, row.measure, row.ours), [])
    values = [sample.value for sample in ours]
    theirs: list[Sample] = []
    if row.theirs is not None:
        theirs = outcome.samples.get(Key(mode, loop, row.measure, row.theirs), [])
        if not theirs:
            return None
        values = [a.value / b.value for a, b in zip(ours, theirs, strict=False)]
    if not values:
        return None
    ratio = statistics.median(values)
    reached = None
    if row.target is not None:
        reached = ratio <= row.target if measure.less else ratio >= row.target
    return Compared(
        row=row,
        ours=statistics.median(sample.value for sample in ours),
        theirs=statistics.median(sample.value for sample in theirs) if theirs else None,
        ratio=ratio,
        spread=(min(values), max(values)),
        reached=reached,
        bound=not measure.less and (_is_bound(ours) or _is_bound(theirs)),
    )


def _is_bound(samples: Sequence[Sample]) -> bool:
    if not samples:
        return False
    generator = statistics.median(sample.generator_cpu for sample in samples)
    measured = statistics.median(sample.measured_cpu for sample in samples)
    return generator > measured and measured < 0.9


def write(results: Results, path: Path) -> None:
    """Write `results` as JSON."""
    outcome = results.outcome
    data = {
        "format": _FORMAT,
        "machine": results.machine,
        "settings": results.settings,
        "foreign_cpu": results.foreign_cpu,
        "loaded": results.loaded,
        "versions": outcome.versions,
        "samples": [
            {**key._asdict(), "round": number, **_rounded(sample)}
            for key, samples in outcome.samples.items()
            for number, sample in enumerate(samples, 1)
        ],
        "failures": [
            {**failure.key._asdict(), "error": failure.error} for failure in outcome.failures
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> Results:
    """Read what `write` wrote.

    Raises:
        UsageError: there is no such file, or it is something else.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist: measure first, with `make bench`") from None
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise UsageError(f"{path} has no results of format {_FORMAT}: measure again")
    outcome = Outcome(versions=data["versions"])
    for entry in data["samples"]:
        key = Key(*(entry[name] for name in Key._fields))
        sample = Sample(*(entry[name] for name in Sample.__slots__))
        outcome.samples.setdefault(key, []).append(sample)
    for entry in data["failures"]:
        key = Key(*(entry[name] for name in Key._fields))
        outcome.failures.append(Failure(key, entry["error"]))
    return Results(data["machine"], data["settings"], outcome)


def _rounded(sample: Sample) -> dict[str, float | None]:
    values = asdict(sample)
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
