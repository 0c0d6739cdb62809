"""Chromium: finds it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ..errors import CannotRun
from .programs import find_program, run_program

__all__ = ["DECLINED", "find_chromium"]

DECLINED = "none"
"""The value of ``$CHROMIUM`` that declines one."""

NAMES = (
    "chromium",
    "chromium-browser",
    "chromium-headless-shell",
    "google-chrome",
    "google-chrome-stable",
)

PROBE_TIMEOUT = 60.0


def find_chromium() -> Path:
    """Find a Chromium that runs: ``$CHROMIUM``, else one on the ``PATH``, else Playwright's.

    Raises:
        CannotRun: none was found, or it does not run.
    """
    if os.environ.get("CHROMIUM") == DECLINED:
        raise CannotRun(f"CHROMIUM={DECLINED} declines one")
    if sys.platform == "win32":
        raise CannotRun("the peer drives Chromium through pipes as POSIX has them")
    path = find_program(
        "chromium",
        "install Chromium or Chrome, or name it in $CHROMIUM",
        explicit=None if os.environ.get("CHROMIUM") else _first(),
        variable="CHROMIUM",
    )
    run_program([str(path), "--version"], PROBE_TIMEOUT)
    return path


def _first() -> str | None:
    """Return the first that is there."""
    for name in NAMES:
        if shutil.which(name):
            return name
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or (
        "~/Library/Caches/ms-playwright" if sys.platform == "darwin" else "~/.cache/ms-playwright"
    )
    for pattern in ("*/*/headless_shell", "*/*/chrome-headless-shell", "*/*/chrome"):
        for path in sorted(Path(folder).expanduser().glob(f"chromium{pattern}"), reverse=True):
            return str(path)
    return None
