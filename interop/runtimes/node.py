"""Node.js: finds it, and installs the npm packages in a peer's ``package-lock.json``."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

from ..errors import CannotRun
from .programs import find_program, run_program, system_packages

__all__ = ["OLDEST", "find_node", "install", "install_command"]

OLDEST = 18
"""The oldest major version that peers support, which is Debian 12's."""

PROBE_TIMEOUT = 60.0
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")

INSTALL_TIMEOUT = 180.0
"""Seconds for ``npm ci``."""


def find_node(explicit: str | None = None) -> Path:
    """Find a Node.js that runs: `explicit`, else ``$NODE``, else ``node`` on the ``PATH``.

    Raises:
        CannotRun: none was found, it is too old, or it does not run.
    """
    advice = f"install Node.js {OLDEST} or later, or name it in $NODE"
    path = find_program("node", advice, explicit=explicit, variable="NODE")
    said = run_program([str(path), "--version"], PROBE_TIMEOUT)
    major = said.strip().removeprefix("v").split(".")[0]
    if not major.isdigit():
        raise CannotRun(f"{path} does not answer --version as Node.js does: {said.strip()!r}")
    if int(major) < OLDEST:
        raise CannotRun(f"{path} is Node.js {said.strip()}, and {OLDEST} is the oldest supported")
    return path


def install(peer_dir: Path) -> None:
    """Install a peer's npm packages into its ``node_modules``, unless they are there already.

    A peer without a ``package-lock.json`` needs none. Scripts of packages do not run.

    Raises:
        CannotRun: npm is missing, or fails; the text ends with its output.
    """
    lock = peer_dir / "package-lock.json"
    if not lock.is_file():
        return
    there = (
        peer_dir / "node_modules" / ".package-lock.json"
    )  # npm's own record of what it put there
    wanted = _packages(lock)
    if not wanted or (there.is_file() and _packages(there) == wanted):
        return
    npm = find_program("npm", f"install npm, which gets the packages in {lock}")
    run_program([str(npm), "ci", *_QUIET], INSTALL_TIMEOUT, cwd=peer_dir)


def install_command(peer_dir: Path) -> str:
    """Return the command that brings a peer's packages: npm's own, or the one that brings npm."""
    if shutil.which("npm") is None:
        return system_packages("npm", brew="node")
    return f"npm ci --ignore-scripts --prefix {shlex.quote(os.path.relpath(peer_dir))}"


def _packages(lock: Path) -> dict[str, str]:
    """Return the hash of each package in a lock file, except the peer itself.

    Raises:
        CannotRun: it is not a lock file of npm 7 or later.
    """
    try:
        packages = json.loads(lock.read_text("utf-8"))["packages"]
        return {name: entry["integrity"] for name, entry in packages.items() if name}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CannotRun(f"{lock}: not a lock file of npm 7 or later ({exc!r})") from exc
