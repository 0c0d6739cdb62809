"""Finding Chromium, with shell scripts as browsers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop.catalog import Api, Peer
from interop.errors import CannotRun
from interop.runtimes.chromium import find_chromium
from interop.runtimes.prepare import Preparer

from ..scripts import program

PLAYWRIGHT = "chromium_headless_shell-1200/chrome-linux"


@pytest.fixture(autouse=True)
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No browser anywhere."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))


def test_what_is_named_comes_first_and_what_playwright_got_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CannotRun, match=r"PATH gives 'chromium', which is no program; install"):
        find_chromium()
    (tmp_path / "browsers" / PLAYWRIGHT).mkdir(parents=True)
    downloaded = program(tmp_path / "browsers" / PLAYWRIGHT, "headless_shell", "exit 0")
    assert find_chromium() == downloaded
    chrome = program(tmp_path / "bin", "google-chrome", "exit 0")
    assert find_chromium() == chrome
    chromium = program(tmp_path / "bin", "chromium", "exit 0")
    assert find_chromium() == chromium
    named = program(tmp_path, "mine", "exit 0")
    monkeypatch.setenv("CHROMIUM", str(named))
    assert find_chromium() == named


@pytest.mark.parametrize(
    ("name", "says"),
    [("none", "CHROMIUM=none declines one"), ("./broken", "failed with exit status 7")],
)
def test_one_that_is_declined_or_does_not_run_is_not_found(
    tmp_path: Path, name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "chromium", "exit 0")
    program(tmp_path, "broken", "exit 7")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHROMIUM", name)
    with pytest.raises(CannotRun, match=says):
        find_chromium()


def test_a_peer_is_run_with_it_or_says_what_to_install(tmp_path: Path) -> None:
    peer = Peer(
        "mine", "JavaScript", "chromium", "peer.py", tmp_path, (Api("mine", "client", "C"),)
    )
    with pytest.raises(CannotRun, match=r"^no Chromium; to have it: .+ install .*chromium\n"):
        Preparer(cache=tmp_path).command(peer)
    found = program(tmp_path / "bin", "chromium", "exit 0")
    script = str(tmp_path / "peer.py")
    assert Preparer(cache=tmp_path).command(peer) == [
        sys.executable, script, "--chromium", str(found)
    ]  # fmt: skip
