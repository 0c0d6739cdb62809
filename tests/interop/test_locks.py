from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interop.locks import locked

TRY = """
import sys
from pathlib import Path
from interop.locks import locked
try:
    with locked(Path(sys.argv[1]), wait=False):
        print("held")
except BlockingIOError:
    print("busy")
"""


def another_process(path: Path) -> str:
    command = [sys.executable, "-c", TRY, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", ["", "file"])
def test_a_file_or_a_folder_is_held_by_one_process(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with locked(path):
        assert another_process(path) == "busy"
    assert another_process(path) == "held"


def test_where_there_are_no_locks_nothing_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    with locked(tmp_path / "file"):
        assert another_process(tmp_path) == "held"
