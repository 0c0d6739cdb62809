"""Go: finds it, and builds a peer with the modules that its ``go.mod`` and ``go.sum`` name."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import CannotRun
from ..places import page
from .programs import find_program, run_program

__all__ = ["OLDEST", "build", "find_go"]

OLDEST = (1, 24)
"""The oldest version that peers support: zaptools-go requires it."""

PROBE_TIMEOUT = 60.0
BUILD_TIMEOUT = 300.0
"""Seconds. A first build, of the standard library too, took 40 s on one busy core."""

# Go must not download another Go; without cgo a build needs no C compiler, and runs on any Linux.
_ENVIRONMENT = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}

_SOURCES = "sources.go"
"""The file of a peer that lists the digests of its modules' sources with ``--sources``."""

_VERSION = re.compile(r"go version go((\d+)\.(\d+)\S*)")


def find_go(explicit: str | None = None) -> Path:
    """Find a Go that runs: `explicit`, else ``$GO``, else ``go`` on the ``PATH``.

    Raises:
        CannotRun: none was found, it is too old, or it does not run.
    """
    oldest = ".".join(map(str, OLDEST))
    advice = f"install Go {oldest} or later, or name it in $GO"
    path = find_program("go", advice, explicit=explicit, variable="GO")
    said = run_program([str(path), "version"], PROBE_TIMEOUT, environment=_ENVIRONMENT)
    match = _VERSION.match(said)
    if match is None:
        raise CannotRun(f"{path} does not answer 'version' as Go does: {said.strip()!r}")
    if (int(match[2]), int(match[3])) < OLDEST:
        raise CannotRun(f"{path} is Go {match[1]}, and {oldest} is the oldest supported")
    return path


def build(go: Path, peer_dir: Path, binary: Path) -> None:
    """Build a peer's program; Go's own cache has what did not change.

    Go gets modules as it is configured: from its cache, else from ``$GOPROXY``. Each is checked
    against the peer's ``go.sum``.

    Args:
        go: the Go program.
        peer_dir: the peer's folder, with its ``go.mod``.
        binary: the path of the built program.

    Raises:
        CannotRun: a module is unavailable, or the build fails; the text ends with Go's output.
    """

    def go_command(*arguments: str) -> str:
        command = [str(go), *arguments]
        return run_program(command, BUILD_TIMEOUT, cwd=peer_dir, environment=_ENVIRONMENT)

    # Without VCS data, which would be this repository's, or missing.
    options = ["-trimpath", "-buildvcs=false", "-o", str(binary.absolute())]
    try:
        if (peer_dir / _SOURCES).is_file():
            *_, sources = go_command("run", ".", "--sources").split("\n")  # after go's own lines
            options += ["-ldflags", f"-X 'main.sources={sources}'"]
        go_command("build", *options, ".")
    except CannotRun as exc:
        raise CannotRun(
            f"{exc}\nwhere the Go module proxy is not reached, GOPROXY=file://DIR names a folder "
            f"of downloaded modules, as {page('interop.md')} says"
        ) from exc
