"""Finding and running programs, with shell scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.runtimes.programs import ProgramError, find_program, run_program

from ..scripts import program


def test_a_program_is_found_by_name_and_by_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path / "bin", "gopher", "")
    monkeypatch.setenv("PATH", f"{path.parent}:/bin")
    assert find_program("gopher", "") == path
    monkeypatch.chdir(tmp_path)
    assert find_program("bin/gopher", "") == path


def test_what_is_missing_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"^no program '.*/gopher': dig one out$"):
        find_program(str(tmp_path / "gopher"), "dig one out")


def test_both_outputs_come_back_and_the_environment_is_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPT", "k")
    path = program(tmp_path, "p", 'echo "$PWD $1 $KEPT $SET"; echo err >&2')
    said = run_program([str(path), "one"], tmp_path, 5, environment={"SET": "s"})
    assert said == f"{tmp_path} one k s\nerr\n"


def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "echo broken >&2; exit 3")
    with pytest.raises(ProgramError, match=r"(?s)/p now' in .* failed:\nbroken$"):
        run_program([str(path), "now"], tmp_path, 5)


def test_a_file_that_is_no_program_is_named(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "")
    path.write_bytes(b"\x00\x01")
    with pytest.raises(ProgramError, match="/p' does not run: Exec format error"):
        run_program([str(path)], tmp_path, 5)


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    path = program(tmp_path, "p", "exec sleep 60")
    with pytest.raises(ProgramError, match=r"/p' in .* did not end within 0\.05 s"):
        run_program([str(path)], tmp_path, 0.05)
