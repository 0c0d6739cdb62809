"""``python -m bench``: measures, prints a table, writes ``bench/results.json`` and the docs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .catalog import MEASURES, PEERS, choose
from .environments import Environments
from .errors import UsageError
from .machine import choose_cores, describe, raise_file_limit
from .report import circumstances, insert, page, summary, tables
from .results import Results, read, write
from .run import Plan, Runner

__all__ = ["main"]

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results.json"
PARTIAL = ROOT / ".cache" / "bench" / "results.json"

_ROUNDS = 5
_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None, *, tell: Callable[[str], None] = print) -> int:
    """Carry out a command line.

    Returns:
        0 when all was measured, 1 when something could not be, 2 for a wrong command line.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        if chosen.write_docs:
            _write_docs(chosen.results or RESULTS, chosen.docs)
            return 0
        return _measure(chosen, tell)
    except UsageError as exc:
        print(f"{parser.prog}: {exc}", file=sys.stderr)  # noqa: T201  # a program's output
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--only", type=_names, default=(), metavar="NAMES", help=f"measures: {', '.join(MEASURES)}")
    add("--peers", type=_names, default=(), metavar="NAMES", help=f"peers: {', '.join(PEERS)}")
    add("--rounds", type=_positive(int), help=f"alternations (default: {_ROUNDS})")
    add("--seconds", type=_positive(float), help=f"of each turn (default: {_SECONDS:g})")
    add("--loop", choices=("uvloop", "asyncio"), help="this event loop alone (default: both)")
    add("--deflate", action="store_true", help="measure once more with permessage-deflate")
    add("--quick", action="store_true", help="1 round of 0.3 s: to see that it works")
    add(
        "--results",
        type=Path,
        help="the file for the results (default: bench/results.json for a whole run, else"
        " .cache/bench/results.json)",
    )
    add("--write-docs", action="store_true", help="only put the results into README and docs")
    add("--docs", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser


def _measure(chosen: argparse.Namespace, tell: Callable[[str], None]) -> int:
    rows = choose(chosen.only, chosen.peers)
    plan = Plan(
        rows,
        rounds=chosen.rounds or (1 if chosen.quick else _ROUNDS),
        seconds=chosen.seconds or (0.3 if chosen.quick else _SECONDS),
        loops=(chosen.loop,) if chosen.loop else ("uvloop", "asyncio"),
        modes=("plain", "deflate") if chosen.deflate else ("plain",),
    )
    whole = (
        not (chosen.only or chosen.peers or chosen.loop or chosen.quick)
        and plan.rounds >= _ROUNDS
        and plan.seconds >= _SECONDS
    )
    cores = choose_cores()
    machine = describe(cores)
    raise_file_limit()
    if cores[1] is not None:
        os.sched_setaffinity(0, {cores[1]})
    outcome = Runner(Environments(), cores, tell).run(plan)
    settings = {"rounds": plan.rounds, "seconds": plan.seconds, "whole": whole}
    results = Results(machine, settings, outcome)
    path = chosen.results or (RESULTS if whole else PARTIAL)
    write(results, path)
    tell(f"\n{circumstances(results)}\n\n{tables(results, rows)}\n\nwritten: {path}")
    return 1 if outcome.failures else 0


def _write_docs(path: Path, root: Path) -> None:
    results = read(path)
    insert(root / "docs" / "speed.md", page(results))
    insert(root / "README.md", summary(results))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _positive(kind: type[int] | type[float]) -> Callable[[str], int | float]:
    def number(text: str) -> int | float:
        value = kind(text)
        if not 0 < value < 1e6:
            raise ValueError
        return value

    number.__name__ = f"positive {kind.__name__}"
    return number
