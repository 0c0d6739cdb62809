"""The published package's wheel: what it says and offers, without installing it."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from interop.locks import locked

__all__ = ["wheel"]

DOWNLOADS = Path(__file__).parents[2] / ".cache" / "published"


@cache
def wheel() -> Path:
    """Return the wheel of zaptools 0.5.2, downloaded once from the package index."""
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    command = ["download", "--quiet", "--no-deps", "--dest", str(DOWNLOADS), "zaptools==0.5.2"]
    with locked(DOWNLOADS / "lock"):
        if not list(DOWNLOADS.glob("*.whl")):
            subprocess.run([sys.executable, "-m", "pip", *command], check=True, timeout=300)
    (found,) = DOWNLOADS.glob("*.whl")
    return found
