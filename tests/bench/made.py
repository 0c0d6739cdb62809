"""Results that nobody measured."""

from __future__ import annotations

from typing import Any

from bench.results import Failure, Key, Outcome, Results
from bench.sample import Sample

__all__ = ["MACHINE", "made_outcome", "made_results", "sample"]

MACHINE: dict[str, Any] = {
    "date": "2030-01-02T03:04:05+00:00",
    "cpu": "Abacus",
    "cores": 2,
    "memory_gib": 4.0,
    "pinned": True,
    "system": "Plan 9",
    "python": "CPython 3.99.0",
    "load_average": [0.1, 0.1, 0.1],
    "commit": "abc",
}


def sample(
    value: float, *, measured: float = 1.0, generator: float = 0.5, foreign: float | None = 0.01
) -> Sample:
    return Sample(value, measured, generator, foreign)


def made_outcome(*, foreign: float | None = 0.01) -> Outcome:
    values = {
        Key("plain", "uvloop", "echo", "zaptools"): [300.0, 100.0, 260.0],
        Key("plain", "uvloop", "echo", "websockets"): [100.0, 100.0, 100.0],
        Key("plain", "asyncio", "echo", "zaptools"): [120.0, 120.0, 120.0],
        Key("plain", "asyncio", "echo", "websockets"): [100.0, 100.0, 100.0],
        Key("plain", "uvloop", "memory", "zaptools"): [12.0, 11.0, 10.5],
        Key("plain", "uvloop", "memory", "websockets"): [20.0, 20.0, 20.0],
        Key("deflate", "uvloop", "echo", "zaptools"): [90.0],
        Key("deflate", "uvloop", "echo", "websockets"): [50.0],
    }
    samples = {key: [sample(v, foreign=foreign) for v in vs] for key, vs in values.items()}
    failure = Failure(Key("plain", "uvloop", "echo", "picows"), "no wheel")
    return Outcome(samples, {"zaptools": {"python": "3.99.0", "zaptools": "9"}}, [failure])


def made_results(*, foreign: float | None = 0.01, whole: bool = True, **machine: Any) -> Results:
    settings = {"rounds": 3, "seconds": 2.0, "whole": whole}
    return Results({**MACHINE, **machine}, settings, made_outcome(foreign=foreign))
