"""Git: the commit of this repository that a run was made with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ..records import Commit

__all__ = ["current_commit", "listed"]

TIMEOUT = 20.0
"""Seconds for each call of git."""


def current_commit(root: Path | None) -> Commit | None:
    """Return the commit that is checked out in `root`, or None where that cannot be told.

    That is so without git, and where `root` is no checkout of its own.
    """
    if root is None:
        return None
    top, id, status = (
        _git(root, *arguments)
        for arguments in (
            ("rev-parse", "--show-toplevel"),
            ("rev-parse", "HEAD"),
            ("status", "--porcelain"),
        )
    )
    if not top or not id or status is None or Path(top).resolve() != root.resolve():
        return None
    return Commit(id, dirty=bool(status))


def listed(folder: Path) -> list[str] | None:
    """Return the files below `folder` that git tracks, or would add, relative to it.

    That is None without git, and where `folder` is in no repository, or is ignored by it.
    """
    if _git(folder, "check-ignore", "--quiet", ".") is not None:
        return None
    names = _git(folder, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    return None if names is None else [name for name in names.split("\0") if name]


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git writes; None where it fails or is missing."""
    # Without optional locks, `status` does not write the index, which others may have open.
    command = ["git", "-C", str(root), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
