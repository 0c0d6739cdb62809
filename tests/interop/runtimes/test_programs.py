"""Finding and running programs, with shell scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes.programs import find_program, run_program, succeeds

from ..scripts import program


def test_a_program_is_found_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bin", "gopher", "")
    monkeypatch.setenv("PATH", f"{path.parent}:/bin")
    assert find_program("gopher", "") == path
    monkeypatch.chdir(tmp_path)
    assert find_program("bin/gopher", "") == path


@pytest.mark.parametrize(
    ("explicit", "variable", "source"),
    [("/a", "/b", "the argument gives '/a'"), (None, "/b", r"\$GOPHER gives '/b'"),
     ("", "", "PATH gives 'gopher'")],
)  # fmt: skip
def test_what_is_missing_says_where_it_was_looked_for_and_what_to_install(
    explicit: str | None, variable: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPHER", variable)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CannotRun, match=f"^no gopher: {source}, which is no program; dig one out"):
        find_program("gopher", "dig one out", explicit=explicit, variable="GOPHER")


def test_both_outputs_come_back_and_the_environment_is_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "k")
    path = program(tmp_path, "p", 'echo "$PWD $1 $KEPT $SET"; echo err >&2')
    said = run_program([str(path), "one"], 5, cwd=tmp_path, environment={"SET": "s"})
    assert said == f"{tmp_path} one k s\nerr\n"


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "echo broken >&2; exit 3")
    with pytest.raises(CannotRun, match=r"(?s)/p now' in .* failed with exit status 3:\nbroken$"):
        run_program([str(path), "now"], 5, cwd=tmp_path)


def test_whether_a_program_succeeds(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "exit $1")
    assert succeeds([str(path), "0"], 5)
    assert not succeeds([str(path), "3"], 5)


def test_a_program_that_fails_without_a_word(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "exit 3")
    with pytest.raises(CannotRun, match=r"failed with exit status 3:\nit wrote nothing$"):
        run_program([str(path)], 5)


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "")
    path.write_bytes(b"\x00\x01")
    with pytest.raises(CannotRun, match="/p' does not start: Exec format error"):
        run_program([str(path)], 5)


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "exec sleep 60")
    with pytest.raises(CannotRun, match=r"/p' did not end within 0\.05 s"):
        run_program([str(path)], 0.05)
