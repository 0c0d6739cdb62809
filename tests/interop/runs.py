"""Whole runs for tests: a few cells in this process, with this library or a scripted peer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from interop.catalog import Api
from interop.records import CellResult
from interop.run.plan import Plan
from interop.run.runner import run_plan

SERVER = Api("python", "server", "ZapServer")
CLIENT = Api("python", "client", "ZapConsumer", lacks={"clean": "no streams"})
PYTHON = [sys.executable, "-m", "interop.peers.python"]


def run(workers: int = 0, runs: int = 1, **more: Any) -> tuple[list[CellResult], str]:
    plan: dict[str, Any] = {
        "engine": "local",
        "servers": (SERVER,),
        "clients": (CLIENT,),
        "commands": {"python": PYTHON},
        "scenarios": ("echo.null",),
        "patience": 2.0,
    }
    seen: list[int] = []
    cells, seconds, broken = run_plan(
        Plan(**{**plan, **more}), workers=workers, progress=lambda count, _: seen.append(count)
    )
    assert seen == list(range(1, len(cells) * runs + 1))
    assert seconds > 0
    return cells, broken


def fake(mode: str, *more: str) -> dict[str, list[str]]:
    return {"python": [sys.executable, "-m", "tests.interop.fake_peer", mode, *more]}


def deviation(tmp_path: Path, scenario: str, seen: str = "no connected") -> Path:
    path = tmp_path / "deviations.toml"
    path.write_text(
        f'[[deviation]]\npeer = "python"\nrole = "server"\nscenario = "{scenario}"\n'
        f"seen = '{seen}'\ncause = \"made up\"\n",
        "utf-8",
    )
    return path
