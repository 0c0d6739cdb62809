"""Programs of other languages: finds one, and runs it to its end."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import CannotRun

__all__ = ["find_program", "needs", "python_command", "run_program", "succeeds", "system_packages"]


@contextmanager
def needs(what: str, command: str) -> Iterator[None]:
    """Say of what cannot run what it lacks: in one line, the same for all that lack it.

    Args:
        what: the toolchain that is needed, or the packages.
        command: the one command that brings it.

    Raises:
        CannotRun: something in the block cannot run; the details follow that line.
    """
    try:
        yield
    except CannotRun as exc:
        raise CannotRun(f"no {what}; to have it: {command}\n{exc}") from exc


def system_packages(*names: str, brew: str) -> str:
    """Return the command that installs packages of this system."""
    if sys.platform == "darwin":
        return f"brew install {brew}"
    return f"apt-get install {' '.join(names)}"


def python_command() -> str:
    """Return the name of this Python as a shell in the current folder takes it."""
    path = Path(sys.executable)
    try:
        return shlex.quote(str(path.relative_to(Path.cwd())))
    except ValueError:
        return shlex.quote(str(path))


def find_program(
    name: str, advice: str, *, explicit: str | None = None, variable: str | None = None
) -> Path:
    """Find a program: the caller's choice, else a variable's, else the one of the usual name.

    Args:
        name: its usual name, looked for on the ``PATH``, and then beside this Python, where a
            wheel puts what it brings.
        advice: what to install, for the error's text.
        explicit: another name, or its path.
        variable: the environment variable that may hold such a name.

    Raises:
        CannotRun: it was not found; says where its name came from.
    """
    set_to = os.environ.get(variable) if variable is not None else None
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    found = shutil.which(wanted := explicit or set_to or name, path=path)
    if found is None:
        source = "the argument" if explicit else f"${variable}" if set_to else "PATH"
        raise CannotRun(f"no {name}: {source} gives {wanted!r}, which is no program; {advice}")
    return Path(found).absolute()


def run_program(
    arguments: Sequence[str],
    timeout: float,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end and return what it wrote to stdout and stderr.

    Args:
        timeout: seconds after which it is killed.
        cwd: the folder to run it in; by default the current one.
        environment: variables to set, beside the present ones.

    Raises:
        CannotRun: it does not start, does not end in time, or fails; then the text ends with what
            it wrote.
    """
    done = _completed(arguments, timeout, cwd, environment)
    if done.returncode:
        raise CannotRun(
            f"{_line(arguments, cwd)} failed with exit status {done.returncode}:\n"
            + (done.stdout[-1500:].strip() or "it wrote nothing")
        )
    return done.stdout


def succeeds(arguments: Sequence[str], timeout: float) -> bool:
    """Run a program to its end and return whether its exit status was 0.

    Raises:
        CannotRun: it does not start, or does not end in time.
    """
    return _completed(arguments, timeout, None, None).returncode == 0


def _completed(
    arguments: Sequence[str],
    timeout: float,
    cwd: Path | None,
    environment: Mapping[str, str] | None,
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            arguments,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as exc:
        raise CannotRun(f"{_line(arguments, cwd)} does not start: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise CannotRun(f"{_line(arguments, cwd)} did not end within {timeout:g} s") from exc


def _line(arguments: Sequence[str], cwd: Path | None) -> str:
    return f"'{' '.join(arguments)}'" + (f" in {cwd}" if cwd is not None else "")
