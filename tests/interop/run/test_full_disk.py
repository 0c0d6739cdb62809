"""Peers whose logs cannot be written any more: their cells are as with room on the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ..runs import run

FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="nothing here is always full")


def fill(logs: Path, peer: str) -> None:
    """Let the log that this process keeps of `peer` be a file on a full disk."""
    (logs / f"{peer}.{os.getpid()}.log").symlink_to(FULL)


def test_errors_that_the_python_peer_logs_are_answered_and_escape_no_library(
    tmp_path: Path,
) -> None:
    fill(tmp_path, "python")
    cells, broken = run(
        scenarios=("ends.close-twice", "ends.send-after.close", "ends.send-never-connected"),
        logs=tmp_path,
        patience=1.0,
    )
    assert broken == ""
    assert len(cells) == 5
    assert {cell.reason for cell in cells} == {""}
