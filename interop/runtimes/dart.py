"""The Dart VM: finds it, gets a peer's packages, precompiles a peer.

A full SDK has ``dart pub`` and ``dart compile``; a bare VM that compiles source has neither,
and will do if the packages come from a folder (`interop.runtimes.dart_packages`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import CannotRun
from .dart_download import DECLINED
from .dart_packages import GENERATOR, Package, allows, tree_digest
from .programs import find_program, run_program, succeeds

__all__ = [
    "DartVM",
    "Readiness",
    "command",
    "find_dart",
    "get_packages",
    "is_there",
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


@dataclass(frozen=True, slots=True)
class DartVM:
    """A Dart that runs.

    Attributes:
        sdk: whether it has ``pub`` and ``compile``, as a full SDK does.
    """

    path: Path
    version: str
    sdk: bool


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a peer's packages are in place; if not, `why` gives the reason."""

    why: str = ""

    def __bool__(self) -> bool:
        return not self.why


def is_there() -> bool:
    """Whether ``$DART`` is set, to a Dart or to decline one, or there is one on the ``PATH``."""
    return bool(os.environ.get("DART")) or shutil.which("dart") is not None


def find_dart(explicit: str | None = None) -> DartVM:
    """Find a Dart that runs: `explicit`, else ``$DART``, else ``dart`` on the ``PATH``.

    Raises:
        CannotRun: none was found, or it does not run; says what to install.
    """
    if not explicit and os.environ.get("DART") == DECLINED:
        raise CannotRun(f"DART={DECLINED} declines one")
    path = find_program(
        "dart",
        "install the Dart SDK (https://dart.dev/get-dart) or name a Dart VM in $DART",
        explicit=explicit,
        variable="DART",
    )
    try:
        said = run_program([str(path), "--version"], PROBE_TIMEOUT)
    except CannotRun as exc:
        if isinstance(exc.__cause__, FileNotFoundError):  # the file is there: its loader is not
            raise CannotRun(
                f"{path} is there and does not start: its loader is missing; for a 32-bit Dart "
                "install Debian's libc6:i386 (dpkg --add-architecture i386, apt-get update, "
                "apt-get install libc6:i386)"
            ) from exc
        raise
    words = said.split()
    if words[:3] != ["Dart", "SDK", "version:"] or len(words) < 4:
        raise CannotRun(f"{path} does not answer --version as a Dart VM does: {said.strip()!r}")
    return DartVM(path, words[3], succeeds([str(path), "compile", "--help"], PROBE_TIMEOUT))


def package_config(peer_dir: Path) -> Path:
    """Return where a peer's package configuration is, or would be."""
    return peer_dir / ".dart_tool" / "package_config.json"


def packages_ready(peer_dir: Path) -> Readiness:
    """Return whether a peer has the packages of its ``pubspec.yaml``, from pub or copied.

    A peer without a ``pubspec.yaml`` needs none.

    Raises:
        CannotRun: a ``pubspec.yaml`` is broken.
    """
    if not (peer_dir / "pubspec.yaml").is_file():
        return Readiness()
    peer = Package.read(peer_dir / "pubspec.yaml")
    if not package_config(peer_dir).is_file():
        return Readiness(f"{package_config(peer_dir)} is missing")
    try:
        roots = _package_roots(peer_dir)
    except CannotRun as exc:
        return Readiness(str(exc))
    for name, constraint in peer.dependencies.items():
        if name not in roots or not (roots[name] / "pubspec.yaml").is_file():
            return Readiness(f"{peer_dir.name} needs {name} {constraint}, which is not there")
        version = Package.read(roots[name] / "pubspec.yaml").version
        if not allows(constraint, version):
            return Readiness(f"{peer_dir.name} needs {name} {constraint}, and {version} is there")
    return Readiness()


def snapshot(dart: DartVM, peer_dir: Path, cache_dir: Path) -> Path:
    """Precompile a peer unless it is in the cache, and return the kernel file.

    A start from source took 2 s, with packages 4 s; from a kernel file 0.1 s. Parallel calls
    may both compile; each puts a complete file in place.

    Args:
        dart: the compiler; part of the cache's key, as is every source file.
        peer_dir: the peer's folder, with ``peer.dart``.
        cache_dir: the folder for kernel files; created if it is missing.

    Raises:
        CannotRun: packages are missing and pub cannot get them, or the peer does not compile.
        CannotRun: a ``pubspec.yaml`` is broken.
    """
    peer_dir = peer_dir.resolve()
    get_packages(dart, peer_dir)
    kernel = cache_dir.resolve() / f"{peer_dir.name}-{_key(dart, peer_dir)}.dill"
    if not kernel.is_file():
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=cache_dir) as temporary:
            new = Path(temporary).resolve() / kernel.name
            _compile(dart, peer_dir, new)
            new.replace(kernel)
    return kernel


def command(dart: DartVM, peer_dir: Path, kernel: Path) -> list[str]:
    """Return the command that runs a precompiled peer, without the peer's own arguments."""
    return [str(dart.path), *_packages_option(peer_dir.resolve()), str(kernel)]


def get_packages(dart: DartVM, peer_dir: Path) -> None:
    """Get a peer's packages by pub, unless they are in place.

    Raises:
        CannotRun: they are missing, and pub cannot get them, or there is no pub.
    """
    ready = packages_ready(peer_dir)
    if ready:
        return
    if not dart.sdk:
        raise CannotRun(f"{ready.why}, and {dart.path} has no 'pub' to get it; {_FOLDER_HINT}")
    if _is_ours(package_config(peer_dir)):
        raise CannotRun(
            f"{ready.why}; {_FOLDER_HINT}; or remove that file and let pub make its own"
        )
    try:
        run_program([str(dart.path), "pub", "get"], PUB_TIMEOUT, cwd=peer_dir)
    except CannotRun as exc:
        raise CannotRun(f"{exc}\n{_FOLDER_HINT}") from exc


def _is_ours(config: Path) -> bool:
    return config.is_file() and f'"{GENERATOR}"' in config.read_text(encoding="utf-8")


def _compile(dart: DartVM, peer_dir: Path, kernel: Path) -> None:
    options = _packages_option(peer_dir)
    if dart.sdk:
        arguments = ["compile", "kernel", *options, "-o", str(kernel), "peer.dart"]
    else:
        arguments = [*options, f"--snapshot={kernel}", "--snapshot-kind=kernel", "peer.dart"]
    said = run_program([str(dart.path), *arguments], COMPILE_TIMEOUT, cwd=peer_dir).strip()
    if not kernel.is_file():
        raise CannotRun(f"{dart.path} compiled {peer_dir / 'peer.dart'} to nothing: {said!r}")


def _packages_option(peer_dir: Path) -> list[str]:
    """Return the option by which a precompiled peer can still report its packages' versions."""
    config = package_config(peer_dir)
    return [f"--packages={config}"] if config.is_file() else []


def _key(dart: DartVM, peer_dir: Path) -> str:
    folders = {
        "peer": peer_dir,
        "shared": peer_dir.parent / "dart_shared",
        **{f"package {name}": root for name, root in _package_roots(peer_dir).items()},
    }
    # One of the packages is the peer itself, as in pub's configuration.
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
        raise CannotRun(f"{config}: not a package configuration ({exc!r})") from exc


def _root(base: Path, uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return (base / unquote(uri)).resolve()
