"""Finding Node.js and installing packages, with shell scripts as node and npm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes import node
from interop.runtimes.node import find_node, install

from ..scripts import program


def lock(path: Path, **packages: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    named = {f"node_modules/{name}": {"integrity": hash} for name, hash in packages.items()}
    path.write_text(json.dumps({"packages": {"": {"name": "mine"}, **named}}), "utf-8")
    return path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that puts there what the lock file names and writes down its arguments."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    program(
        tmp_path / "bin",
        "npm",
        'echo "$@" >> called; mkdir -p node_modules;'
        " cp package-lock.json node_modules/.package-lock.json",
    )
    return tmp_path / "called"


def test_what_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (program(tmp_path / x, "node", "echo v20.1.0") for x in "123")
    monkeypatch.setenv("PATH", f"{one.parent}:/bin")
    monkeypatch.delenv("NODE", raising=False)
    assert find_node() == one
    monkeypatch.setenv("NODE", str(two))
    assert find_node() == two
    assert find_node(str(three)) == three


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo v16.20.2", "is Node.js v16.20.2, and 18 is the oldest"),
        ("echo hello", "does not answer --version as Node.js does: 'hello'"),
        ("exec sleep 60", "did not end within 0.05 s"),
    ],
)
def test_a_node_that_does_not_serve_is_named(
    tmp_path: Path, script: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(node, "PROBE_TIMEOUT", 0.05)
    with pytest.raises(CannotRun, match=says):
        find_node(str(program(tmp_path, "node", script)))


def test_no_node_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"no (node|go): .*install Node\.js 18 or later"):
        find_node(str(tmp_path / "node"))


def test_packages_are_installed_once_and_again_for_another_lock(tmp_path: Path, npm: Path) -> None:
    peer = tmp_path / "peer"
    lock(peer / "package-lock.json", ws="sha512-one")
    install(peer)
    install(peer)
    called = peer / "called"
    assert called.read_text("utf-8").count("ci --ignore-scripts") == 1
    lock(peer / "package-lock.json", ws="sha512-two")
    install(peer)
    assert called.read_text("utf-8").count("ci --ignore-scripts") == 2


def test_a_peer_that_names_no_packages_needs_no_npm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    install(tmp_path)
    lock(tmp_path / "package-lock.json")
    install(tmp_path)


def test_no_npm_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    lock(tmp_path / "package-lock.json", ws="sha512-one")
    with pytest.raises(
        CannotRun,
        match=r"no npm: PATH gives 'npm'.*; install npm, which gets .*lock",
    ):
        install(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"packages": {"a": {}}}', '{"packages": 3}'])
def test_another_file_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / "package-lock.json").write_text(text, "utf-8")
    with pytest.raises(CannotRun, match=r"package-lock\.json: not a lock file of npm 7"):
        install(tmp_path)
