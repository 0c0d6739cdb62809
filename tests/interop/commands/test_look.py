from __future__ import annotations

import re
from pathlib import Path

import pytest

from interop.cli import main


def test_list_shows_rows_columns_and_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--scenario", "many.ids"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"dart@0\.5\.0/ZapConsumer \(lacks: clean, [^\n]*request\)", out)
    assert "many.ids (must): Every connection has an id of its own." in out
    assert "1 scenarios: " in out


def test_dart_packages_names_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dart-packages", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
