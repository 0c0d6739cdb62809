"""Programs of other languages: finding one, and running it to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import TestbedError

__all__ = ["ProgramError", "find_program", "run_program"]


class ProgramError(TestbedError):
    """A program is missing, too old, or failed; says what to do, or what it said."""


def find_program(name: str, advice: str) -> Path:
    """Find a program, by its name on the ``PATH`` or by its path.

    Args:
        advice: what to install, for the error's text.

    Raises:
        ProgramError: there is none.
    """
    found = shutil.which(name)
    if found is None:
        raise ProgramError(f"no program {name!r}: {advice}")
    return Path(found).absolute()


def run_program(
    arguments: Sequence[str],
    cwd: Path,
    timeout: float,
    *,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program in the folder `cwd` and return what it wrote to stdout and stderr.

    Args:
        timeout: seconds after which it is ended.
        environment: variables set for it, beside the present ones.

    Raises:
        ProgramError: it does not run, does not end, or fails; then the text ends with what it said.
    """
    line = " ".join(arguments)
    try:
        done = subprocess.run(
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
        raise ProgramError(f"'{line}' does not run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise ProgramError(f"'{line}' in {cwd} did not end within {timeout:g} s") from exc
    if done.returncode:
        raise ProgramError(f"'{line}' in {cwd} failed:\n{done.stdout[-1500:].strip()}")
    return done.stdout
