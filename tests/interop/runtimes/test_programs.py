"""Finding and running programs, with shell scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interop.errors import CannotRun
from interop.runtimes.programs import find_program, needs, python_command, run_program, succeeds

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


def test_what_a_wheel_brings_is_found_beside_this_python_and_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "venv", "gopher", "")
    monkeypatch.setattr(sys, "executable", str(path.with_name("python")))
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_program("gopher", "") == path
    first = program(tmp_path / "bin", "gopher", "")
    monkeypatch.setenv("PATH", str(first.parent))
    assert find_program("gopher", "") == first


def test_what_is_lacking_is_one_line_with_one_command_and_the_details_follow() -> None:
    with pytest.raises(CannotRun) as caught, needs("gopher", "dig it out"):
        find_program("gopher", "why")
    what, details = str(caught.value).split("\n")
    assert what == "no gopher; to have it: dig it out"
    assert details.startswith("no gopher: PATH gives 'gopher'")


def test_this_python_is_named_as_a_shell_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a b" / "python"))
    monkeypatch.chdir(tmp_path)
    assert python_command() == "'a b/python'"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert python_command() == "/usr/bin/python3"


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
