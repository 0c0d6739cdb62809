"""Finding Go and building with it, with shell scripts as go."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes.golang import build, find_go

from ..scripts import program

NEW = "echo go version go1.27.3 linux/amd64"


def test_what_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (program(tmp_path / x, "go", NEW) for x in "123")
    monkeypatch.setenv("PATH", f"{one.parent}:/bin")
    monkeypatch.delenv("GO", raising=False)
    assert find_go() == one
    monkeypatch.setenv("GO", str(two))
    assert find_go() == two
    assert find_go(str(three)) == three


@pytest.mark.parametrize("version", ["go1.24", "go1.24.0", "go1.25rc1", "go1.100.2", "go2.0"])
def test_a_go_that_is_new_enough_serves(tmp_path: Path, version: str) -> None:
    go = program(tmp_path, "go", f"echo go version {version} linux/arm64")
    assert find_go(str(go)) == go


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "echo go version go1.23.9 linux/amd64",
            r"is Go 1\.23\.9, and 1\.24 is the oldest supported",
        ),
        ("echo go version go0.99 linux/amd64", r"is Go 0\.99, and 1\.24 is the oldest"),
        ("echo hello", "does not answer 'version' as Go does: 'hello'"),
        ("exit 3", "/go version' failed with exit status 3"),
    ],
)
def test_a_go_that_does_not_serve_is_named(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(CannotRun, match=says):
        find_go(str(program(tmp_path, "go", script)))


def test_no_go_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match=r"no (node|go): .*install Go 1\.24 or later, .*\$GO"):
        find_go(str(tmp_path / "go"))


def test_go_is_asked_for_itself_and_no_other(tmp_path: Path) -> None:
    go = program(tmp_path, "go", f'[ "$1 $GOTOOLCHAIN" = "version local" ] && {NEW}')
    assert find_go(str(go)) == go


def test_a_peer_is_built_where_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    go = program(tmp_path, "go", 'echo "$PWD $CGO_ENABLED $GOTOOLCHAIN $@" > called; echo > "$5"')
    build(go, tmp_path / "mine", Path("peer"))
    binary = tmp_path / "peer"
    assert binary.is_file()
    assert (tmp_path / "mine" / "called").read_text("utf-8") == (
        f"{tmp_path}/mine 0 local build -trimpath -buildvcs=false -o {binary} .\n"
    )


def test_a_peer_that_lists_its_sources_is_told_them(tmp_path: Path) -> None:
    (tmp_path / "sources.go").touch()
    script = """case "$1" in
        run) echo "go: downloading zap v0.2.3"; printf 'zap=0f gorilla=1e';;
        build) echo "$@" > called;;
    esac"""
    build(program(tmp_path / "bin", "go", script), tmp_path, Path("peer"))
    called = (tmp_path / "called").read_text("utf-8")
    assert called.endswith(" -ldflags -X 'main.sources=zap=0f gorilla=1e' .\n")


def test_what_go_says_is_passed_on_with_what_helps(tmp_path: Path) -> None:
    said = "zap@v0.2.3: dial tcp: lookup proxy.golang.org: no such host"
    go = program(tmp_path, "go", f"echo '{said}'; exit 1")
    with pytest.raises(CannotRun, match=rf"(?s)exit status 1:\n{said}\n.*GOPROXY=file://DIR"):
        build(go, tmp_path, tmp_path / "peer")
