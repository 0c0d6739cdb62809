"""``explain``: a recorded pair in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.cli import main
from interop.reports.pairs import CORE

from ..cells import cell, results

NULL = {"peer": "python", "role": "server", "cause": "x.py:3 [drops] it",
        "means": "An event with null is not read."}  # fmt: skip


def write(folder: Path) -> list[str]:
    passed = [cell(scenario=name.replace("*", "bmp")) for name in CORE]
    results(*passed, cell("deviating", excuses=[NULL], rules=["W-19"])).write(folder)
    return ["--results", str(folder)]


def test_a_pair_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["explain", "python/ZapServer", "dart@0.5.0", *write(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 60
    assert out.startswith("dart@0.5.0/ZapConsumer works with python/ZapServer, except:")
    lines = out.splitlines()
    at = lines.index("exceptions in plain use")
    assert lines[at + 1 : at + 4] == [
        " - server: An event with null is not read.",
        "   cause: x.py:3 [drops] it",
        "   rule W-19; scenario echo.null",
    ]
    assert "unsupported" in lines


def test_a_name_that_several_pairs_have_lists_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "ZapServer", *write(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "ZapServer: 6 pairs; say which one:\n  python/ZapServer python/ZapConsumer\n" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["ZapServr", "dart"],
            "no such pair among 6: 'ZapServr' is in none (did you mean 'ZapServer'?)",
        ),
        (["<->"], "no pair is named: give its server and client"),
    ],
)
def test_a_name_that_no_pair_has_is_an_error(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *words, *write(tmp_path)]) == 2
    assert says in capsys.readouterr().err


def test_without_results_it_says_what_makes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "a", "b", "--results", str(tmp_path / "none")]) == 2
    assert "to have results: python -m interop run" in capsys.readouterr().err
