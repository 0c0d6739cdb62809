"""What is said outside the environment of the testbed, or of the benchmark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from interop.needed import with_packages

ROOT = Path(__file__).parents[2]


def without(package: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module as a command where a package is not installed."""
    program = (
        f"import runpy, sys; sys.modules[{package!r}] = None; sys.argv = {list(command)!r}; "
        f"runpy.run_module({command[0]!r}, run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("package", ["pytest", "rich", "yaml"])
def test_a_package_is_missing(package: str) -> None:
    done = without(package, "interop", "list")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"interop: {package} is not installed for {sys.executable}: `make inte")


def test_one_that_a_single_command_needs() -> None:
    assert without("docker", "interop", "list").returncode == 0
    done = without("docker", "interop", "run", "--engine", "docker", "--results", "/dev/null/x")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_benchmarks() -> None:
    done = without("argparse", "bench", "--help")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: argparse is not installed for ")
    assert done.stderr.endswith(": `make bench` makes .venv and runs it there\n")


def test_ctrl_c_while_modules_are_imported() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert with_packages("interop", "", interrupted) == 130


def test_a_fault_of_our_own_is_shown() -> None:
    def wrong() -> int:
        from interop import no_such_module  # type: ignore[attr-defined]  # that is the point

        return int(no_such_module)

    with pytest.raises(ImportError, match="no_such_module"):
        with_packages("interop", "", wrong)

    def ours() -> int:
        raise ModuleNotFoundError("No module named 'interop.x'", name="interop.x")

    with pytest.raises(ModuleNotFoundError):
        with_packages("interop", "", ours)


@pytest.mark.parametrize(
    "missing",
    [
        ImportError("cannot import name 'Self' from 'typing'"),
        ModuleNotFoundError("No module named 'tomllib'", name="tomllib"),  # of 3.11
    ],
)
def test_an_older_python(
    missing: ImportError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def older() -> int:
        raise missing

    monkeypatch.setattr(sys, "version_info", (3, 10))
    assert with_packages("interop", "make it", older) == 2
    assert "Python 3.11 or later is needed, and " in capsys.readouterr().err
