"""Where the testbed lies, where it writes, and how users call it.

It lies in a checkout of its repository, or is installed by pip: then its own folder may be
read-only, and is none to write to.
"""

from __future__ import annotations

import shlex
import tomllib
from importlib import metadata
from pathlib import Path

from platformdirs import user_cache_path

__all__ = [
    "CACHE_DIR",
    "CHECKOUT",
    "DISTRIBUTION",
    "PACKAGE",
    "PROGRAM",
    "REPOSITORY",
    "RESULTS",
    "ROOT",
    "command",
    "page",
    "run_command",
    "version",
    "working_folder",
]

DISTRIBUTION = "zaptools-interop"
"""The name on PyPI, that of the command, and of the folder in the user's caches."""

PACKAGE = Path(__file__).resolve().parent
"""The folder of this package."""

ROOT = PACKAGE.parent
"""The folder that this package is imported from: the checkout's, or an environment's."""

# A wheel holds the package and not the file that it is made from.
CHECKOUT: Path | None = ROOT if (PACKAGE / "pyproject.toml").is_file() else None
"""The checkout's folder; None where the testbed is installed."""

PROGRAM = "interop" if CHECKOUT else DISTRIBUTION
"""What the testbed's messages begin with."""

REPOSITORY = "https://github.com/NathanDraco22/zaptools-python"

CACHE_DIR = (
    CHECKOUT / ".cache" / "interop" if CHECKOUT else user_cache_path(DISTRIBUTION, appauthor=False)
)
"""The folder of what is downloaded, compiled and installed for peers, and of their logs."""

RESULTS = (CHECKOUT or Path.cwd()) / "results"
"""The default folder of the results of whole runs, for writing and for reading."""


def command(*words: str) -> str:
    """Return a command of the testbed as users type it; without `words`, its beginning."""
    return " ".join(["python -m interop" if CHECKOUT else DISTRIBUTION, *map(shlex.quote, words)])


def page(name: str) -> str:
    """Return where users find a page of ``docs/``: its path in a checkout, else its URL."""
    return f"docs/{name}" if CHECKOUT else f"{REPOSITORY}/blob/main/docs/{name}"


def run_command() -> str:
    """Return the shortest command that runs the matrix, for after variables that it reads."""
    return "make interop" if CHECKOUT else command("run")


def version() -> str:
    """Return the testbed's version."""
    if CHECKOUT is None:
        try:
            return metadata.version(DISTRIBUTION)
        except metadata.PackageNotFoundError:  # a copy of the package that nothing installed
            return "unknown"
    file = (PACKAGE / "pyproject.toml").read_text("utf-8")
    return str(tomllib.loads(file)["project"]["version"])


def working_folder() -> Path:
    """Return the folder that peers run in, which is there: it is none of the user's."""
    folder = CHECKOUT or CACHE_DIR
    folder.mkdir(parents=True, exist_ok=True)
    return folder
