"""The Dart VM: finds it, readies a peer's packages, precompiles a peer.

A full SDK has ``dart pub`` and ``dart compile``; a bare VM that compiles source has neither,
and serves as well once the packages come from a folder (`interop.runtimes.dart_packages`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import TestbedError
from .dart_packages import GENERATOR, DartPackageError, Package, allows, tree_digest

__all__ = [
    "DartError",
    "DartVM",
    "Readiness",
    "command",
    "find_dart",
    "package_config",
    "packages_ready",
    "snapshot",
]

PROBE_TIMEOUT = 60.0
"""Seconds for ``dart --version``: a full SDK's first start unpacks things."""

PUB_TIMEOUT = 120.0
COMPILE_TIMEOUT = 180.0
"""Seconds. A bare 32-bit VM took 6 s for a peer with its packages, on one busy core."""

_FOLDER_HINT = "ZAPTOOLS_DART_PACKAGES=DIR, a folder of unpacked packages, needs no registry"


class DartError(TestbedError):
    """Dart is missing or failed; says what to do."""


@dataclass(frozen=True, slots=True)
class DartVM:
    """A Dart that runs: `sdk` tells whether it has ``pub`` and ``compile``."""

    path: Path
    version: str
    sdk: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a peer's packages are in place; false with the reason `why`."""

    why: str = ""

    def __bool__(self) -> bool:
        return not self.why


def find_dart(explicit: str | None = None) -> DartVM:
    """Find a Dart that runs: `explicit`, else ``$DART``, else ``dart`` on the ``PATH``.

    Raises:
        DartError: there is none, or it does not run; says which, and what to install.
    """
    wanted, source = explicit, "the argument"
    if not wanted:
        wanted, source = os.environ.get("DART"), "$DART"
    if not wanted:
        wanted, source = "dart", "PATH"
    found = shutil.which(wanted)
    if found is None:
        raise DartError(
            f"no Dart: {source} gives {wanted!r}, which is no program; "
            "install the Dart SDK (https://dart.dev/get-dart) or name a Dart VM in $DART"
        )
    path = Path(found).absolute()
    done = _probe(path, "--version")
    # A full SDK writes to stdout; VMs before 2.15 wrote to stderr.
    words = (done.stdout + done.stderr).split()
    if done.returncode != 0 or words[:3] != ["Dart", "SDK", "version:"] or len(words) < 4:
        raise DartError(f"{path} does not answer --version as a Dart VM does:{_said(done)}")
    return DartVM(path, words[3], _probe(path, "compile", "--help").returncode == 0)


def package_config(peer_dir: Path) -> Path:
    """Return where a peer's package configuration is, or would be."""
    return peer_dir / ".dart_tool" / "package_config.json"


def packages_ready(peer_dir: Path) -> Readiness:
    """Tell whether a peer has the packages that its ``pubspec.yaml`` asks for, pub's or copies.

    A peer without a ``pubspec.yaml`` needs none.

    Raises:
        DartPackageError: a ``pubspec.yaml`` is broken.
    """
    if not (peer_dir / "pubspec.yaml").is_file():
        return Readiness()
    peer = Package.read(peer_dir / "pubspec.yaml")
    if not package_config(peer_dir).is_file():
        return Readiness(f"{package_config(peer_dir)} is missing")
    try:
        roots = _package_roots(peer_dir)
    except DartPackageError as exc:
        return Readiness(str(exc))
    for name, constraint in peer.dependencies.items():
        if name not in roots or not (roots[name] / "pubspec.yaml").is_file():
            return Readiness(f"{peer_dir.name} needs {name} {constraint}, which is not there")
        version = Package.read(roots[name] / "pubspec.yaml").version
        if not allows(constraint, version):
            return Readiness(f"{peer_dir.name} needs {name} {constraint}, and {version} is there")
    return Readiness()


def snapshot(dart: DartVM, peer_dir: Path, cache_dir: Path) -> Path:
    """Precompile a peer, unless the cache has it, and return the kernel file.

    A start from source took 2 s, with packages 4 s; from a kernel file 0.1 s. Parallel calls
    may both compile; each puts a whole file in place.

    Args:
        dart: what compiles it; part of the cache's key, like every source that goes in.
        peer_dir: the peer's folder, with ``peer.dart``.
        cache_dir: where kernel files are kept; made when it is missing.

    Raises:
        DartError: the packages are not there and pub cannot bring them, or it does not compile.
        DartPackageError: a ``pubspec.yaml`` is broken.
    """
    peer_dir = peer_dir.resolve()
    _get_packages(dart, peer_dir)
    kernel = cache_dir.resolve() / f"{peer_dir.name}-{_key(dart, peer_dir)}.dill"
    if not kernel.is_file():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache_dir) as temporary:
            new = Path(temporary).resolve() / kernel.name
            _compile(dart, peer_dir, new)
            new.replace(kernel)
    return kernel


def command(dart: DartVM, peer_dir: Path, kernel: Path) -> list[str]:
    """Return the command that runs a precompiled peer, to which its arguments are added."""
    return [str(dart.path), *_packages_option(peer_dir.resolve()), str(kernel)]


def _get_packages(dart: DartVM, peer_dir: Path) -> None:
    ready = packages_ready(peer_dir)
    if ready:
        return
    if not dart.sdk:
        raise DartError(f"{ready.why}, and {dart.path} has no 'pub' to get it; {_FOLDER_HINT}")
    if _is_ours(package_config(peer_dir)):
        raise DartError(
            f"{ready.why}; {_FOLDER_HINT}; or remove that file and let pub make its own"
        )
    _run([str(dart.path), "pub", "get"], peer_dir, PUB_TIMEOUT, hint=_FOLDER_HINT)


def _is_ours(config: Path) -> bool:
    return config.is_file() and f'"{GENERATOR}"' in config.read_text(encoding="utf-8")


def _compile(dart: DartVM, peer_dir: Path, kernel: Path) -> None:
    options = _packages_option(peer_dir)
    if dart.sdk:
        arguments = ["compile", "kernel", *options, "-o", str(kernel), "peer.dart"]
    else:
        arguments = [*options, f"--snapshot={kernel}", "--snapshot-kind=kernel", "peer.dart"]
    done = _run([str(dart.path), *arguments], peer_dir, COMPILE_TIMEOUT)
    if not kernel.is_file():
        raise DartError(f"{dart.path} compiled {peer_dir / 'peer.dart'} to nothing:{_said(done)}")


def _packages_option(peer_dir: Path) -> list[str]:
    """With it a precompiled peer can still tell the versions of its packages."""
    config = package_config(peer_dir)
    return [f"--packages={config}"] if config.is_file() else []


def _key(dart: DartVM, peer_dir: Path) -> str:
    folders = {
        "peer": peer_dir,
        "shared": peer_dir.parent / "dart_shared",
        **{f"package {name}": root for name, root in _package_roots(peer_dir).items()},
    }
    # Some package's root is the peer itself, as pub writes it too.
    parts = [dart.version, str(dart.path)]
    parts += [f"{name} {tree_digest(folder)}" for name, folder in sorted(folders.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _package_roots(peer_dir: Path) -> dict[str, Path]:
    config = package_config(peer_dir)
    if not config.is_file():
        return {}
    try:
        packages = json.loads(config.read_text(encoding="utf-8"))["packages"]
        return {entry["name"]: _root(config.parent, entry["rootUri"]) for entry in packages}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise DartPackageError(f"{config}: not a package configuration ({exc!r})") from exc


def _root(base: Path, uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return (base / unquote(uri)).resolve()


def _probe(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as exc:
        # The file is there, so what the kernel did not find is the program's loader.
        raise DartError(
            f"{path} is there and does not run: its loader is missing; for a 32-bit Dart install "
            "Debian's libc6:i386 (dpkg --add-architecture i386, apt-get update, "
            "apt-get install libc6:i386)"
        ) from exc
    except OSError as exc:
        raise DartError(f"{path} is there and does not run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        tried = " ".join(arguments)
        raise DartError(f"'{path} {tried}' did not end within {PROBE_TIMEOUT:.0f} s") from exc


def _run(
    arguments: Sequence[str], cwd: Path, timeout: float, *, hint: str = ""
) -> subprocess.CompletedProcess[str]:
    line, advice = " ".join(arguments), f"\n{hint}" if hint else ""
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise DartError(f"'{line}' did not end within {timeout:.0f} s{advice}") from exc
    if done.returncode != 0:
        raise DartError(f"'{line}' in {cwd} ended with {done.returncode}:{_said(done)}{advice}")
    return done


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()[-12:]
    return "\n  " + "\n  ".join(lines) if lines else " it said nothing"
