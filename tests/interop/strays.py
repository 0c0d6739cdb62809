"""Processes that should have ended."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["strays"]


def strays(folder: Path) -> list[str]:
    """Return the commands of the processes that have a folder in them (on Linux)."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            command = file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(folder) in command:
                found.append(command)
    return found
