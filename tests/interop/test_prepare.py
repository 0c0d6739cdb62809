from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop import prepare
from interop.catalog import Api, Peer
from interop.prepare import CannotRun, Preparer, make_environment


def peer(folder: Path, runtime: str, program: str = "peer.py") -> Peer:
    return Peer("mine", "C", runtime, program, folder, (Api("mine", "server", "S"),))


def test_a_peer_of_this_repository_runs_here(tmp_path: Path) -> None:
    command = Preparer(cache=tmp_path).command(peer(tmp_path, "here", "interop.peers.python"))
    assert command == [sys.executable, "-m", "interop.peers.python"]


def test_an_environment_is_made_once_and_again_for_other_requirements(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("", "utf-8")
    made = make_environment(peer(tmp_path, "venv"), tmp_path / "cache")
    assert made.exists()
    marker = made.parent / "kept"
    marker.touch()
    assert make_environment(peer(tmp_path, "venv"), tmp_path / "cache") == made
    assert marker.exists()
    requirements.write_text("# another\n", "utf-8")
    assert make_environment(peer(tmp_path, "venv"), tmp_path / "cache") != made


def test_an_environment_that_was_not_finished_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    made = make_environment(peer(tmp_path, "venv"), tmp_path)
    (made.parent.parent / ".made").unlink()
    made.unlink()
    assert make_environment(peer(tmp_path, "venv"), tmp_path) == made
    assert made.exists()


def test_what_pip_says_is_passed_on(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n", "utf-8")
    with pytest.raises(CannotRun, match=r"(?s)mine: .*pip install.* failed:.*no-such-folder"):
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "venv"))
    # Nothing half-made is taken for the environment the next time.
    with pytest.raises(CannotRun):
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "venv"))


def test_a_hung_install_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "_INSTALL_TIMEOUT", 0.0)
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    with pytest.raises(CannotRun, match="timed out"):
        make_environment(peer(tmp_path, "venv"), tmp_path / "cache")


def test_a_dart_peer_without_dart_says_what_to_install(tmp_path: Path) -> None:
    preparer = Preparer(dart_vm=str(tmp_path / "no-dart"), cache=tmp_path)
    with pytest.raises(CannotRun, match="install the Dart SDK"):
        preparer.command(peer(tmp_path, "dart", "peer.dart"))


def test_packages_that_cannot_be_found_are_named(tmp_path: Path) -> None:
    dart = tmp_path / "dart"
    dart.write_text('#!/bin/sh\necho "Dart SDK version: 3.7.3 (stable)"\n', "utf-8")
    dart.chmod(0o755)
    (tmp_path / "pubspec.yaml").write_text("name: p\ndependencies:\n  zap: 1.0.0\n", "utf-8")
    (tmp_path / "packages").mkdir()
    preparer = Preparer(dart_vm=str(dart), packages=tmp_path / "packages", cache=tmp_path)
    with pytest.raises(CannotRun, match="'zap'"):
        preparer.command(peer(tmp_path, "dart", "peer.dart"))
