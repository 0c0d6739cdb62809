"""Programs of other languages: finds one, and runs it to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import CannotRun

__all__ = ["find_program", "run_program", "succeeds"]


def find_program(
    name: str, advice: str, *, explicit: str | None = None, variable: str | None = None
) -> Path:
    """Find a program: the caller's choice, else a variable's, else the one of the usual name.

    Args:
        name: its usual name, looked for on the ``PATH``.
        advice: what to install, for the error's text.
        explicit: another name, or its path.
        variable: the environment variable that may hold such a name.

    Raises:
        CannotRun: it was not found; says where its name came from.
    """
    set_to = os.environ.get(variable) if variable is not None else None
    found = shutil.which(wanted := explicit or set_to or name)
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
