"""Where a peer's program runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import environments
from bench.catalog import PEERS
from bench.environments import ROOT, Environments
from bench.errors import MeasureError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the environments out of nothing but what a test says."""
    monkeypatch.setattr(environments, "_HERE", tmp_path)
    for name in ("others", "published"):
        made = tmp_path / "environments" / name
        made.mkdir(parents=True)
        (made / "requirements.txt").write_text("")
    return tmp_path


def test_our_own_server_runs_here(tmp_path: Path) -> None:
    program = str(ROOT / "bench" / "peers" / "zaptools_server.py")
    assert Environments(tmp_path).command(PEERS["zaptools"]) == ([sys.executable, program], {})
    assert list(tmp_path.iterdir()) == []


def test_others_find_this_library_and_the_published_one_does_not(folder: Path) -> None:
    made = Environments(folder / "cache")
    (python, program), variables = made.command(PEERS["picows"])
    assert Path(python).is_relative_to(folder / "cache")
    assert Path(program).name == "picows_msgspec.py"
    assert variables == {"PYTHONPATH": str(ROOT)}
    (python, flag, program), variables = made.command(PEERS["published"])
    assert Path(python).is_relative_to(folder / "cache")
    assert (flag, Path(program).name, variables) == ("-E", "published_fastapi.py", {})


def test_one_that_cannot_be_made_is_tried_once(folder: Path) -> None:
    requirements = folder / "environments" / "others" / "requirements.txt"
    requirements.write_text("? is no requirement")
    made = Environments(folder / "cache")
    with pytest.raises(MeasureError, match=r"pip install .* failed") as first:
        made.command(PEERS["picows"])
    with pytest.raises(MeasureError) as second:
        made.command(PEERS["aiohttp"])
    assert second.value is first.value


def test_every_environment_that_is_named_has_requirements() -> None:
    folder = Path(environments.__file__).parent / "environments"
    for name in {peer.environment for peer in PEERS.values()} - {None}:
        assert (folder / str(name) / "requirements.txt").exists()
