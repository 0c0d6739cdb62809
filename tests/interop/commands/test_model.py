from __future__ import annotations

from pathlib import Path

import pytest

from interop.cli import main
from interop.commands import model


def test_the_pages_are_those_of_the_model_and_the_peers() -> None:
    for path, text in model.pages().items():
        assert path.read_text("utf-8") == text, f"stale: python -m interop model --write ({path})"


def test_a_stale_page_is_named_and_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(model, "pages", lambda: {page: "new"})
    assert main(["model"]) == 1
    assert capsys.readouterr().out == f"{page} is stale: python -m interop model --write\n"
    page.write_text("old", "utf-8")
    assert main(["model"]) == 1
    assert main(["model", "--write"]) == 0
    assert page.read_text("utf-8") == "new"
    assert main(["model"]) == 0


def test_a_claim_is_held_against_the_results_of_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--server", "python/ZapServer", "--client", "python/ZapConsumer", "-n", "0"]
    assert main(["run", *quick, "--scenario", "echo.null", "--results", str(tmp_path)]) == 0
    capsys.readouterr()
    assert main(["model", "--results", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "no scenario uses the contract's 'op push'" in said
    assert "'op send'" not in said
