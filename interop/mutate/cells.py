"""Runs the cells of a plan until the first one that is not as expected.

``python -m interop.mutate.cells PLAN`` prints one line, a `Seen` as JSON, and ends at once; its
peers end with it, because their stdin does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

import msgspec
from msgspec import Struct

from ..descriptors import raise_limit
from ..records import CellResult
from ..run.plan import Plan
from ..run.runner import run_plan

__all__ = ["Seen"]


class Seen(Struct, frozen=True, omit_defaults=True):
    """What became of a plan.

    Attributes:
        cells: how many have a result.
        red: the first cell that is not as expected: server, client and scenario; empty without.
        reason: why it is red.
        broken: how the testbed failed; empty if it did not.
    """

    cells: int
    red: str = ""
    reason: str = ""
    broken: str = ""


def _end(seen: Seen) -> NoReturn:
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")
    sys.stdout.flush()
    os._exit(0)


def _look(count: int, cell: CellResult) -> None:
    if cell.verdict in ("failed", "flaky", "error"):
        name = f"{cell.server} {cell.client} {cell.scenario}"
        # A lone surrogate of a peer's has no bytes in UTF-8.
        reason = cell.reason.encode("utf-8", "backslashreplace").decode()
        _end(Seen(count, name, reason))


def _main() -> None:
    raise_limit()
    plan = Plan.parse(Path(sys.argv[1]).read_text("utf-8"))
    cells, _, broken = run_plan(plan, workers=0, progress=_look)
    _end(Seen(len(cells), broken=broken))


if __name__ == "__main__":
    _main()
