"""A run's results: collected cell by cell, judged as a whole, written once.

``results.json`` is the truth; its schema is ``results.schema.json``. The
terminal's matrix, ``summary.md`` and ``junit.xml`` are made from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA_FILE", "VERDICTS", "Results", "gates", "rerun_command"]

SCHEMA_FILE = Path(__file__).parent / "results.schema.json"

VERDICTS = ("passed", "deviating", "failed", "unsupported", "error")

Cell = Mapping[str, Any]


@dataclass
class Results:
    """All that one run found out.

    Attributes:
        cells: one record a cell, in the order of rows, columns and scenarios.
        not_run: rows and columns that could not run, with the reason.
    """

    started: str
    engine: str
    servers: list[str]
    clients: list[str]
    not_run: dict[str, str]
    duration_s: float = 0.0
    cells: list[Cell] = field(default_factory=list)
    broken: str = ""

    def sort(self) -> None:
        """Put the cells into the order of the matrix, whatever order workers finished in."""
        rows = {name: index for index, name in enumerate(self.servers)}
        columns = {name: index for index, name in enumerate(self.clients)}
        self.cells.sort(
            key=lambda c: (rows[c["server"]], columns[c["client"]], c["scenario"], c["verdict"])
        )

    @property
    def counts(self) -> dict[str, int]:
        return _counts(self.cells)

    @property
    def exit_status(self) -> int:
        """0: as expected; 1: an unexpected result; 2: the testbed failed, or nothing was run."""
        if self.broken or not self.cells or any(c["verdict"] == "error" for c in self.cells):
            return 2
        return 1 if any(gates(cell) for cell in self.cells) else 0

    def by_pair(self) -> dict[tuple[str, str], dict[str, int]]:
        """Return the verdicts' counts of each (server, client)."""
        pairs: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.cells:
            pairs.setdefault((cell["server"], cell["client"]), []).append(cell)
        return {pair: _counts(cells) for pair, cells in pairs.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "run": {
                "started": self.started,
                "duration_s": round(self.duration_s, 1),
                "engine": self.engine,
                "servers": self.servers,
                "clients": self.clients,
                "not_run": self.not_run,
                "exit_status": self.exit_status,
                "counts": self.counts,
            },
            "cells": list(self.cells),
        }

    def write(self, directory: Path) -> None:
        """Write ``results.json`` below `directory`, which is made when it is missing."""
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1)
        # A string may hold a lone surrogate that some peer let through: keep the evidence.
        (directory / "results.json").write_text(text + "\n", "utf-8", errors="backslashreplace")


def gates(cell: Cell) -> bool:
    """Whether a cell's verdict is an unexpected one that counts: a failed ``must``."""
    return bool(cell["verdict"] == "failed" and cell["severity"] == "must")


def rerun_command(cell: Cell) -> str:
    """Return the command that runs one cell again."""
    chosen = f"--server '{cell['server']}' --client '{cell['client']}'"
    return f"python -m interop run {chosen} --scenario '{cell['scenario']}'"


def _counts(cells: Iterable[Cell]) -> dict[str, int]:
    counter = Counter(cell["verdict"] for cell in cells)
    return {verdict: counter[verdict] for verdict in VERDICTS}
