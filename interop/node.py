"""Node.js: finds it, and installs a peer's npm packages as its ``package-lock.json`` names them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .errors import TestbedError

__all__ = ["OLDEST", "NodeError", "find_node", "install"]

OLDEST = 18
"""The oldest major version that peers are written for: Debian 12 has it."""

PROBE_TIMEOUT = 60.0
INSTALL_TIMEOUT = 180.0
"""Seconds for ``npm ci``."""


class NodeError(TestbedError):
    """Node.js or npm is missing or failed; says what to do."""


def find_node(explicit: str | None = None) -> Path:
    """Find a Node.js that runs: `explicit`, else ``$NODE``, else ``node`` on the ``PATH``.

    Raises:
        NodeError: there is none, it is too old, or it does not run.
    """
    wanted = explicit or os.environ.get("NODE") or "node"
    path = _program(wanted, f"install Node.js {OLDEST} or later, or name it in $NODE")
    said = _run([str(path), "--version"], Path.cwd(), PROBE_TIMEOUT)
    major = said.strip().removeprefix("v").split(".")[0]
    if not major.isdigit():
        raise NodeError(f"{path} does not answer --version as Node.js does: {said.strip()!r}")
    if int(major) < OLDEST:
        raise NodeError(f"{path} is Node.js {said.strip()}, and {OLDEST} is the oldest that serves")
    return path


def install(peer_dir: Path) -> None:
    """Put a peer's npm packages into its ``node_modules``, unless they are there already.

    A peer without a ``package-lock.json`` needs none. Packages' own scripts are not run.

    Raises:
        NodeError: npm is missing, or cannot bring the packages; the text ends with what it said.
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
    npm = _program("npm", f"install npm: it brings what {lock} names")
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    _run([str(npm), "ci", *quiet], peer_dir, INSTALL_TIMEOUT)


def _packages(lock: Path) -> dict[str, str]:
    """Return the hash of each package that a lock file names, the peer itself left out.

    Raises:
        NodeError: it is no lock file of npm 7 or later.
    """
    try:
        packages = json.loads(lock.read_text("utf-8"))["packages"]
        return {name: entry["integrity"] for name, entry in packages.items() if name}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise NodeError(f"{lock}: not a lock file of npm 7 or later ({exc!r})") from exc


def _program(name: str, advice: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise NodeError(f"no program {name!r}: {advice}")
    return Path(found).absolute()


def _run(arguments: Sequence[str], cwd: Path, timeout: float) -> str:
    line = " ".join(arguments)
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as exc:
        raise NodeError(f"'{line}' does not run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise NodeError(f"'{line}' in {cwd} did not end within {timeout:g} s") from exc
    if done.returncode:
        raise NodeError(f"'{line}' in {cwd} failed:\n{done.stdout[-1500:].strip()}")
    return done.stdout
