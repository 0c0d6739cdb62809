"""The machine: what it is, how busy it is with other things, and which core is whose."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Cores", "busy_seconds", "choose_cores", "describe", "raise_file_limit"]

Cores = tuple[int | None, int | None]
"""The core of the server and the core of the load generator; None for any."""

_STAT = Path("/proc/stat")
_TICKS = 100
"""Clock ticks a second in /proc/stat: USER_HZ, which is 100 on every architecture in use."""


def choose_cores() -> Cores:
    """Return a core for each of the two; None twice where they cannot have one each."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def busy_seconds(stat: Path = _STAT) -> float | None:
    """Return the CPU seconds that all processes together have used; None where it is unknown.

    Time that a hypervisor has taken away (steal) counts too. What interrupts took does not: it
    belongs to no process.
    """
    try:
        words = stat.read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system = (int(word) for word in words[1:4])
    steal = int(words[8]) if len(words) > 8 else 0
    return (user + nice + system + steal) / _TICKS


def raise_file_limit() -> None:
    """Let this process have as many sockets as it may."""
    if sys.platform == "win32":
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe(cores: Cores) -> dict[str, Any]:
    """Return the facts that results are shown with."""
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "pinned": None not in cores,
        "system": platform.platform(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "commit": _commit(),
    }


def _cpu_model(path: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _commit(root: Path = Path(__file__).parents[1]) -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
