"""Shell scripts that stand for programs of other languages."""

from __future__ import annotations

from pathlib import Path

__all__ = ["program"]


def program(folder: Path, name: str, script: str) -> Path:
    """Write a shell script that runs as a program."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    path.chmod(0o755)
    return path
