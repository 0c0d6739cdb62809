"""Which files a run depends on, and that no change of one is missed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from interop.errors import TestbedError
from interop.watch import files as watched
from interop.watch.files import Files


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "peers").mkdir()
    for name in ("a.py", "peers/b.py"):
        (tmp_path / name).write_text("1")
    return tmp_path


def of(folder: Path, states: object) -> set[str]:
    assert isinstance(states, dict)
    return {path.relative_to(folder).as_posix() for path in states}


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def acts(*steps: Callable[[], object]) -> Callable[[float], None]:
    """Return a `sleep` in which these things happen, one a call, and then nothing any more."""
    left = list(steps)

    def sleep(_: float) -> None:
        if left:
            left.pop(0)()

    return sleep


def test_what_runs_write_is_not_watched(project: Path) -> None:
    for name in ("results", "node_modules", "__pycache__", ".cache", ".git", "peers/.venv"):
        (project / name).mkdir()
        (project / name / "x").write_text("1")
    (project / "out").mkdir()
    (project / "out" / "results.json").write_text("1")
    files = Files([project], [project / "out"])
    assert of(project, files.states()) == {"a.py", "peers/b.py"}
    assert files.count == 2


def test_the_files_that_the_output_goes_to_are_not_watched(project: Path) -> None:
    """Its own words, written into a log there, would be a change without end."""
    log = project / "watch.log"
    log.write_text("1")
    (project / "again.log").hardlink_to(log)
    state = log.stat()
    files = Files([project], outputs=[(state.st_dev, state.st_ino)])
    assert of(project, files.states()) == {"a.py", "peers/b.py"}


def test_what_git_ignores_is_not_watched(project: Path) -> None:
    git(project, "init", "-q")
    (project / ".gitignore").write_text("*.log\nbuild\n")
    (project / "x.log").write_text("1")
    (project / "build").mkdir()
    (project / "build" / "x").write_text("1")
    git(project, "add", "a.py")
    assert of(project, Files([project]).states()) == {".gitignore", "a.py", "peers/b.py"}
    assert of(project, Files([project / "peers"]).states()) == {"peers/b.py"}
    # A folder that is ignored as a whole, and asked for by its name.
    assert of(project, Files([project / "build"]).states()) == {"build/x"}


def test_one_file_can_be_watched(project: Path) -> None:
    assert of(project, Files([project / "a.py"]).states()) == {"a.py"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda folder: (folder / "a.py").write_text("22"), "a.py"),
        (lambda folder: (folder / "a.py").unlink(), "a.py"),
        (lambda folder: (folder / "c.py").write_text(""), "c.py"),
        (lambda folder: (folder / "a.py").rename(folder / "peers" / "b.py"), "a.py"),
        (lambda folder: os.utime(folder / "a.py", ns=(1, 1)), "a.py"),
    ],
    ids=["written", "removed", "new", "moved", "touched"],
)
@pytest.mark.parametrize("with_git", [False, True])
def test_each_kind_of_change_is_seen(
    change: Callable[[Path], object], name: str, with_git: bool, project: Path
) -> None:
    if with_git:
        git(project, "init", "-q")
    files = Files([project], sleep=lambda _: None)
    before = files.states()
    change(project)
    assert project / name in files.changed(before)
    assert files.states() == files.states()


def test_a_file_in_a_folder_that_was_empty_is_seen(project: Path) -> None:
    files = Files([project], sleep=lambda _: None)
    before = files.states()
    (project / "new" / "deep").mkdir(parents=True)
    assert files.states() == before
    (project / "new" / "deep" / "x.py").write_text("1")
    assert files.changed(before) == [project / "new" / "deep" / "x.py"]


def test_a_change_while_nothing_looks_is_seen_afterwards(project: Path) -> None:
    """So is one during a run, of which the states were taken before it."""
    before = Files([project]).states()
    (project / "a.py").write_text("22")
    slept: list[float] = []
    files = Files([project], sleep=slept.append)
    assert files.changed(before) == [project / "a.py"]
    assert slept == [watched.QUIET]


def test_it_waits_until_the_files_have_come_to_rest(project: Path) -> None:
    write = (project / "a.py").write_text
    steps = acts(lambda: None, lambda: write("22"), lambda: write("333"),
                 lambda: (project / "c.py").write_text(""))  # fmt: skip
    files = Files([project], sleep=steps)
    assert files.changed(files.states()) == [project / "a.py", project / "c.py"]
    assert files.changed({**files.states(), project / "a.py": None}) == [project / "a.py"]


def test_a_change_that_is_taken_back_is_none(project: Path) -> None:
    (project / "a.py").write_text("1")
    os.utime(project / "a.py", ns=(5, 5))

    def back() -> None:
        (project / "a.py").write_text("1")
        os.utime(project / "a.py", ns=(5, 5))

    steps = acts(lambda: os.utime(project / "a.py", ns=(6, 6)), back,
                 lambda: (project / "c.py").write_text(""))  # fmt: skip
    files = Files([project], sleep=steps)
    assert files.changed(files.states()) == [project / "c.py"]


def test_too_many_files_are_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_MOST", 1)
    with pytest.raises(TestbedError, match=f"more than 1 files below {project}: run it in"):
        Files([project])
